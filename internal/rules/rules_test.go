package rules_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/rules"
)

func compile(t testing.TB, src rules.Source) *rules.Set {
	t.Helper()
	s, faults := rules.Compile(src)
	if faults != nil {
		t.Fatal(faults)
	}
	return s
}

func farm(t testing.TB) (*rules.Set, rules.Rows) {
	set := compile(t, rules.Source{
		Values: map[string]float64{"window": 30, "factor": 0.8},
		Texts:  map[string]string{"pattern": "H-[0-9]+"},
		Fields: map[string][]string{"household": {"team"}, "herd": {"household", "count"}, "waypoint": {"lon", "lat"}, "pension": {"checks"}, "staff": {"team"}},
		Derives: []rules.Derive{ // the sum before what it sums
			{"household", "units", "book.sum('herd', 'household', entity.id, 'units')"},
			{"herd", "units", "entity.count * values.factor"},
			{"household", "biggest", "book.one('herd', 'units', entity.units).count"},
			{"pension", "last", "last_counted(entity.checks, values.window)"},
			{"pension", "due", "months_after(entity.last, 12.0)"},
			{"pension", "left", "days(today, entity.due)"},
		},
		Keys: []rules.KeyRule{
			{ID: "case", Kind: rules.Duplicate, Of: []rules.KeyOf{{Form: "apply", Key: "entry.entity + '/' + string(answers.year)"}}},
			{ID: "twin", Kind: rules.Twin, Window: 6 * time.Hour, Suspends: "herd", Of: []rules.KeyOf{
				{Form: "use", When: "part(answers.ref, values.pattern) != ''", Key: "answers.item + part(answers.ref, values.pattern)", Entity: "answers.item"},
				{Form: "treat", Each: "given", When: "row.from != null", Key: "row.item + entry.entity", Entity: "row.item"},
			}},
		},
		Remarks: []rules.RemarkRule{
			{ID: "gcj", Forms: []string{"apply"}, When: "entry.lon != null && book.gcj('waypoint', entry.lon, entry.lat, 20.0, 100.0) != ''"},
			{ID: "moved", Review: true, Forms: []string{"apply"}, When: "book.entity('household', entry.entity).team != book.entity('staff', entry.actor).team"},
		},
	})
	return set, rules.Rows{
		"household": {"H-1": {"team": "T1"}, "H-2": {}},
		"herd":      {"a": {"household": "H-1", "count": int64(10)}, "b": {"household": "H-1", "count": int64(3)}, "c": {"household": "H-2"}},
		"waypoint":  {"W0": {"lon": 101.742, "lat": 39.182}},
		"pension":   {"P": {"checks": []any{"2025-01-31", "2025-02-10", "2024-01-30"}}, "Q": {}},
		"staff":     {"U1": {"team": "T1"}, "U2": {"team": "T2"}},
	}
}

func TestDerive(t *testing.T) {
	s, rows := farm(t)
	for _, tc := range []struct {
		typ, id string
		want    map[string]any
		fails   bool
	}{
		{"herd", "a", map[string]any{"units": 8.0}, false},
		{"household", "H-1", map[string]any{"units": 10.4, "biggest": nil}, false},
		{"household", "H-2", map[string]any{"units": nil, "biggest": nil}, true}, // a herd without a count
		{"household", "H-3", map[string]any{"units": 0.0, "biggest": nil}, false},
		{"pension", "P", map[string]any{"last": "2025-01-31", "due": "2026-01-31", "left": 30.0}, false},
		{"pension", "Q", map[string]any{"last": nil, "due": nil, "left": nil}, true},
	} {
		got, err := s.Derive(rows, "2026-01-01", tc.typ, tc.id)
		if !reflect.DeepEqual(got, tc.want) || (err != nil) != tc.fails {
			t.Errorf("%s %s: %v, %v, want %v", tc.typ, tc.id, got, err, tc.want)
		}
	}
}

func TestNotice(t *testing.T) {
	s, rows := farm(t)
	at := time.Date(2025, 9, 18, 9, 0, 0, 0, time.UTC)
	gx, gy := rules.GCJ02(101.742, 39.182)
	for _, tc := range []struct {
		r       rules.Record
		marks   []rules.Mark
		remarks []rules.Remark
		fails   bool
	}{
		{rules.Record{Form: "visit"}, nil, nil, false},
		{
			rules.Record{Form: "apply", Entity: "H-1", Actor: "U1", Time: at, Answers: map[string]any{"year": int64(2025)}, Place: &rules.Place{101.742, 39.182}},
			[]rules.Mark{{Rule: "case", Key: "H-1/2025"}},
			nil, false,
		},
		{
			rules.Record{Form: "apply", Entity: "H-1", Actor: "U2", Time: at, Answers: map[string]any{"year": int64(2025)}, Place: &rules.Place{gx, gy}},
			[]rules.Mark{{Rule: "case", Key: "H-1/2025"}},
			[]rules.Remark{{"gcj", false}, {"moved", true}},
			false,
		},
		{ // an answer that is missing and not known to be asked: the rule fails, the others are told
			rules.Record{Form: "apply", Entity: "H-1", Actor: "U2", Time: at},
			nil,
			[]rules.Remark{{"moved", true}},
			true,
		},
		{
			rules.Record{Form: "use", Asked: []string{"ref"}, Answers: map[string]any{"item": "IOD"}},
			nil, nil, false,
		},
		{
			rules.Record{Form: "use", Answers: map[string]any{"item": "IOD", "ref": "for H-1"}},
			[]rules.Mark{{"twin", "IODH-1", "IOD"}},
			nil, false,
		},
		{
			rules.Record{Form: "treat", Entity: "H-1", AskedOf: map[string][]string{"given": {"from"}}, Answers: map[string]any{"given": []any{
				map[string]any{"item": "IOD", "from": "S1"}, map[string]any{"item": "X"}, map[string]any{"item": "Y", "from": "S2"},
			}}},
			[]rules.Mark{{"twin", "IODH-1", "IOD"}, {"twin", "YH-1", "Y"}},
			nil, false,
		},
	} {
		marks, remarks, err := s.Notice(rows, tc.r)
		if !reflect.DeepEqual(marks, tc.marks) || !reflect.DeepEqual(remarks, tc.remarks) || (err != nil) != tc.fails {
			t.Errorf("%s: %v, %v, %v, want %v, %v", tc.r.Form, marks, remarks, err, tc.marks, tc.remarks)
		}
	}
}

