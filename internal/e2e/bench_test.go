package e2e_test

import (
	"os"
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

// The hub that P8 measures is a process of its own: its program, again, takes a built one.
func TestBenchOfACrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for windows to pass")
	}
	if _, err := gauge.CPU(os.Getpid()); err != nil {
		t.Skip(err)
	}
	r := e2e.Run(t, nil, "hub", "bench", "--only", "P8", "--crowd", "12", "--window", "4s", "--json", "--dir", t.TempDir()).Want(t, cli.OK)
	fs := e2e.Lines[gauge.Figure](t, r.Out)
	if len(fs) != 4 {
		t.Fatalf("%d figures: %s", len(fs), r)
	}
	for i, f := range fs {
		if f.ID != "P8" || len(f.Against) != 1+i/2 || f.Unit == "MiB" && f.Value <= 0 {
			t.Errorf("%+v", f)
		}
	}
}
