package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/webui"
)

// kindOwner is the fact that an operator took an item on, or gave it back.
const kindOwner = "owner"

// ownerFact is its body. Owner is who looks at the item from then on; "" for nobody.
type ownerFact struct {
	Kind   string `json:"item_kind"`
	Type   string `json:"type"`
	Entity string `json:"entity"`
	Field  string `json:"field"`
	Owner  string `json:"owner"`
}

// OwnerChange is the body of POST items/{id}/take: whose the item was when it was looked
// at. Of two who take it at once the slower is told.
type OwnerChange struct {
	From string `json:"from"` // "": nobody's
}

// Take notes that whoever asks looks at an item, which keeps nobody from deciding it.
// from is whose it was when it was looked at, so that it is taken over with open eyes.
func (o *Office) Take(ctx context.Context, id int64, from string) (ItemLine, error) {
	return o.own(ctx, id, actor(ctx), func(it store.Item) error {
		if it.Owner != from {
			return &webui.Refusal{Code: "owner_changed", What: fmt.Sprintf("somebody else was faster: the item is with %q now", it.Owner), Which: it.Owner, Do: "look at it again, and take it over if need be"}
		}
		return nil
	})
}

// Release gives back an item that whoever asks has taken.
func (o *Office) Release(ctx context.Context, id int64) (ItemLine, error) {
	return o.own(ctx, id, "", func(it store.Item) error {
		if it.Owner != actor(ctx) {
			return &webui.Refusal{Code: "not_owner", What: fmt.Sprintf("the item is with %q, so it is not yours to give back", it.Owner), Which: it.Owner, Do: "take it over first"}
		}
		return nil
	})
}

// own gives an open item to somebody.
func (o *Office) own(ctx context.Context, id int64, to string, may func(store.Item) error) (ItemLine, error) {
	it, err := o.itemSeen(ctx, id)
	if err != nil {
		return ItemLine{}, err
	}
	act := ledger.Act{
		By: actor(ctx), Kind: kindOwner, Subject: fmt.Sprintf("%s#%s", it.Entity, it.Field),
		Body: ownerFact{it.Kind, it.Entity.Type, it.Entity.ID, it.Field, to},
	}
	_, err = o.ledger.Record(ctx, act, func(tx store.Tx, _ *ledger.Act) error {
		now, ok, err := tx.ItemOf(it.Kind, it.Entity, it.Field)
		switch {
		case err != nil || !ok:
			return errors.Join(err, store.ErrNotFound)
		case now.State != store.Open:
			return &webui.Refusal{Code: "not_open", What: "the item is not open any more", Which: strconv.FormatInt(id, 10), Do: "see hub items"}
		case now.Owner == to:
			return errNothing
		}
		if err := may(now); err != nil {
			return err
		}
		now.Owner = to
		_, err = tx.PutItem(now)
		return err
	})
	if err != nil && !errors.Is(err, errNothing) {
		return ItemLine{}, fmt.Errorf("take item %d: %w", id, err)
	}
	it, err = o.store.Item(ctx, id)
	return o.itemLine(it), err
}

// ownAgain brings about what the journal brought back. An item that is not there, or was
// decided since, is nobody's matter any more.
func ownAgain(tx store.Tx, _ ledger.Fact, b ownerFact) error {
	it, ok, err := tx.ItemOf(b.Kind, entry.Ref{Type: b.Type, ID: b.Entity}, b.Field)
	if err != nil || !ok || it.State != store.Open {
		return err
	}
	it.Owner = b.Owner
	_, err = tx.PutItem(it)
	return err
}

// Take implements console.Queue.
func (t table) Take(ctx context.Context, id int64, from string) error {
	_, err := t.o.Take(ctx, id, from)
	return asPageRefusal(err)
}

// Release implements console.Queue.
func (t table) Release(ctx context.Context, id int64) error {
	_, err := t.o.Release(ctx, id)
	return asPageRefusal(err)
}

// owners serves who looks at items.
func (o *Office) owners(mux *http.ServeMux, bell *webui.Bell) {
	change := func(own func(ctx context.Context, id int64, in OwnerChange) (ItemLine, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var in OwnerChange
			id, ok := aboutItem(w, r, &in, "the request is not JSON that says whose the item was")
			if !ok {
				return
			}
			line, err := own(r.Context(), id, in)
			if err == nil {
				err = o.veil(r.Context(), &line)
			}
			bell.Ring()
			answer(w, line, err)
		}
	}
	mux.HandleFunc("POST "+officePath+"items/{id}/take", change(func(ctx context.Context, id int64, in OwnerChange) (ItemLine, error) { return o.Take(ctx, id, in.From) }))
	mux.HandleFunc("POST "+officePath+"items/{id}/release", change(func(ctx context.Context, id int64, _ OwnerChange) (ItemLine, error) { return o.Release(ctx, id) }))
}

// Take does what [Office.Take] does.
func (c *Client) Take(ctx context.Context, id int64, from string) (ItemLine, error) {
	return ask[ItemLine](ctx, c, http.MethodPost, "items/"+strconv.FormatInt(id, 10)+"/take", nil, OwnerChange{From: from})
}

// Release does what [Office.Release] does.
func (c *Client) Release(ctx context.Context, id int64) (ItemLine, error) {
	return ask[ItemLine](ctx, c, http.MethodPost, "items/"+strconv.FormatInt(id, 10)+"/release", nil, OwnerChange{})
}
