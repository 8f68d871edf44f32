package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/agent/bench"
	"otor/internal/gauge"
)

func TestFigures(t *testing.T) {
	var out bytes.Buffer
	profile := filepath.Join(t.TempDir(), "cpu.prof")
	o := bench.Options{Out: &out, JSON: true, Dir: t.TempDir(), Runs: 1, Records: 200, Profile: profile, Only: []string{"P1", "P2"}}
	if err := bench.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var got []string
	for d := json.NewDecoder(&out); d.More(); {
		var f gauge.Figure
		if err := d.Decode(&f); err != nil {
			t.Fatal(err)
		}
		got = append(got, f.ID)
		if f.Value <= 0 || len(f.Against) == 0 || f.Against[0].Ratio <= 0 {
			t.Errorf("%+v", f)
		}
	}
	if s := strings.Join(got, " "); s != "P1 P1 P2" {
		t.Errorf("figures %s", s)
	}
	for _, id := range o.Only {
		if fi, err := os.Stat(strings.TrimSuffix(profile, ".prof") + "-" + id + ".prof"); err != nil || fi.Size() == 0 {
			t.Errorf("profile of %s: %v %v", id, fi, err)
		}
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestUnknownFigure(t *testing.T) {
	err := bench.Run(t.Context(), bench.Options{Out: &bytes.Buffer{}, Only: []string{"P3"}})
	if !errors.Is(err, gauge.ErrUnknown) {
		t.Fatal(err)
	}
}
