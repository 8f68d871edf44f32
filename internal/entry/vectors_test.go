package entry_test

import (
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/golden"
	"otor/internal/hlc"
	"otor/internal/vv"
)

// vector is one entry in bytes, in hex, at its place in its chain.
type vector struct {
	Name       string `json:"name"`
	Public     string `json:"public"`
	PublicDiag string `json:"public_diagnostic"` // RFC 8949 section 8, to read by
	Private    string `json:"private"`
	PrivDiag   string `json:"private_diagnostic"`
	Stored     string `json:"stored"` // [public, private]
	Erased     string `json:"erased"` // [public, null, hash of private]
	Hash       string `json:"hash"`
	Before     string `json:"head_before"`
	After      string `json:"head_after"`
}

type genesis struct {
	Chain string `json:"chain"`
	Head  string `json:"head"`
}

type vectors struct {
	Genesis []genesis `json:"genesis"`
	Entries []vector  `json:"entries"`
}

type sample struct {
	name    string
	public  entry.Public
	private entry.Private
}

var record = dot.Chain{Device: "D-101", Incarnation: 3, Lane: dot.Record}

func salt(first byte) (s [entry.SaltSize]byte) {
	for i := range s {
		s[i] = first + byte(i)
	}
	return s
}

func hash(first byte) (h entry.Hash) {
	for i := range h {
		h[i] = first + byte(i)
	}
	return h
}

// samples are three entries of one chain, then one of an alert lane.
func samples() []sample {
	const wall = 1758160020000 // 2025-09-18 09:47 in China
	altitude := int32(14870)
	corrects := record.At(1)
	return []sample{
		{
			"first of its chain",
			entry.Public{
				Dot: record.At(1), HLC: hlc.Time{Millis: wall}, Wall: wall, Zone: 480, Actor: "U01",
				Form:   entry.FormRef{ID: "visit", Version: 1},
				Origin: &entry.Origin{Reason: entry.Restored, Previous: 2, LastSeq: 17, LastHead: hash(0x20)},
			},
			entry.Private{Salt: salt(1), Fields: map[string]any{"topics": []any{"policy", "health"}, "minutes": int64(25)}},
		},
		{
			"every optional key",
			entry.Public{
				Dot: record.At(2), HLC: hlc.Time{Millis: wall + 60_000, Counter: 7}, Wall: wall + 1, Zone: -570,
				Offset: &entry.Offset{Millis: -2_820_000, Age: 3600}, Actor: "U02",
				Form: entry.FormRef{ID: "herd_count", Version: 4},
				Refs: []entry.Ref{{Type: "household", ID: "H-NB-01"}, {Type: "herd", ID: "H-NB-01/camel"}},
				Contexts: []vv.Vector{
					nil,
					{record: 1, {Device: "D-201", Incarnation: 1, Lane: dot.Alert}: 4, {Device: dot.Hub, Incarnation: 4_000_000_000, Lane: dot.Record}: 9},
				},
				Blobs: []entry.Blob{{Hash: hash(0x40), Size: 1 << 20, Mime: "image/jpeg"}},
				Position: &entry.Position{
					Lon: 101_234_567, Lat: -39_876_543, Accuracy: 45, Source: entry.LastKnown, Age: 300, Altitude: &altitude,
				},
				Was:      &entry.Was{Dot: dot.Chain{Device: "D-101", Incarnation: 2, Lane: dot.Record}.At(18), Hash: hash(0x60)},
				Corrects: &corrects,
			},
			entry.Private{
				Salt: salt(0x80),
				Fields: map[string]any{
					"null": nil, "yes": true, "no": false, "small": int64(23), "negative": int64(-1 << 40), "half": 0.5,
					"third": 1.0 / 3, "text": "敖特尔", "empty": "", "list": []any{int64(1), "two", []any{}},
					"group": map[string]any{"b": int64(2), "aa": int64(1)},
				},
				Writes: []entry.Write{
					{Ref: 1, Field: "count", Value: int64(64), Context: 1},
					{Ref: 0, Field: "note", Op: entry.Add, Value: "moved", Context: 0},
				},
			},
		},
		{
			"of the mechanism itself",
			entry.Public{Dot: record.At(3), HLC: hlc.Time{Millis: wall + 60_000, Counter: 8}, Wall: wall + 2, System: "seal"},
			entry.Private{Salt: salt(0)},
		},
		{
			"alert, the device's first life",
			entry.Public{
				Dot: dot.Chain{Device: "D-301", Incarnation: 1, Lane: dot.Alert}.At(1), HLC: hlc.Time{Millis: -1}, Wall: -2,
				Form: entry.FormRef{ID: "sos", Version: 1}, Origin: &entry.Origin{Reason: entry.Installed},
			},
			entry.Private{Salt: salt(0xf0), Fields: map[string]any{"kind": "injury"}},
		},
		{
			"a movement, and what was displayed where another value was written",
			entry.Public{
				Dot: record.At(4), HLC: hlc.Time{Millis: wall + 60_000, Counter: 9}, Wall: wall + 3,
				Form: entry.FormRef{ID: "stock_use", Version: 1}, Refs: []entry.Ref{{Type: "stock", ID: "S1/IT-BAND"}},
				Contexts: []vv.Vector{nil, {record: 3}},
			},
			entry.Private{
				Salt:   salt(2),
				Writes: []entry.Write{{Field: "qty", Op: entry.Move, Value: int64(-2)}, {Field: "least", Value: int64(4), Context: 1}},
				Priors: []entry.Prior{{Write: 1, Dot: corrects, Value: int64(3)}},
			},
		},
	}
}