// The published vectors of two of the demonstration's waypoints.
func TestGCJ02(t *testing.T) {
	for _, v := range [][4]float64{{101.742, 39.182, 101.744076, 39.182682}, {101.6655, 39.257, 101.667457, 39.257616}} {
		lon, lat := rules.GCJ02(v[0], v[1])
		if math.Abs(lon-v[2]) > 1e-6 || math.Abs(lat-v[3]) > 1e-6 {
			t.Errorf("%v, %v: %.6f, %.6f, want %v, %v", v[0], v[1], lon, lat, v[2], v[3])
		}
	}
	if d := rules.Metres(0, 0, 0, 1); math.Abs(d-111195) > 1 {
		t.Errorf("a degree of latitude is %f m", d)
	}
}

func seen(n int, minutes int, arrived int64) rules.Seen {
	c := dot.Chain{Device: dot.Device(fmt.Sprintf("D-%d", n)), Incarnation: 1, Lane: dot.Record}
	return rules.Seen{Dot: c.At(1), Time: int64(minutes) * 60_000, Arrived: arrived}
}

func TestFold(t *testing.T) {
	a, b, c := seen(1, 0, 3), seen(2, 20, 1), seen(3, 70, 2)
	dup := rules.KeyRule{Kind: rules.Duplicate, Window: time.Hour}
	twin := rules.KeyRule{Kind: rules.Twin, Window: time.Hour}
	for _, tc := range []struct {
		rule rules.KeyRule
		want map[dot.Dot]dot.Dot
	}{
		{dup, map[dot.Dot]dot.Dot{b.Dot: a.Dot}}, // c comes more than an hour after a, which counted
		{rules.KeyRule{Kind: rules.Duplicate}, map[dot.Dot]dot.Dot{b.Dot: a.Dot, c.Dot: a.Dot}},
		{twin, map[dot.Dot]dot.Dot{c.Dot: b.Dot, a.Dot: b.Dot}}, // b was received first
	} {
		if got := rules.Fold(tc.rule, []rules.Seen{c, a, b}); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%+v: %v, want %v", tc.rule, got, tc.want)
		}
	}
}

// Whatever order duplicates arrive in, the same ones count.
func TestFoldOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		all := make([]rules.Seen, n)
		for i := range all {
			all[i] = seen(i, rapid.IntRange(0, 300).Draw(t, "minute"), int64(i))
		}
		rule := rules.KeyRule{Kind: rules.Duplicate, Window: time.Hour}
		want := rules.Fold(rule, all)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
		for i := range all {
			all[i].Arrived = int64(i)
		}
		if got := rules.Fold(rule, all); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for d, of := range want {
			if _, chained := want[of]; chained {
				t.Fatalf("%s repeats %s, which does not count itself", d, of)
			}
		}
	})
}

// An expression that would go on is stopped when it runs, whatever was estimated.
func TestRunawayIsStopped(t *testing.T) {
	s := compile(t, rules.Source{
		Fields: map[string][]string{}, Remarks: []rules.RemarkRule{{ID: "deep", Forms: []string{"f"}, When: "answers.a.all(x, x == x)"}},
	})
	short, long := make([]any, 20), make([]any, 60_000)
	for i := range long {
		long[i] = "x"
		if i < len(short) {
			short[i] = "x"
		}
	}
	_, remarks, err := s.Notice(rules.Rows{}, rules.Record{Form: "f", Answers: map[string]any{"a": short}})
	if err != nil || len(remarks) != 1 {
		t.Errorf("a short list: %v, %v", remarks, err)
	}
	if _, _, err = s.Notice(rules.Rows{}, rules.Record{Form: "f", Answers: map[string]any{"a": long}}); err == nil {
		t.Error("it went through a list of 60,000")
	}
}

func BenchmarkNotice(b *testing.B) {
	s, rows := farm(b)
	r := rules.Record{Form: "apply", Entity: "H-1", Actor: "U1", Answers: map[string]any{"year": int64(2025)}, Place: &rules.Place{101.7, 39.1}}
	for b.Loop() {
		if _, _, err := s.Notice(rows, r); err != nil {
			b.Fatal(err)
		}
	}
}
