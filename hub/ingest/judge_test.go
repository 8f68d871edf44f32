package ingest_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
)

// described is what the hub makes of a note that names and writes such things.
func described(t *testing.T, by dot.Device, refs []entry.Ref, writes ...entry.Write) store.Entry {
	t.Helper()
	d := dot.Chain{Device: by, Incarnation: 1, Lane: dot.Record}.At(2)
	pub := entry.Public{Dot: d, HLC: hlc.Time{Millis: 1}, Wall: 1, Form: entry.FormRef{ID: "note", Version: 2}, Refs: refs}
	raw := encode("", pub, entry.Private{Fields: map[string]any{"text": "x"}, Writes: writes})
	return ingest.Describe(d, raw, 0, ingest.Config{Forms: testForms(t), Zone: zone})
}

// What could not be read again is set aside where it comes in, under its author's name.
func TestWritesThatCannotBe(t *testing.T) {
	house := []entry.Ref{{Type: "household", ID: "H-7"}}
	e := described(t, "D-101", house, entry.Write{Field: "phone", Value: "1"})
	if e.Judgement.Verdict != store.Applied || len(e.Touches) != 1 || len(e.Touches[0].Writes) != 1 {
		t.Fatalf("an honest note: %+v", e)
	}
	for _, value := range []any{math.NaN(), []any{math.Inf(1)}, []byte{1}} {
		e := described(t, "D-101", house, entry.Write{Field: "phone", Value: value})
		if e.Judgement.Verdict != store.Quarantined || e.Judgement.Code != "bad_write" || len(e.Touches) != 1 || len(e.Touches[0].Writes) != 0 {
			t.Errorf("%v: %+v touches %+v", value, e.Judgement, e.Touches)
		}
	}
}

// What cannot be an entity is none, and the entry that names it is set aside; those that it
// names beside it have seen it.
func TestEntitiesThatCannotBe(t *testing.T) {
	good := entry.Ref{Type: "herd", ID: "H-7/a"}
	for name, bad := range map[string]entry.Ref{
		"long id": {Type: "herd", ID: strings.Repeat("x", 129)}, "space": {Type: "herd", ID: "a b"}, "newline": {Type: "herd", ID: "a\n"}, "nothing": {Type: "herd"},
		"long type": {Type: strings.Repeat("x", 65), ID: "1"}, "slash": {Type: "a/b", ID: "1"}, "no type": {ID: "1"}, "type with a space": {Type: "a b", ID: "1"},
	} {
		e := described(t, "D-101", []entry.Ref{bad, good}, entry.Write{Ref: 1, Field: "size", Value: int64(1)})
		if e.Judgement.Code != "bad_write" || len(e.Touches) != 1 || e.Touches[0].Ref != good || len(e.Touches[0].Writes) != 0 {
			t.Errorf("%s: %+v touches %+v", name, e.Judgement, e.Touches)
		}
		if e.Entity != "" || len(e.Judgement.Words) > 400 {
			t.Errorf("%s: it is about %.40q: %s", name, e.Entity, e.Judgement.Words)
		}
		for _, w := range e.Words {
			if bad.ID != "" && bad.ID != "1" && strings.Contains(w, bad.ID) {
				t.Errorf("%s: it is found by %.40q", name, w)
			}
		}
	}
	// The hub's own entries may be about what came in before devices were asked.
	if e := described(t, dot.Hub, []entry.Ref{{Type: "herd", ID: "a b"}}); e.Judgement.Code == "bad_write" || e.Entity != "a b" {
		t.Errorf("the hub's own: %+v", e.Judgement)
	}
	if e := described(t, "D-101", []entry.Ref{{Type: "herd", ID: strings.Repeat("x", 128)}}); e.Judgement.Verdict != store.Applied {
		t.Errorf("the longest id: %+v", e.Judgement)
	}
}

// The office cannot make an entity either of what cannot be one, and says what to do.
func TestNobodyAcceptsARecordAboutWhatCannotBe(t *testing.T) {
	w := newWorld(t, nil)
	check(t, w.enrol(t.Context(), "D-101"))
	h := newHistory(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, "main")
	pub := entry.Public{
		Dot: h.chain.At(1), HLC: hlc.Time{Millis: 1}, Wall: 1, Form: entry.FormRef{ID: "note", Version: 2}, Origin: &entry.Origin{Reason: entry.Installed},
		Refs: []entry.Ref{{Type: "household", ID: strings.Repeat("x", 300)}},
	}
	h.add(encode("", pub, entry.Private{Fields: map[string]any{"text": "x"}}))
	_, err := w.Take(t.Context(), []ingest.Arrival{w.frame(t, h, 1, 1)})
	check(t, err)
	a := newAuthor(t, w, 1)
	err = w.Store.Ingest(t.Context(), func(tx store.Tx) error {
		_, err := a.Dispose(tx, ingest.Disposal{Dot: h.chain.At(1), Choice: ingest.AsideAccept, Seen: "bad_write", Reason: "why not", By: "rita"})
		return err
	})
	if no, ok := errors.AsType[*ingest.NotDisposable](err); !ok || !strings.Contains(no.Words, "cannot be an entity") {
		t.Errorf("accepted: %v", err)
	}
}