func build(t *testing.T) vectors {
	var out vectors
	for _, c := range []dot.Chain{record, {Device: "D-301", Incarnation: 1, Lane: dot.Alert}, {Device: dot.Hub, Incarnation: 4_000_000_000, Lane: dot.Record}} {
		out.Genesis = append(out.Genesis, genesis{c.String(), entry.Genesis(c).String()})
	}
	heads := map[dot.Chain]entry.Hash{}
	for _, s := range samples() {
		c := s.public.Dot.Chain
		before, ok := heads[c]
		if !ok {
			before = entry.Genesis(c)
		}
		public, err := s.public.Encode()
		if err != nil {
			t.Fatal(err)
		}
		private, err := s.private.Encode()
		if err != nil {
			t.Fatal(err)
		}
		raw := entry.NewRaw(public, private)
		heads[c] = entry.Next(before, raw)
		out.Entries = append(out.Entries, vector{
			Name: s.name, Public: hex.EncodeToString(public), PublicDiag: diagnose(t, public),
			Private: hex.EncodeToString(private), PrivDiag: diagnose(t, private),
			Stored: hex.EncodeToString(raw.Encode()), Erased: hex.EncodeToString(raw.Erase().Encode()),
			Hash: raw.Hash().String(), Before: before.String(), After: heads[c].String(),
		})
	}
	return out
}

