package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/find"
	"otor/internal/form"
	"otor/internal/pack"
	"otor/internal/sheet"
	"otor/internal/webui"
)

// rosterer is what a domain may say of official lists.
type rosterer interface{ Rosters() []pack.Roster }

// rosterUploads bounds the lists of requests that are in memory at one time; others wait.
const rosterUploads = 2

// rosterDesk is the office's own state about official lists.
type rosterDesk struct {
	importing sync.Mutex    // one import at a time
	matching  sync.Mutex    // one comparison at a time
	uploads   chan struct{} // a token for each list of a request that is in memory
	stale     chan struct{} // holds one token when a list is to be compared again
}

// RosterColumns says which columns are which: under the header in row HeaderRow, as the
// office program counts, the column from 0 of each field.
type RosterColumns struct {
	HeaderRow int               `json:"header_row"`
	Fields    reconcile.Mapping `json:"fields"`
}

// RosterUpload is a list as it comes from the bureau.
type RosterUpload struct {
	Kind  string
	File  string // as it is called
	Sheet string // of a workbook; empty: the first that has something in it
	// Columns, when they are not nil, were confirmed; else they are those of last time,
	// or what the titles say.
	Columns *RosterColumns
	// Before, when it is not nil, is the import that the preview was compared with; after
	// another one nothing is imported.
	Before *uint64
	Body   []byte
	// Progress, which may be nil, is told how far reading, matching and writing are.
	Progress func(stage string, rows int)
}

func (u RosterUpload) tell(stage string, rows int) {
	if u.Progress != nil {
		u.Progress(stage, rows)
	}
}

// RosterProblem is what is wrong with a cell of a list.
type RosterProblem struct {
	Row    int    `json:"row"`
	Column string `json:"column,omitempty"` // such as C; empty: the row
	Code   string `json:"code"`
	Value  string `json:"value,omitempty"`
	Words  string `json:"words"`
}

// RosterPreview says what a list would come to. Nothing was written.
type RosterPreview struct {
	Kind     string   `json:"kind"`
	File     string   `json:"file"`
	Digest   string   `json:"sha256"`
	Before   uint64   `json:"before"` // the import that it was compared with, 0: none
	Sheet    string   `json:"sheet,omitempty"`
	Sheets   []string `json:"sheets,omitempty"`
	Encoding string   `json:"encoding,omitempty"`
	RosterColumns
	Header []string   `json:"header"`
	Sample [][]string `json:"sample"` // personal numbers masked
	// Trouble says why it cannot be imported with these columns; nil: it can.
	Trouble *webui.Refusal `json:"trouble,omitempty"`
	RosterCounts
	// Problems are the first ones, ProblemCount how many there are.
	Problems     []RosterProblem `json:"problems"`
	ProblemCount int             `json:"problem_count"`
	// Standings counts what rows and persons would come to.
	Standings map[reconcile.Standing]int `json:"standings"`
}

// RosterCounts counts rows against the list before.
type RosterCounts struct {
	Rows    int `json:"rows"`
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Gone    int `json:"gone"`
	Same    int `json:"same"`
}

// maxProblems bounds the problems that a preview lists.
const maxProblems = 200

// rosterKind finds a kind of list. Refusal: no_roster.
func (o *Office) rosterKind(id string) (pack.Roster, error) {
	var names []string
	if d, ok := o.domain.(rosterer); ok {
		for _, k := range d.Rosters() {
			if k.ID == id {
				return k, nil
			}
			names = append(names, k.ID)
		}
	}
	do := "the pack names no kind of list: add [[roster]] to its rules.toml"
	if len(names) > 0 {
		do = fmt.Sprintf("choose one of %v", names)
	}
	return pack.Roster{}, &webui.Refusal{Code: "no_roster", What: "there is no such kind of list", Which: id, Do: do}
}

// rosterPlan is a list that was read, with what importing it would change.
type rosterPlan struct {
	kind    pack.Roster
	preview RosterPreview
	roster  reconcile.Roster
	keys    []string
	number  uint64 // that the import gets
	changes []rosterChange
}

// rosterChange is one change to the rows of a list.
type rosterChange struct {
	Put  *store.RosterRow `json:"put,omitempty"`
	End  string           `json:"end,omitempty"`
	Move string           `json:"move,omitempty"`
	Line int              `json:"line,omitempty"` // of Move
}

