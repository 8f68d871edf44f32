package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// world is one run. Its driver goroutine does one step after the other; only
// what is said to be guarded is touched by others.
type world struct {
	cfg     Config
	log     *slog.Logger
	forms   forms
	domain  domain
	oracle  *oracle
	dice    dice // the driver's
	start   time.Time
	hub     *hub
	alerts  *stream
	records *stream
	devices []*device
	hostile *hostile
	all     atomic.Pointer[[]*device] // the devices, for others than the driver
	sealed  map[dot.Chain]lane.Set    // what operators ever gave up
	over    atomic.Bool               // what is still under way does nothing any more
	calmed  atomic.Bool               // trouble is over

	mu         sync.Mutex // guards what follows
	violations []string
	work       Work
	actors     map[string]hash.Hash // what each did, for the digest
	tape       []taped              // genuine frames, for late copies
	// committed is what the hub's database holds of each chain. Nobody may know more.
	committed map[dot.Chain]lane.Set
	speaks    receipt.Epoch // what the hub speaks from; zero: it was put back and has not noticed
	// forged are frames that nobody vouches for, by their hash.
	forged map[[32]byte]*forgery
	split  map[dot.Device]bool // those of which a folder was copied or put back
	// arrived is what came of those, by name and hash, into the hub's database.
	arrived map[entry.Was]bool
}

// taped is a frame that somebody sealed.
type taped struct {
	lane  dot.Lane
	by    dot.Device
	frame []byte
}

// maxTape bounds the frames that are kept for late copies.
const maxTape = 256

// Run runs one seed in a bubble of virtual time. t is used for nothing but the
// bubble: what is wrong stands in the report.
func Run(t *testing.T, cfg Config) (r Report) {
	warm()
	cfg.Patient = cfg.Patient || cfg.Control == Sound && cfg.Seed%2 == 1
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			cfg: cfg, log: cfg.Log, dice: newDice(cfg.Seed, "driver"), start: time.Now(), alerts: newStream(), records: newStream(),
			actors: make(map[string]hash.Hash), committed: make(map[dot.Chain]lane.Set), forged: make(map[[32]byte]*forgery), split: make(map[dot.Device]bool),
			arrived: make(map[entry.Was]bool), sealed: make(map[dot.Chain]lane.Set),
		}
		if w.log == nil {
			w.log = slog.New(slog.DiscardHandler)
		}
		if err := w.run(t.Context()); err != nil {
			w.violate("the run ended early: %v", err)
		}
		r = w.report()
	})
	return r
}

// warm makes what packages make once, outside any bubble: a channel made inside
// one belongs to it.
var warm = sync.OnceFunc(func() {
	key, err := keyOf(0, "warm")
	if err != nil {
		panic(err)
	}
	c := dot.Chain{Device: "D-1", Incarnation: 1, Lane: dot.Record}
	raw := entry.NewRaw([]byte("public"), []byte("private"))
	for _, level := range []batch.Level{batch.Small, batch.Fast} {
		b, _, err := batch.Seal(c, 1, entry.Genesis(c), []entry.Raw{raw}, key, level)
		if err != nil {
			panic(err)
		}
		f, err := batch.Open(b)
		if err != nil {
			panic(err)
		}
		if _, err := f.Entries(); err != nil {
			panic(err)
		}
	}
	packed, err := feed.Pack(0, []feed.Row{{N: 1, Kind: feed.Entity, Key: "warm"}})
	if err == nil {
		_, err = feed.Unpack(0, packed)
	}
	if err != nil {
		panic(err)
	}
})

// run is a run's whole life.
func (w *world) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, w.close()) }()
	if w.domain, err = newDomain(); err != nil {
		return err
	}
	w.oracle = newOracle()
	if w.forms, err = newForms(); err != nil {
		return err
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	for range 120 + w.dice.IntN(160) {
		if err := w.step(ctx); err != nil || w.failed() {
			return err
		}
	}
	if err := w.calm(ctx); err != nil || w.failed() {
		return err
	}
	return w.account(ctx)
}

// open makes the hub and enrols the devices.
func (w *world) open(ctx context.Context) (err error) {
	if w.hub, err = openHub(ctx, w); err != nil {
		return err
	}
	for i := range 2 + w.dice.IntN(4) {
		d, err := newDevice(ctx, w, dot.Device(fmt.Sprintf("D-10%d", i+1)))
		if err != nil {
			return err
		}
		w.addFolder(d)
	}
	if w.dice.is(0.5) {
		w.wander(w.devices[w.dice.IntN(len(w.devices))])
	}
	w.hostile, err = newHostile(ctx, w)
	return err
}

func (w *world) close() error {
	w.over.Store(true)
	var errs []error
	for _, d := range w.devices {
		errs = append(errs, d.stop())
	}
	if w.hub != nil {
		errs = append(errs, w.hub.stop())
	}
	return errors.Join(errs...)
}

// violate notes that something that must hold does not.
func (w *world) violate(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.violations) < maxViolations {
		w.violations = append(w.violations, fmt.Sprintf("after %s: ", time.Since(w.start).Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.violations) > 0
}

// did counts work and traces it for the digest. The order matters among what
// one actor did; actors at the same moment may run in any order.
func (w *world) did(actor string, count func(*Work), format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if count != nil {
		count(&w.work)
	}
	h := w.actors[actor]
	if h == nil {
		h = sha256.New()
		w.actors[actor] = h
	}
	line := fmt.Sprintf("%d %s: %s\n", time.Since(w.start), actor, fmt.Sprintf(format, args...))
	_, _ = io.WriteString(h, line) // a hash takes everything
	if w.cfg.Trace != nil {
		_, _ = io.WriteString(w.cfg.Trace, line) // for people; the run goes on without
	}
}

func (w *world) report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(w.actors)) {
		_, _ = fmt.Fprintf(all, "%s %x\n", name, w.actors[name].Sum(nil))
	}
	return Report{
		Seed: w.cfg.Seed, Violations: w.violations, Work: w.work, Virtual: time.Since(w.start), Digest: [32]byte(all.Sum(nil)),
	}
}

// later runs fn after a while, unless the run is over by then.
func (w *world) later(after time.Duration, fn func()) {
	time.AfterFunc(after, func() {
		if !w.over.Load() {
			fn()
		}
	})
}

// has reports whether the hub has committed all of a set.
func (w *world) has(c dot.Chain, set lane.Set) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return within(set, w.committed[c])
}

// within reports whether all of a is in b.
func within(a, b lane.Set) bool {
	sum := b
	for _, r := range a {
		sum = sum.Add(r)
	}
	return sum.Len() == b.Len()
}

// sleep waits; false: ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
