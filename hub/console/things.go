package console

import (
	"context"
	"time"

	"otor/internal/dot"
)

// Things is what the hub knows of entities, as far as whoever asks sees them.
type Things interface {
	// Things finds entities. Refusals: short_word, hidden_number, bad_cursor.
	Things(ctx context.Context, q ThingQuery) (ThingList, error)
	// Thing gives one with its history, in the words of a language. Refusal: not_found.
	Thing(ctx context.Context, ref, before, lang string) (Thing, error)
}

// fewThings is how many entities the records page names.
const fewThings = 8

// ThingQuery chooses entities. Zero fields do not restrict.
type ThingQuery struct {
	Text  string // parts of a name, an id, or whole numbers for those who may see them
	Type  string
	After string // ThingList.Next of the page before
	Limit int    // 0: 50; at most 200
	Lang  string
}

// ThingList is a page of entities. Its JSON is that of GET entities.
type ThingList struct {
	Things   []ThingRow `json:"entities"`
	Next     string     `json:"next,omitempty"` // "": no more
	Indexing bool       `json:"indexing,omitempty"`
}

// ThingRow is an entity in a list.
type ThingRow struct {
	Ref  string `json:"entity"` // type/id
	Type string `json:"type_words"`
	Name string `json:"name,omitempty"`
}

// Thing is an entity and why its values are there. Its JSON is that of GET entity.
type Thing struct {
	ThingRow
	Rev     uint64       `json:"rev"`
	Scopes  []string     `json:"scopes"`
	Deleted bool         `json:"deleted,omitempty"`
	Fields  []ThingField `json:"fields"`
	// History are the records that name it, the latest first; Next is where the page with
	// earlier ones begins.
	History []ThingEvent `json:"history"`
	Next    string       `json:"next,omitempty"`
}

// ThingField is a field, or an atomic group, with all values that stand in it.
type ThingField struct {
	Name     string       `json:"field"`
	Label    string       `json:"label"`
	Rule     string       `json:"rule"` // latest, greatest, least, count, set or ask
	Value    string       `json:"value"`
	Known    bool         `json:"known"`
	Masked   bool         `json:"masked,omitempty"`
	Conflict bool         `json:"conflict,omitempty"`
	Item     int64        `json:"item,omitempty"` // of the conflict, or of the last one
	Names    string       `json:"names,omitempty"`
	Values   []ThingValue `json:"values,omitempty"`
}

// ThingValue is a value that stands, and what is behind it.
type ThingValue struct {
	Value  string    `json:"value"`
	Dot    dot.Dot   `json:"dot"`
	Form   string    `json:"form,omitempty"`
	Actor  string    `json:"user,omitempty"`
	Who    string    `json:"user_words,omitempty"` // the user by name and id
	HubAt  time.Time `json:"corrected_time,omitzero"`
	Beside bool      `json:"beside,omitempty"` // it was written beside what was displayed in conflict
	// Choice and Reason are those of the decision that wrote it.
	Choice string `json:"choice,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// ThingEvent is a record that names an entity, and what it wrote.
type ThingEvent struct {
	RecordRow
	Writes []RecordWrite `json:"writes,omitempty"`
	// Stands lists the fields in which what it wrote still stands.
	Stands []string `json:"stands,omitempty"`
	Choice string   `json:"choice,omitempty"` // of a decision
	Reason string   `json:"reason,omitempty"`
}
