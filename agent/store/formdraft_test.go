package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"otor/agent/store"
)

func TestFormDrafts(t *testing.T) {
	o := options()
	dir := t.TempDir()
	s := open(t, dir, o)
	ctx := t.Context()
	save := func(id, content string) {
		t.Helper()
		if err := s.SaveFormDraft(ctx, id, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	save("a-1", "one")
	save("a-1", "one two")
	save("b", "other")
	save("c", "dropped")
	if err := s.DropFormDraft(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	d := visit(t, 1)
	d.FormDraft = "b"
	saved, err := s.Append(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if got := s.FormDrafts(); len(got) != 1 || got[0].ID != "a-1" || string(got[0].Content) != "one two" || got[0].SavedAt.IsZero() {
			t.Errorf("drafts: %+v", got)
		}
		if _, err := s.FormDraft("c"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a dropped draft: %v", err)
		}
		done, ok := errors.AsType[*store.Completed](s.SaveFormDraft(ctx, "b", []byte("late")))
		if !ok || done.Saved.Dot != saved.Dot || done.Saved.Hash != saved.Hash {
			t.Errorf("saved after it was completed: %+v", done)
		}
		// Asked again after a lost reply: the same entry, not a second one.
		again, err := s.Append(ctx, d)
		if err != nil || again.Dot != saved.Dot || again.Hash != saved.Hash {
			t.Errorf("completed twice: %+v %v", again, err)
		}
		if last := s.Chains()[0].Last + s.Chains()[1].Last; last != 1 {
			t.Errorf("%d entries", last)
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, o)
	check()
}

func TestFormDraftBounds(t *testing.T) {
	s := open(t, t.TempDir(), options())
	ctx := t.Context()
	for _, id := range []string{"", "a/b", "ä", "a b", string(bytes.Repeat([]byte("x"), 65))} {
		if err := s.SaveFormDraft(ctx, id, []byte("x")); !errors.Is(err, store.ErrFormDraft) {
			t.Errorf("id %q: %v", id, err)
		}
		d := visit(t, 1)
		if d.FormDraft = id; id != "" {
			if _, err := s.Append(ctx, d); !errors.Is(err, store.ErrFormDraft) {
				t.Errorf("append with id %q: %v", id, err)
			}
		}
	}
	for _, n := range []int{0, store.MaxFormDraft + 1} {
		if err := s.SaveFormDraft(ctx, "x", make([]byte, n)); !errors.Is(err, store.ErrFormDraft) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := s.SaveFormDraft(ctx, "x", make([]byte, store.MaxFormDraft)); err != nil {
		t.Error(err)
	}
	for i := range 499 {
		if err := s.SaveFormDraft(ctx, fmt.Sprint("d-", i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveFormDraft(ctx, "one-more", []byte("x")); !errors.Is(err, store.ErrFormDraft) {
		t.Errorf("one more: %v", err)
	}
	if err := s.SaveFormDraft(ctx, "d-3", []byte("again")); err != nil {
		t.Errorf("one that is there already: %v", err)
	}
}
