package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/entry"
)

// FormDraft is a form that somebody is filling in. It is saved at each answer,
// so that whatever stops the program or the browser takes the answer at hand
// at most. The entry that completes it takes its row's place in the same
// commit: a page that asks again after a lost reply is told of that entry, and
// makes no second one.
type FormDraft struct {
	ID      string // chosen by the page, 1 to 64 letters, digits and hyphens
	Content []byte // at most [MaxFormDraft] bytes; the store does not look into it
	SavedAt time.Time
}

// Bounds of form drafts. A row stays below valueThreshold.
const (
	MaxFormDraft  = 96 << 10
	maxFormDrafts = 500  // unfinished ones
	maxCompleted  = 2000 // remembered ones
)

// ErrFormDraft says that a draft cannot be kept as asked.
var ErrFormDraft = errors.New("the draft cannot be kept")

// Completed says that a form draft is finished, and by which entry.
type Completed struct{ Saved Saved }

func (c *Completed) Error() string {
	return "the form was finished and saved as " + c.Saved.Dot.String()
}

// formDraftRow is the row under 30. An unfinished draft has content, a
// completed one the entry's dot.
type formDraftRow struct {
	Content []byte `cbor:"1,keyasint,omitempty"`
	SavedAt int64  `cbor:"2,keyasint"` // Unix ms
	Dot     string `cbor:"3,keyasint,omitempty"`
	Hash    []byte `cbor:"4,keyasint,omitempty"`
}

// draftState is what is known of a form draft without reading it.
type draftState struct {
	at        time.Time
	completed *Saved // nil: unfinished
}

func formDraftKey(id string) []byte { return append([]byte{kindFormDraft}, id...) }

func checkFormDraftID(id string) error {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, bad) {
		return fmt.Errorf("%w: its id must have 1 to 64 letters, digits and hyphens", ErrFormDraft)
	}
	return nil
}

// SaveFormDraft keeps a draft durably, in place of the one of the same id.
// Errors: [ErrFormDraft]; a [*Completed] when it was finished meanwhile; those
// of [Store.Append].
func (s *Store) SaveFormDraft(ctx context.Context, id string, content []byte) error {
	if err := checkFormDraftID(id); err != nil {
		return err
	}
	if len(content) == 0 || len(content) > MaxFormDraft {
		return fmt.Errorf("%w: it has %d bytes and at most %d are kept; shorten its texts", ErrFormDraft, len(content), MaxFormDraft)
	}
	return s.send(ctx, &request{formDraft: &FormDraft{ID: id, Content: content}})
}

// DropFormDraft removes an unfinished draft. One that is not there is no error.
func (s *Store) DropFormDraft(ctx context.Context, id string) error {
	if err := checkFormDraftID(id); err != nil {
		return err
	}
	return s.send(ctx, &request{formDraft: &FormDraft{ID: id}})
}

// FormDraft returns one draft. Errors: [ErrNotFound]; a [*Completed].
func (s *Store) FormDraft(id string) (FormDraft, error) {
	s.mu.RLock()
	st, ok := s.formDrafts[id]
	s.mu.RUnlock()
	switch {
	case !ok:
		return FormDraft{}, fmt.Errorf("form draft %s: %w", id, ErrNotFound)
	case st.completed != nil:
		return FormDraft{}, &Completed{*st.completed}
	}
	var r formDraftRow
	key := formDraftKey(id)
	err := s.view(func(txn *badger.Txn) error {
		it, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return it.Value(func(v []byte) error { return s.box.openRow(key, v, &r) })
	})
	if err != nil {
		return FormDraft{}, fmt.Errorf("form draft %s: %w", id, err)
	}
	return FormDraft{ID: id, Content: r.Content, SavedAt: when(r.SavedAt)}, nil
}

