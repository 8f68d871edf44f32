package demo_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"otor/hub/demo"
	"otor/internal/dot"
)

// The whole expected block of the project's own day is computed and holds; the
// replicas of all devices are the hub's, byte for byte.
func TestWholeExpectation(t *testing.T) {
	o := demo.Options{}
	r, err := play(t, &o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Expected == nil || len(r.Expected.NotCompared) > 0 || len(r.Expected.Compared) < 17 {
		t.Errorf("compared %+v", r.Expected)
	}
	if len(r.Replicas) != len(r.Devices) {
		t.Errorf("%d replicas of %d devices", len(r.Replicas), len(r.Devices))
	}
	for _, x := range r.Replicas {
		if x.Entities < 500 || x.Equal != x.Entities || x.Extra != 0 || x.Overlay != 0 {
			t.Errorf("replica %+v", x)
		}
	}
	// Seven persons were checked that day, all of whom are due in a year again.
	if got := r.Evening.Pensions["ok"] - r.Morning.Pensions["ok"]; got != 7 {
		t.Errorf("%d pensions became ok: %v, then %v", got, r.Morning.Pensions, r.Evening.Pensions)
	}
}

// In which order devices come home does not change the evening: here the day's
// deliveries are turned round, and what must come out is the same.
func TestEveningDoesNotDependOnTheOrder(t *testing.T) {
	day := theDay(t)
	last := day.Meta.T0.Add(14 * time.Hour)
	devices := []dot.Device{}
	for _, d := range day.Devices {
		devices = append(devices, d.ID)
	}
	want := map[string]int{}
	for turn, order := range [][]int{{0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {3, 0, 5, 1, 4, 2}} {
		file := shuffled(t, day, devices, order, last)
		r, err := play(t, &demo.Options{Scenario: write(t, file)})
		if err != nil {
			t.Fatal(err)
		}
		if turn == 0 {
			want = r.Outcomes
			if want["conflict"] == 0 || want["duplicate_business"] == 0 || want["merged_parallel"] == 0 || want["accepted_flagged"] == 0 {
				t.Fatalf("nothing to notice: %v", want)
			}
		}
		if !maps.Equal(r.Outcomes, want) {
			t.Errorf("order %v: %v, want %v", order, r.Outcomes, want)
		}
		for _, s := range r.StockChanged {
			if s.Item == "IT-IOD" && s.Qty != 7 {
				t.Errorf("order %v: %+v", order, s)
			}
		}
	}
}

// shuffled is the day with every device away until the evening, when they come
// home one after the other.
func shuffled(t *testing.T, day *demo.Scenario, devices []dot.Device, order []int, evening time.Time) map[string]any {
	t.Helper()
	home := map[string]time.Time{}
	windows := []any{}
	for at, i := range order {
		when := evening.Add(time.Duration(at) * 10 * time.Minute)
		home[string(devices[i])] = when
		windows = append(windows, map[string]any{
			"device": devices[i], "from": day.Meta.T0.Add(30 * time.Minute), "to": when, "why": "away",
		})
	}
	file := theFile(t)
	file["offline_windows"] = windows
	delete(file, "expected")
	delete(file, "transport_duplicates")
	delete(file, "foreign_records")
	records, _ := file["records"].([]any)
	for _, x := range records {
		r, _ := x.(map[string]any)
		if when, ok := home[r["device"].(string)]; ok {
			r["first_received_at"] = when.Add(20 * time.Second).Format(time.RFC3339)
		}
	}
	if !slices.ContainsFunc(records, func(x any) bool { return x.(map[string]any)["device"] == "HUB" }) {
		t.Fatal("the day has no record of the hub's own")
	}
	return file
}

// theFile is the project's own day as its file says it.
func theFile(t *testing.T) map[string]any {
	t.Helper()
	var day map[string]any
	if err := json.Unmarshal(demo.Day, &day); err != nil {
		t.Fatal(err)
	}
	return day
}
