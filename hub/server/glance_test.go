package server_test

import (
	"testing"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/hlc"
	"otor/internal/merge"
)

// What the hub finds in the states of entities when it starts it says, and takes back once
// it is so no more.
func TestGlanceAtStates(t *testing.T) {
	s, _ := open(t)
	put := func(state []byte) {
		t.Helper()
		e := store.Entity{Ref: entry.Ref{Type: "household", ID: "H-1"}, Rev: 1, State: state}
		check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error { return tx.SaveEntities([]store.Entity{e}) }))
		s.Glance(t.Context())
	}
	state := func(bytes int) []byte {
		x := merge.New(entry.Ref{Type: "household", ID: "H-1"})
		raw := append([]byte{0x7a, 0, byte(bytes >> 16), byte(bytes >> 8), byte(bytes)}, make([]byte, bytes)...)
		x.Apply(merge.Change{Dot: dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(1), HLC: hlc.Time{Millis: 1}, Writes: []merge.Write{{Register: "note", Raw: raw}}})
		return x.Encode()
	}
	for i, x := range []struct {
		state []byte
		want  string
	}{{state(70_000), ""}, {state(feed.MaxBody), reconcile.UnsentFinding}, {state(70_000), ""}, {[]byte("rubbish"), "database_damaged"}, {state(70_000), ""}} {
		put(x.state)
		fs := findings(t, s.Store(), false)
		if x.want == "" && len(fs) != 0 || x.want != "" && (len(fs) != 1 || fs[0].Code != x.want) {
			t.Errorf("%d: %+v, want %q", i, fs, x.want)
		}
	}
}
