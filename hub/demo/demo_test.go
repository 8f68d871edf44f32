package demo_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"otor/hub/demo"
)

// play runs a scenario as fast as it settles and returns its report.
func play(t *testing.T, o demo.Options) (demo.Report, error) {
	t.Helper()
	var out bytes.Buffer
	o.Fast, o.Exit, o.JSON, o.Out, o.Dir = true, true, true, &out, t.TempDir()
	o.Log = slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	err := demo.Run(t.Context(), o)
	var r demo.Report
	if out.Len() == 0 {
		t.Fatalf("no report: %v", err)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	return r, err
}

func TestTheDay(t *testing.T) {
	start := time.Now()
	r, err := play(t, demo.Options{})
	t.Logf("took %s", time.Since(start))
	if err != nil {
		t.Error(err)
	}
	b, _ := json.MarshalIndent(r, "", " ")
	t.Logf("%s", b)
}
