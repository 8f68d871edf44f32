// Package bench measures a hub and a device together.
//
// Both are real and whole: two databases, an embedded NATS server with
// JetStream, TLS, signed batches and receipts, over loopback. Both run in the
// process that measures and so share its processors, as they do not in the
// field: what the figures say of the hub is rather less than what it can do.
//
//   - [Run] measures and prints; [Options] choose what.
//   - P3 is the drain of a large backlog, against a bare loop that inserts the
//     same rows into the same tables.
//   - P5 is the drain of a small backlog over the worst line that still counts
//     as one. It needs root and Linux, see package narrow.
//   - P6 is what a contact with nothing new costs.
//   - P8 is what a crowd of connected devices costs a hub, which runs in a process
//     of its own for once. It needs Linux.
//   - P9 is from a capture on one device until another one shows it, P10 what a
//     scope of 60,000 entities costs on the wire, and FIND how long it takes to find
//     one of them on a device.
//   - P4 is what an entry costs on the wire, both ways and everything counted,
//     against zstd -19 of the same facts as NDJSON.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"otor/internal/e2e/narrow"
	"otor/internal/form"
	"otor/internal/gauge"
	"otor/internal/pack"
)

// IDs are the figures that this package measures.
var IDs = []string{"P3", "P4", "P5", "P6", "P8", "P9", "P10", "FIND"}

// Options say what to measure. Out is needed.
type Options struct {
	Out  io.Writer
	JSON bool
	Only []string // some of [IDs]; empty: all
	// Dir is a folder on the disk that is to be measured; empty: the system's
	// folder for temporary files. What is made there is removed.
	Dir     string
	Profile string // CPU profile, see [gauge.Profiles]
	Runs    int    // of P3; 3 when 0
	Entries int    // of P3's backlog; 100,000 when 0
	// Households are those of P9, P10 and FIND, with six entities each; 10,000 when 0.
	Households int
	// SlowRuns are those of P5, each of about 15 s; 21 when 0.
	SlowRuns int
	// Crowd is how many devices P8 connects, and then twice as many; 5,000 when 0. Window
	// is for how long each is measured; 5 minutes when 0.
	Crowd  int
	Window time.Duration
	Log    *slog.Logger
}

const (
	defaultRuns    = 3
	defaultEntries = 100_000
	defaultSlow    = 21
)

// bench is one run of the benchmark.
type bench struct {
	Options
	pack     *pack.Pack
	forms    *form.Registry
	report   gauge.Report
	profiles gauge.Profiles
}

// Run measures. It wraps [gauge.ErrUnknown] for a figure that it does not know.
func Run(ctx context.Context, o Options) (err error) {
	ids, err := gauge.Select(IDs, o.Only)
	if err != nil {
		return err
	}
	if o.Runs <= 0 {
		o.Runs = defaultRuns
	}
	if o.Entries <= 0 {
		o.Entries = defaultEntries
	}
	if o.Households <= 0 {
		o.Households = households
	}
	if o.SlowRuns <= 0 {
		o.SlowRuns = defaultSlow
	}
	if o.Crowd <= 0 {
		o.Crowd = smallCrowd
	}
	if o.Window <= 0 {
		o.Window = crowdWindow
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dir, err = os.MkdirTemp(o.Dir, "otor-bench-"); err != nil {
		return fmt.Errorf("make a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	p, err := pack.Transhumance()
	if err != nil {
		return err
	}
	b := &bench{
		Options: o, pack: p, forms: p.Forms, report: gauge.Report{Out: o.Out, JSON: o.JSON},
		profiles: gauge.Profiles{Path: o.Profile, Single: len(ids) == 1},
	}
	if !narrow.Joined() {
		if err := b.report.Start(); err != nil {
			return err
		}
	}
	for _, id := range ids {
		figures, err := b.measure(ctx, id)
		switch {
		case errors.Is(err, errElsewhere):
			continue
		case (errors.Is(err, narrow.ErrCannot) || errors.Is(err, gauge.ErrNoProc)) && len(o.Only) == 0:
			o.Log.WarnContext(ctx, "a figure was left out", "figure", id, "why", err)
			continue
		case err != nil:
			return fmt.Errorf("measure %s: %w", id, err)
		}
		for _, f := range figures {
			if err := b.report.Print(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) measure(ctx context.Context, id string) ([]gauge.Figure, error) {
	switch id {
	case "P10":
		return b.away(ctx)
	case "P8":
		return b.crowd(ctx)
	case "FIND":
		return b.finds(ctx)
	}
	one := map[string]func(context.Context) (gauge.Figure, error){"P3": b.drain, "P4": b.wire, "P5": b.slow, "P6": b.nothing, "P9": b.visible}[id]
	f, err := one(ctx)
	return []gauge.Figure{f}, err
}

// folder makes a fresh folder below Dir; drop removes it.
func (b *bench) folder(name string) (dir string, drop func() error, err error) {
	dir, err = os.MkdirTemp(b.Dir, name+"-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}
