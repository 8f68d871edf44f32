package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"otor/hub/demo"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/pack"
)

// evening opens the hub that a day left behind.
func evening(t *testing.T, dir string) (*server.Server, *pack.Shelf) {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	shelf := pack.NewShelf(p)
	s, err := server.Open(t.Context(), server.Config{
		Dir: filepath.Join(dir, "hub"), NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Packs: shelf, Demo: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, shelf
}

// verdictOf is the verdict of an entry now, and its code.
func verdictOf(t *testing.T, s *server.Server, d dot.Dot) (store.Verdict, string) {
	t.Helper()
	for e, err := range s.Store().Entries(t.Context(), store.EntryQuery{Device: d.Device}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Dot == d {
			return e.Judgement.Verdict, e.Judgement.Code
		}
	}
	t.Fatalf("no entry %s", d)
	return "", ""
}

func qtyOf(t *testing.T, s *server.Server, shelf *pack.Shelf, name string) any {
	t.Helper()
	typ, id, _ := strings.Cut(name, "/")
	e, err := s.Store().Entity(t.Context(), entry.Ref{Type: typ, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	state, err := merge.Decode(e.State)
	if err != nil {
		t.Fatal(err)
	}
	return reconcile.Shown(state, shelf.Type(typ))["qty"]
}

// TestNoticesAreDecided decides what the day's rules noticed, one item of each
// kind and choice, and takes each decision back.
func TestNoticesAreDecided(t *testing.T) {
	o := &demo.Options{Dir: t.TempDir()}
	if _, err := play(t, o); err != nil {
		t.Fatal(err)
	}
	s, shelf := evening(t, o.Dir)
	ctx, office := t.Context(), s.Office()
	items, err := office.Items(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, it := range items {
		var n reconcile.Notice
		if it.Kind == store.Conflicts || json.Unmarshal(it.Evidence, &n) != nil {
			continue
		}
		rule, name, _ := strings.Cut(it.Field, " ")
		subject, err := dot.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		was, wasCode := verdictOf(t, s, subject)
		if wasCode != rule {
			t.Errorf("item %d: %s has %s %s", it.ID, subject, was, wasCode)
			continue
		}
		for _, choice := range map[string][]string{
			store.Duplicates: {"link", "keep"}, store.Twins: {"link", "keep"}, store.Reviews: {"accept", "return"}, store.Flags: {"clear"},
		}[it.Kind] {
			tried[it.Kind+" "+choice] = true
			var before any
			if n.Suspended != "" {
				before = qtyOf(t, s, shelf, n.Suspended)
			}
			got := decide(ctx, t, office, it, choice)
			v, code := verdictOf(t, s, subject)
			switch want := map[string]string{"link": rule, "return": "returned"}[choice]; {
			case got.State != store.Decided:
				t.Errorf("%s %s: the item is %s", it.Kind, choice, got.State)
			case code != want || want == "" && v != store.Applied:
				t.Errorf("%s %s: %s has %s %q, want %q", it.Kind, choice, subject, v, code, want)
			}
			if n.Suspended != "" && (choice == "keep") == (qtyOf(t, s, shelf, n.Suspended) == before) {
				t.Errorf("twin %s: stock was %v and is %v", choice, before, qtyOf(t, s, shelf, n.Suspended))
			}
			var no *reconcile.Refused
			if _, err := office.Decide(ctx, it.ID, server.Ruling{Choice: choice, Reason: "again", Seen: it.Entries}); !errors.As(err, &no) || no.Code != "item_changed" {
				t.Errorf("%s %s again: %v", it.Kind, choice, err)
			}
			if got = decide(ctx, t, office, it, "undo"); got.State != store.Open {
				t.Errorf("%s %s taken back: the item is %s", it.Kind, choice, got.State)
			}
			if v, code := verdictOf(t, s, subject); v != was || code != wasCode {
				t.Errorf("%s %s taken back: %s has %s %s, had %s %s", it.Kind, choice, subject, v, code, was, wasCode)
			}
			if n.Suspended != "" && qtyOf(t, s, shelf, n.Suspended) != before {
				t.Errorf("twin %s taken back: stock was %v and is %v", choice, before, qtyOf(t, s, shelf, n.Suspended))
			}
		}
		var no *reconcile.Refused
		if _, err := office.Decide(ctx, it.ID, server.Ruling{Choice: "other", Reason: "why"}); !errors.As(err, &no) || no.Code != "bad_choice" {
			t.Errorf("item of kind %s by a choice of conflicts: %v", it.Kind, err)
		}
	}
	want := []string{"duplicate keep", "duplicate link", "flag clear", "review accept", "review return", "twin keep", "twin link"}
	for _, w := range want {
		if !tried[w] {
			t.Errorf("the day has nothing to try %q on", w)
		}
	}
}

func decide(ctx context.Context, t *testing.T, office *server.Office, it server.ItemLine, choice string) server.ItemLine {
	t.Helper()
	ru := server.Ruling{Choice: choice, Reason: "the office looked at it"}
	if choice != "undo" {
		ru.Seen = slices.Clone(it.Entries)
	}
	got, err := office.Decide(ctx, it.ID, ru)
	if err != nil {
		t.Fatalf("%s %s: %v", it.Kind, choice, err)
	}
	return got
}
