package store

import (
	"context"
	"encoding/json"
	"iter"

	"otor/internal/dot"
)

// RosterList is an official list of one kind, as it stands after its latest import.
type RosterList struct {
	Kind   string // of the pack's
	Import uint64 // how often lists of the kind were imported
	At     int64
	By     string
	File   string // as it was called
	Digest string // SHA-256 of its bytes, in hexadecimal
	// Columns is how its columns were understood, a JSON object, for the next list.
	Columns json.RawMessage
	Rows    int
	// Matched is the import that was compared with the persons last, MatchedAt when.
	// Both are kept apart from the rest, see [Rosters.PutRosterMatches].
	Matched   uint64
	MatchedAt int64
}

// RosterRow is a row of a list, from one import of its kind to another. What a row said
// in an earlier list stays.
type RosterRow struct {
	Key  string // the same from import to import
	Line int    // where it stands, as the office program counts
	// What it says, cleaned; Birth like 1950-03-07; Problems a JSON array.
	Name, Number, Birth, Phone, Place string
	Problems                          json.RawMessage
	Since                             uint64 // the import that brought it
	Until                             uint64 // the import that ended it; 0: it stands
}

// RosterMatch is what became of a row, or of a person who is not on the list, when they
// were compared.
type RosterMatch struct {
	Key      string
	Line     int    // of the row; 0: a person who is not on the list
	Standing string // see package reconcile
	Person   string // the entity's id; empty: none, or several
	Open     bool   // it waits for a person
	Seen     string // stands for the evidence
	Evidence json.RawMessage
}

// RosterRuling is what an operator decided about a row or a person.
type RosterRuling struct {
	Kind   string   `json:"kind"`
	Key    string   `json:"key"`
	Choice string   `json:"choice"`
	Same   string   `json:"same,omitempty"` // the person that the row is
	Not    []string `json:"not,omitempty"`  // persons that the row is not
	// Row, Facts and Seen stand for what it was decided on.
	Row    string `json:"row,omitempty"`
	Facts  string `json:"facts,omitempty"`
	Seen   string `json:"seen"`
	Reason string `json:"reason"`
	By     string `json:"by"`
	At     int64  `json:"at"`
	// Former is the ruling that it took the place of; nil: none.
	Former *RosterRuling `json:"former,omitempty"`
	// Taken is what was taken from the row into entities; nil: nothing.
	Taken *RosterTaken `json:"taken,omitempty"`
}

// RosterTaken is the hub's entry that wrote a row's values into entities, with what stood
// there before.
type RosterTaken struct {
	Dot    dot.Dot      `json:"dot"`
	Fields []TakenField `json:"fields"`
}

// TakenField is a field of an entity that was written. Its former value is a text; it is
// kept as bytes, because whoever reads the ledger is not to see people's numbers.
type TakenField struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Field  string `json:"field"`
	Former []byte `json:"former"`
}

// RosterLine is a row with what became of it; Row is nil for a person who is not listed.
type RosterLine struct {
	RosterMatch
	Row    *RosterRow
	Ruling *RosterRuling // nil: nothing was decided
}

// RosterQuery chooses lines of a list in the order of the list; persons who are not
// listed come first. Zero fields do not restrict.
type RosterQuery struct {
	Kind     string
	Standing string
	Open     bool
	Key      string
	// After continues behind a line, by its Line and Key.
	AfterLine int
	AfterKey  string
	Limit     int // 0: no limit
}

// RosterCount says how many lines of a kind have a standing.
type RosterCount struct {
	Kind, Standing string
	Lines, Open    int64
}

// Rosters is the part of the contract that keeps official lists.
type Rosters interface {
	// Rosters lists the lists by kind.
	Rosters(ctx context.Context) ([]RosterList, error)
	// RosterRows lists the rows that stand, by key. An error comes last.
	RosterRows(ctx context.Context, kind string) iter.Seq2[RosterRow, error]
	// RosterHistory lists all that a row said, by import.
	RosterHistory(ctx context.Context, kind, key string) ([]RosterRow, error)
	// RosterLines lists matched lines. An error comes last.
	RosterLines(ctx context.Context, q RosterQuery) iter.Seq2[RosterLine, error]
	// RosterMatches lists the matches of a list by key, RosterRulings what was decided.
	RosterMatches(ctx context.Context, kind string) iter.Seq2[RosterMatch, error]
	RosterRulings(ctx context.Context, kind string) iter.Seq2[RosterRuling, error]
	// RosterCounts counts the matched lines by kind and standing.
	RosterCounts(ctx context.Context) ([]RosterCount, error)
	// PutRosterMatches writes matches, drops others, and notes that the list as of an
	// import was compared at a moment. Nothing happens (done is false) when a newer list
	// was imported meanwhile.
	PutRosterMatches(ctx context.Context, kind string, imported uint64, at int64, put []RosterMatch, drop []string) (done bool, err error)
}

// RosterTx is what a transaction does about official lists.
type RosterTx interface {
	// RosterOf gives the list of a kind; ok says whether there is one.
	RosterOf(kind string) (l RosterList, ok bool, err error)
	// PutRoster writes a list whole, except for Matched and MatchedAt.
	PutRoster(l RosterList) error
	// PutRosterRows has rows stand from an import on; what stood under their keys ends
	// with it. EndRosterRows ends rows without others in their place. MoveRosterRows
	// notes where rows stand now that say the same as before.
	PutRosterRows(kind string, imported uint64, rows []RosterRow) error
	EndRosterRows(kind string, imported uint64, keys []string) error
	MoveRosterRows(kind string, lines map[string]int) error
	// StageRoster keeps a piece of a list that is about to be imported, StagedRoster
	// gives it back (ErrNotFound when it is not there, which spoils nothing), and
	// DropStagedRoster forgets all of them.
	StageRoster(h PieceHash, body []byte) error
	StagedRoster(h PieceHash) ([]byte, error)
	DropStagedRoster() error
	// RosterRulingOf gives what was decided about a row; ok says whether anything was.
	RosterRulingOf(kind, key string) (r RosterRuling, ok bool, err error)
	// PutRosterRuling writes it, DropRosterRuling forgets it.
	PutRosterRuling(r RosterRuling) error
	DropRosterRuling(kind, key string) error
}
