package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"otor/hub/contact"
	"otor/hub/feed"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// hub is the office through all its lives. The driver owns its fields; others
// see the life that runs through live.
type hub struct {
	w     *world
	key   identity.SigningKey
	first receipt.EpochCertificate // the epoch that the database began with
	clock *clock
	dice  map[string]dice // of its workers, who go on where they were
	lives int
	path  string // the database's folder now
	// downUntil is when it is started again; it is down while life is nil.
	downUntil time.Time
	life      *life
	rev       uint64                 // of what is published
	notes     map[dot.Dot]entry.Hash // operators' entries that were confirmed
	given     map[dot.Chain]lane.Set // seqs that were not there when they were sealed, as the database has it
	kept      []*backup              // the newest last
	backups   int

	reconciler *reconcile.Reconciler
	pages      []page // what operators have on their screens
	sight      sight  // what who writes just now has in view

	mu   sync.Mutex
	live *life // owner: mu; the same as life
}

// life is a hub from one start to the next crash.
type life struct {
	hub     *hub
	ledger  *ledger
	ingest  *ingest.Ingest
	author  *ingest.Author
	decider *ingest.Author
	desk    *contact.Desk
	feeds   *feed.Desk
	epochs  *contact.Epochs
	cancel  context.CancelFunc
	loops   sync.WaitGroup

	mu    sync.Mutex
	moves map[string]int // how often a scope moved; owner: mu
}

func openHub(ctx context.Context, w *world) (*hub, error) {
	h := &hub{
		w: w, clock: newClock(noon, 0), path: filepath.Join(w.cfg.Dir, "hub-0"), notes: make(map[dot.Dot]entry.Hash), given: make(map[dot.Chain]lane.Set),
		dice: map[string]dice{"alert": newDice(w.cfg.Seed, "hub alert"), "record": newDice(w.cfg.Seed, "hub record"), "author": newDice(w.cfg.Seed, "author"), "decider": newDice(w.cfg.Seed, "decider")},
	}
	w.hub = h
	h.reconciler = reconcile.New(reconcile.Config{Domain: w.domain, Log: w.log, Apply: law(w.cfg.Control)})
	var err error
	if h.key, err = keyOf(w.cfg.Seed, "hub"); err != nil {
		return nil, err
	}
	id := seedOf(w.cfg.Seed, "epoch")
	h.first = receipt.EpochCertificate{Minted: noon.UnixMilli(), Epoch: receipt.Epoch(id[:16])}
	return h, h.start(ctx)
}

// config is what ingest works with.
func (h *hub) config(l *life) ingest.Config {
	return ingest.Config{
		Store: l.ledger, Forms: h.w.forms.hub, Key: h.key, Epoch: l.epochs.Epoch, Now: h.clock.now, Zone: zone, Log: h.w.log,
		Begin: h.begin, Types: h.w.domain.Type, NoDedup: h.w.cfg.Control == NoDedup, NoLink: h.w.cfg.Control == NoLink,
	}
}

// start opens the database and sets the workers to work.
func (h *hub) start(ctx context.Context) error {
	h.lives++
	db, err := sqlite.Open(ctx, filepath.Join(h.path, "hub.db"), sqlite.Options{Log: h.w.log})
	if err != nil {
		return err
	}
	l := &life{hub: h, ledger: &ledger{Store: db, w: h.w, path: h.path, wrote: true}}
	ctx, l.cancel = context.WithCancel(ctx)
	h.setLife(l)
	if _, err := db.Epoch(ctx, func() (receipt.EpochCertificate, error) { return h.first, nil }); err != nil {
		return err
	}
	if l.epochs, err = contact.OpenEpochs(ctx, l.ledger, h.key, h.clock.now().UnixMilli(), h.w.cfg.Control == NoChild, h.w.log); err != nil {
		return err
	}
	if h.lives == 1 {
		h.w.speak(h.first.Epoch)
	}
	lanes, err := db.Lanes(ctx)
	if err != nil {
		return err
	}
	h.w.commit(lanes)
	cfg := h.config(l)
	l.ingest = ingest.New(cfg)
	if l.author, err = ingest.NewAuthor(cfg, h.w.forms.hub, h.dice["author"]); err != nil {
		return err
	}
	if l.decider, err = ingest.NewAuthor(cfg, h.w.forms.hub, h.dice["decider"]); err != nil {
		return err
	}
	if h.lives == 1 {
		if err := h.furnish(ctx); err != nil {
			return err
		}
	}
	l.desk = &contact.Desk{
		Store: l.ledger, Epochs: l.epochs, Now: h.clock.now, SkewFlag: 5 * time.Minute, Log: h.w.log,
		Sign: func(e receipt.Epoch, n store.Lane) ([]byte, error) { return ingest.ReceiptOf(e, n).Sign(h.key) },
	}
	l.serveFeeds(db)
	h.w.alerts.serve(true)
	h.w.records.serve(true)
	l.loops.Go(func() { l.work(ctx, "alert", h.w.alerts) })
	l.loops.Go(func() { l.work(ctx, "record", h.w.records) })
	if h.w.cfg.Control != NoCall {
		caller := l.caller(uint64(h.lives))
		l.epochs.OnChild = func(context.Context, contact.Succession) { caller.Again() }
		l.loops.Go(func() { caller.Run(ctx) })
	}
	return nil
}

