package demo_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"otor/hub/demo"
	"otor/internal/dot"
)

// another makes a day of its own from a seed: other devices, clocks, windows
// without signal, counts, withheld records, copies and strangers, and no word
// of what is expected. Its file has the shape of the project's own day.
func another(t *testing.T, seed uint64) map[string]any {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	t0 := time.Date(2026, 3, 2, 6, 0, 0, 0, time.FixedZone("", 6*3600+1800))
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	s := &demo.Scenario{}
	s.Meta.T0, s.Meta.Fictional, s.Meta.Title, s.Meta.ID = t0, true, "another day", fmt.Sprint("seed-", seed)
	for i := range 2 + r.IntN(4) {
		d := demo.Device{ID: dot.Device(fmt.Sprintf("Q%d-%02d", seed, i)), Team: "T9", User: fmt.Sprintf("U%d", i), ClockOffset: int64(r.IntN(40) - 20)}
		if i == 0 {
			d.ClockOffset = int64(-90*60 + r.IntN(60*60)) // slow, by half an hour or more
		}
		s.Devices = append(s.Devices, d)
		for from := 20 + r.IntN(120); from < 500; from += 60 + r.IntN(120) {
			to := from + 30 + r.IntN(150)
			s.OfflineWindows = append(s.OfflineWindows, demo.Window{Device: d.ID, From: at(from), To: at(to), Why: "hills"})
			from = to
		}
	}
	likes := slices.DeleteFunc(theDay(t).Records, func(x demo.Record) bool { return x.Device == dot.Hub })
	for _, d := range s.Devices {
		for i := range r.IntN(14) {
			like := likes[r.IntN(len(likes))]
			when := at(5 + r.IntN(480)).Add(time.Duration(r.IntN(30)) * time.Second)
			like.ID, like.Device, like.TrueTime, like.User = fmt.Sprintf("%s-%d", d.ID, i), d.ID, when, d.User
			like.DeviceTime = when.Add(time.Duration(d.ClockOffset) * time.Second)
			wait := 20 * time.Second
			if r.IntN(5) == 0 {
				wait += time.Duration(r.IntN(120)) * time.Minute // a photo is late
			}
			like.FirstReceived = signalAt(s, d.ID, when.Add(wait))
			s.Records = append(s.Records, like)
		}
	}
	slices.SortStableFunc(s.Records, func(a, b demo.Record) int { return a.TrueTime.Compare(b.TrueTime) })
	for i := range min(r.IntN(4), len(s.Records)) {
		x := s.Records[(i*7)%len(s.Records)]
		s.Replays = append(s.Replays, demo.Replay{Record: x.ID, Again: signalAt(s, x.Device, x.FirstReceived.Add(time.Duration(1+r.IntN(90))*time.Minute))})
	}
	d := s.Devices[r.IntN(len(s.Devices))].ID
	s.Foreign = []demo.Foreign{
		{ID: "Y-1", Claims: "NOBODY-7", Kind: "visit", Received: signalAt(s, d, at(100+r.IntN(300)))},
		{ID: "Y-2", Claims: "NOBODY-8", Kind: "sos", Received: signalAt(s, d, at(100+r.IntN(300)))},
		{ID: "Y-4", Claims: d, Kind: "horoscope", Schema: 0, Received: signalAt(s, d, at(500+r.IntN(60)))},
		// Of a kind that no record of the day need have; it may come in other hands.
		{ID: "Y-3", Claims: d, Kind: "water_check", Schema: 50, Received: at(560 + r.IntN(60))},
	}
	return asFile(t, s)
}

// signalAt is when d next has signal, from t on, with a moment to spare.
func signalAt(s *demo.Scenario, d dot.Device, t time.Time) time.Time {
	for ; !s.Online(d, t); t = t.Add(time.Second) {
	}
	return t
}

// asFile gives a scenario the shape of a file.
func asFile(t *testing.T, s *demo.Scenario) map[string]any {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	delete(out, "expected")
	return out
}

// gapTime is how long a seq was missing below a higher one.
type gapTime struct{ from, to int64 } // Unix seconds

// gapsOf works out the gaps of a day from its file alone.
func gapsOf(s *demo.Scenario) map[dot.Dot]gapTime {
	arrives := make(map[dot.Chain]map[dot.Seq]int64)
	dots := dotsOf(s)
	note := func(id string, at time.Time) {
		x, ok := dots[id]
		if !ok {
			return
		}
		if arrives[x.Chain] == nil {
			arrives[x.Chain] = make(map[dot.Seq]int64)
		}
		arrives[x.Chain][x.Seq] = at.Unix()
	}
	for _, r := range s.Records {
		note(r.ID, r.FirstReceived)
	}
	for _, f := range s.Foreign {
		note(f.ID, f.Received)
	}
	out := make(map[dot.Dot]gapTime)
	for c, at := range arrives {
		for seq, when := range at {
			opened := when
			for higher, t := range at {
				if higher > seq {
					opened = min(opened, t)
				}
			}
			if opened < when {
				out[c.At(seq)] = gapTime{opened, when}
			}
		}
	}
	return out
}

