package main

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/entry"
	"otor/internal/pack"
)

// differ writes telephones of a household that do not know of each other.
func differ(t *testing.T, dir string, phones ...string) {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Config{
		Dir: dir, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Packs: pack.NewShelf(p), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	home := entry.Ref{Type: "household", ID: "H-NB-01"}
	e, err := s.Store().Entity(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	for _, phone := range phones {
		_, err := s.Author().Add(t.Context(), ingest.Note{
			Form: "household_edit", Entity: home, Actor: "office", Fields: map[string]any{"set": map[string]any{"phone": phone}},
			Displayed: map[entry.Ref][]byte{home: e.State},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// listing is the one item as hub items lists it.
func listing(t *testing.T, dir string) (it listed, table string) {
	t.Helper()
	exit, out, e := try(t, dir, "items", "--all")
	if err := json.Unmarshal([]byte(out), &it); exit != cli.OK || err != nil || len(it.Seen) == 0 {
		t.Fatalf("items: exit %d, %v, %s %+v", exit, err, out, e)
	}
	return it, dotWords(it.Seen)
}

// Whoever decides on the command line decides about what was listed: what comes in
// after that is not decided with it.
func TestItemsAreDecidedAsSeen(t *testing.T) {
	dir := officeFolder(t)
	differ(t, dir, "13904830001", "13904830002")
	it, seen := listing(t, dir)
	id := strconv.FormatInt(it.ID, 10)
	decide := func(args ...string) (cli.Exit, string, cli.Error) {
		return try(t, dir, append([]string{"items", "decide", id, "--reason", "she came by"}, args...)...)
	}
	for _, choice := range []string{"A", "other", "ask"} {
		if exit, _, e := decide("--choice", choice); exit != cli.Usage || e.Which != "--seen" {
			t.Errorf("%s without what was seen: exit %d, %+v", choice, exit, e)
		}
	}
	if exit, _, e := decide("--choice", "A", "--seen", "D-101"); exit != cli.Usage || e.Which != "--seen" {
		t.Errorf("no entry: exit %d, %+v", exit, e)
	}
	differ(t, dir, "13904830003") // somebody writes the field meanwhile
	if exit, _, e := decide("--choice", "A", "--seen", seen); exit != cli.Refused || e.Code != "item_changed" {
		t.Errorf("what was seen is not what is there: exit %d, %+v", exit, e)
	}
	it, now := listing(t, dir)
	if it.State != store.Open || now == seen {
		t.Fatalf("%+v, seen %s, was %s", it, now, seen)
	}
	if exit, _, e := decide("--choice", "A", "--seen", now); exit != cli.OK {
		t.Fatalf("exit %d, %+v", exit, e)
	}
	it, _ = listing(t, dir)
	if it.State == store.Open || it.Decision == nil {
		t.Fatalf("%+v", it)
	}
	undo := []string{"items", "undo", id, "--reason", "the wrong household"}
	if exit, _, e := try(t, dir, append(undo, "--decision", strings.Split(now, ",")[0])...); exit != cli.Refused || e.Code != "item_changed" {
		t.Errorf("another decision: exit %d, %+v", exit, e)
	}
	if exit, out, e := try(t, dir, append(undo, "--decision", it.Decision.String())...); exit != cli.OK || !strings.Contains(out, `"state":"open"`) {
		t.Errorf("exit %d, %s %+v", exit, out, e)
	}
}
