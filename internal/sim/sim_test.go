package sim_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"otor/internal/sim"
)

var (
	seed    = flag.Int64("sim.seed", -1, "run this seed alone")
	patient = flag.Bool("sim.patient", false, "let links stand once trouble is over")
	trace   = flag.String("sim.trace", "", "write what happens to this file, with -sim.seed")
	from    = flag.Uint64("sim.from", 1, "the first seed of a slice")
	slice   = flag.Duration("sim.for", 40*time.Second, "how long to run seeds for")
)

// folder is where databases of a run live: in memory where that is possible,
// since no power is cut here.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := sim.Folder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func run(t *testing.T, seed uint64, c sim.Control) (r sim.Report) {
	t.Helper()
	cfg := sim.Config{Seed: seed, Control: c, Patient: *patient}
	if *trace != "" {
		f, err := os.Create(*trace)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		cfg.Trace = f
	}
	t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
		cfg.Dir = folder(t)
		r = sim.Run(t, cfg)
	})
	return r
}

// TestSeeds runs seeds for a while. A failure names the seed; run it alone with
//
//	go test ./internal/sim -run TestSeeds -sim.seed N
func TestSeeds(t *testing.T) {
	first, last := *from, uint64(1<<62)
	if *seed >= 0 {
		first, last = uint64(*seed), uint64(*seed)
	}
	most := *slice
	if testing.Short() {
		most = min(most, 2*time.Second)
	}
	var sum sim.Work
	begun := time.Now()
	n, thin := 0, 0
	for s := first; s <= last && (n == 0 || time.Since(begun) < most); s++ {
		r := run(t, s, sim.Sound)
		n++
		sum.Add(r.Work)
		if len(r.Violations) > 0 {
			t.Fatalf("go test ./internal/sim -run TestSeeds -sim.seed %d\n%s", s, r)
		}
		if why := r.Work.Least(); why != "" {
			t.Logf("seed %d did too little to count: %s\n%s", s, why, r)
			if thin++; thin > 1+n/100 {
				t.Fatalf("%d runs of %d did too little to count", thin, n)
			}
		}
		if *seed >= 0 {
			t.Log(r)
		}
	}
	if n >= 20 && !sum.Asked(n) {
		t.Errorf("who had seen what was asked in %d runs of %d", sum.Whole, n)
	}
	t.Logf("%d seeds: %s", n, sum)
}

// TestSameSeedSameRun asks that a seed decides everything.
func TestSameSeedSameRun(t *testing.T) {
	last := uint64(12)
	if testing.Short() {
		last = 1
	}
	for s := uint64(1); s <= last; s++ {
		a, b := run(t, s, sim.Sound), run(t, s, sim.Sound)
		if a.Digest != b.Digest || a.Work != b.Work {
			t.Errorf("seed %d went two ways:\n%s\n%s", s, a, b)
		}
	}
}

// TestControls breaks each promise on purpose: the simulator must find it out
// within a few seeds.
func TestControls(t *testing.T) {
	const few = 12
	for _, c := range sim.Controls() {
		t.Run(string(c), func(t *testing.T) {
			for s := uint64(1); s <= few; s++ {
				if v := run(t, s, c).FoundOut(c); v != "" {
					t.Logf("found out with seed %d: %s", s, v)
					return
				}
			}
			t.Errorf("%d seeds did not notice it", few)
		})
	}
}