// caller asks devices to say hello, as the hub's server does.
func (l *life) caller(run uint64) *contact.Caller {
	w := l.hub.w
	d := newDice(w.cfg.Seed, fmt.Sprintf("calls of %d", run))
	devices := func(ctx context.Context) ([]store.Device, error) {
		if !sleep(ctx, d.within(time.Millisecond, time.Second)) {
			return nil, ctx.Err()
		}
		return l.ledger.Devices(ctx)
	}
	publish := func(subject string, b []byte) error {
		for _, dev := range w.folders() {
			if wire.ReceiptFor(dev.id) == subject {
				dev.net.receipts(b, d)
			}
		}
		return nil
	}
	round := run << 32
	return contact.NewCaller(devices, publish, func() uint64 { round++; return round }, func(err error) {
		if l.ledger.alive() {
			w.violate("devices were not called: %v", err)
		}
	})
}

func (h *hub) setLife(l *life) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.life, h.live = l, l
}

// current is the life that answers now; nil: none.
func (h *hub) current() *life {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.live == nil || !h.live.ledger.alive() {
		return nil
	}
	return h.live
}

// bury ends a life that has crashed; its image is the database from now on.
func (h *hub) bury(down time.Duration) error {
	l := h.life
	h.setLife(nil)
	h.downUntil = time.Now().Add(down)
	l.cancel()
	l.loops.Wait()
	h.w.alerts.orphaned(0)
	h.w.records.orphaned(0)
	old := h.path
	h.path = l.ledger.image
	return errors.Join(l.ledger.err, l.ledger.Close(), os.RemoveAll(old))
}

// stop ends the run's last life.
func (h *hub) stop() error {
	if h.life == nil {
		return nil
	}
	l := h.life
	h.setLife(nil)
	l.cancel()
	l.loops.Wait()
	return l.ledger.Close()
}

// enrol gives a device its key and first incarnation.
func (h *hub) enrol(ctx context.Context, d dot.Device, key identity.PublicKey) error {
	code := sha256.Sum256([]byte(d))
	at := h.clock.now().UnixMilli()
	err := h.life.ledger.Invite(ctx, store.Invitation{Device: d, Scopes: []string{"team"}, CodeHash: code, AddedAt: at, ExpiresAt: at + 1000}, false)
	if err != nil {
		return err
	}
	_, err = h.life.ledger.Redeem(ctx, store.Enrolment{CodeHash: code, SignKey: key, NatsKey: "U" + string(d), At: at})
	return err
}

// hello answers a device; nil: there is no answer.
func (h *hub) hello(ctx context.Context, d dot.Device, b []byte) []byte {
	l := h.current()
	if l == nil {
		return nil
	}
	w, err := l.desk.Hello(ctx, d, b)
	switch {
	case !l.ledger.alive() || errors.Is(err, errAway):
		return nil
	case err != nil:
		h.w.violate("hello of %s was not answered although the database is well: %v", d, err)
		return nil
	}
	h.w.checkReceipts("a welcome to "+string(d), w.Receipts)
	out, err := wire.Marshal(w)
	if err != nil {
		h.w.violate("a welcome cannot be encoded: %v", err)
	}
	return out
}

// note lets an operator write an entry of the hub's own.
func (h *hub) note(ctx context.Context) error {
	l, d := h.current(), h.w.dice
	if l == nil {
		return nil
	}
	e, err := l.author.Add(ctx, ingest.Note{
		Form: "visit", Entity: entry.Ref{Type: "household", ID: fmt.Sprintf("H-%d", d.IntN(20))}, Actor: "operator",
		Fields: map[string]any{"sheep": int64(d.IntN(100))},
	})
	switch {
	case errors.Is(err, errDead) || errors.Is(err, errAway):
		return nil
	case err != nil:
		return fmt.Errorf("an operator's entry: %w", err)
	}
	h.notes[e.Dot] = e.Hash
	h.w.did("author", func(w *Work) { w.Notes++ }, "%s %s", e.Dot, e.Hash)
	return nil
}
