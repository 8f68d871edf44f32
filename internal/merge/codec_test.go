package merge_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/golden"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/vv"
)

var (
	record = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	alert  = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Alert}
	hub    = dot.Chain{Device: dot.Hub, Incarnation: 4_000_000_000, Lane: dot.Record}
)

// samples are states that together have every key.
func samples() map[string]*merge.State {
	shell := merge.New(entry.Ref{Type: "household", ID: "H-NB-07"})
	shell.Dispose(record.At(1))
	full := merge.New(entry.Ref{Type: "household", ID: "敖特尔"})
	full.Apply(merge.Change{Dot: hub.At(1), HLC: hlc.Time{Millis: 1758160020000}, Writes: []merge.Write{
		{Register: "phone", Raw: []byte{0x61, '1'}}, {Register: "stock", Op: entry.Move, Move: 12}, {Register: "needs/hay", Raw: []byte{0xf5}},
	}})
	full.Apply(merge.Change{Dot: record.At(300), Also: []dot.Dot{alert.At(7)}, HLC: hlc.Time{Millis: -5, Counter: 3}, Writes: []merge.Write{
		{Register: "phone", Raw: []byte{0xa1, 0x61, 'a', 0xfb, 0x3f, 0xd5, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55}, Context: vv.Vector{hub: 1}, Prior: &merge.Prior{Dot: hub.At(1), Raw: []byte{0x61, '1'}}},
		{Register: "stock", Op: entry.Move, Move: -70_000},
		{Register: "note", Op: entry.Add, Raw: []byte{0xf6}, Context: vv.Vector{hub: 1}},
	}})
	full.Apply(merge.Change{Dot: alert.At(1), Writes: []merge.Write{{Register: "phone", Raw: []byte{0x38, 0x63}}}})
	return map[string]*merge.State{"nothing": merge.New(entry.Ref{Type: "x", ID: "y"}), "seen and nothing written": shell, "every key": full}
}

func TestVectors(t *testing.T) {
	now := map[string]string{}
	for name, s := range samples() {
		now[name] = hex.EncodeToString(s.Encode())
	}
	golden.Update(t, now)
	want := golden.Load[map[string]string](t)
	if len(want) != len(now) {
		t.Errorf("%d vectors, want %d", len(want), len(now))
	}
	for name, bytes := range want {
		if now[name] != bytes {
			t.Errorf("%s:\n got %s\nwant %s", name, now[name], bytes)
		}
		s, err := merge.Decode(golden.Unhex(t, bytes))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := hex.EncodeToString(s.Encode()); got != bytes {
			t.Errorf("%s: read and written again:\n got %s\nwant %s", name, got, bytes)
		}
	}
}