// TestAnotherDayIsReportedAsItWas plays days that nobody prepared the program
// for, and works out by itself what must come of them.
func TestAnotherDayIsReportedAsItWas(t *testing.T) {
	gaps, copies := 0, 0
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := demo.Options{Scenario: write(t, another(t, seed))}
			r, err := play(t, &o)
			if err != nil {
				t.Fatal(err)
			}
			s := load(t, o.Scenario)
			holdsUp(t, s, r)
			timesHold(t, s, ledger(t, o.Dir))
			gaps, copies = gaps+len(r.Gaps), copies+r.TransportDuplicates
		})
	}
	if gaps < 5 || copies < 5 {
		t.Errorf("the days were too easy: %d gaps, %d copies", gaps, copies)
	}
}

// holdsUp compares a report with what its file says.
func holdsUp(t *testing.T, s *demo.Scenario, r demo.Report) {
	t.Helper()
	captured := make(map[dot.Device]map[string]dot.Seq)
	bad := 0
	for id, x := range dotsOf(s) {
		if captured[x.Device] == nil {
			captured[x.Device] = make(map[string]dot.Seq)
		}
		last := captured[x.Device]
		last[x.Lane.String()] = max(last[x.Lane.String()], x.Seq)
		if slices.ContainsFunc(s.Records, func(r demo.Record) bool {
			return r.ID == id && r.Kind == "person_edit" && string(r.Payload) == string(theBadNumber(t))
		}) {
			bad++
		}
	}
	for _, d := range r.Devices {
		want := captured[d.Device]
		n := int(want["alert"] + want["record"])
		if d.Captured != n || d.Received != n || d.Held != 0 || d.Waiting != 0 || !d.HeadsEqual || !maps.Equal(d.Last, nonNil(want)) {
			t.Errorf("%s: %+v, captured were %v", d.Device, d, want)
		}
	}
	quarantined := map[string]int{"form_newer": 1, "form_unknown": 1, "id_checksum": bad}
	maps.DeleteFunc(quarantined, func(_ string, n int) bool { return n == 0 })
	if len(r.Devices) != len(s.Devices) || !maps.Equal(r.Quarantined, quarantined) || r.Unattributed != 2 {
		t.Errorf("%d devices, quarantined %v (must be %v), unattributed %d", len(r.Devices), r.Quarantined, quarantined, r.Unattributed)
	}
	if r.TransportDuplicates != len(s.Replays) || r.Expected != nil {
		t.Errorf("%d copies of %d, expected %+v", r.TransportDuplicates, len(s.Replays), r.Expected)
	}
	slow := s.Devices[0]
	if len(r.ClockFindings) != 1 || r.ClockFindings[0].Device != slow.ID || r.ClockFindings[0].OffsetS != slow.ClockOffset {
		t.Errorf("clock findings %+v, the slow one is %+v", r.ClockFindings, slow)
	}
	got := make(map[dot.Dot]gapTime)
	for _, g := range r.Gaps {
		for _, seq := range g.Missing {
			x := dot.Chain{Device: g.Device, Incarnation: g.Incarnation, Lane: g.Lane}.At(seq)
			if g.ClosedAt == nil || got[x] != (gapTime{}) {
				t.Errorf("gap %+v: still open, or told twice", g)
				continue
			}
			got[x] = gapTime{g.OpenedAt.Unix(), g.ClosedAt.Unix()}
		}
	}
	if want := gapsOf(s); !maps.Equal(got, want) {
		t.Errorf("gaps\n%v, must be\n%v", got, want)
	}
}

func nonNil(m map[string]dot.Seq) map[string]dot.Seq {
	if m == nil {
		return map[string]dot.Seq{}
	}
	return m
}

// theBadNumber is the payload that is set aside for its number.
func theBadNumber(t *testing.T) []byte {
	t.Helper()
	for _, r := range theDay(t).Records {
		if r.ID == "D-402-0003" {
			var m any
			if err := json.Unmarshal(r.Payload, &m); err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatal("the day has no D-402-0003")
	return nil
}

func load(t *testing.T, name string) *demo.Scenario {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s, err := demo.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
