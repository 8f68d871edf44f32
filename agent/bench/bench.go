// Package bench measures how fast a device saves.
//
// What is measured is a durable capture: a filled form is checked, encoded,
// chained, sealed and on the disk before it counts. The records are those of
// the corpus, of all kinds. Each figure takes turns with its references, which
// write the same bytes to the same disk.
//
//   - [Run] measures and prints; [Options] choose what.
//   - P1 is captures a second of several writers, against one append and
//     fdatasync a record, and against Badger with one transaction a record.
//   - P2 is one capture alone, against one write and fdatasync.
//   - P7 starts this very program on a device with many entries: how long until
//     its page is there, and what memory it takes.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"

	"otor/internal/form"
	"otor/internal/gauge"
	"otor/internal/merge"
	"otor/internal/pack"
)

// IDs are the figures that this package measures.
var IDs = []string{"P1", "P2", "P7"}

// Options say what to measure. Out is needed.
type Options struct {
	Out  io.Writer
	JSON bool
	Only []string // some of [IDs]; empty: all
	// Dir is a folder on the disk that is to be measured; empty: the system's
	// folder for temporary files. What is made there is removed.
	Dir     string
	Profile string // CPU profile, see [gauge.Profiles]
	Runs    int    // of P1 and P7; 5 when 0
	Records int    // of one run of P1; 20,000 when 0
}

const (
	defaultRuns    = 5
	defaultRecords = 20_000
)

// bench is one run of the benchmark.
type bench struct {
	Options
	forms    *form.Registry
	types    func(name string) *merge.Type
	profiles gauge.Profiles
}

// Run measures. It wraps [gauge.ErrUnknown] for a figure that it does not know.
func Run(ctx context.Context, o Options) (err error) {
	ids, err := gauge.Select(IDs, o.Only)
	if err != nil {
		return err
	}
	// The records to be saved lie ready in memory, as they do on no device; P7
	// measures a process of its own, with the limit.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	if o.Runs <= 0 {
		o.Runs = defaultRuns
	}
	if o.Records <= 0 {
		o.Records = defaultRecords
	}
	if o.Dir, err = os.MkdirTemp(o.Dir, "otor-bench-"); err != nil {
		return fmt.Errorf("make a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	p, err := pack.Transhumance()
	if err != nil {
		return err
	}
	b := &bench{Options: o, forms: p.Forms, types: p.Domain().Type, profiles: gauge.Profiles{Path: o.Profile, Single: len(ids) == 1}}
	report := gauge.Report{Out: o.Out, JSON: o.JSON}
	if err := report.Start(); err != nil {
		return err
	}
	for _, id := range ids {
		measure := map[string]func(context.Context) ([]gauge.Figure, error){"P1": b.many, "P2": b.one, "P7": b.starts}[id]
		figures, err := measure(ctx)
		if err != nil {
			return fmt.Errorf("measure %s: %w", id, err)
		}
		for _, f := range figures {
			if err := report.Print(f); err != nil {
				return err
			}
		}
	}
	return nil
}
