package e2e_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	agentstore "otor/agent/store"
	"otor/agent/uplink"
	"otor/hub/contact"
	"otor/hub/ingest"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/pack"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// TestRefillProperty: whatever copies a hub is put back to, and whoever speaks
// to it when, whatever gets lost on the way: once every device had a contact or
// two, every entry is at the hub exactly once, heads are equal, all go by the
// hub's epoch, and then nothing moves any more. The stores, the uplink, the
// desk and ingest are the real ones; the link between them is a function call.
func TestRefillProperty(t *testing.T) {
	steps := 30
	if testing.Short() {
		steps = 8
	}
	rapid.Check(t, func(r *rapid.T) {
		w := newRefillWorld(t, r, false)
		defer w.close()
		w.play(r, steps)
		if problems := w.converge(); len(problems) > 0 {
			r.Fatal(problems)
		}
	})
}

// TestRefillControl: a hub that keeps its epoch when it is put back is found out.
func TestRefillControl(t *testing.T) {
	w := newRefillWorld(t, t, true)
	defer w.close()
	w.capture(0, 3)
	w.snapshot()
	w.capture(0, 2)
	w.contact(0, fair)
	w.restore(0)
	if len(w.converge()) == 0 {
		t.Error("nobody noticed that entries are missing")
	}
}

// trouble is what goes wrong in a contact.
type trouble int

const (
	fair       trouble = iota
	noReply            // the hello arrives, its answer does not
	noReceipts         // what the hub publishes gets lost
	oneLost            // the first frame gets lost, the others arrive
	cut                // the link is gone after the hello
	noAnswer           // the device stops after it stored the epoch, before it stored the receipts
)

type refillWorld struct {
	r    interface{ Fatal(...any) }
	ctx  context.Context
	dir  string
	key  identity.SigningKey
	kept bool // the hub keeps its epoch: a control

	forms     ingest.Forms
	store     store.Store
	desk      *contact.Desk
	ingest    *ingest.Ingest
	epochs    *contact.Epochs
	snapshots []string
	fleet     []*refillDevice
}

// refillDevice is a device's store and uplink; it is their port as well.
type refillDevice struct {
	w     *refillWorld
	id    dot.Device
	key   identity.SigningKey
	store *agentstore.Store
	up    *uplink.Uplink
	now   trouble
	stop  context.CancelFunc
	posts int
	sent  atomic.Int64
	last  error
}

func signingKey(t *testing.T, words string) identity.SigningKey {
	t.Helper()
	seed := sha256.Sum256([]byte(words))
	k, err := identity.SigningKeyFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *refillWorld) must(err error) {
	if err != nil {
		w.r.Fatal(err)
	}
}

func newRefillWorld(t *testing.T, r interface{ Fatal(...any) }, kept bool) *refillWorld {
	dir, err := os.MkdirTemp(t.TempDir(), "world")
	if err != nil {
		t.Fatal(err)
	}
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	w := &refillWorld{r: r, ctx: t.Context(), dir: dir, key: signingKey(t, "hub"), kept: kept, forms: p.Forms}
	w.start()
	for i := range 3 {
		d := &refillDevice{w: w, id: dot.Device(fmt.Sprintf("D-%d01", i+1)), key: signingKey(t, fmt.Sprint("device", i))}
		code := sha256.Sum256([]byte(d.id))
		w.must(w.store.Invite(w.ctx, store.Invitation{Device: d.id, CodeHash: code, AddedAt: 1, ExpiresAt: 100}, false))
		_, err := w.store.Redeem(w.ctx, store.Enrolment{CodeHash: code, SignKey: d.key.Public(), NatsKey: "U" + string(d.id), At: 2})
		w.must(err)
		d.store, err = agentstore.Open(filepath.Join(dir, string(d.id)), agentstore.Options{
			Key: [32]byte{byte(i)}, Device: d.id, Incarnation: 1, Origin: entry.Origin{Reason: entry.Installed}, NoSync: true,
		})
		w.must(err)
		d.up = uplink.New(uplink.Config{
			Outbox: d, Port: d, Key: d.key, Hub: w.key.Public(), Now: time.Now, Log: slog.New(slog.DiscardHandler), MaxEntries: 2,
			Greet: func() wire.Hello { return wire.Hello{Version: "test"} },
			Epoch: func() []byte { return d.store.Contact().Epoch },
			Welcomed: func(a wire.Welcome, _, _ time.Time) error {
				return d.store.SetContact(w.ctx, agentstore.Contact{Epoch: a.Epoch})
			},
		})
		w.fleet = append(w.fleet, d)
	}
	return w
}

