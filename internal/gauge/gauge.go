// Package gauge is how both programs say what they measured.
//
// A figure alone says more about the machine than about the program, so every
// figure stands beside a reference that was measured in the same run, in turn
// with it, and what counts is the ratio of the two. Each is the median of
// several runs. Where the time went stands in a CPU profile of one more run
// that is not counted, so that measuring costs the figure nothing.
//
//   - [Figure] is one measured thing, [Against] a reference with its ratio and goal.
//   - [Report] prints figures, for people or as JSON.
//   - [Profiles] writes the profiles.
package gauge

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Figure is one measured thing.
type Figure struct {
	ID      string    `json:"id"` // P1, P2 ... of docs/performance.md
	What    string    `json:"what"`
	Value   float64   `json:"value"`
	Unit    string    `json:"unit"`
	Runs    int       `json:"runs"` // the value is their median
	Spread  Spread    `json:"spread"`
	Against []Against `json:"against"`
	Parts   []Part    `json:"parts,omitempty"`
	Notes   []string  `json:"notes,omitempty"`
}

// Spread is the least and the greatest of the runs.
type Spread struct {
	Least    float64 `json:"least"`
	Greatest float64 `json:"greatest"`
}

// Against is a reference of the same run.
type Against struct {
	What  string  `json:"what"`
	Value float64 `json:"value"` // in the figure's unit
	// Ratio is the figure's value over the reference's, the median of the runs' ratios.
	Ratio   float64 `json:"ratio"`
	Spread  Spread  `json:"spread"` // of the ratios
	Goal    float64 `json:"goal"`
	Most    bool    `json:"goal_is_most"` // the goal is an upper bound
	Reached bool    `json:"reached"`
}

// Part is a share of a figure's value, in its unit.
type Part struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
}

// Median returns the middle value, or the mean of the two in the middle.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func spreadOf(v []float64) Spread {
	if len(v) == 0 {
		return Spread{}
	}
	return Spread{Least: slices.Min(v), Greatest: slices.Max(v)}
}

// PerSecond is the rate of n things in d.
func PerSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

// New makes a figure of its runs' values.
func New(id, what, unit string, runs []float64) Figure {
	return Figure{ID: id, What: what, Unit: unit, Value: Median(runs), Runs: len(runs), Spread: spreadOf(runs)}
}

// AtLeast and AtMost compare a figure's runs with those of a reference that
// took turns with them: runs[i] with reference[i].
func AtLeast(what string, goal float64, runs, reference []float64) Against {
	a := against(what, runs, reference)
	a.Goal, a.Reached = goal, a.Ratio >= goal
	return a
}

// AtMost is AtLeast for a goal that is an upper bound.
func AtMost(what string, goal float64, runs, reference []float64) Against {
	a := against(what, runs, reference)
	a.Goal, a.Most, a.Reached = goal, true, a.Ratio <= goal
	return a
}

func against(what string, runs, reference []float64) Against {
	ratios := make([]float64, len(runs))
	for i := range runs {
		ratios[i] = runs[i] / reference[i]
	}
	return Against{What: what, Value: Median(reference), Ratio: Median(ratios), Spread: spreadOf(ratios)}
}

// Report prints figures.
type Report struct {
	Out  io.Writer
	JSON bool // one line a figure
}

// Start says on what machine and how the figures come about.
func (r Report) Start() error {
	if r.JSON {
		return nil
	}
	_, err := fmt.Fprintf(r.Out, "%s, %s/%s, %d processors. Figures and references take turns; medians, with the range of the runs.\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	return err
}

// Print prints one figure.
func (r Report) Print(f Figure) error {
	if r.JSON {
		b, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("print %s: %w", f.ID, err)
		}
		_, err = r.Out.Write(append(b, '\n'))
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-3s %s: %s %s", f.ID, f.What, number(f.Value), f.Unit)
	if f.Runs > 1 {
		fmt.Fprintf(&b, " (%d runs, %s to %s)", f.Runs, number(f.Spread.Least), number(f.Spread.Greatest))
	}
	b.WriteByte('\n')
	for _, a := range f.Against {
		bound, word := "at least", "reached"
		if a.Most {
			bound = "at most"
		}
		if !a.Reached {
			word = "MISSED"
		}
		fmt.Fprintf(&b, "      %s: %s; ratio %.2f", a.What, number(a.Value), a.Ratio)
		if f.Runs > 1 {
			fmt.Fprintf(&b, " (%.2f to %.2f)", a.Spread.Least, a.Spread.Greatest)
		}
		fmt.Fprintf(&b, ", goal %s %g: %s\n", bound, a.Goal, word)
	}
	for _, p := range f.Parts {
		fmt.Fprintf(&b, "      %10s  %s\n", number(p.Value), p.What)
	}
	for _, n := range f.Notes {
		fmt.Fprintf(&b, "      %s\n", n)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(r.Out, b.String())
	return err
}

// number writes a value with as many digits as mean something.
func number(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int64(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
