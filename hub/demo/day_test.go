package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/demo"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
)

// play runs a scenario as fast as it settles and returns its report. The
// folders stay in o.Dir, which is set when it is empty.
func play(t *testing.T, o *demo.Options) (demo.Report, error) {
	t.Helper()
	var out bytes.Buffer
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Fast, o.Exit, o.JSON, o.Out = true, true, true, &out
	o.Log = slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	err := demo.Run(t.Context(), *o)
	var r demo.Report
	if out.Len() == 0 {
		t.Fatalf("no report: %v", err)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	return r, err
}

// ledger reads what a day left in the hub's database.
func ledger(t *testing.T, dir string) map[dot.Dot]store.Entry {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "hub", "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	out := make(map[dot.Dot]store.Entry)
	for e, err := range s.Entries(t.Context(), store.EntryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := out[e.Dot]; ok {
			t.Errorf("%s stands twice in the ledger", e.Dot)
		}
		out[e.Dot] = e.Entry
	}
	return out
}

// theDay is the project's own scenario.
func theDay(t *testing.T) *demo.Scenario {
	t.Helper()
	s, err := demo.Load(bytes.NewReader(demo.Day))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// alertForms declare the alert lane; all others are records.
var alertForms = map[string]bool{"sos": true, "animal_disease_report": true}

// TestTheDay holds the project's own day against what must come of it.
func TestTheDay(t *testing.T) {
	var o demo.Options
	start := time.Now()
	r, err := play(t, &o)
	t.Logf("took %s", time.Since(start))
	if err != nil {
		t.Error(err)
	}
	captured, received, aside := 0, 0, r.Unattributed
	last := make(map[dot.Device]string)
	for _, d := range r.Devices {
		captured, received = captured+d.Captured, received+d.Received
		last[d.Device] = lastOf(d.Last)
		if !d.HeadsEqual || d.Waiting != 0 || d.Held != 0 {
			t.Errorf("%s: %+v", d.Device, d)
		}
	}
	// 45 entries of the six devices' day, and X-2, which is one of D-102's.
	if captured != 46 || received != 46 {
		t.Errorf("captured %d, received %d, of 45 and one with a newer form", captured, received)
	}
	wantLast := map[dot.Device]string{"D-101": "r11", "D-102": "r9", "D-201": "r7", "D-301": "r5+a1", "D-401": "r6+a1", "D-402": "r6"}
	if !maps.Equal(last, wantLast) {
		t.Errorf("last seqs %v, must be %v", last, wantLast)
	}
	for _, n := range r.Quarantined {
		aside += n
	}
	if want := map[string]int{"form_newer": 1, "id_checksum": 1}; !maps.Equal(r.Quarantined, want) || r.Unattributed != 1 || aside != 3 {
		t.Errorf("quarantined %v, unattributed %d", r.Quarantined, r.Unattributed)
	}
	if r.TransportDuplicates != 4 || r.AccidentalResends != 0 {
		t.Errorf("%d planned copies, %d accidental", r.TransportDuplicates, r.AccidentalResends)
	}
	outcomes := 0
	for _, n := range r.Outcomes {
		outcomes += n
	}
	if outcomes != 48 || r.Outcomes["quarantined"] != 1 {
		t.Errorf("outcomes %v of 48 records", r.Outcomes)
	}
	if len(r.ClockFindings) != 1 || r.ClockFindings[0].Device != "D-301" || r.ClockFindings[0].OffsetS != 47*60 || r.ClockFindings[0].Words != "device clock 47 min fast" {
		t.Errorf("clock findings %+v", r.ClockFindings)
	}
	if len(r.Gaps) != 1 {
		t.Fatalf("gaps %+v", r.Gaps)
	}
	g := r.Gaps[0]
	if g.Device != "D-201" || !slices.Equal(g.Missing, []dot.Seq{5}) || g.OpenedAt.Format("15:04") != "10:31" || g.ClosedAt == nil || g.ClosedAt.Format("15:04") != "14:05" {
		t.Errorf("gap %+v", g)
	}
	for _, what := range []string{"records_unique", "quarantined_total", "transport_duplicates_dropped", "gap_open", "max_seq"} {
		if r.Expected == nil || !slices.Contains(r.Expected.Compared, what) {
			t.Errorf("%s was not compared: %+v", what, r.Expected)
		}
	}
	timesHold(t, theDay(t), ledger(t, o.Dir))
}

// lastOf writes last seqs as the acceptance does: r5+a1.
func lastOf(last map[string]dot.Seq) string {
	words := fmt.Sprintf("r%d", last["record"])
	if n := last["alert"]; n > 0 {
		words += fmt.Sprintf("+a%d", n)
	}
	return words
}

// dotsOf names what each record of a device becomes: seqs count captures, by lane.
func dotsOf(s *demo.Scenario) map[string]dot.Dot {
	records := slices.Clone(s.Records)
	slices.SortStableFunc(records, func(a, b demo.Record) int { return a.TrueTime.Compare(b.TrueTime) })
	next := make(map[dot.Chain]dot.Seq)
	out := make(map[string]dot.Dot)
	capture := func(id string, d dot.Device, kind string) {
		c := dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}
		if alertForms[kind] {
			c.Lane = dot.Alert
		}
		next[c]++
		out[id] = c.At(next[c])
	}
	known := make(map[dot.Device]bool)
	for _, d := range s.Devices {
		known[d.ID] = true
	}
	foreign := slices.Clone(s.Foreign)
	slices.SortStableFunc(foreign, func(a, b demo.Foreign) int { return a.Received.Compare(b.Received) })
	for _, r := range records {
		for len(foreign) > 0 && foreign[0].Received.Before(r.TrueTime) {
			if known[foreign[0].Claims] {
				capture(foreign[0].ID, foreign[0].Claims, foreign[0].Kind)
			}
			foreign = foreign[1:]
		}
		if r.Device != dot.Hub {
			capture(r.ID, r.Device, r.Kind)
		}
	}
	for _, f := range foreign {
		if known[f.Claims] {
			capture(f.ID, f.Claims, f.Kind)
		}
	}
	return out
}

// timesHold checks that every entry is kept with its device's time and the true
// one, to the second, and with the moment at which it first arrived.
func timesHold(t *testing.T, s *demo.Scenario, ledger map[dot.Dot]store.Entry) {
	t.Helper()
	dots := dotsOf(s)
	second := func(ms int64) int64 { return (ms + 500) / 1000 }
	checked := 0
	for _, r := range s.Records {
		if r.Device == dot.Hub {
			continue
		}
		e, ok := ledger[dots[r.ID]]
		if !ok || e.Form != r.Kind || (e.Entity != r.Entity && r.Entity != "NEW" || e.Entity == "NEW") || e.Actor != r.User {
			t.Errorf("%s as %s: the ledger has %+v", r.ID, dots[r.ID], e)
			continue
		}
		checked++
		if second(e.DeviceTime) != r.DeviceTime.Unix() || second(e.CorrectedTime) != r.TrueTime.Unix() || second(e.ReceivedAt) != r.FirstReceived.Unix() {
			t.Errorf("%s: device %s, true %s, received %s: kept as %s, %s, %s", r.ID, r.DeviceTime, r.TrueTime, r.FirstReceived,
				time.UnixMilli(e.DeviceTime), time.UnixMilli(e.CorrectedTime), time.UnixMilli(e.ReceivedAt))
		}
	}
	if checked == 0 {
		t.Error("no entry was checked")
	}
}

// A report must not agree with everything: each changed expectation is noticed.
func TestAChangedExpectationIsAMismatch(t *testing.T) {
	for what, change := range map[string]func(map[string]any){
		"records_unique":               func(e map[string]any) { e["records_unique"] = 47 },
		"quarantined_total":            func(e map[string]any) { e["quarantined_total"] = 2 },
		"transport_duplicates_dropped": func(e map[string]any) { e["transport_duplicates_dropped"] = 5 },
		"max_seq":                      func(e map[string]any) { e["max_seq"].(map[string]any)["D-201"] = 8 },
		"gap_open":                     func(e map[string]any) { e["gap_open"].(map[string]any)["to"] = "2025-09-18T14:06:00+08:00" },
	} {
		t.Run(what, func(t *testing.T) {
			var day map[string]any
			if err := json.Unmarshal(demo.Day, &day); err != nil {
				t.Fatal(err)
			}
			change(day["expected"].(map[string]any))
			r, err := play(t, &demo.Options{Scenario: write(t, day)})
			if !errors.Is(err, demo.ErrMismatch) || !strings.Contains(err.Error(), what) || len(r.Mismatches) != 1 || r.Mismatches[0].What != what {
				t.Errorf("error %v, mismatches %+v", err, r.Mismatches)
			}
		})
	}
}

// write makes a scenario file.
func write(t *testing.T, day any) string {
	t.Helper()
	b, err := json.Marshal(day)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "scenario.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTheReportForPeople(t *testing.T) {
	var out bytes.Buffer
	err := demo.Run(t.Context(), demo.Options{Fast: true, Exit: true, Out: &out, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Error(err)
	}
	for _, line := range []string{
		"6 devices, 48 records", "D-201", "{5} 10:31 to 14:05", "r5+a1", "form_newer 1, id_checksum 1; from unknown signers: 1",
		"4 planned, 0 accidental", "47 min fast", "carried: 1 of D-401 came by", "all as expected",
		"pensions in the morning: later 6, ok 9, overdue 8, soon 11; in the evening: later 5, ok 16, overdue 5, soon 8", "stock at day's end: IT-BAND at S1: 10",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the report does not say %q:\n%s", line, out.String())
		}
	}
}

func TestADayCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := demo.Run(ctx, demo.Options{Speed: 1, Exit: true, JSON: true, Out: &bytes.Buffer{}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
