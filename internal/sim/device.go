package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing/synctest"
	"time"

	"otor/agent/capture"
	agent "otor/agent/device"
	"otor/agent/downlink"
	lifebook "otor/agent/life"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// device is one device through all its lives. The driver owns its fields.
type device struct {
	w     *world
	id    dot.Device
	name  string // of this folder: copies have other ones
	key   identity.SigningKey
	clock *clock
	dice  dice // of what is captured
	net   *network

	starts    int
	wanders   bool     // its machine has another mark at every start
	dir       string   // its folder now
	mark      string   // what a life is bound to: another one after files were copied
	older     *image   // of the folder; nil: none was taken
	synced    string   // what a store that does not sync would find after a crash
	tails     [][]byte // the tails file of the current life, at moments since the start
	tailsOf   dot.Incarnation
	proc      *process // nil: it is down
	downUntil time.Time

	acked    map[dot.Chain][]saved          // what was acknowledged, and what it was re-homed to, by seq
	perhaps  *saved                         // captured while it crashed
	received map[dot.Chain]store.ChainState // at the last step
	captures int
	drafts   []draft       // what stands on its screen
	last     entry.Ref     // what was written about last
	keep     time.Duration // how long what is archived stays on it; 0: for ever
}

// saved is an entry as it was captured.
type saved struct {
	dot    dot.Dot
	hash   entry.Hash
	head   entry.Hash
	fact   entry.Was // its first form
	expect expectation
}

// process is a device's program from start to end.
type process struct {
	store   *store.Store
	outbox  *outbox
	lives   *agent.Lives
	capture *capture.Capture
	uplink  *uplink.Uplink
	down    *downlink.Downlink
	stop    context.CancelFunc // ends the watcher
	loops   sync.WaitGroup
	hangUp  context.CancelFunc // ends the connection; nil: there is none
	session sync.WaitGroup
	hubSaid time.Time // its clock in the latest hello's answer; the session's

	prunable chan time.Time // holds one: of the latest contact of which receipts are settled
}

func newDevice(ctx context.Context, w *world, id dot.Device) (*device, error) {
	d, err := newFolder(w, id, string(id))
	if err != nil {
		return nil, err
	}
	if err := w.hub.enrol(ctx, id, d.key.Public()); err != nil {
		return nil, err
	}
	return d, d.start(ctx)
}

// newFolder makes what a folder has around it: a clock, a link, people.
func newFolder(w *world, id dot.Device, name string) (*device, error) {
	d := &device{
		w: w, id: id, name: name, mark: name, dice: newDice(w.cfg.Seed, "captures of "+name), dir: filepath.Join(w.cfg.Dir, name+"-0"),
		acked: make(map[dot.Chain][]saved), received: make(map[dot.Chain]store.ChainState),
	}
	if w.dice.is(0.6) {
		d.keep = w.dice.about(10 * time.Second)
	}
	wrong := time.Duration(0)
	if w.dice.is(0.5) {
		wrong = w.dice.within(-tenYears, tenYears)
	}
	d.clock = newClock(noon.Add(wrong), (w.dice.Float64()-0.5)*0.02)
	d.net = &network{dev: d, w: w, dice: newDice(w.cfg.Seed, "network of "+name), weather: newWeather(w.dice)}
	var err error
	d.key, err = keyOf(w.cfg.Seed, string(id))
	return d, err
}

const tenYears = 10 * 365 * 24 * time.Hour