// What a newer version adds stays where it was, also through a merge.
func TestUnknownKeysAreKept(t *testing.T) {
	base := merge.New(entry.Ref{Type: "x", ID: "y"})
	base.Apply(merge.Change{Dot: record.At(1), Writes: []merge.Write{{Register: "a", Raw: []byte{1}}}})
	b := base.Encode()
	// Key 9 in the state's map, and key 8 in the value's.
	newer := bytes.Replace(b, []byte{0xa5}, []byte{0xa6}, 1)
	newer = bytes.Replace(newer, []byte{0xa3, 0x01}, []byte{0xa4, 0x01}, 1)
	newer = append(newer, 0x08, 0x63, 'n', 'e', 'w', 0x09, 0x81, 0x01)
	s, err := merge.Decode(newer)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Encode(), newer) {
		t.Errorf("got  %x\nwant %x", s.Encode(), newer)
	}
	s.Apply(merge.Change{Dot: record.At(2), Writes: []merge.Write{{Register: "b", Raw: []byte{2}}}})
	if after := s.Encode(); !bytes.Contains(after, []byte{0x08, 0x63, 'n', 'e', 'w'}) || !bytes.HasSuffix(after, []byte{0x09, 0x81, 0x01}) {
		t.Errorf("a merge lost what is unknown: %x", after)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := samples()["every key"].Encode()
	bad := map[string][]byte{
		"nothing": nil, "more": append(bytes.Clone(good), 0), "no map": {0x80}, "indefinite": {0xbf, 0xff},
		"key twice": {0xa2, 1, 1, 1, 1}, "text key": {0xa1, 0x61, 'a', 1}, "no id": {0xa1, 1, 1}, "tag": {0xa2, 1, 1, 2, 0xc1, 1},
	}
	for i := range good {
		bad["cut"] = good[:i]
		for name, b := range bad {
			if _, err := merge.Decode(b); !errors.Is(err, merge.ErrMalformed) {
				t.Fatalf("%s (%d): %v", name, i, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := merge.Decode(b)
		if err != nil {
			if !errors.Is(err, merge.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		s.View(nil)
		again := s.Encode()
		o, err := merge.Decode(again)
		if err != nil {
			t.Fatalf("%v\n%x\n%x", err, b, again)
		}
		if !bytes.Equal(o.Encode(), again) {
			t.Fatalf("not the same twice\n%x\n%x", again, o.Encode())
		}
	})
}

// An entry's writes come out of its bytes as they went in.
func TestWritesRoundTrip(t *testing.T) {
	kind := must(merge.NewType("thing", []merge.Field{
		{Name: "n", Rule: merge.Count}, {Name: "s", Rule: merge.Set}, {Name: "a", Rule: merge.Ask}, {Name: "l", Rule: merge.Latest},
	}))
	rapid.Check(t, func(t *rapid.T) {
		s := merge.New(entry.Ref{Type: "thing", ID: "1"})
		for i := range rapid.IntRange(1, 6).Draw(t, "entries") {
			pub := entry.Public{Dot: record.At(dot.Seq(i + 1)), HLC: hlc.Time{Millis: int64(i)}, Form: entry.FormRef{ID: "f", Version: 1}, Refs: []entry.Ref{s.Ref}}
			if i == 0 {
				pub.Origin = &entry.Origin{Reason: entry.Installed}
			}
			var priv entry.Private
			for _, field := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"n", "s", "a", "l"}), rapid.ID[string]).Draw(t, "fields") {
				var value any = rapid.Int64Range(-3, 3).Draw(t, "value")
				if field == "s" {
					value = []any{rapid.StringN(1, 5, -1).Draw(t, "element")}
				}
				ws, err := s.Answer(kind, field, value, rapid.Bool().Draw(t, "settles"))
				if err != nil {
					t.Fatal(err)
				}
				merge.Put(&pub, &priv, 0, ws)
			}
			a, err := pub.Encode()
			if err != nil {
				t.Fatal(err)
			}
			b, err := priv.Encode()
			if err != nil {
				t.Fatal(err)
			}
			touches, err := merge.Changes(must(entry.DecodePublic(a)), must(entry.DecodePrivate(b)))
			if err != nil || len(touches) != 1 {
				t.Fatal(touches, err)
			}
			s.Apply(touches[0].Change)
			if x := must(merge.Decode(s.Encode())); !bytes.Equal(x.Encode(), s.Encode()) {
				t.Fatal("the bytes changed")
			}
		}
	})
}

func TestChangesRefuses(t *testing.T) {
	pub := entry.Public{Refs: []entry.Ref{{Type: "thing", ID: "1"}}}
	for name, ws := range map[string][]entry.Write{
		"no such entity":    {{Ref: 1, Field: "a"}},
		"no such context":   {{Field: "a", Context: 1}},
		"no field":          {{Field: ""}},
		"a reserved name":   {{Field: "/other"}},
		"twice":             {{Field: "a"}, {Field: "a"}},
		"unknown operation": {{Field: "a", Op: 9}},
		"movement of text":  {{Field: "a", Op: entry.Move, Value: "1"}},
		"too far":           {{Field: "a", Op: entry.Move, Value: int64(merge.MaxMove + 1)}},
	} {
		if _, err := merge.Changes(pub, entry.Private{Writes: ws}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	pub.Refs = append(pub.Refs, pub.Refs[0])
	if _, err := merge.Changes(pub, entry.Private{}); err == nil {
		t.Error("the same entity twice: taken")
	}
	one := entry.Public{Refs: pub.Refs[:1]}
	if _, err := merge.Changes(one, entry.Private{Priors: []entry.Prior{{Write: 0}}}); err == nil {
		t.Error("displayed where nothing is written: taken")
	}
}

func TestNewTypeRefuses(t *testing.T) {
	for name, fields := range map[string][]merge.Field{
		"slash":          {{Name: "a/b", Rule: merge.Ask}},
		"no name":        {{Rule: merge.Ask}},
		"no rule":        {{Name: "a"}},
		"twice":          {{Name: "a", Rule: merge.Ask}, {Name: "a", Rule: merge.Ask}},
		"grouped count":  {{Name: "a", Rule: merge.Count, Group: "g"}},
		"two rules":      {{Name: "a", Rule: merge.Ask, Group: "g"}, {Name: "b", Rule: merge.Latest, Group: "g"}},
		"field as group": {{Name: "g", Rule: merge.Ask}, {Name: "b", Rule: merge.Ask, Group: "g"}},
		"group as field": {{Name: "b", Rule: merge.Ask, Group: "g"}, {Name: "g", Rule: merge.Ask}},
	} {
		if _, err := merge.NewType("t", fields); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
