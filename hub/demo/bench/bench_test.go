package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"otor/hub/demo/bench"
	"otor/internal/gauge"
)

func run(t *testing.T, o bench.Options) []gauge.Figure {
	t.Helper()
	var out bytes.Buffer
	o.Out, o.JSON, o.Dir = &out, true, t.TempDir()
	if err := bench.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var figures []gauge.Figure
	for d := json.NewDecoder(&out); d.More(); {
		var f gauge.Figure
		if err := d.Decode(&f); err != nil {
			t.Fatal(err)
		}
		figures = append(figures, f)
	}
	return figures
}

// The bench itself checks that everything arrived; here it only has to be whole.
func TestDrain(t *testing.T) {
	fs := run(t, bench.Options{Only: []string{"p3"}, Runs: 1, Entries: 3000})
	if len(fs) != 1 || fs[0].ID != "P3" || len(fs[0].Against) != 1 || fs[0].Value <= 0 || fs[0].Against[0].Value <= 0 {
		t.Fatalf("%+v", fs)
	}
	t.Logf("%+v", fs[0])
}

// Bytes do not depend on the machine's speed but through the batches' sizes,
// which the bench pins: so the goal is tested.
func TestWire(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 10,000 entries over a slow line")
	}
	fs := run(t, bench.Options{Only: []string{"P4"}})
	if len(fs) != 1 || len(fs[0].Against) != 1 || len(fs[0].Parts) != 4 {
		t.Fatalf("%+v", fs)
	}
	sum := 0.0
	for _, p := range fs[0].Parts {
		sum += p.Value
	}
	if !fs[0].Against[0].Reached {
		t.Errorf("the goal is missed: %+v", fs[0].Against[0])
	}
	if d := sum - fs[0].Value; d > 0.01 || d < -0.01 {
		t.Errorf("the parts add up to %.2f B, the whole is %.2f B", sum, fs[0].Value)
	}
	t.Logf("%+v", fs[0])
}

// Of a small population the figures say little; they must be whole.
func TestEntities(t *testing.T) {
	fs := run(t, bench.Options{Only: []string{"P9", "P10", "FIND"}, Households: 30})
	var ids []string
	for _, f := range fs {
		ids = append(ids, f.ID)
		if f.Value <= 0 || len(f.Against) != 1 || f.Against[0].Value <= 0 {
			t.Errorf("%+v", f)
		}
	}
	if got := strings.Join(ids, " "); got != "P9 P10 P10 FIND FIND" {
		t.Errorf("figures %s", got)
	}
}

func TestUnknownFigure(t *testing.T) {
	err := bench.Run(t.Context(), bench.Options{Out: &bytes.Buffer{}, Only: []string{"P99"}})
	if !errors.Is(err, gauge.ErrUnknown) {
		t.Fatal(err)
	}
}

// A contact with nothing new must stay small, and must not wait for more than
// one answer after it is connected.
func TestNothing(t *testing.T) {
	fs := run(t, bench.Options{Only: []string{"P6"}})
	if len(fs) != 1 || len(fs[0].Against) != 1 || len(fs[0].Parts) != 4 {
		t.Fatalf("%+v", fs)
	}
	if f := fs[0]; !f.Against[0].Reached || f.Value < 1000 {
		t.Errorf("%g %s", f.Value, f.Unit)
	}
	const connecting, hello, end = 2, 1, 1 // the end: TLS says goodbye to what it heard
	if n := fs[0].Parts[3].Value; n < connecting+hello || n > connecting+hello+end {
		t.Errorf("the device spoke %g times", n)
	}
}
