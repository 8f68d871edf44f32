package console

import (
	"context"
	"time"

	"otor/internal/dot"
	"otor/internal/entry"
)

// Records is every entry that the hub holds, as far as whoever asks sees it.
type Records interface {
	// Records finds records, the newest by the hub's clock first. Refusals: short_word,
	// hidden_number, bad_cursor.
	Records(ctx context.Context, q RecordQuery) (RecordList, error)
	// Record gives one, in the words of a language. Refusal: not_found.
	Record(ctx context.Context, d dot.Dot, lang string) (Record, error)
	// Choices are what a query may choose from.
	Choices(ctx context.Context, lang string) (RecordChoices, error)
	// Reveal shows a masked field, and records who looked and why. Refusals: not_found,
	// reason_missing, not_masked.
	Reveal(ctx context.Context, r Reveal) (Revealed, error)
}

// RecordQuery chooses records. Zero fields do not restrict.
type RecordQuery struct {
	Device, Team, Form, Verdict string
	Entity                      string    // an id, or type/id
	From, Until                 time.Time // by the hub's clock; until is not in it
	Text                        string    // parts of answers, all of them; whole numbers for those who may see them
	After                       string    // RecordList.Next of the page before
	Limit                       int       // 0: 50; at most 200
	Lang                        string    // of the titles
}

// RecordList is a page of records. Its JSON is that of GET records.
type RecordList struct {
	Records []RecordRow `json:"records"`
	// Next is where the next page begins, "" at the end. Back is set when the search ended
	// before the page was full: it looked through all records back to then.
	Next string     `json:"next,omitempty"`
	Back *time.Time `json:"back,omitempty"`
	// Indexing says that records of an older hub are not all found yet.
	Indexing bool `json:"indexing,omitempty"`
}

// RecordRow is a record in a list.
type RecordRow struct {
	Dot        dot.Dot   `json:"dot"`
	Form       string    `json:"form"`
	Title      string    `json:"title"`            // of the form, in words
	Entity     string    `json:"entity,omitempty"` // type/id
	Name       string    `json:"name,omitempty"`   // of the entity
	Actor      string    `json:"user,omitempty"`
	Who        string    `json:"user_words,omitempty"` // the user by name and id
	HubAt      time.Time `json:"corrected_time"`
	ReceivedAt time.Time `json:"received_at"`
	Via        string    `json:"via,omitempty"`
	Verdict    string    `json:"verdict"`
	Code       string    `json:"code,omitempty"`
	Words      string    `json:"words,omitempty"`
	Excerpt    string    `json:"excerpt,omitempty"` // the answer that was searched for
}

// RecordChoices are what a query may choose from.
type RecordChoices struct {
	Devices, Teams []string
	Forms          []Named
}

// Named is something with its words.
type Named struct{ ID, Words string }

// Record is one record whole, but for what is masked. Its JSON is that of GET record.
type Record struct {
	RecordRow
	Hash        entry.Hash    `json:"hash"`
	FormVersion uint32        `json:"form_version,omitempty"`
	DeviceAt    time.Time     `json:"device_time"`
	ClockKnown  bool          `json:"clock_known"` // the device knew how far its clock was off
	Place       *RecordPlace  `json:"position,omitempty"`
	About       []RecordAbout `json:"entities,omitempty"`
	Erased      bool          `json:"erased,omitempty"` // its private part is gone
	Answers     []Answer      `json:"answers,omitempty"`
	Writes      []RecordWrite `json:"writes,omitempty"`
	Photos      []RecordPhoto `json:"photos,omitempty"`
	Items       []RecordItem  `json:"items,omitempty"`
	Rulings     []RecordRule  `json:"rulings,omitempty"`
	Corrects    string        `json:"corrects,omitempty"`
	CorrectedBy []string      `json:"corrected_by,omitempty"`
	Was         string        `json:"was,omitempty"`
	Archived    bool          `json:"archived"` // it is in a verified backup
	// May lists what can be ruled on it when it is set aside: accept, return, reject,
	// reopen, judge.
	May []string `json:"may,omitempty"`
}

// RecordPlace is where a record was captured: degrees in WGS84, metres, seconds.
type RecordPlace struct {
	Lon      float64 `json:"lon"`
	Lat      float64 `json:"lat"`
	Accuracy float64 `json:"accuracy_m,omitempty"`
	Source   string  `json:"source"`
	Age      uint32  `json:"age_s,omitempty"`
}

// RecordAbout is an entity that a record names.
type RecordAbout struct {
	Ref  string `json:"entity"` // type/id
	Type string `json:"type_words,omitempty"`
	Name string `json:"name,omitempty"`
}

// RecordWrite is what a record writes into an entity.
type RecordWrite struct {
	Ref   string `json:"entity"`
	Name  string `json:"field"`
	Label string `json:"label"`
	Value string `json:"value"`
	Prior string `json:"displayed,omitempty"` // what was displayed where it was written
}

// RecordPhoto is a photo or file that a record names.
type RecordPhoto struct {
	Photo string `json:"photo"` // SHA-256, hexadecimal
	Size  uint64 `json:"size"`
	Mime  string `json:"mime"`
	Here  bool   `json:"here"`
}

// RecordItem is an item that a record is part of.
type RecordItem struct {
	ID        int64     `json:"id"`
	Kind      string    `json:"kind"`
	Words     string    `json:"words"`
	Open      bool      `json:"open"`
	DecidedBy string    `json:"decided_by,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	At        time.Time `json:"at"` // when it was opened, or closed
}

// RecordRule is what an operator ruled on the record itself.
type RecordRule struct {
	Number uint64    `json:"number"` // in the ledger
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Choice string    `json:"choice"`
	Reason string    `json:"reason"`
}

// Reveal asks for a masked field of a record, or of an entity.
type Reveal struct {
	Record dot.Dot `json:"record,omitzero"`
	Entity string  `json:"entity,omitempty"` // type/id
	Field  string  `json:"field"`            // of a record the answer's name
	Reason string  `json:"reason"`
	Lang   string  `json:"-"`
}

// Revealed is a field as it is: of an entity in conflict all values that stand.
type Revealed struct {
	Field  string   `json:"field"`
	Label  string   `json:"label,omitempty"` // in the language asked for; empty: the pack has none
	Values []string `json:"values"`
}
