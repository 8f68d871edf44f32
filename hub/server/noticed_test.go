package server_test

import (
	"path/filepath"
	"testing"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/entry"
)

// reviewOf finds the day's review.
func reviewOf(t *testing.T, s *server.Server) server.ItemLine {
	t.Helper()
	items, err := s.Office().Items(t.Context(), true)
	check(t, err)
	for _, it := range items {
		if it.Kind == store.Reviews {
			return it
		}
	}
	t.Fatalf("no review among %+v", items)
	return server.ItemLine{}
}

// TestADecidedNoticeComesBack puts a hub back to a time before a review was
// accepted: the journal brings the decision back, without it the item is open.
func TestADecidedNoticeComesBack(t *testing.T) {
	root := t.TempDir()
	story := filepath.Join(root, "journal")
	s, err := server.Open(t.Context(), packed(t, filepath.Join(root, "hub"), story))
	check(t, err)
	_, err = s.Author().Add(t.Context(), ingest.Note{
		Form: "person_edit", Entity: entry.Ref{Type: "person", ID: "P-NEW"}, Actor: "U10",
		Fields: map[string]any{"household": "H-NB-07", "name_zh": "甲"},
	})
	check(t, err)
	made, err := s.Office().Backup(t.Context(), filepath.Join(root, "backups"), 2)
	check(t, err)
	it := reviewOf(t, s)
	_, err = s.Office().Decide(t.Context(), it.ID, server.Ruling{Choice: reconcile.ChooseAccept, Reason: "known", Seen: it.Entries})
	check(t, err)
	check(t, s.Close())
	for _, journal := range []string{story, ""} {
		back := packed(t, filepath.Join(t.TempDir(), "back"), journal)
		_, err := server.Restore(t.Context(), made.Path, back, false)
		check(t, err)
		s, err = server.Open(t.Context(), back)
		check(t, err)
		state, verdict := reviewOf(t, s).State, store.Verdict("")
		for e, err := range s.Store().Entries(t.Context(), store.EntryQuery{}) {
			check(t, err)
			if e.Entity == "P-NEW" {
				verdict = e.Judgement.Verdict
			}
		}
		want := map[bool][2]any{true: {store.Decided, store.Applied}, false: {store.Open, store.Review}}[journal != ""]
		if state != want[0] || verdict != want[1] {
			t.Errorf("with journal %q: the item is %s and the entry %s, want %v", journal, state, verdict, want)
		}
		check(t, s.Close())
	}
}
