package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"otor/internal/sim"
)

// controlSeeds is how many seeds a broken promise may take to be found out.
const controlSeeds = 12

// thinOf: of so many runs one may be too calm to count. Another seed takes its place.
const thinOf = 200

// run is the campaign. Stopped by ctx it leaves the state file and no line.
func run(ctx context.Context, t *testing.T, pl plan, out io.Writer) error {
	b, err := openBook(pl)
	if err != nil {
		return err
	}
	if b.p.Controls, err = controls(t, out); err != nil {
		return err
	}
	begun := time.Now()
	t.Run("seeds", func(t *testing.T) {
		for range pl.workers {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for ctx.Err() == nil && (pl.most == 0 || time.Since(begun) < pl.most) {
					seed, ok := b.take()
					if !ok {
						return
					}
					r, why, thin := one(t, seed, out)
					b.done(r, why, thin)
				}
			})
		}
	})
	p, err := b.now()
	if err != nil {
		return fmt.Errorf("keep the state of the campaign: %w", err)
	}
	if ctx.Err() != nil {
		_, err := fmt.Fprintf(out, "stopped after %d seeds; the same command goes on\n", p.Done)
		return err
	}
	if err := errors.Join(appendLine(pl.log, p, time.Now()), os.Remove(pl.state)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%d seeds in %s, %d failures: %s\n", p.Done, p.Spent.Round(time.Second), len(p.Failures), p.Work); err != nil {
		return err
	}
	if p.Thin > p.Done/thinOf+1 {
		return fmt.Errorf("in %d runs beside %d too little happened to count: the world has become too calm", p.Thin, p.Done)
	}
	if p.Done >= 20 && !p.Work.Asked(int(p.Done)) { //nolint:gosec // a count
		return fmt.Errorf("who had seen what was asked in %d runs of %d: too many have folders that were copied or put back", p.Work.Whole, p.Done)
	}
	if len(p.Failures) > 0 {
		return fmt.Errorf("%d of %d seeds failed; the first: go test ./internal/sim -run TestSeeds -sim.seed %d", len(p.Failures), p.Done, p.Failures[0].Seed)
	}
	return nil
}

// one runs a seed and says why it failed, if it did, or that it did too little to count.
func one(t *testing.T, seed uint64, out io.Writer) (r sim.Report, why string, thin bool) {
	r, err := inFolder(t, sim.Config{Seed: seed})
	switch {
	case err != nil:
		why = err.Error()
	case len(r.Violations) > 0:
		why = r.Violations[0]
	case r.Work.Least() != "":
		_, _ = fmt.Fprintf(out, "does not count: %s\n  %s\n", r, r.Work.Least()) // the state has it too
		return r, "", true
	}
	if why != "" {
		_, _ = fmt.Fprintf(out, "FAILED %s\n  %s\n", r, why) // the state has it too
	}
	return r, why, false
}

// inFolder gives a run a folder for as long as it lasts.
func inFolder(t *testing.T, cfg sim.Config) (r sim.Report, err error) {
	r.Seed = cfg.Seed
	if cfg.Dir, err = sim.Folder(); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cfg.Dir)) }()
	return sim.Run(t, cfg), nil
}

// controls breaks each promise and counts how many of that were found out. One
// that was not is an error: the campaign would say nothing.
func controls(t *testing.T, out io.Writer) (int, error) {
	found := 0
	for _, c := range sim.Controls() {
		seen := false
		for s := uint64(0); s < controlSeeds && !seen; s++ {
			r, err := inFolder(t, sim.Config{Seed: s, Control: c})
			if err != nil {
				return found, err
			}
			v := r.FoundOut(c)
			if seen = v != ""; seen {
				if _, err := fmt.Fprintf(out, "control %s: found out with seed %d: %s\n", c, s, v); err != nil {
					return found, err
				}
			}
		}
		if !seen {
			return found, fmt.Errorf("control %s: %d seeds did not notice it: the simulator is blind", c, controlSeeds)
		}
		found++
	}
	return found, nil
}