// CheckRoster says what a list would come to, and writes nothing. Refusals: no_roster,
// and bad_roster when the file cannot be read at all.
func (o *Office) CheckRoster(ctx context.Context, u RosterUpload) (RosterPreview, error) {
	p, err := o.planRoster(ctx, u)
	if err != nil || p.preview.Trouble != nil {
		return p.preview, err
	}
	known, _, err := o.knownPersons(ctx, p.kind)
	if err != nil {
		return p.preview, err
	}
	u.tell("matching", len(p.roster.Rows))
	rulings, err := o.rosterRulings(ctx, p.kind.ID)
	if err != nil {
		return p.preview, err
	}
	p.preview.Standings = make(map[reconcile.Standing]int)
	for _, m := range reconcile.MatchRoster(p.roster.Rows, known, ruledBy(p.keys, rulings)) {
		p.preview.Standings[m.Standing]++
	}
	return p.preview, nil
}

// planRoster reads a list and compares it with the one before.
func (o *Office) planRoster(ctx context.Context, u RosterUpload) (p rosterPlan, err error) {
	if p.kind, err = o.rosterKind(u.Kind); err != nil {
		return p, err
	}
	list, err := o.rosterOf(ctx, u.Kind)
	if err != nil {
		return p, err
	}
	p.number = list.Import + 1
	if u.Before != nil && *u.Before != list.Import {
		return p, rosterChangedBy(u.Kind)
	}
	sum := sha256.Sum256(u.Body)
	p.preview = RosterPreview{Kind: u.Kind, File: clipText(u.File, 200), Digest: hex.EncodeToString(sum[:]), Problems: []RosterProblem{}, Sample: [][]string{}}
	src, err := sheet.Open(bytes.NewReader(u.Body), u.Sheet, sheet.Usual)
	if err != nil {
		return p, badRoster(err, u.File)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	p.preview.Sheet, p.preview.Sheets, p.preview.Encoding = src.Sheet, src.Sheets, src.Encoding
	g := reconcile.Reading{Today: form.DateOf(o.now().In(o.zone)), Demo: o.demo, Progress: func(n int) { u.tell("reading", n) }}
	if len(list.Columns) > 0 {
		if err := json.Unmarshal(list.Columns, &g.Titles); err != nil {
			return p, fmt.Errorf("columns of roster %s: %w", u.Kind, err)
		}
	}
	if u.Columns != nil {
		g.Chosen, g.HeaderRow = u.Columns.Fields, u.Columns.HeaderRow
	}
	p.roster, err = reconcile.ReadRoster(untilDone(ctx, src.Rows()), g)
	p.preview.Header = slices.Clone(p.roster.Header)
	for i, c := range p.preview.Header { // a list without titles begins with a person
		p.preview.Header[i] = find.Hide(c)
	}
	p.preview.RosterColumns = RosterColumns{p.roster.HeaderRow, p.roster.Mapping}
	p.preview.Sample = veiled(p.roster)
	if err != nil {
		if f, ok := errors.AsType[*sheet.Fault](err); ok && p.roster.Header != nil {
			p.preview.Trouble = faultRefusal(f, u.File)
			return p, nil
		}
		return p, badRoster(err, u.File)
	}
	p.preview.Before = list.Import
	p.problems()
	p.keys = reconcile.RowKeys(p.roster.Rows)
	u.tell("comparing", len(p.roster.Rows))
	return p, o.compare(ctx, &p)
}

// compare finds what a list changes of the one before.
func (o *Office) compare(ctx context.Context, p *rosterPlan) error {
	before := make(map[string]store.RosterRow)
	for r, err := range o.store.RosterRows(ctx, p.kind.ID) {
		if err != nil {
			return err
		}
		before[r.Key] = r
	}
	c := &p.preview.RosterCounts
	c.Rows = len(p.roster.Rows)
	for i, l := range p.roster.Rows {
		row := reconcile.Kept(p.keys[i], l)
		was, had := before[row.Key]
		delete(before, row.Key)
		switch {
		case had && reconcile.SameRow(was, row):
			c.Same++
			if was.Line != row.Line {
				p.changes = append(p.changes, rosterChange{Move: row.Key, Line: row.Line})
			}
			continue
		case had:
			c.Changed++
		default:
			c.Added++
		}
		p.changes = append(p.changes, rosterChange{Put: &row})
	}
	c.Gone = len(before)
	gone := make([]string, 0, len(before))
	for key := range before {
		gone = append(gone, key)
	}
	slices.Sort(gone)
	for _, key := range gone {
		p.changes = append(p.changes, rosterChange{End: key})
	}
	return nil
}

// problems lists what is wrong with rows.
func (p *rosterPlan) problems() {
	for _, l := range p.roster.Rows {
		for _, x := range l.Problems {
			p.preview.ProblemCount++
			if len(p.preview.Problems) >= maxProblems {
				continue
			}
			out := RosterProblem{Row: l.Row, Code: x.Code, Value: x.Value, Words: x.Words}
			if x.Column >= 0 {
				out.Column = sheet.ColumnName(x.Column)
			}
			p.preview.Problems = append(p.preview.Problems, out)
		}
	}
}

// rosterOf gives the list of a kind; a zero one when there is none.
func (o *Office) rosterOf(ctx context.Context, kind string) (store.RosterList, error) {
	all, err := o.store.Rosters(ctx)
	if err != nil {
		return store.RosterList{}, err
	}
	for _, l := range all {
		if l.Kind == kind {
			return l, nil
		}
	}
	return store.RosterList{}, nil
}

// RosterImported says what an import came to.
type RosterImported struct {
	RosterPreview
	Import uint64    `json:"import"`
	At     time.Time `json:"at"`
}

// ImportRoster imports a list in place of the one before: rows are added, changed, and
// gone when they are not on it any more; what they said stays. All of it happens in one
// transaction, or nothing. Then it is compared with the persons. Refusals: those of
// [Office.CheckRoster], those of its Trouble, and roster_changed.
func (o *Office) ImportRoster(ctx context.Context, u RosterUpload) (out RosterImported, err error) {
	o.rosters.importing.Lock()
	defer o.rosters.importing.Unlock()
	p, err := o.planRoster(ctx, u)
	out.RosterPreview = p.preview
	if err != nil {
		return out, err
	}
	if p.preview.Trouble != nil {
		return out, p.preview.Trouble
	}
	columns, err := json.Marshal(p.roster.Titles())
	if err != nil {
		return out, err
	}
	body := rosterFact{
		Kind: u.Kind, Import: p.number, File: p.preview.File, Digest: p.preview.Digest, Columns: columns, Counts: p.preview.RosterCounts, At: o.now().UnixMilli(),
	}
	if body.Pieces, err = o.stageRoster(ctx, p, u); err != nil {
		return out, fmt.Errorf("import roster %s: %w", u.Kind, err)
	}
	u.tell("writing", len(p.changes))
	_, err = o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindRoster, Subject: u.Kind, Body: body},
		func(tx store.Tx, a *ledger.Act) error { return putRoster(tx, a.By, body) })
	if errors.Is(err, store.ErrNotFound) { // another hub on this database was faster, and with its import all pieces went
		err = rosterChangedBy(u.Kind)
	}
	if err != nil {
		return out, fmt.Errorf("import roster %s: %w", u.Kind, err)
	}
	out.Import, out.At = body.Import, o.at(body.At)
	u.tell("matching", len(p.roster.Rows))
	// It is imported, whoever waits for it: comparing can be done again at any time.
	counts, err := o.matchRoster(context.WithoutCancel(ctx), p.kind)
	if err != nil {
		return out, fmt.Errorf("roster %s is imported, and not compared yet: %w", u.Kind, err)
	}
	out.Standings = counts
	return out, nil
}

func badRoster(err error, file string) error {
	if f, ok := errors.AsType[*sheet.Fault](err); ok {
		return faultRefusal(f, file)
	}
	return err
}

// faultRefusal words why a list cannot be read; its code is the fault's.
func faultRefusal(f *sheet.Fault, file string) *webui.Refusal {
	which := clipText(file, 200)
	if f.Row > 0 {
		which = fmt.Sprintf("%s, row %d", which, f.Row)
	}
	return &webui.Refusal{Code: "roster_" + f.Code, What: f.Words, Which: which, Do: f.Do}
}

func clipText(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