func diagnose(t *testing.T, b []byte) string {
	s, err := cbor.Diagnose(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// committed reads the vectors as they were agreed.
func committed(t testing.TB) vectors {
	v := golden.Load[vectors](t)
	if len(v.Entries) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func TestVectors(t *testing.T) {
	got := build(t)
	golden.Update(t, got)
	want := committed(t)
	if !reflect.DeepEqual(got.Genesis, want.Genesis) {
		t.Errorf("genesis heads changed: got %v, want %v", got.Genesis, want.Genesis)
	}
	if len(got.Entries) != len(want.Entries) {
		t.Fatalf("%d entries, the file has %d", len(got.Entries), len(want.Entries))
	}
	for i := range want.Entries {
		g, w := reflect.ValueOf(got.Entries[i]), reflect.ValueOf(want.Entries[i])
		for f := range g.NumField() {
			if g.Field(f).String() != w.Field(f).String() {
				t.Errorf("%s: %s\n got %s\nwant %s", want.Entries[i].Name, g.Type().Field(f).Name, g.Field(f), w.Field(f))
			}
		}
	}
}

func TestVectorsDecode(t *testing.T) {
	for i, v := range committed(t).Entries {
		want := samples()[i]
		t.Run(v.Name, func(t *testing.T) {
			public, err := entry.DecodePublic(golden.Unhex(t, v.Public))
			if err != nil {
				t.Fatal(err)
			}
			if len(want.public.Contexts) > 0 {
				want.public.Contexts[0] = vv.Vector{} // nil and empty are one on the wire
			}
			if !reflect.DeepEqual(public, want.public) {
				t.Errorf("public part\n got %+v\nwant %+v", public, want.public)
			}
			private, err := entry.DecodePrivate(golden.Unhex(t, v.Private))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(private, want.private) {
				t.Errorf("private part\n got %+v\nwant %+v", private, want.private)
			}
			full, err := entry.DecodeRaw(golden.Unhex(t, v.Stored))
			if err != nil {
				t.Fatal(err)
			}
			erased, err := entry.DecodeRaw(golden.Unhex(t, v.Erased))
			if err != nil {
				t.Fatal(err)
			}
			if !erased.Erased() || full.Erased() || !full.Erase().Equal(erased) {
				t.Error("the erased form is not the stored form without its private part")
			}
			var before entry.Hash
			if err := before.UnmarshalText([]byte(v.Before)); err != nil {
				t.Fatal(err)
			}
			for _, r := range []entry.Raw{full, erased} {
				if r.Hash().String() != v.Hash || entry.Next(before, r).String() != v.After {
					t.Error("hash or head differs from the vector")
				}
			}
		})
	}
}

// A newer program's entry carries keys that this one does not know.
func TestUnknownKeysStayInTheBytes(t *testing.T) {
	b := golden.Unhex(t, committed(t).Entries[2].Public)
	newer := append([]byte{b[0] + 3}, b[1:]...)
	newer = append(newer, golden.Unhex(t, "1818a10102"+"1819f5"+"6178"+"f97e00")...) // 24: {1: 2}, 25: true, "x": NaN
	p, err := entry.DecodePublic(newer)
	if err != nil {
		t.Fatal(err)
	}
	if p.System != "seal" {
		t.Errorf("known keys were not read: %+v", p)
	}
	r, err := entry.DecodeRaw(entry.NewRaw(newer, []byte{0xa0}).Encode())
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Public) != string(newer) {
		t.Error("the bytes were not kept")
	}
}

func TestMalformed(t *testing.T) {
	v := committed(t).Entries
	swap := func(s, old, by string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("vector has no %s", old)
		}
		return strings.Replace(s, old, by, 1)
	}
	// more counts one pair more in the map's head.
	more := func(s string) string { return string(s[0]) + string(s[1]+1) + s[2:] }
	// The last head of an origin, one byte short: it must not pass as a hash that ends in zero.
	short := swap(v[0].Public, "5820202122", "581f2122")
	long := swap(v[0].Public, "5820202122", "582100202122")
	public := map[string]string{
		"short hash": short, "long hash": long, "trailing": v[2].Public + "00", "truncated": v[2].Public[:20], "empty": "",
		"tag": "c1" + v[2].Public, "indefinite map": "bf" + v[2].Public[2:] + "ff",
		"duplicate key":     more(v[2].Public) + "0c6173",
		"hlc behind":        swap(v[3].Public, "0521"+"0601", "0521"+"0620"),
		"hlc overflows":     swap(v[3].Public, "0521"+"0601", "051b7fffffffffffffff"+"0601"),
		"zone no place has": more(swap(v[3].Public, "0601", "0601081906"+"40")), // 1600 minutes
		"seq 0":             swap(v[3].Public, "0401", "0400"), "seq too high": swap(v[3].Public, "0401", "041b0020000000000000"),
		"no lane": swap(v[3].Public, "0301", "0303"), "incarnation 0": swap(v[3].Public, "0201", "0200"),
	}
	for name, s := range public {
		if p, err := entry.DecodePublic(golden.Unhex(t, s)); err == nil {
			t.Errorf("%s: accepted as %+v", name, p)
		} else if !errors.Is(err, entry.ErrMalformed) {
			t.Errorf("%s: %v does not wrap ErrMalformed", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	private := map[string]string{
		"short salt": swap(v[2].Private, "5000", "4f"), "long salt": swap(v[2].Private, "50", "51ff"),
		"salt as a list": swap(v[2].Private, "50", "90"), "bytes": "", "integer over int64": "a102a161781bffffffffffffffff", "integer under int64": "a102a161783bffffffffffffffff",
		"fields with a number key": "a102a10101", "text that is not UTF-8": "a102a1617861ff",
		"deep": "a102a16178" + strings.Repeat("81", 40) + "00",
	}
	for name, s := range private {
		if p, err := entry.DecodePrivate(golden.Unhex(t, s)); err == nil {
			t.Errorf("%s: accepted as %+v", name, p)
		} else if !errors.Is(err, entry.ErrMalformed) {
			t.Errorf("%s: %v does not wrap ErrMalformed", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	stored := map[string]string{
		"no hash": "8241a0f6", "hash and private": "8341a041a0" + "5820" + v[0].Hash, "short hash": "8341a0f6" + "581f" + v[0].Hash[2:],
		"hash null": "8341a0f6f6", "four": "8441a0f6f6f6", "too large": "8241a05a00011000" + strings.Repeat("00", 1<<16+1<<12),
	}
	for name, s := range stored {
		if r, err := entry.DecodeRaw(golden.Unhex(t, s)); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		} else if !errors.Is(err, entry.ErrMalformed) {
			t.Errorf("%s: %v does not wrap ErrMalformed", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := samples()[2].public
	if _, err := good.Encode(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*entry.Public){
		"clock behind":            func(p *entry.Public) { p.HLC.Millis = p.Wall - 1 },
		"clock behind by all":     func(p *entry.Public) { p.HLC.Millis, p.Wall = math.MinInt64, math.MaxInt64 },
		"clock ahead by all":      func(p *entry.Public) { p.HLC.Millis, p.Wall = math.MaxInt64, math.MinInt64 },
		"zone":                    func(p *entry.Public) { p.Zone = -1441 },
		"form and system":         func(p *entry.Public) { p.Form.ID = "visit" },
		"neither":                 func(p *entry.Public) { p.System = "" },
		"origin above seq 1":      func(p *entry.Public) { p.Origin = &entry.Origin{Reason: entry.Installed} },
		"no origin at seq 1":      func(p *entry.Public) { p.Dot.Seq = 1 },
		"seq 0":                   func(p *entry.Public) { p.Dot.Seq = 0 },
		"seq too high":            func(p *entry.Public) { p.Dot.Seq = dot.MaxSeq + 1 },
		"no device":               func(p *entry.Public) { p.Dot.Device = "" },
		"an actor not in UTF-8":   func(p *entry.Public) { p.Actor = "\xff" },
		"a text key not in UTF-8": func(p *entry.Public) { p.Refs = []entry.Ref{{Type: "\xff"}} },
	} {
		p := good
		change(&p)
		if b, err := p.Encode(); err == nil {
			if _, err := entry.DecodePublic(b); err == nil {
				t.Errorf("%s: encoded", name)
			}
		}
	}
}
