package sim

import (
	"fmt"
	"strings"

	"otor/agent/capture"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/form"
)

// forms are what the world's forms are called.
type forms struct{ device, hub *form.Registry }

// newForms makes the registries: devices know a newer visit and a form that the
// hub has not got.
func newForms() (forms, error) {
	var made []*form.Form
	for _, f := range []form.Form{
		{ID: "visit", Version: 2, Lane: dot.Record, Entity: "household", Fields: []form.Field{
			{Name: "sheep", Kind: form.Integer, Required: true},
			{Name: "note", Kind: form.Text},
			{Name: "card", Kind: form.Text, Rule: form.ResidentID},
		}},
		{ID: "sos", Version: 1, Lane: dot.Alert, Fields: []form.Field{{Name: "words", Kind: form.Text, Required: true}}},
		{ID: "sketch", Version: 1, Lane: dot.Record, Fields: []form.Field{{Name: "words", Kind: form.Text}}},
	} {
		n, err := form.New(f)
		if err != nil {
			return forms{}, err
		}
		made = append(made, n)
	}
	visit, sos, sketch := made[0], made[1], made[2]
	writes, err := writing()
	if err != nil {
		return forms{}, err
	}
	device, err := form.NewRegistry(append(writes, visit.At(1), visit, visit.At(3), sos, sketch)...)
	if err != nil {
		return forms{}, err
	}
	hub, err := form.NewRegistry(append(writes, visit.At(1), visit, sos)...)
	return forms{device, hub}, err
}

// expectation is the verdict that an entry must get.
type expectation struct {
	verdict store.Verdict
	code    string
	entity  bool // what others wrote decides it
}

// meets reports whether a judgement is as expected.
func (x expectation) meets(j store.Judgement) bool {
	if x.entity {
		return j.Verdict == store.Applied || j.Verdict == store.Merged || j.Verdict == store.Conflict
	}
	return j.Verdict == x.verdict && j.Code == x.code
}

// filled draws a filled form and says what the hub must make of it.
func filled(d dice, n int) (capture.Request, expectation) {
	r := capture.Request{
		Form: "visit", Version: uint32(1 + d.IntN(2)), Entity: fmt.Sprintf("H-%d", d.IntN(20)), Actor: "u-naran",
		Fields: map[string]any{"sheep": int64(d.IntN(900))},
	}
	ok := expectation{verdict: store.Applied}
	if d.is(0.4) {
		r.Fields["note"] = words(d, 400)
	}
	switch kind := d.IntN(40); {
	case kind < 8:
		return capture.Request{Form: "sos", Actor: "u-naran", Fields: map[string]any{"words": fmt.Sprintf("%d %s", n, words(d, 120))}}, ok
	case kind == 8:
		r.Fields["card"] = "11010519491231002Y"
		return r, expectation{verdict: store.Quarantined, code: string(form.IDShape)}
	case kind == 9:
		r.Fields["card"] = "110105194912310021"
		return r, expectation{verdict: store.Quarantined, code: string(form.IDChecksum)}
	case kind == 10:
		r.Version = 3
		return r, expectation{verdict: store.Quarantined, code: string(form.FormNewer)}
	case kind == 11:
		r = capture.Request{Form: "sketch", Fields: map[string]any{"words": words(d, 50)}}
		return r, expectation{verdict: store.Quarantined, code: string(form.FormUnknown)}
	case kind == 12:
		r.Fields["note"] = words(d, 9000) // one that fills frames
	}
	return r, ok
}

// words are up to so many bytes that compress badly.
func words(d dice, most int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ."
	var b strings.Builder
	for range d.IntN(most) {
		b.WriteByte(letters[d.IntN(len(letters))])
	}
	return b.String()
}