// start opens the store and wires the rooms, as agent/device does.
func (d *device) start(ctx context.Context) error {
	if d.starts++; d.wanders {
		d.mark = fmt.Sprintf("%s wanders %d", d.name, d.starts)
	}
	if d.w.cfg.Control == NoSync {
		d.synced = filepath.Join(d.w.cfg.Dir, fmt.Sprintf("%s-synced-%d", d.name, d.starts))
		if err := errors.Join(os.MkdirAll(d.dir, 0o700), copyTree(d.synced, d.dir)); err != nil {
			return err
		}
	}
	if err := layBallast(d.dir); err != nil {
		return err
	}
	tables, err := filepath.Glob(filepath.Join(d.dir, "db", "*.sst"))
	if err != nil {
		return err
	}
	var book *lifebook.Book
	st, err := store.Open(d.dir, store.Options{
		TableSize: smallTables, NoCompaction: len(tables) < fewTables,
		Key: seedOf(d.w.cfg.Seed, "store of "+string(d.id)), Device: d.id, Incarnation: 1, Life: d.openBook(&book),
		Log: d.w.log, Now: d.clock.now, NoSync: d.w.cfg.Control == NoSync,
	})
	if err != nil {
		return fmt.Errorf("%s starts: %w", d.name, err)
	}
	p := &process{store: st, prunable: make(chan time.Time, 1)}
	p.outbox = &outbox{Outbox: agent.NewOutbox(st, p.settledAt), dev: d, store: st}
	p.lives = &agent.Lives{
		Store: st, Book: book, Device: d.id, Enrolled: 1, Outbox: p.outbox.Outbox, Again: func() { p.uplink.Again() }, Changed: func() {}, Log: d.w.log,
	}
	d.proc, d.tails = p, nil
	p.capture = capture.New(capture.Config{
		Store: st, Forms: d.w.forms.device, Types: d.w.domain.Type, Displayed: displayed(st), Random: d.dice, Now: d.clock.now, Zone: zone, Offset: d.offset(st),
	})
	p.uplink = uplink.New(uplink.Config{
		Outbox: p.outbox, Port: d.net, Key: d.key, Hub: d.w.hub.key.Public(), Now: d.clock.now, Log: d.w.log,
		Greet: func() wire.Hello {
			return wire.Hello{Version: "sim", Lives: book.Claims(d.key), Ended: p.lives.Ended()}
		},
		Welcomed: d.welcomed(p), Mend: d.mend(p),
		Epoch:      func() []byte { return st.Contact().Epoch },
		Within:     newDice(d.w.cfg.Seed, fmt.Sprintf("moments of %s %d", d.name, d.starts)).upTo,
		MaxEntries: 1 + d.dice.IntN(30), MaxInFlight: 1 + d.dice.IntN(16),
	})
	p.down = d.downlink(p)
	ctx, p.stop = context.WithCancel(ctx)
	p.loops.Go(func() { d.prunes(ctx, p, newDice(d.w.cfg.Seed, fmt.Sprintf("prunes of %s %d", d.name, d.starts))) })
	p.loops.Go(func() { p.watch(ctx, newDice(d.w.cfg.Seed, fmt.Sprintf("watcher of %s %d", d.name, d.starts))) })
	d.keepTails()
	d.checkStart()
	return nil
}

// openBook reads which life the folder lives, as agent/device does.
func (d *device) openBook(book **lifebook.Book) func([]dot.Incarnation) (dot.Incarnation, entry.Origin, error) {
	return func(lived []dot.Incarnation) (i dot.Incarnation, o entry.Origin, err error) {
		sense := func(string) (lifebook.Binding, error) {
			return lifebook.Binding{Machine: "one", Mark: d.mark, Path: d.name}, nil
		}
		if *book, err = lifebook.Open(d.dir, lifebook.Enrolment{Device: d.id, Incarnation: 1}, lived, d.clock.now, sense); err != nil {
			return 0, o, err
		}
		now := (*book).Current()
		return now.Incarnation, now.Origin(), nil
	}
}

// A run opens some twenty stores, and lets minutes of their time pass: they get
// small tables, and compactors only when there may come to be something to do for
// these, which is from four tables on.
const (
	smallTables = 2 << 20
	fewTables   = 3
)

// layBallast makes the store's ballast as a hole, so that no run takes 16 MB a device.
func layBallast(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, ballast)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, 16<<20)
}

// watch wakes the uplink a moment after something was saved: after all that
// was saved at that moment.
func (p *process) watch(ctx context.Context, d dice) {
	changed, end := p.store.Watch()
	defer end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if !sleep(ctx, d.within(time.Millisecond, 2*time.Millisecond)) {
			return
		}
		select { // how many commits that moment took must not decide anything
		case <-changed:
		default:
		}
		p.uplink.Wake()
	}
}

// connect brings the link up and keeps sessions going on it.
func (d *device) connect(ctx context.Context) {
	if d.proc == nil || d.proc.hangUp != nil {
		return
	}
	p := d.proc
	d.net.set(p)
	ctx, p.hangUp = context.WithCancel(ctx)
	d.w.did(d.name, func(w *Work) { w.Connections++ }, "connect")
	p.session.Go(func() { d.pulls(ctx, p) })
	p.session.Go(func() {
		for pause := 2 * time.Second; ; pause = min(2*pause, 2*time.Minute) {
			_, err := p.uplink.Session(ctx, false)
			switch {
			case ctx.Err() != nil:
				return
			case d.w.isPlain(d.id) && errors.Is(err, uplink.ErrDisputed) || errors.Is(err, uplink.ErrRefused) || errors.Is(err, uplink.ErrBehind):
				d.w.violate("%s: %v", d.name, err)
			}
			if !sleep(ctx, pause) {
				return
			}
		}
	})
}

// hangUp takes the link down and waits until the session has noticed.
func (d *device) hangUp() {
	if d.proc == nil || d.proc.hangUp == nil {
		return
	}
	d.w.did(d.name, nil, "hang up")
	d.net.set(nil)
	d.proc.hangUp()
	d.proc.session.Wait()
	d.proc.hangUp = nil
}

