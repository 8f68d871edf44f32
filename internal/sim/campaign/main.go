// Command campaign runs many seeds of the simulator, and keeps the log.
//
//	go run ./internal/sim/campaign -seeds 2000 -from 0
//
// It first breaks each promise on purpose: a simulator that does not notice has
// no say. Then it runs the seeds, several at a time. After each one the state
// file says how far it is; when it is stopped, or its machine is, the same
// command goes on from there. A finished campaign appends a dated line to the
// log in docs/reliability.md, whatever came of it, and fails when a seed did.
//
// A seed during which the program itself ended counts as failed: nobody knows
// what it would have found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
)

// plan is what was asked for.
type plan struct {
	from    uint64
	seeds   uint64
	most    time.Duration // 0: until all seeds are done
	workers int
	state   string
	log     string
}

// gcPercent spares a tenth of the time: a run makes much garbage and keeps little.
const gcPercent = 400

func main() {
	debug.SetGCPercent(gcPercent)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	// Bubbles of virtual time are part of package testing, which reads the
	// command line by itself.
	os.Args = os.Args[:1]
	everything := func(string, string) (bool, error) { return true, nil }
	testing.Main(everything, []testing.InternalTest{{Name: "campaign", F: func(t *testing.T) {
		if err := run(ctx, t, p, os.Stdout); err != nil {
			t.Error(err)
		}
	}}}, nil, nil)
}

func parse(args []string) (plan, error) {
	var p plan
	f := flag.NewFlagSet("campaign", flag.ContinueOnError)
	f.Uint64Var(&p.from, "from", 0, "the first `seed`")
	f.Uint64Var(&p.seeds, "seeds", 2000, "`how many` seeds")
	f.DurationVar(&p.most, "for", 0, "stop after this `time`, and count what was run; 0: never")
	f.IntVar(&p.workers, "workers", 2, "`how many` at a time")
	f.StringVar(&p.state, "state", "otor-campaign.json", "the `file` that says how far it is")
	f.StringVar(&p.log, "log", "docs/reliability.md", "the `file` that gets a line at the end")
	if err := f.Parse(args); err != nil {
		return p, err
	}
	if f.NArg() > 0 || p.seeds == 0 || p.workers < 1 {
		return p, errors.New("campaign takes flags only; -seeds and -workers must be at least 1")
	}
	return p, nil
}
