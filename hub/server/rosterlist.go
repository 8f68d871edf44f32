package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/find"
	"otor/internal/pack"
	"otor/internal/webui"
)

// RosterSummary is a kind of list with what the hub has of it.
type RosterSummary struct {
	Kind   string            `json:"kind"`
	Title  map[string]string `json:"title"`
	Import uint64            `json:"import"` // 0: none was imported
	At     *time.Time        `json:"at"`
	By     string            `json:"by,omitempty"`
	File   string            `json:"file,omitempty"`
	Digest string            `json:"sha256,omitempty"`
	Rows   int               `json:"rows"`
	// MatchedAt is when it was compared with the persons last; Stale says that a newer
	// list was not yet.
	MatchedAt *time.Time                   `json:"matched_at"`
	Stale     bool                         `json:"stale"`
	Lines     map[reconcile.Standing]int64 `json:"lines"`
	Open      map[reconcile.Standing]int64 `json:"open"`
}

// Rosters lists the kinds of lists that the pack names.
func (o *Office) Rosters(ctx context.Context) ([]RosterSummary, error) {
	d, ok := o.domain.(rosterer)
	if !ok {
		return []RosterSummary{}, nil
	}
	lists, err := o.store.Rosters(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := o.store.RosterCounts(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]RosterSummary, 0, len(d.Rosters()))
	for _, k := range d.Rosters() {
		s := RosterSummary{Kind: k.ID, Title: k.Label, Lines: map[reconcile.Standing]int64{}, Open: map[reconcile.Standing]int64{}}
		for _, l := range lists {
			if l.Kind == k.ID {
				s.Import, s.At, s.By, s.File, s.Digest, s.Rows = l.Import, o.maybe(l.At), l.By, l.File, l.Digest, l.Rows
				s.MatchedAt, s.Stale = o.maybe(l.MatchedAt), l.Matched != l.Import
			}
		}
		for _, c := range counts {
			if c.Kind == k.ID {
				s.Lines[reconcile.Standing(c.Standing)] = c.Lines
				if c.Open > 0 {
					s.Open[reconcile.Standing(c.Standing)] = c.Open
				}
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// RosterPerson is a person as a line of a list shows them.
type RosterPerson struct {
	Ref    string `json:"ref"`
	Name   string `json:"name"`
	Number string `json:"resident_id,omitempty"` // masked
	Birth  string `json:"birth,omitempty"`
	Phone  string `json:"phone,omitempty"` // masked
	Place  string `json:"place,omitempty"`
}

// RosterLine is a row of a list with what became of it.
type RosterLine struct {
	Key      string              `json:"key"`
	Row      int                 `json:"row"` // 0: a person who is not on the list
	Listed   *RosterPerson       `json:"listed"`
	Problems []reconcile.Problem `json:"problems"`
	Since    uint64              `json:"since"` // the import that brought the row as it is
	Standing reconcile.Standing  `json:"standing"`
	Open     bool                `json:"open"`
	Seen     string              `json:"seen"`
	Person   *RosterPerson       `json:"person"`
	// Agree are the fields that agree, Differ those that do not.
	Agree      []reconcile.Field    `json:"agree"`
	Differ     []RosterDifference   `json:"differ"`
	Candidates []RosterPerson       `json:"candidates"`
	With       int                  `json:"with,omitempty"` // the row that it repeats
	Checked    []reconcile.Evidence `json:"checked"`
	Offers     []string             `json:"offers"`
	Decided    *RosterDecided       `json:"decided"`
}

// RosterDifference is a field in which a row and a person differ; numbers are masked.
type RosterDifference struct {
	Field  reconcile.Field `json:"field"`
	Listed string          `json:"listed"`
	Known  string          `json:"known"`
}

// RosterDecided is what was decided about a line.
type RosterDecided struct {
	Choice string    `json:"choice"`
	Person string    `json:"person,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Undo   bool      `json:"undo"` // it may be taken back now
}

// RosterLines lists what became of a list. Refusal: no_roster.
func (o *Office) RosterLines(ctx context.Context, q store.RosterQuery) iter.Seq2[RosterLine, error] {
	return func(yield func(RosterLine, error) bool) {
		k, err := o.rosterKind(q.Kind)
		if err != nil {
			yield(RosterLine{}, err)
			return
		}
		for l, err := range o.store.RosterLines(ctx, q) {
			var out RosterLine
			if err == nil {
				out, err = o.shownLine(ctx, k, l)
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}
}

// rosterLine reads one. Refusal: not_found.
func (o *Office) rosterLine(ctx context.Context, kind, key string) (line store.RosterLine, err error) {
	found := false
	for l, err := range o.store.RosterLines(ctx, store.RosterQuery{Kind: kind, Key: key, AfterLine: -1, Limit: 1}) {
		if err != nil {
			return l, err
		}
		line, found = l, key != ""
	}
	if found {
		return line, nil
	}
	return line, &webui.Refusal{Code: "not_found", What: "the list has no such line", Which: key, Do: "see hub roster show " + kind}
}

// shownLine puts a line into what people see.
func (o *Office) shownLine(ctx context.Context, k pack.Roster, l store.RosterLine) (RosterLine, error) {
	m, err := reconcile.ReadMatch(l.RosterMatch)
	if err != nil {
		return RosterLine{}, fmt.Errorf("line %s of roster %s: %w: %w", l.Key, k.ID, store.ErrDamaged, err)
	}
	out := RosterLine{
		Key: l.Key, Row: l.Line, Standing: m.Standing, Open: l.Open, Seen: seenOf(l), Agree: m.Agree, With: m.With, Offers: rosterOffers(l),
		Problems: []reconcile.Problem{}, Differ: []RosterDifference{}, Candidates: []RosterPerson{}, Checked: []reconcile.Evidence{},
	}
	if out.Agree == nil {
		out.Agree = []reconcile.Field{}
	}
	if l.Row != nil {
		out.Since = l.Row.Since
		out.Listed = &RosterPerson{Name: o.veilField(k, reconcile.FieldName, l.Row.Name), Number: o.veilField(k, reconcile.FieldID, l.Row.Number), Birth: l.Row.Birth, Phone: o.veilField(k, reconcile.FieldPhone, l.Row.Phone), Place: o.veilField(k, reconcile.FieldPlace, l.Row.Place)}
		if err := json.Unmarshal(l.Row.Problems, &out.Problems); err != nil {
			return out, fmt.Errorf("row %d of roster %s: %w: %w", l.Line, k.ID, store.ErrDamaged, err)
		}
	}
	for _, d := range m.Differences {
		out.Differ = append(out.Differ, RosterDifference{d.Field, o.veilField(k, d.Field, d.Listed), o.veilField(k, d.Field, d.Known)})
	}
	if m.Person != nil {
		out.Checked = append(out.Checked, m.Person.Seen...)
		if out.Person, err = o.shownPerson(ctx, k, m.Person.Ref); err != nil {
			return out, err
		}
	}
	for _, ref := range m.Candidates {
		p, err := o.shownPerson(ctx, k, ref)
		if err != nil {
			return out, err
		}
		out.Candidates = append(out.Candidates, *p)
	}
	if r := l.Ruling; r != nil {
		out.Decided = &RosterDecided{
			Choice: r.Choice, Person: r.Same, By: r.By, At: o.at(r.At), Reason: find.Hide(r.Reason), Undo: o.now().UnixMilli()-r.At <= reconcile.UndoWithin.Milliseconds(),
		}
	}
	return out, nil
}

func (o *Office) shownPerson(ctx context.Context, k pack.Roster, ref string) (*RosterPerson, error) {
	p, err := o.knownPerson(ctx, k, ref)
	if errors.Is(err, store.ErrNotFound) {
		return &RosterPerson{Ref: ref}, nil // gone since it was compared
	}
	if err != nil {
		return nil, err
	}
	birth := ""
	if !p.Birth.IsZero() {
		birth = p.Birth.String()
	}
	return &RosterPerson{
		Ref: ref, Name: o.veilField(k, reconcile.FieldName, p.Name), Number: o.veilField(k, reconcile.FieldID, p.ID), Birth: birth, Phone: o.veilField(k, reconcile.FieldPhone, p.Phone), Place: o.veilField(k, reconcile.FieldPlace, p.Place),
	}, nil
}

// veilField masks a field as the pack masks where it comes from; numbers in any case.
func (o *Office) veilField(k pack.Roster, f reconcile.Field, v string) string {
	if v == "" {
		return ""
	}
	if f == reconcile.FieldID || f == reconcile.FieldPhone {
		return masked(v, "last4")
	}
	w, ok := o.domain.(worded)
	path := k.Fields[string(f)]
	if !ok || path == "" {
		return find.Hide(v)
	}
	steps := strings.Split(path, ".")
	typ := k.Type
	for _, step := range steps[:len(steps)-1] {
		typ = o.domain.Names(typ, step)
	}
	return shown(v, w.Mask(typ, steps[len(steps)-1]))
}

// rosterTitle is what a kind of list is called; "" when the pack knows none.
func (o *Office) rosterTitle(kind, lang string) string {
	if d, ok := o.domain.(rosterer); ok {
		for _, k := range d.Rosters() {
			if k.ID == kind {
				return k.Label.In(lang)
			}
		}
	}
	return ""
}
