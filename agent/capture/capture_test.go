package capture_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"otor/agent/capture"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/hlc"
)

var zone = time.FixedZone("CST", 8*3600)

func forms(t *testing.T) *form.Registry {
	t.Helper()
	visit, err := form.New(form.Form{
		ID: "visit", Version: 2, Lane: dot.Record, Entity: "household",
		Fields: []form.Field{
			{Name: "sheep", Kind: form.Integer, Required: true},
			{Name: "note", Kind: form.Text},
			{Name: "card", Kind: form.Text, Rule: form.ResidentID},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	sos, err := form.New(form.Form{ID: "sos", Version: 1, Lane: dot.Alert, Fields: []form.Field{{Name: "words", Kind: form.Text}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := form.NewRegistry(visit, visit.At(1), sos)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// notebook is a store in memory: it mints entries by the kernel's rules and
// refuses what is too large.
type notebook struct {
	clock   *hlc.Clock
	entries map[dot.Dot]entry.Raw
	last    map[dot.Lane]dot.Seq
}

var errTooLarge = errors.New("too large")

func (n *notebook) Submit(_ context.Context, d entry.Draft) func() (entry.Saved, error) {
	saved, err := n.append(d)
	return func() (entry.Saved, error) { return saved, err }
}

func (n *notebook) append(d entry.Draft) (entry.Saved, error) {
	p := d.Public
	p.Dot = dot.Chain{Device: "D-101", Incarnation: 1, Lane: d.Lane}.At(n.last[d.Lane] + 1)
	p.HLC = n.clock.Tick(max(p.Wall, clock().UnixMilli()))
	if p.Dot.Seq == 1 {
		p.Origin = &entry.Origin{Reason: entry.Installed}
	}
	public, err := p.Encode()
	if err != nil {
		return entry.Saved{}, err
	}
	raw := entry.NewRaw(public, d.Private)
	if raw.Size() > entry.MaxFor(d.Lane) {
		return entry.Saved{}, errTooLarge
	}
	n.last[d.Lane]++
	n.entries[p.Dot] = raw
	return entry.Saved{Dot: p.Dot, Hash: raw.Hash(), HLC: p.HLC, SavedAt: clock(), Size: raw.Size()}, nil
}

// get reads an entry's parts.
func (n *notebook) get(t *testing.T, d dot.Dot) (entry.Public, entry.Private) {
	t.Helper()
	raw, ok := n.entries[d]
	if !ok {
		t.Fatalf("%s was not saved", d)
	}
	public, err := entry.DecodePublic(raw.Public)
	if err != nil {
		t.Fatal(err)
	}
	private, err := entry.DecodePrivate(raw.Private)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func clock() time.Time { return time.Date(2026, 9, 21, 10, 31, 0, 0, zone) }

func device(t *testing.T, change func(*capture.Config)) (*capture.Capture, *notebook) {
	t.Helper()
	n := &notebook{clock: hlc.NewClock(hlc.Time{}), entries: make(map[dot.Dot]entry.Raw), last: make(map[dot.Lane]dot.Seq)}
	c := capture.Config{
		Store: n, Forms: forms(t), Random: bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 100)), Now: clock, Zone: zone,
		Offset: func() *entry.Offset { return &entry.Offset{Millis: -2_820_000, Age: 60} },
	}
	if change != nil {
		change(&c)
	}
	return capture.New(c), n
}

func TestCaptureSavesWhatWasFilledIn(t *testing.T) {
	c, s := device(t, nil)
	at := time.Date(2026, 9, 20, 22, 0, 0, 0, time.UTC)
	before, err := c.Capture(t.Context(), capture.Request{
		Form: "visit", Entity: "H-NB-07", Actor: "u-naran", At: &at, Fields: map[string]any{"sheep": int64(212), "note": "井泵坏了"},
		Position: &entry.Position{Lon: 105_666_123, Lat: 38_844_321, Source: entry.GNSS},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, private := s.get(t, before.Dot)
	switch {
	case before.Dot.String() != "D-101/1/record/1" || s.entries[before.Dot].Hash() != before.Hash || len(before.Warnings) != 0:
		t.Errorf("saved as %+v", before)
	case p.Wall != at.UnixMilli() || p.Zone != 480 || p.HLC.Millis < p.Wall:
		t.Errorf("times: wall %d, zone %d, logical %s", p.Wall, p.Zone, p.HLC)
	case p.Form != entry.FormRef{ID: "visit", Version: 2} || len(p.Refs) != 1 || p.Refs[0].String() != "household/H-NB-07":
		t.Errorf("form %v, refs %v", p.Form, p.Refs)
	case p.Actor != "u-naran" || p.Offset == nil || p.Offset.Millis != -2_820_000 || p.Position.Lon != 105_666_123:
		t.Errorf("public part %+v", p)
	}
	if private.Fields["sheep"] != int64(212) || private.Fields["note"] != "井泵坏了" || string(private.Salt[:]) != "0123456789abcdef" {
		t.Errorf("private part %+v", private)
	}

	// Without At the clock counts, and the logical time rises over an At that lay ahead of it.
	ahead := time.Date(2026, 9, 22, 0, 0, 0, 0, zone)
	for i, r := range []capture.Request{
		{Form: "sos", At: &ahead, Fields: map[string]any{"words": "on the pass"}},
		{Form: "visit", Version: 1, Entity: "H-1", Fields: map[string]any{"sheep": int64(1)}, Corrects: &before.Dot},
	} {
		out, err := c.Capture(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		next, _ := s.get(t, out.Dot)
		if next.HLC.Compare(p.HLC) <= 0 {
			t.Errorf("request %d: logical time %s after %s", i, next.HLC, p.HLC)
		}
		p = next
	}
	if p.Corrects == nil || *p.Corrects != before.Dot || p.Form.Version != 1 {
		t.Errorf("correction %+v", p)
	}
	if s.last[dot.Alert] != 1 {
		t.Error("the form's lane was not used")
	}
}

func TestCaptureRefuses(t *testing.T) {
	c, s := device(t, nil)
	good := func() capture.Request {
		return capture.Request{Form: "visit", Entity: "H-1", Fields: map[string]any{"sheep": int64(1)}}
	}
	far := time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		change func(*capture.Request)
		code   form.Code
		field  string
	}{
		"required":          {func(r *capture.Request) { r.Fields = nil }, form.Missing, "sheep"},
		"wrong type":        {func(r *capture.Request) { r.Fields["sheep"] = "many" }, form.BadType, "sheep"},
		"unknown field":     {func(r *capture.Request) { r.Fields["yaks"] = int64(2) }, form.UnknownField, "yaks"},
		"long text":         {func(r *capture.Request) { r.Fields["note"] = strings.Repeat("x", 10<<20) }, form.TooLong, "note"},
		"long entity":       {func(r *capture.Request) { r.Entity = strings.Repeat("H", 129) }, form.TooLong, "entity"},
		"user is no text":   {func(r *capture.Request) { r.Actor = "\xff" }, form.BadType, "user"},
		"off the earth":     {func(r *capture.Request) { r.Position = &entry.Position{Lat: 91e6, Source: entry.GNSS} }, form.OutOfRange, "position"},
		"unknown source":    {func(r *capture.Request) { r.Position = &entry.Position{} }, form.BadChoice, "position"},
		"impossible time":   {func(r *capture.Request) { r.At = &far }, form.OutOfRange, "at"},
		"entity of no kind": {func(r *capture.Request) { *r = capture.Request{Form: "sos", Entity: "X"} }, form.Missing, "entity type"},
	} {
		r := good()
		tc.change(&r)
		_, err := c.Capture(t.Context(), r)
		refusal, ok := errors.AsType[*capture.Refusal](err)
		problem, found := errors.AsType[form.Problem](err)
		if !ok || !found || problem.Code != tc.code || problem.Field != tc.field {
			t.Errorf("%s: %v", name, err)
		} else if len(refusal.Error()) > 2000 {
			t.Errorf("%s: the words have %d bytes", name, len(refusal.Error()))
		}
	}
	for name, tc := range map[string]struct {
		r    capture.Request
		code form.Code
	}{
		"unknown form":  {capture.Request{Form: "nothing"}, form.FormUnknown},
		"newer version": {capture.Request{Form: "visit", Version: 99}, form.FormNewer},
	} {
		_, err := c.Capture(t.Context(), tc.r)
		if look, ok := errors.AsType[*form.LookupError](err); !ok || look.Code != tc.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := good()
	for i := range 5 {
		r.Fields = map[string]any{"words": strings.Repeat("x", 300*i)}
		r.Form, r.Entity = "sos", ""
		if _, err := c.Capture(t.Context(), r); i == 4 && !errors.Is(err, errTooLarge) {
			t.Errorf("an alert over its limit: %v", err)
		}
	}
	if n := s.last[dot.Record]; n != 0 {
		t.Errorf("%d refused records were saved", n)
	}
}

func TestCaptureWarnsAndSaves(t *testing.T) {
	c, s := device(t, nil)
	out, err := c.Capture(t.Context(), capture.Request{
		Form: "visit", Entity: "H-1", Fields: map[string]any{"sheep": int64(1), "card": "11010519491231002Y"},
	})
	if err != nil || len(out.Warnings) != 1 || out.Warnings[0].Code != form.IDShape {
		t.Fatal(out, err)
	}
	s.get(t, out.Dot)
}

type broken struct{ err error }

func (b broken) Submit(context.Context, entry.Draft) func() (entry.Saved, error) {
	return func() (entry.Saved, error) { return entry.Saved{}, b.err }
}

func TestCapturePassesTheStoresErrorOn(t *testing.T) {
	errFull := errors.New("the disk is full")
	c, _ := device(t, func(c *capture.Config) { c.Store = broken{errFull} })
	r := capture.Request{Form: "visit", Fields: map[string]any{"sheep": int64(1)}}
	if _, err := c.Capture(t.Context(), r); !errors.Is(err, errFull) {
		t.Errorf("full: %v", err)
	}
	c, _ = device(t, func(c *capture.Config) { c.Random = bytes.NewReader(nil) })
	if _, err := c.Capture(t.Context(), r); err == nil {
		t.Error("saved without a salt")
	}
}
