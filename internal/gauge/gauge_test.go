package gauge_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"otor/internal/gauge"
)

func TestMedianAndRatios(t *testing.T) {
	if m := gauge.Median([]float64{9, 1, 5}); m != 5 {
		t.Errorf("median of three is %v", m)
	}
	if m := gauge.Median([]float64{4, 1, 2, 9}); m != 3 {
		t.Errorf("median of four is %v", m)
	}
	runs, reference := []float64{10, 30, 20}, []float64{10, 10, 5}
	least, most := gauge.AtLeast("r", 3, runs, reference), gauge.AtMost("r", 2.9, runs, reference)
	if least.Ratio != 3 || !least.Reached || most.Reached || least.Spread != (gauge.Spread{Least: 1, Greatest: 4}) {
		t.Errorf("%+v %+v", least, most)
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	f := gauge.New("P3", "drain", "entries/s", []float64{120000, 130000, 125000})
	f.Against = []gauge.Against{gauge.AtLeast("bare loop", 0.5, []float64{1, 2, 4}, []float64{4, 4, 4})}
	f.Parts = []gauge.Part{{What: "frames", Value: 59.2}}
	if err := (gauge.Report{Out: &out}).Print(f); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"P3  drain: 125,000 entries/s (3 runs, 120,000 to 130,000)", "ratio 0.50 (0.25 to 1.00), goal at least 0.5: reached", "59.2  frames"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

func TestSelect(t *testing.T) {
	all := []string{"P1", "P2", "P3"}
	got, err := gauge.Select(all, []string{"p3", "P1"})
	if err != nil || !slices.Equal(got, []string{"P1", "P3"}) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := gauge.Select(all, []string{"P9"}); !errors.Is(err, gauge.ErrUnknown) {
		t.Errorf("%v", err)
	}
}