func (w *refillWorld) close() {
	for _, d := range w.fleet {
		w.must(d.store.Close())
	}
	w.must(w.store.Close())
	_ = os.RemoveAll(w.dir)
}

func (w *refillWorld) database() string { return filepath.Join(w.dir, "hub", "hub.db") }

// start is a start of the hub over the database that is there.
func (w *refillWorld) start() {
	log := slog.New(slog.DiscardHandler)
	s, err := sqlite.Open(w.ctx, w.database(), sqlite.Options{})
	w.must(err)
	w.store = s
	w.epochs, err = contact.OpenEpochs(w.ctx, s, w.key, time.Now().UnixMilli(), w.kept, log)
	w.must(err)
	w.desk = &contact.Desk{
		Store: s, Epochs: w.epochs, Now: time.Now, SkewFlag: time.Hour, Log: log,
		Sign: func(e receipt.Epoch, l store.Lane) ([]byte, error) { return ingest.ReceiptOf(e, l).Sign(w.key) },
	}
	w.ingest = ingest.New(ingest.Config{Store: s, Forms: w.forms, Key: w.key, Epoch: w.epochs.Epoch, Now: time.Now, Zone: time.UTC, Log: log})
}

// play does so many things by chance.
func (w *refillWorld) play(r *rapid.T, most int) {
	for range rapid.IntRange(1, most).Draw(r, "steps") {
		d := rapid.IntRange(0, len(w.fleet)-1).Draw(r, "device")
		switch rapid.IntRange(0, 9).Draw(r, "what") {
		case 0, 1, 2:
			w.capture(d, rapid.IntRange(1, 6).Draw(r, "entries"))
		case 3, 4, 5, 6:
			w.contact(d, rapid.SampledFrom([]trouble{fair, fair, fair, fair, noReply, noReceipts, oneLost, cut, noAnswer, noAnswer}).Draw(r, "trouble"))
		case 7:
			w.snapshot()
		default:
			if n := len(w.snapshots); n > 0 {
				w.restore(rapid.IntRange(0, n-1).Draw(r, "snapshot"))
			}
		}
	}
}

func (w *refillWorld) capture(device, n int) {
	d := w.fleet[device]
	for range n {
		private, err := entry.Private{Fields: map[string]any{"flow": "good", "trough_ok": true}}.Encode()
		w.must(err)
		_, err = d.store.Append(w.ctx, agentstore.Draft{
			Lane: dot.Record, Private: private,
			Public: entry.Public{Actor: "bat", Form: entry.FormRef{ID: "water_check", Version: 1}, Refs: []entry.Ref{{Type: "waypoint", ID: "W-1"}}},
		})
		w.must(err)
	}
}

func (w *refillWorld) contact(device int, what trouble) {
	d := w.fleet[device]
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	d.now, d.stop, d.posts = what, cancel, 0
	before := w.lineage(d)
	_, d.last = d.up.Session(ctx, true)
	if after := w.lineage(d); after < before {
		w.r.Fatal(fmt.Sprintf("%s went back from lineage %d to %d", d.id, before, after))
	}
}

// lineage of the epoch that a device goes by, -1: none yet.
func (w *refillWorld) lineage(d *refillDevice) int64 {
	signed := d.store.Contact().Epoch
	if signed == nil {
		return -1
	}
	c, err := receipt.OpenEpoch(signed, w.key.Public())
	w.must(err)
	return int64(c.Lineage)
}

func (w *refillWorld) snapshot() {
	file := filepath.Join(w.dir, fmt.Sprintf("snapshot-%d", len(w.snapshots)))
	w.must(w.store.Snapshot(w.ctx, file))
	w.snapshots = append(w.snapshots, file)
}

// restore stops the hub and puts a snapshot in the place of its database.
func (w *refillWorld) restore(i int) {
	w.must(w.store.Close())
	w.must(os.RemoveAll(filepath.Dir(w.database())))
	w.must(os.MkdirAll(filepath.Dir(w.database()), 0o700))
	w.must(sqlite.Reserve(w.database()))
	w.must(sqlite.Place(w.snapshots[i], w.database()))
	w.start()
}

