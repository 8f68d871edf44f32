package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/pack"
)

var house = entry.Ref{Type: "household", ID: "H-NB-07"}

// packed is a hub with the built-in pack.
func packed(t *testing.T, dir, story string) server.Config {
	t.Helper()
	p, err := pack.Transhumance()
	check(t, err)
	return server.Config{
		Dir: dir, Journal: story, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Forms: p.Forms, Domain: p.Domain(), Pack: p,
		MaxStore: 16 << 20, Log: slog.New(slog.DiscardHandler),
	}
}

// dispute writes two telephones that do not know of each other.
func dispute(t *testing.T, s *server.Server) (item server.ItemLine, seen reconcile.Dispute) {
	t.Helper()
	e, err := s.Store().Entity(t.Context(), house)
	check(t, err)
	for _, phone := range []string{"13904830001", "13904830002"} {
		_, err := s.Author().Add(t.Context(), ingest.Note{
			Form: "household_edit", Entity: house, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": phone}},
			Displayed: map[entry.Ref][]byte{house: e.State},
		})
		check(t, err)
	}
	items, err := s.Office().Items(t.Context(), false)
	check(t, err)
	for _, it := range items {
		if it.Kind == store.Conflicts && it.Field == "phone" {
			check(t, json.Unmarshal(it.Evidence, &seen))
			return it, seen
		}
	}
	t.Fatalf("no conflict among %+v", items)
	return item, seen
}

func phoneOf(t *testing.T, s *server.Server, domain reconcile.Domain) merge.Shown {
	t.Helper()
	e, err := s.Store().Entity(t.Context(), house)
	check(t, err)
	state, err := merge.Decode(e.State)
	check(t, err)
	return state.Show(domain.Type("household"), "phone")
}

// What an operator recorded and the reference data that were brought in after the
// backup come back from the journal, once, under their own names; without the
// journal they do not.
func TestAuthoredComesBack(t *testing.T) {
	root := t.TempDir()
	story := filepath.Join(root, "journal")
	cfg := packed(t, filepath.Join(root, "hub"), story)
	s, err := server.Open(t.Context(), cfg)
	check(t, err)
	edit := func(phone string) {
		t.Helper()
		_, err := s.Author().Add(t.Context(), ingest.Note{Form: "household_edit", Entity: house, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": phone}}})
		check(t, err)
	}
	edit("13904830000")
	made, err := s.Office().Backup(t.Context(), filepath.Join(root, "backups"), 2)
	check(t, err)
	edit("13904830009")
	list := []ingest.Fixture{{Ref: entry.Ref{Type: "household", ID: "H-NB-99"}, Fields: map[string]any{"phone": "13904830099"}}}
	for range 2 { // the second time there is nothing to do, and no fact of it
		check(t, s.Author().Import(t.Context(), "office", list))
	}
	want := phoneOf(t, s, cfg.Domain)
	check(t, s.Close())

	for _, journal := range []string{story, ""} {
		back := packed(t, filepath.Join(t.TempDir(), "back"), journal)
		r, err := server.Restore(t.Context(), made.Path, back, false)
		check(t, err)
		s, err = server.Open(t.Context(), back)
		check(t, err)
		_, missing := s.Store().Entity(t.Context(), list[0].Ref)
		got := phoneOf(t, s, cfg.Domain)
		if journal != "" && (r.Replayed["authored"] != 2 || missing != nil || got.Value != want.Value || !slices.Equal(got.Dots, want.Dots)) {
			t.Errorf("with the journal: replayed %v, %+v, want %+v; the imported one: %v", r.Replayed, got, want, missing)
		}
		if journal == "" && (got.Value == want.Value || !errors.Is(missing, store.ErrNotFound)) {
			t.Errorf("without the journal it is there: %+v, %v", got, missing)
		}
		check(t, s.Close())
	}
}

// Of two operators who decide at once one is told that the other was faster;
// what was decided is a fact, and comes back from the journal when the hub is put
// back to before it.
func TestRulings(t *testing.T) {
	root := t.TempDir()
	story := filepath.Join(root, "journal")
	cfg := packed(t, filepath.Join(root, "hub"), story)
	s, err := server.Open(t.Context(), cfg)
	check(t, err)
	_, err = s.Author().Add(t.Context(), ingest.Note{Form: "household_edit", Entity: house, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": "13904830000"}}})
	check(t, err)
	it, seen := dispute(t, s)
	made, err := s.Office().Backup(t.Context(), filepath.Join(root, "backups"), 2)
	check(t, err)

	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			ru := server.Ruling{Choice: reconcile.Letter(i % 2), Reason: "the daughter said so", Seen: seen.Displayed}
			_, errs[i] = s.Office().Decide(context.WithoutCancel(t.Context()), it.ID, ru)
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, reconcile.ErrConflict) {
			t.Errorf("the slower one is told %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d decided: %v", won, len(errs), errs)
	}
	decided := phoneOf(t, s, cfg.Domain)
	if decided.Conflict || decided.Value == "13904830000" || len(decided.Dots) != 1 {
		t.Errorf("decided: %+v", decided)
	}
	items, err := s.Office().Items(t.Context(), true)
	check(t, err)
	if len(items) != 1 || items[0].State != store.Decided || items[0].Reason != "the daughter said so" || *items[0].Decision != decided.Dots[0] {
		t.Errorf("items: %+v", items)
	}
	facts := 0
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "decision"}, false) {
		check(t, err)
		facts++
		if f.Subject != "household/H-NB-07#phone" {
			t.Errorf("fact: %+v", f)
		}
	}
	if facts != 1 {
		t.Errorf("%d facts of one decision", facts)
	}
	check(t, s.Close())

	back := packed(t, filepath.Join(root, "back"), story)
	r, err := server.Restore(t.Context(), made.Path, back, false)
	check(t, err)
	if r.Replayed["decision"] != 1 {
		t.Errorf("replayed: %v", r.Replayed)
	}
	later := back
	later.Now = func() time.Time { return time.Now().Add(reconcile.UndoWithin + time.Minute) }
	s, err = server.Open(t.Context(), later)
	check(t, err)
	_, err = s.Office().Decide(t.Context(), it.ID, server.Ruling{Choice: reconcile.ChooseUndo, Reason: "too late"})
	if r, ok := errors.AsType[*reconcile.Refused](err); !ok || r.Code != "undo_over" {
		t.Errorf("taken back after a day: %v", err)
	}
	check(t, s.Close())
	s, err = server.Open(t.Context(), back)
	check(t, err)
	if now := phoneOf(t, s, back.Domain); now.Conflict || now.Value != decided.Value || now.Dots[0] != decided.Dots[0] {
		t.Errorf("after the restore: %+v, decided was %+v", now, decided)
	}
	again, err := s.Office().Items(t.Context(), true)
	check(t, err)
	if len(again) != 1 || again[0].State != store.Decided || again[0].DecidedBy != items[0].DecidedBy {
		t.Errorf("items after the restore: %+v", again)
	}
	// It can be taken back, and decided again.
	open, err := s.Office().Decide(t.Context(), it.ID, server.Ruling{Choice: reconcile.ChooseUndo, Reason: "the wrong household"})
	check(t, err)
	if open.State != store.Open || !phoneOf(t, s, back.Domain).Conflict {
		t.Errorf("taken back: %+v", open)
	}
	check(t, s.Close())
}