// FormDrafts lists the unfinished drafts, the latest first. One that cannot be
// read is left out, and is a finding.
func (s *Store) FormDrafts() []FormDraft {
	s.mu.RLock()
	var ids []string
	for id, st := range s.formDrafts {
		if st.completed == nil {
			ids = append(ids, id)
		}
	}
	s.mu.RUnlock()
	out := make([]FormDraft, 0, len(ids))
	for _, id := range ids {
		d, err := s.FormDraft(id)
		if err == nil {
			out = append(out, d)
		} else if !errors.Is(err, ErrNotFound) {
			s.note(formDraftDamaged(id, err))
		}
	}
	slices.SortFunc(out, func(a, b FormDraft) int {
		if c := b.SavedAt.Compare(a.SavedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func formDraftDamaged(id string, err error) Finding {
	return Finding{
		Code: CodeRowDamaged, Which: "form draft " + id, What: "an unfinished form cannot be read: " + err.Error(),
		Do: "fill it in again; what was saved as an entry is not touched",
	}
}

// loadFormDraft remembers a draft's row at Open.
func (s *Store) loadFormDraft(id string, r formDraftRow) {
	st := draftState{at: when(r.SavedAt)}
	if r.Dot != "" {
		d, err := dot.Parse(r.Dot)
		if err != nil || len(r.Hash) != len(entry.Hash{}) {
			s.note(formDraftDamaged(id, errors.New("its entry is not named rightly")))
			return
		}
		st.completed = &Saved{Dot: d, Hash: entry.Hash(r.Hash), SavedAt: st.at}
	}
	s.formDrafts[id] = st
}

// formDraft plans to keep or drop a draft.
func (p *plan) formDraft(d *FormDraft, now time.Time) error {
	st, ok := p.draftState(d.ID)
	switch {
	case ok && st.completed != nil:
		return &Completed{*st.completed}
	case d.Content == nil:
		if ok {
			p.rows = append(p.rows, row{key: formDraftKey(d.ID)})
			p.drafts[d.ID] = nil
		}
		return nil
	case !ok && p.unfinished() >= maxFormDrafts:
		return fmt.Errorf("%w: there are %d unfinished forms; finish or drop some of them", ErrFormDraft, maxFormDrafts)
	}
	p.drafts[d.ID] = &draftState{at: now}
	return p.addRow(formDraftKey(d.ID), formDraftRow{Content: d.Content, SavedAt: millis(now)})
}

// complete plans that an entry takes a draft's place, and forgets the oldest
// completed one when there are many.
func (p *plan) complete(id string, saved Saved) error {
	p.drafts[id] = &draftState{at: saved.SavedAt, completed: &saved}
	if old := p.oldestCompleted(); old != "" {
		p.rows = append(p.rows, row{key: formDraftKey(old)})
		p.drafts[old] = nil
	}
	return p.addRow(formDraftKey(id), formDraftRow{SavedAt: millis(saved.SavedAt), Dot: saved.Dot.String(), Hash: saved.Hash[:]})
}

// draftState is what will be known of a draft after the plan.
func (p *plan) draftState(id string) (draftState, bool) {
	if st, ok := p.drafts[id]; ok {
		if st == nil {
			return draftState{}, false
		}
		return *st, true
	}
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	st, ok := p.s.formDrafts[id]
	return st, ok
}

func (p *plan) unfinished() int {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	n := len(p.drafts)
	for _, st := range p.s.formDrafts {
		if st.completed == nil {
			n++
		}
	}
	return n
}

// oldestCompleted names the draft to forget, "" while there is room.
func (p *plan) oldestCompleted() string {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	n, oldest, at := len(p.drafts), "", time.Time{}
	for id, st := range p.s.formDrafts {
		if st.completed == nil {
			continue
		}
		n++
		if _, planned := p.drafts[id]; !planned && (oldest == "" || st.at.Before(at)) {
			oldest, at = id, st.at
		}
	}
	if n <= maxCompleted {
		return ""
	}
	return oldest
}

// settleDrafts makes a committed plan's drafts known. The caller holds mu.
func (p *plan) settleDrafts() {
	for id, st := range p.drafts {
		if st == nil {
			delete(p.s.formDrafts, id)
		} else {
			p.s.formDrafts[id] = *st
		}
	}
}
