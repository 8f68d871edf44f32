// Command campaign makes many trials of the fault matrix with the built
// programs, and keeps the log.
//
//	go run ./internal/e2e/campaign -list
//	go run ./internal/e2e/campaign kill-agent -n 2000 -from 1
//	go run ./internal/e2e/campaign fuzz -each 10m
//
// It first breaks each promise on purpose: a row that does not notice has no say.
// Then it makes trials, several at a time, until so many faults have been done.
// After each one the state file says how far it is; when it is stopped, by -for or
// otherwise, the same command goes on from there. A finished campaign puts a dated
// line into docs/campaigns.md, whatever came of it, and fails when a trial did.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"otor/internal/e2e"
	"otor/internal/e2e/chaos"
)

// plan is what was asked for.
type plan struct {
	row     string
	faults  int
	from    uint64
	most    time.Duration // 0: until all is done
	each    time.Duration // of a fuzz target
	workers int
	state   string
	log     string
	finish  bool
	since   string // a day; empty: the log does not count
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := campaign(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: campaign [-list] ROW [flags]")

func parse(args []string) (p plan, list bool, err error) {
	f := flag.NewFlagSet("campaign", flag.ContinueOnError)
	f.BoolVar(&list, "list", false, "list the rows")
	f.IntVar(&p.faults, "n", 100, "`how many` faults")
	f.Uint64Var(&p.from, "from", 1, "the first `seed`")
	f.DurationVar(&p.most, "for", 0, "stop after this `time`; the same command goes on; 0: never")
	f.DurationVar(&p.each, "each", 10*time.Minute, "`time` for each fuzz target")
	f.IntVar(&p.workers, "workers", 2, "`how many` trials at a time")
	f.StringVar(&p.state, "state", os.TempDir(), "the `folder` of the files that say how far it is")
	f.StringVar(&p.log, "log", "docs/campaigns.md", "the `file` that gets a line at the end")
	f.BoolVar(&p.finish, "finish", false, "log what was done so far, and begin anew next time")
	f.StringVar(&p.since, "since", "", "of fuzzing: what the log has of this `day` and later counts")
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		p.row, args = args[0], args[1:]
	}
	if err := f.Parse(args); err != nil {
		return p, list, err
	}
	if p.row == "" && f.NArg() == 1 {
		p.row = f.Arg(0)
	} else if f.NArg() > 0 {
		return p, list, fmt.Errorf("%w: one row, before the flags", errUsage)
	}
	if !list && (p.row == "" || p.faults < 1 || p.workers < 1) {
		return p, list, fmt.Errorf("%w: name a row; -n and -workers are at least 1", errUsage)
	}
	return p, list, nil
}

func campaign(ctx context.Context, args []string, out io.Writer) error {
	p, list, err := parse(args)
	if err != nil {
		return err
	}
	if list {
		for _, r := range chaos.Rows() {
			var controls []string
			for _, c := range r.Controls {
				controls = append(controls, c.Name)
			}
			if _, err := fmt.Fprintf(out, "%-14s %s; controls %v\n", r.Name, r.Fault, controls); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(out, "fuzz           every decoder of outside bytes")
		return err
	}
	if p.row == fuzzRow {
		return fuzz(ctx, p, out)
	}
	row, ok := chaos.Find(p.row)
	if !ok {
		return fmt.Errorf("%w: there is no row %q, see -list", errUsage, p.row)
	}
	programs, err := os.MkdirTemp("", "otor-programs-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(programs) }()
	if err := e2e.BuildIn(programs); err != nil {
		return fmt.Errorf("build the programs: %w", err)
	}
	site, err := chaos.NewSite("")
	if err != nil {
		return err
	}
	err = run(ctx, site, row, p, out)
	return errors.Join(err, site.Close())
}

func statePath(p plan) string { return filepath.Join(p.state, "otor-"+p.row+".json") }