// converge lets every device have contacts without trouble and says what is
// not as it should be then.
func (w *refillWorld) converge() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for range 2 {
		for i := range w.fleet {
			w.contact(i, fair)
		}
	}
	before := w.epochs.Epoch()
	for i, d := range w.fleet {
		d.sent.Store(0)
		w.contact(i, fair)
		if n := d.sent.Load(); n > 0 || d.last != nil {
			add("%s still sends %d frames: %v", d.id, n, d.last)
		}
	}
	if w.epochs.Epoch() != before {
		add("a quiet contact began an epoch")
	}
	times := make(map[dot.Dot]int)
	for e, err := range w.store.Entries(w.ctx, store.EntryQuery{}) {
		w.must(err)
		times[e.Dot]++
	}
	for _, d := range w.fleet {
		lanes, err := w.store.LanesOf(w.ctx, d.id)
		w.must(err)
		for _, c := range d.store.Chains() {
			for seq := dot.Seq(1); seq <= c.Last; seq++ {
				if n := times[c.Chain.At(seq)]; n != 1 {
					add("%s is at the hub %d times", c.Chain.At(seq), n)
				}
				delete(times, c.Chain.At(seq))
			}
			if c.Epoch != before && c.Last > 0 || len(c.Waiting()) > 0 {
				add("%s goes by %s, the hub by %s; waiting %v", c.Chain, c.Epoch, before, c.Waiting())
			}
			for _, l := range lanes {
				if l.Chain == c.Chain && l.Head != c.Head {
					add("%s: heads differ", c.Chain)
				}
			}
		}
	}
	if len(times) > 0 {
		add("the hub has %d entries that nobody captured", len(times))
	}
	findings, err := w.store.Findings(w.ctx, true)
	w.must(err)
	for _, f := range findings {
		if f.Code != "clock_skew" {
			add("%s of %s: %s", f.Code, f.Device, f.Words)
		}
	}
	losses, err := w.store.Losses(w.ctx, false)
	w.must(err)
	if len(losses) > 0 {
		add("still to be regained: %v", losses)
	}
	return problems
}

var errGone = errors.New("the link is gone")

// Hello implements uplink.Port.
func (d *refillDevice) Hello(ctx context.Context, h wire.Hello) (wire.Welcome, error) {
	b, err := wire.Marshal(h)
	if err != nil {
		return wire.Welcome{}, err
	}
	a, err := d.w.desk.Hello(ctx, d.id, b)
	if err != nil || d.now == noReply {
		return wire.Welcome{}, errors.Join(err, errGone)
	}
	if b, err = wire.Marshal(a); err != nil {
		return wire.Welcome{}, err
	}
	return wire.Unmarshal[wire.Welcome](b)
}

// Post implements uplink.Port.
func (d *refillDevice) Post(_ dot.Lane, frame []byte) (func(context.Context) error, error) {
	d.posts++
	d.sent.Add(1)
	if d.now == cut {
		return nil, errGone
	}
	if d.now == oneLost && d.posts == 1 {
		time.AfterFunc(3*time.Millisecond, d.stop) // the link goes, sooner or later
		return func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, nil
	}
	results, err := d.w.ingest.Take(d.w.ctx, []ingest.Arrival{{Sender: d.id, Frame: frame}})
	if err != nil {
		return nil, err
	}
	if d.now == noReceipts {
		d.stop()
		return func(context.Context) error { return errGone }, nil
	}
	news, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{results[0].Receipt}})
	if err != nil {
		return nil, err
	}
	d.up.TakeReceipts(news)
	return func(context.Context) error { return nil }, nil
}

// Chains implements uplink.Outbox.
func (d *refillDevice) Chains() (out []uplink.Chain) {
	for _, s := range d.store.Chains() {
		out = append(out, uplink.Chain{
			Chain: s.Chain, Last: s.Last, Head: s.Head, Received: s.Received, Epoch: s.Epoch, Signed: s.Signed, Lost: s.Lost, Archived: s.Archived,
		})
	}
	return out
}

// Read implements uplink.Outbox.
func (d *refillDevice) Read(c dot.Chain, from dot.Seq, maxCount, maxBytes int) (uplink.Run, error) {
	r, err := d.store.Read(c, from, maxCount, maxBytes)
	return uplink.Run{First: r.First, Before: r.Before, Entries: r.Entries}, err
}

// Settle implements uplink.Outbox.
func (d *refillDevice) Settle(ctx context.Context, rs []receipt.Receipt) (int, error) {
	return tallied(d.store.Settle(ctx, rs))
}

// Answer implements uplink.Outbox.
func (d *refillDevice) Answer(ctx context.Context, e receipt.Epoch, rs []receipt.Receipt) (int, error) {
	if d.now == noAnswer {
		return 0, errGone
	}
	return tallied(d.store.Answer(ctx, e, rs))
}

func tallied(ss []agentstore.Settlement, err error) (n int, _ error) {
	for _, s := range ss {
		n += int(s.Newly)
		if s.Refused != nil && err == nil {
			err = errors.New(s.Refused.What)
		}
	}
	return n, err
}
