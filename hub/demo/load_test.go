package demo_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"otor/hub/demo"
)

const head = `{"meta":{"t0":"2026-03-02T06:00:00+08:00"},"devices":[{"id":"A-1"}],`

func TestWhatIsNoScenario(t *testing.T) {
	for name, c := range map[string]struct{ file, words string }{
		"nothing":           {``, "unexpected end"},
		"not JSON":          {`{`, "unexpected end"},
		"of other types":    {`{"devices":7}`, "devices"},
		"empty":             {`{}`, "meta.t0: the day needs a start\ndevices: there are none"},
		"a bad name":        {`{"meta":{"t0":"2026-03-02T06:00:00+08:00"},"devices":[{"id":"d 1"}]}`, `"d 1"`},
		"a device twice":    {`{"meta":{"t0":"2026-03-02T06:00:00+08:00"},"devices":[{"id":"A-1"},{"id":"A-1"}]}`, "A-1 stands twice"},
		"named as the hub":  {`{"meta":{"t0":"2026-03-02T06:00:00+08:00"},"devices":[{"id":"HUB"}]}`, "HUB stands twice"},
		"a window's device": {head + `"offline_windows":[{"device":"A-2","from":"2026-03-02T07:00:00+08:00","to":"2026-03-02T08:00:00+08:00"}]}`, "A-2"},
		"a window's end":    {head + `"offline_windows":[{"device":"A-1","from":"2026-03-02T07:00:00+08:00","to":"2026-03-02T07:00:00+08:00"}]}`, "ends before it starts"},
		"a record twice": {head + `"records":[{"id":"R","device":"A-1","true_time":"2026-03-02T07:00:00+08:00","first_received_at":"2026-03-02T07:00:00+08:00"},
			{"id":"R","device":"A-1","true_time":"2026-03-02T07:00:00+08:00","first_received_at":"2026-03-02T07:00:00+08:00"}]}`, "R stands twice"},
		"a record's device":   {head + `"records":[{"id":"R","device":"B-1"}]}`, "device B-1 is not among the devices"},
		"before the day":      {head + `"records":[{"id":"R","device":"A-1","true_time":"2026-03-02T05:00:00+08:00","first_received_at":"2026-03-02T07:00:00+08:00"}]}`, "before the day's start"},
		"received before":     {head + `"records":[{"id":"R","device":"A-1","true_time":"2026-03-02T07:00:00+08:00","first_received_at":"2026-03-02T06:59:59+08:00"}]}`, "before it happened"},
		"a copy of no record": {head + `"transport_duplicates":[{"record":"R","again_received_at":"2026-03-02T07:00:00+08:00"}]}`, "there is no record R"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := demo.Load(strings.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v, must say %q", err, c.words)
			}
		})
	}
}

func TestAScenarioThatCannotBeShown(t *testing.T) {
	for name, file := range map[string]string{
		"is not there": "/nowhere/scenario.json",
		"is none":      write(t, map[string]any{"meta": 7}),
	} {
		err := demo.Run(t.Context(), demo.Options{Scenario: file, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, demo.ErrScenario) {
			t.Errorf("a file that %s: %v", name, err)
		}
	}
}

// A window holds from its start to just before its end.
func TestWhoCarries(t *testing.T) {
	s := theDay(t)
	for _, w := range s.OfflineWindows {
		if s.Online(w.Device, w.From) || !s.Online(w.Device, w.To) {
			t.Errorf("window %+v: online at its start %t, at its end %t", w, s.Online(w.Device, w.From), s.Online(w.Device, w.To))
		}
		if c, ok := s.Carrier(w.Device, w.From); ok && (c == w.Device || !s.Online(c, w.From)) {
			t.Errorf("%s carries for %s at %s", c, w.Device, w.From)
		}
	}
}
