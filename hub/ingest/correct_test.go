package ingest_test

import (
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
)

// corrects adds an entry to h that corrects another.
func (h *history) corrects(d dot.Dot, what fault, wall time.Time) {
	s := h.last() + 1
	pub := entry.Public{
		Dot: h.chain.At(s), HLC: hlc.Time{Millis: wall.UnixMilli()}, Wall: wall.UnixMilli(), Actor: "U01", Form: entry.FormRef{ID: "note", Version: 2},
		Refs: []entry.Ref{{Type: "household", ID: "H-01"}}, Corrects: &d,
	}
	if s == 1 {
		pub.Origin = &entry.Origin{Reason: entry.Installed}
	}
	priv := entry.Private{Fields: map[string]any{"text": "as it should be"}}
	spoil(what, &pub, &priv)
	h.add(encode(what, pub, priv))
}

// What its author corrects is settled, in whatever order the two arrive; what another
// device says is corrected is not.
func TestAnAuthorsCorrectionSettles(t *testing.T) {
	judged := func(t *testing.T, w *world, d dot.Dot) store.Judgement {
		t.Helper()
		es, err := w.EntriesOf(t.Context(), d.Chain, lane.Run(d.Seq, d.Seq), 1)
		check(t, err)
		if len(es) != 1 {
			t.Fatalf("%s is not here", d)
		}
		return es[0].Judgement
	}
	take := func(t *testing.T, w *world, as ...ingest.Arrival) {
		t.Helper()
		for _, a := range as {
			_, err := w.Take(t.Context(), []ingest.Arrival{a})
			check(t, err)
		}
	}
	begin := func(t *testing.T, what fault) (*world, *history, dot.Dot) {
		t.Helper()
		w := newWorld(t, nil)
		for _, d := range []dot.Device{"D-101", "D-102"} {
			check(t, w.enrol(t.Context(), d))
		}
		h := newHistory(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, "main")
		h.mint(what, clockOf{wall: noon})
		return w, h, h.chain.At(1)
	}
	for name, arrive := range map[string]func(t *testing.T, w *world, h *history){
		"one after the other":    func(t *testing.T, w *world, h *history) { take(t, w, w.frame(t, h, 1, 1), w.frame(t, h, 2, 2)) },
		"together":               func(t *testing.T, w *world, h *history) { take(t, w, w.frame(t, h, 1, 2)) },
		"the correction is held": func(t *testing.T, w *world, h *history) { take(t, w, w.frame(t, h, 2, 2), w.frame(t, h, 1, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			w, h, d := begin(t, "bad_type")
			h.corrects(d, "", noon.Add(time.Minute))
			arrive(t, w, h)
			if j := judged(t, w, d); j.Verdict != store.Duplicate || j.Code != ingest.CodeCorrected {
				t.Errorf("the original is %+v", j)
			}
			if j := judged(t, w, h.chain.At(2)); j.Verdict != store.Applied {
				t.Errorf("the correction is %+v", j)
			}
		})
	}
	t.Run("the original comes last", func(t *testing.T) {
		w, h, d := begin(t, "bad_type")
		h.corrects(d, "", noon.Add(time.Minute))
		check(t, w.Store.Ingest(t.Context(), func(tx store.Tx) error {
			_, err := w.Seal(tx, h.chain, lane.Run(1, 1), noon.UnixMilli())
			return err
		}))
		take(t, w, w.frame(t, h, 2, 2), w.frame(t, h, 1, 1))
		if j := judged(t, w, d); j.Verdict != store.Duplicate || j.Code != ingest.CodeCorrected {
			t.Errorf("the original is %+v", j)
		}
	})
	for name, c := range map[string]struct {
		what, again fault
		device      dot.Device
		rule        string
		want        store.Judgement
	}{
		"another device's":               {what: "bad_type", device: "D-102", want: store.Judgement{Verdict: store.Quarantined, Code: "bad_type"}},
		"a correction that is wrong too": {what: "bad_type", again: "missing", device: "D-101", want: store.Judgement{Verdict: store.Quarantined, Code: "bad_type"}},
		"of what counts":                 {device: "D-101", want: store.Judgement{Verdict: store.Applied}},
		"of what was returned":           {what: "bad_type", device: "D-101", rule: ingest.AsideReturn, want: store.Judgement{Verdict: store.Duplicate, Code: ingest.CodeCorrected}},
		"of what was rejected":           {what: "bad_type", device: "D-101", rule: ingest.AsideReject, want: store.Judgement{Verdict: store.Refused, Code: ingest.CodeRejected}},
	} {
		t.Run(name, func(t *testing.T) {
			w, h, d := begin(t, c.what)
			take(t, w, w.frame(t, h, 1, 1))
			if c.rule != "" {
				a, err := ingest.NewAuthor(w.cfg, testForms(t), endless{})
				check(t, err)
				check(t, w.Store.Ingest(t.Context(), func(tx store.Tx) error {
					_, err := a.Dispose(tx, ingest.Disposal{Dot: d, Choice: c.rule, Seen: "bad_type", Reason: "count again", By: "rita"})
					return err
				}))
			}
			if c.device != h.chain.Device {
				h = newHistory(dot.Chain{Device: c.device, Incarnation: 1, Lane: dot.Record}, "other")
			}
			h.corrects(d, c.again, noon.Add(time.Minute))
			take(t, w, w.frame(t, h, h.last(), h.last()))
			if j := judged(t, w, d); j.Verdict != c.want.Verdict || j.Code != c.want.Code {
				t.Errorf("the original is %+v, want %+v", j, c.want)
			}
		})
	}
}

// endless is chance without surprise.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i + 1)
	}
	return len(p), nil
}
