package telemetry_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"otor/internal/telemetry"
)

func scrape(t *testing.T, m *telemetry.Meter) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+text, "\n"+l+"\n") {
			t.Errorf("no line %q in\n%s", l, text)
		}
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestAMeterTells(t *testing.T) {
	m := telemetry.New("otor_x", "1.2", quiet())
	n := 0
	m.Table([]telemetry.Metric{
		{Name: "otor_x_waiting", Help: "How many wait."}, {Name: "otor_x_done_total", Help: "How many are done.", Counter: true, Labels: []string{"kind"}},
	}, func(_ context.Context, put telemetry.Put) error {
		n++
		put("otor_x_waiting", 3)
		put("otor_x_done_total", 4, "a")
		put("otor_x_done_total", 5, "b")
		return nil
	})
	m.Counter("otor_x_seen_total", "Seen.")(2)
	m.Seconds("otor_x_seconds", "How long.", 0.1, 1)(200 * time.Millisecond)
	for range 2 {
		code, text := scrape(t, m)
		if code != 200 {
			t.Fatalf("status %d: %s", code, text)
		}
		has(t, text, "# TYPE otor_x_waiting gauge", "otor_x_waiting 3", "# TYPE otor_x_done_total counter", `otor_x_done_total{kind="a"} 4`, `otor_x_done_total{kind="b"} 5`,
			"otor_x_seen_total 2", `otor_x_seconds_bucket{le="0.1"} 0`, `otor_x_seconds_bucket{le="1"} 1`, `otor_x_build_info{version="1.2"} 1`, "otor_x_reading_ok 1")
	}
	if n != 1 {
		t.Errorf("read %d times: whoever asks again at once is told the same", n)
	}
}

// What cannot be read is said, and the rest is told.
func TestAReadingThatFails(t *testing.T) {
	m := telemetry.New("otor_x", "1", quiet())
	m.Table([]telemetry.Metric{{Name: "otor_x_waiting", Help: "How many wait."}}, func(_ context.Context, put telemetry.Put) error {
		put("otor_x_waiting", 3)
		return errors.New("the database is away")
	})
	code, text := scrape(t, m)
	if code != 200 {
		t.Fatalf("status %d", code)
	}
	has(t, text, "otor_x_waiting 3", "otor_x_reading_ok 0")
}

// A metric of no table, or with other labels, is left out, and spoils nothing else.
func TestStrangeMetrics(t *testing.T) {
	m := telemetry.New("otor_x", "1", quiet())
	m.Table([]telemetry.Metric{{Name: "otor_x_waiting", Help: "How many wait."}, {Name: "otor_x_more", Help: "More.", Labels: []string{"kind"}}},
		func(_ context.Context, put telemetry.Put) error {
			put("otor_x_waiting", 3)
			put("otor_x_nothing", 1)
			put("otor_x_more", 1)
			return nil
		})
	_, text := scrape(t, m)
	has(t, text, "otor_x_waiting 3", "otor_x_reading_ok 1")
	if strings.Contains(text, "otor_x_nothing") || strings.Contains(text, "otor_x_more") {
		t.Errorf("a metric of no table: %s", text)
	}
}
