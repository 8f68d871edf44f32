package e2e_test

import (
	"testing"

	"otor/internal/cli"
	"otor/internal/e2e"
	"otor/internal/gauge"
)

// The agent's program is the one that P7 starts, so it takes a built one to measure.
func TestBenchOfTheStart(t *testing.T) {
	if testing.Short() {
		t.Skip("saves 100,000 entries")
	}
	r := e2e.Run(t, nil, "agent", "bench", "--only", "P7", "--runs", "1", "--json", "--dir", t.TempDir()).Want(t, cli.OK)
	fs := e2e.Lines[gauge.Figure](t, r.Out)
	if len(fs) != 3 {
		t.Fatalf("%d figures: %s", len(fs), r)
	}
	for _, f := range fs {
		if f.ID != "P7" || f.Value <= 0 || len(f.Against) != 1 {
			t.Errorf("%+v", f)
		}
	}
}
