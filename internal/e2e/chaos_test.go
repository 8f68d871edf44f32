package e2e_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"otor/internal/e2e"
	"otor/internal/e2e/chaos"
	"otor/internal/e2e/disk"
)

// trialsOf is how many trials of a row every test run makes; the campaign command
// makes the others.
var trialsOf = map[string]int{}

// TestChaos runs a seeded slice of every row, and its controls. OTOR_SEED names
// the first seed, OTOR_ROW one row.
func TestChaos(t *testing.T) {
	first := uint64(time.Now().UnixNano() % 1e9) //nolint:gosec // positive
	if s := os.Getenv("OTOR_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first = n
	}
	site, err := chaos.NewSite("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("rows", func(t *testing.T) {
		for _, row := range chaos.Rows() {
			if only := os.Getenv("OTOR_ROW"); only != "" && only != row.Name {
				continue
			}
			t.Run(row.Name, func(t *testing.T) {
				t.Parallel()
				if ok, why := disk.Have(); row.Root {
					e2e.Need(t, "root", ok, why)
				}
				slice(t, site, row, first)
			})
		}
	})
}

func slice(t *testing.T, site *chaos.Site, row chaos.Row, first uint64) {
	t.Helper()
	trials := max(trialsOf[row.Name], 1)
	if !testing.Short() {
		how, err := chaos.Prove(t.Context(), site, row)
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range how {
			t.Logf("control %s", words)
		}
	} else {
		trials = 1
	}
	faults, checked, met := 0, 0, map[string]int{}
	for seed := first; seed < first+uint64(trials); seed++ { //nolint:gosec // a small count
		o := chaos.Run(t.Context(), site, row, seed, "")
		faults, checked = faults+o.Faults, checked+o.Checked
		for what, n := range o.Met {
			met[what] += n
		}
		for _, p := range o.Problems {
			t.Errorf("OTOR_ROW=%s OTOR_SEED=%d: %s", row.Name, seed, p)
		}
		for _, n := range o.Notes {
			t.Log(n)
		}
	}
	t.Logf("%s: %d, %d entries looked for, seeds from %d, met %v", row.Fault, faults, checked, first, met)
}
