package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"otor/hub/store/sqlite"
	"otor/internal/gauge"
)

// rowsPerTransaction is how the bare loop groups rows.
const rowsPerTransaction = 2000

// drain measures P3.
func (b *bench) drain(ctx context.Context) (gauge.Figure, error) {
	var ours, bare []float64
	rows := 0
	for range b.Runs {
		took, loop, n, err := b.drainOnce(ctx, true)
		if err != nil {
			return gauge.Figure{}, err
		}
		rows = n
		ours = append(ours, gauge.PerSecond(b.Entries, took))
		bare = append(bare, gauge.PerSecond(b.Entries, loop))
	}
	if b.profiles.Wanted() {
		if _, _, _, err := b.drainOnce(ctx, false); err != nil {
			return gauge.Figure{}, err
		}
	}
	f := gauge.New("P3", fmt.Sprintf("drain of %d entries, from dialling to the last receipt", b.Entries), "entries/s", ours)
	what := fmt.Sprintf("bare loop inserting the same %d rows, %d a transaction", rows, rowsPerTransaction)
	f.Against = []gauge.Against{gauge.AtLeast(what, 0.5, ours, bare)}
	f.Notes = []string{"device and hub share one process; nothing else of them is left out: TLS, JetStream's fsync a message, receipts"}
	return f, nil
}

// drainOnce makes a hub, a device and its backlog, drains it, and inserts what
// arrived by the bare loop. An uncounted run is profiled instead of compared.
func (b *bench) drainOnce(ctx context.Context, counted bool) (took, loop time.Duration, rows int, err error) {
	dir, drop, err := b.folder("drain")
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	p, err := openPair(ctx, dir, b.pack, b.Log, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.visit(ctx, b.forms, 3, b.Entries); err != nil {
		return 0, 0, 0, err
	}
	runtime.GC() // the drain does not pay for what filling left
	if !counted {
		return 0, 0, 0, b.profiles.Run("P3", func() error { _, err := p.drain(ctx, b.Entries); return err })
	}
	if took, err = p.drain(ctx, b.Entries); err != nil {
		return 0, 0, 0, err
	}
	st, ok := p.hub.Store().(*sqlite.Store)
	if !ok {
		return 0, 0, 0, fmt.Errorf("the hub's database is a %T, which the bare loop cannot read", p.hub.Store())
	}
	runtime.GC()
	loop, rows, err = sqlite.BareInsert(ctx, st, filepath.Join(dir, "bare.db"), rowsPerTransaction)
	return took, loop, rows, err
}