// stop ends the program in order.
func (d *device) stop() error {
	if d.proc == nil {
		return nil
	}
	d.hangUp()
	d.proc.stop()
	d.proc.loops.Wait()
	err := d.proc.store.Close()
	d.proc = nil
	return err
}

// crash ends the program as a power cut does and leaves an image. With torn the
// cut comes in the middle of the commit of one more entry, which nobody was told
// of: it and no other may be lost.
func (d *device) crash(ctx context.Context, torn bool, down time.Duration) error {
	d.hangUp()
	d.proc.stop()
	d.proc.loops.Wait()
	synctest.Wait() // no image is taken in the middle of Badger's own work
	var before, after map[string]int64
	var err error
	d.keepTails()
	if torn {
		if before, err = written(d.dir); err != nil {
			return err
		}
		if d.perhaps, err = d.captureOne(ctx); err != nil {
			return err
		}
		synctest.Wait()
		if after, err = written(d.dir); err != nil {
			return err
		}
	}
	image, from := filepath.Join(d.w.cfg.Dir, fmt.Sprintf("%s-%d", d.name, d.starts)), d.dir
	if d.w.cfg.Control == NoSync {
		from = d.synced
	}
	if err := copyTree(image, from); err != nil {
		return err
	}
	cut := false
	if torn && d.w.cfg.Control != NoSync {
		if cut, err = tear(image, before, after, d.w.dice); err != nil {
			return err
		}
	}
	if err := d.olderTails(image, cut); err != nil {
		return err
	}
	err = errors.Join(d.proc.store.Close(), os.RemoveAll(d.dir))
	d.proc, d.dir, d.downUntil = nil, image, time.Now().Add(down)
	d.w.did(d.name, func(w *Work) {
		w.DeviceCrashes++
		if cut {
			w.Torn++
		}
	}, "crash torn %t", cut)
	return err
}

// tailsFile is that of the current life.
func (d *device) tailsFile() string { return fmt.Sprintf("tails-%d", d.tailsOf) }

// keepTails remembers the tails file as it is: until the store is closed it is
// never synced, and a crash may leave any of these.
func (d *device) keepTails() {
	if now := d.proc.store.Current(); now != d.tailsOf {
		d.tailsOf, d.tails = now, nil // the one of the life before is synced
	}
	b, err := os.ReadFile(filepath.Join(d.dir, d.tailsFile()))
	switch {
	case err != nil: // the first start has not made it yet
	case len(d.tails) < 64:
		d.tails = append(d.tails, b)
	default:
		d.tails[len(d.tails)-1] = b
	}
}

// olderTails puts the tails file back to one of those. After a commit that did
// not get through it must be one of before: the file is written after a commit.
func (d *device) olderTails(image string, cut bool) error {
	if len(d.tails) == 0 || !cut && d.w.dice.is(0.3) || d.w.cfg.Control == NoSync {
		return nil
	}
	return os.WriteFile(filepath.Join(image, d.tailsFile()), d.tails[d.w.dice.IntN(len(d.tails))], 0o600)
}

// offset is what the device last learnt of its clock.
func (d *device) offset(st *store.Store) func() *entry.Offset {
	return func() *entry.Offset {
		c := st.Contact()
		if c.OffsetMeasuredAt.IsZero() {
			return nil
		}
		age := d.clock.now().Sub(c.OffsetMeasuredAt) / time.Second
		return &entry.Offset{Millis: c.HubOffsetMillis, Age: uint32(min(max(age, 0), 1<<32-1))}
	}
}

// welcomed keeps what a hello's answer tells.
func (d *device) welcomed(p *process) func(wire.Welcome, time.Time, time.Time) error {
	return func(w wire.Welcome, sent, got time.Time) error {
		epoch, err := receipt.OpenEpoch(w.Epoch, d.w.hub.key.Public())
		if err != nil {
			d.w.violate("%s got a welcome with a bad epoch: %v", d.name, err)
			return err
		}
		if err := p.lives.Hear(w); err != nil {
			d.w.violate("%s: %v", d.name, err)
			return err
		}
		p.hubSaid = time.UnixMilli(w.Time)
		middle := sent.Add(got.Sub(sent) / 2)
		err = p.store.SetContact(context.Background(), store.Contact{
			LastContact: got, LastAttempt: got, Epoch: w.Epoch, HubOffsetMillis: w.Time - middle.UnixMilli(), OffsetMeasuredAt: middle,
		})
		if err != nil {
			return err
		}
		return p.down.Welcomed(context.Background(), w, epoch.Epoch)
	}
}

// goesBy is the epoch of the hub that the device has entered; zero: none yet.
func (d *device) goesBy(st *store.Store) receipt.Epoch {
	c, err := receipt.OpenEpoch(st.Contact().Epoch, d.w.hub.key.Public())
	if err != nil {
		return receipt.Epoch{}
	}
	return c.Epoch
}
