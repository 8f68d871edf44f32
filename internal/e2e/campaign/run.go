package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"otor/internal/e2e/chaos"
)

// run makes a row's trials until enough faults were done.
func run(ctx context.Context, site *chaos.Site, row chaos.Row, p plan, out io.Writer) error {
	b, err := openBook(p)
	if err != nil {
		return err
	}
	begun := time.Now()
	if !p.finish && len(b.p.Controls) < len(row.Controls) {
		how, err := chaos.Prove(ctx, site, row)
		for _, words := range how {
			_, _ = fmt.Fprintf(out, "control found out: %s\n", words)
		}
		if err != nil {
			return err
		}
		b.proved(how)
	}
	if !p.finish {
		var workers sync.WaitGroup
		for range p.workers {
			workers.Go(func() {
				for ctx.Err() == nil && (p.most == 0 || time.Since(begun) < p.most) {
					seed, ok := b.take()
					if !ok {
						return
					}
					o := chaos.Run(ctx, site, row, seed, "")
					if ctx.Err() != nil {
						b.back(seed)
						return
					}
					if len(o.Problems) > 0 {
						_, _ = fmt.Fprintf(out, "FAILED seed %d: %v\n%v\n", seed, o.Problems, o.Notes)
					}
					b.done(o)
				}
			})
		}
		workers.Wait()
	}
	got, err := b.now()
	if err != nil {
		return fmt.Errorf("keep the state of the campaign: %w", err)
	}
	if _, err := fmt.Fprintf(out, "%s: %d of %d %s, %d trials, %d entries looked for, %d failures, %s\n%s",
		row.Name, got.Faults, p.faults, row.Fault, got.Done, got.Checked, len(got.Failures), got.Spent.Round(time.Second), got.tally()); err != nil {
		return err
	}
	if !p.finish && got.Faults < p.faults {
		_, err := fmt.Fprintln(out, "not done yet: the same command goes on")
		return err
	}
	if err := insertLine(p.log, "## Faults", faultLine(row, got, time.Now())); err != nil {
		return err
	}
	if err := os.Remove(statePath(p)); err != nil {
		return err
	}
	if len(got.Failures) > 0 {
		return fmt.Errorf("%d of %d trials failed; the first: OTOR_ROW=%s OTOR_SEED=%d go test ./internal/e2e -run TestChaos", len(got.Failures), got.Done, row.Name, got.Failures[0].Seed)
	}
	if unmet := got.unmet(row); len(unmet) > 0 {
		return fmt.Errorf("%d trials of %s never came to %s: they say nothing about it", got.Done, row.Name, strings.Join(unmet, ", "))
	}
	return nil
}

// faultLine is a line of the log.
func faultLine(row chaos.Row, p progress, at time.Time) string {
	result := "0"
	if len(p.Failures) > 0 {
		result = fmt.Sprintf("%d (first: seed %d)", len(p.Failures), p.Failures[0].Seed)
	}
	if unmet := p.unmet(row); len(unmet) > 0 {
		result += ", never met: " + strings.Join(unmet, ", ")
	}
	return fmt.Sprintf("| %s | %s | %d | %d to %d | %d | %d | %d of %d | %s | %s |",
		at.Format(time.DateOnly), row.Name, p.Faults, p.From, p.Next-1, p.Done, p.Checked, len(p.Controls), len(row.Controls), result, p.Spent.Round(time.Second))
}
