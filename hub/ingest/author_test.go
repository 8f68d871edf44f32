package ingest_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/lane"
)

func newAuthor(t *testing.T, w *world, seed byte) *ingest.Author {
	t.Helper()
	a, err := ingest.NewAuthor(w.cfg, w.cfg.Forms.(*form.Registry), bytes.NewReader(bytes.Repeat([]byte{seed}, 4+64*entry.SaltSize)))
	check(t, err)
	return a
}

func note(text string) ingest.Note {
	return ingest.Note{Form: "note", Entity: entry.Ref{Type: "household", ID: "H-01"}, Actor: "U10", Fields: map[string]any{"text": text}}
}

func TestOperatorsRecordsAreEntriesOfTheHub(t *testing.T) {
	w := newWorld(t, nil)
	a := newAuthor(t, w, 1)
	head := entry.Hash{}
	for i := range dot.Seq(3) {
		e, err := a.Add(t.Context(), note("as told by telephone"))
		check(t, err)
		if e.Dot.Device != dot.Hub || e.Dot.Seq != i+1 || e.Judgement.Verdict != store.Applied || e.Entity != "H-01" || e.Actor != "U10" {
			t.Errorf("entry %+v", e)
		}
		if e.DeviceTime != noon.UnixMilli() || e.CorrectedTime != noon.UnixMilli() || e.ReceivedAt != noon.UnixMilli() {
			t.Errorf("times of %s: %d %d %d", e.Dot, e.DeviceTime, e.CorrectedTime, e.ReceivedAt)
		}
		if i == 0 {
			head = entry.Genesis(e.Dot.Chain)
		}
		head = entry.Next(head, e.Raw)
		pub, err := entry.DecodePublic(e.Raw.Public)
		check(t, err)
		if pub.Dot != e.Dot || pub.Zone != 480 || (pub.Origin != nil) != (i == 0) {
			t.Errorf("public part: %+v", pub)
		}
		l, err := laneOf(t.Context(), w.Store, e.Dot.Chain)
		check(t, err)
		if l.Head != head || l.Received.Through() != i+1 {
			t.Errorf("lane after %s: %+v", e.Dot, l)
		}
	}
	// Another start of a worker writes in a life of its own.
	e, err := newAuthor(t, w, 2).Add(t.Context(), note("after a restart"))
	check(t, err)
	if e.Dot.Seq != 1 || e.Dot.Device != dot.Hub {
		t.Errorf("after a restart: %s", e.Dot)
	}
}

func TestOperatorsRecordsAreChecked(t *testing.T) {
	w := newWorld(t, nil)
	a := newAuthor(t, w, 1)
	_, err := a.Add(t.Context(), ingest.Note{Form: "horoscope"})
	if look, ok := errors.AsType[*form.LookupError](err); !ok || look.Code != form.FormUnknown {
		t.Errorf("unknown form: %v", err)
	}
	_, err = a.Add(t.Context(), ingest.Note{Form: "note", Fields: map[string]any{"text": int64(7)}})
	if p, ok := errors.AsType[form.Problem](err); !ok || p.Code != form.BadType {
		t.Errorf("wrong type: %v", err)
	}
	_, err = a.Add(t.Context(), ingest.Note{Form: "sos", Fields: map[string]any{"what": strings.Repeat("x", entry.MaxAlertSize)}})
	if !errors.Is(err, ingest.ErrNotApplied) {
		t.Errorf("too large for its lane: %v", err)
	}
	es, err := entriesOf(t.Context(), w.Store, dot.Hub)
	check(t, err)
	if len(es) != 0 {
		t.Errorf("refused, and yet kept: %+v", es)
	}
}

func TestOperatorsAtOnceGetDotsOfTheirOwn(t *testing.T) {
	w := newWorld(t, nil)
	a, err := ingest.NewAuthor(w.cfg, w.cfg.Forms.(*form.Registry), rand.Reader)
	check(t, err)
	var all sync.WaitGroup
	const operators, each = 4, 5
	for range operators {
		all.Go(func() {
			for range each {
				if _, err := a.Add(t.Context(), note("at once")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	lanes, err := w.LanesOf(t.Context(), dot.Hub)
	check(t, err)
	if len(lanes) != 1 || lanes[0].Received.String() != lane.Format([]lane.Range{lane.Run(1, operators*each)}) {
		t.Errorf("lanes: %+v", lanes)
	}
}

// A device cannot speak in the hub's name.
func TestNobodySpeaksAsTheHub(t *testing.T) {
	w := newWorld(t, nil)
	check(t, w.enrol(t.Context(), "D-101"))
	h := newHistory(dot.Chain{Device: dot.Hub, Incarnation: 1, Lane: dot.Record}, "main")
	h.mint("", clockOf{wall: noon})
	w.keys[dot.Hub] = w.keys["D-101"]
	a := w.frame(t, h, 1, 1)
	a.Sender = "D-101"
	r, err := w.Take(t.Context(), []ingest.Arrival{a})
	check(t, err)
	if r[0].Unattributed != "unknown_key" {
		t.Errorf("result %+v", r[0])
	}
}
