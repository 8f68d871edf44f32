package store

import (
	"context"
	"encoding/json"
	"iter"

	"otor/internal/dot"
	"otor/internal/entry"
)

// Entity is one long-lived thing as the hub has it.
type Entity struct {
	Ref entry.Ref
	// Rev rises with each change, whatever it is that changes.
	Rev   uint64
	State []byte // as package merge writes it
	// Scopes are where it is shown, sorted. Parents are the entities on whose
	// fields that depends; they need not exist.
	Scopes  []string
	Parents []entry.Ref
	// Disputed lists the registers of which an item of kind [Conflicts] is open.
	Disputed []string
}

// The kinds of items. Merging opens conflicts, a pack's rules the others.
const (
	Conflicts  = "conflict"
	Duplicates = "duplicate" // the same business twice: the earlier counts
	Twins      = "twin"      // perhaps the same movement twice: the later is suspended
	Reviews    = "review"
	Flags      = "flag"
)

// ItemState says whether somebody has to look at an item still.
type ItemState string

// The states of an item.
const (
	Open ItemState = "open"
	// Decided: an operator decided.
	Decided ItemState = "decided"
	// Answered: somebody who had all sides in view wrote a value, or the sides
	// turned out to agree.
	Answered ItemState = "answered"
)

// Item is something that a person has to look at. There is one for each kind,
// entity and field: what was decided is opened again when it comes up again.
type Item struct {
	ID     int64
	Kind   string
	Entity entry.Ref
	Field  string // the register; of other kinds what tells its items apart
	// Entries are the entries that it is about, sorted.
	Entries []dot.Dot
	// Evidence is what a person needs to decide, a JSON object.
	Evidence json.RawMessage
	OpenedAt int64
	Owner    string // the operator who took it on; empty: nobody
	State    ItemState
	ClosedAt int64 // 0: open
	// Decision is the hub's entry that decided it, DecidedBy and Reason whose and why.
	Decision  dot.Dot
	DecidedBy string
	Reason    string
	Times     int // how often it was opened
	// Scopes are those of the entity, in what [Entities.Items] lists; it does not write them.
	Scopes []string
}

// ItemQuery chooses items. Zero fields do not restrict.
type ItemQuery struct {
	State ItemState
	Kind  string
	// Entry restricts to items about that entry.
	Entry dot.Dot
	// Entity restricts to items of that entity.
	Entity entry.Ref
	Owner  string // restricts to those that somebody took on
	// After and Before, which are not in it, restrict to items behind a place, or before
	// it: those come the latest first. At most one of the two is given.
	After, Before ItemPlace
	Limit         int // 0: no limit
}

// ItemPlace is where an item stands among others.
type ItemPlace struct{ OpenedAt, ID int64 }

// Place is where the item stands among others.
func (it Item) Place() ItemPlace { return ItemPlace{it.OpenedAt, it.ID} }

// OpenKind counts the open items of a kind about entities that have the same scopes.
type OpenKind struct {
	Kind   string
	Scopes []string
	N      uint64
	Oldest int64 // when the first of them was opened
}

// Entities is the part of the contract that keeps entities and items.
type Entities interface {
	// Entity reads one; ErrNotFound when nothing was ever written to it.
	Entity(ctx context.Context, ref entry.Ref) (Entity, error)
	// EntitiesNamed reads at once those of refs that exist.
	EntitiesNamed(ctx context.Context, refs []entry.Ref) (map[entry.Ref]Entity, error)
	// EntitiesOf lists the entities of a type by id, all types when it is empty,
	// as they are when it is ranged over, without Parents. An error comes last.
	EntitiesOf(ctx context.Context, kind string) iter.Seq2[Entity, error]
	// Items lists items by the time they were opened.
	Items(ctx context.Context, q ItemQuery) ([]Item, error)
	Item(ctx context.Context, id int64) (Item, error)
	// OpenKinds counts the open items, and says how old the oldest is, by the scopes of their entities when byScopes; else
	// Scopes are left out.
	OpenKinds(ctx context.Context, byScopes bool) ([]OpenKind, error)
}

// EntityTx is the part of a transaction that keeps entities and items.
type EntityTx interface {
	// Entities reads those of refs that exist, in whatever order.
	Entities(refs []entry.Ref) ([]Entity, error)
	// SaveEntities writes entities whole, new ones too.
	SaveEntities(es []Entity) error
	// Dependents lists the entities that have parent among their Parents.
	Dependents(parent entry.Ref) ([]entry.Ref, error)
	// ItemOf gives the item of a kind, an entity and a field; ok says whether there is one.
	ItemOf(kind string, ref entry.Ref, field string) (it Item, ok bool, err error)
	// PutItem writes an item whole, by kind, entity and field, and returns its ID.
	PutItem(it Item) (int64, error)
}
