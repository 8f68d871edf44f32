package uplink_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otor/agent/uplink"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

func keyFrom(words string) identity.SigningKey {
	seed := sha256.Sum256([]byte(words))
	k, err := identity.SigningKeyFromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	return k
}

var deviceKey, hubKey = keyFrom("device"), keyFrom("hub")

func chain(i dot.Incarnation, l dot.Lane) dot.Chain {
	return dot.Chain{Device: "D-101", Incarnation: i, Lane: l}
}

var (
	records = chain(1, dot.Record)
	alerts  = chain(1, dot.Alert)
)

// outbox is a device's store in memory.
type outbox struct {
	mu     sync.Mutex
	chains map[dot.Chain]*stored
	// reads are all calls of Read that gave something, in order.
	reads []read
	// onRead is called by the session's own goroutine before each Read.
	onRead func(c dot.Chain, from dot.Seq)
	// settleErr makes Settle fail.
	settleErr error
	epoch     atomic.Value // []byte: the certificate that the device goes by
}

type read struct {
	chain dot.Chain
	run   lane.Range
}

type stored struct {
	uplink.Chain
	raws  []entry.Raw
	heads []entry.Hash
	// rotten entries cannot be read; Read steps over them and notes them as
	// lost, unless hushed.
	rotten lane.Set
	hushed bool
}

func newOutbox() *outbox {
	o := &outbox{chains: make(map[dot.Chain]*stored)}
	o.epoch.Store([]byte(nil))
	return o
}

// capture adds n entries of about size bytes that do not compress.
func (o *outbox) capture(c dot.Chain, n, size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.chains[c]
	if s == nil {
		s = &stored{Chain: uplink.Chain{Chain: c}, heads: []entry.Hash{entry.Genesis(c)}}
		o.chains[c] = s
	}
	for range n {
		s.Last++
		var private []byte
		for sum := sha256.Sum256([]byte(c.At(s.Last).String())); len(private) < size; sum = sha256.Sum256(sum[:]) {
			private = append(private, sum[:]...)
		}
		raw := entry.NewRaw([]byte(c.At(s.Last).String()), private[:size])
		s.raws = append(s.raws, raw)
		s.Head = entry.Next(s.heads[len(s.heads)-1], raw)
		s.heads = append(s.heads, s.Head)
	}
}

func (o *outbox) Chains() []uplink.Chain {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []uplink.Chain
	for _, s := range o.chains {
		out = append(out, s.Chain)
	}
	return out
}

func (o *outbox) Read(c dot.Chain, from dot.Seq, maxCount, maxBytes int) (uplink.Run, error) {
	if o.onRead != nil {
		o.onRead(c, from)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.chains[c]
	for s.rotten.Contains(from) {
		if !s.hushed {
			s.Lost = s.Lost.Add(lane.Run(from, from))
		}
		from++
	}
	r := uplink.Run{First: from}
	size := 0
	for q := from; q <= s.Last && len(r.Entries) < maxCount && !s.rotten.Contains(q); q++ {
		raw := s.raws[q-1]
		if size += raw.Size(); size > maxBytes && len(r.Entries) > 0 {
			break
		}
		r.Entries = append(r.Entries, raw)
	}
	if len(r.Entries) > 0 {
		r.Before = s.heads[from-1]
		o.reads = append(o.reads, read{c, lane.Run(from, from+dot.Seq(len(r.Entries))-1)})
	}
	return r, nil
}

func (o *outbox) Settle(_ context.Context, rs []receipt.Receipt) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.settleErr != nil {
		return 0, o.settleErr
	}
	newly := 0
	for _, r := range rs {
		s := o.chains[r.Chain]
		if s == nil || r.Through > s.Last || s.heads[r.Through] != r.Head {
			return newly, fmt.Errorf("receipt of %s contradicts", r.Chain)
		}
		if r.Through >= s.Received.Through() {
			s.Signed = r.Signed
		}
		before := s.Received.Len()
		for _, x := range r.Set() {
			s.Received = s.Received.Add(x)
		}
		newly += int(s.Received.Len() - before)
	}
	return newly, nil
}

func (o *outbox) Answer(ctx context.Context, e receipt.Epoch, rs []receipt.Receipt) (int, error) {
	o.mu.Lock()
	for _, s := range o.chains {
		if s.Epoch != e {
			s.Epoch, s.Received, s.Signed = e, nil, nil
		}
	}
	o.mu.Unlock()
	return o.Settle(ctx, rs)
}

// waiting lists what no receipt covers.
func (o *outbox) waiting() int { return uplink.Remaining(o.Chains()) }

// fate is what becomes of one frame.
type fate struct {
	unsent    bool // the link is gone already
	lost      bool // it does not arrive
	unknown   bool // the sender gets an error, whether or not it arrived
	noReceipt bool // its receipt gets lost
	swallowed bool // it is in custody, and never reaches the hub's database
	slow      time.Duration
	late      time.Duration // of the answer, after it arrived
}

var errLink = errors.New("the link says no")

// hub is the other end: it keeps what arrives, and answers with receipts.
type hub struct {
	t   testing.TB
	box *outbox
	up  *uplink.Uplink

	mu       sync.Mutex
	received map[dot.Chain]lane.Set
	frames   []batch.Header // in order of arrival
	sizes    []int
	hellos   int
	heard    []wire.Hello
	onHello  func(wire.Hello) // with h.mu held
	epoch    receipt.EpochCertificate
	under    int // frames posted that have not arrived
	mostTo   int // the most of them at once
	refusal  *wire.Refusal
	helloErr error
	// fate is asked for each frame, by its number from 0.
	fate func(n int, h batch.Header) fate
}

func newHub(t testing.TB, box *outbox) *hub {
	return &hub{t: t, box: box, epoch: receipt.EpochCertificate{Epoch: receipt.Epoch{1}}, received: make(map[dot.Chain]lane.Set), fate: func(int, batch.Header) fate { return fate{} }}
}

// receiptOf is signed for what the hub has of a chain; h.mu is held.
func (h *hub) receiptOf(c dot.Chain) []byte {
	set := h.received[c]
	h.box.mu.Lock()
	head := h.box.chains[c].heads[set.Through()]
	h.box.mu.Unlock()
	b, err := receipt.Receipt{Epoch: h.epoch.Epoch, Chain: c, Through: set.Through(), Head: head, Extra: set.Extra()}.Sign(hubKey)
	if err != nil {
		h.t.Error(err)
	}
	return b
}

func (h *hub) Hello(_ context.Context, said wire.Hello) (wire.Welcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hellos++
	h.heard = append(h.heard, said)
	if h.onHello != nil {
		h.onHello(said)
	}
	if h.helloErr != nil {
		return wire.Welcome{}, h.helloErr
	}
	cert, err := h.epoch.Sign(hubKey)
	if err != nil {
		h.t.Error(err)
	}
	w := wire.Welcome{Time: time.Now().UnixMilli(), Epoch: cert, Refused: h.refusal}
	for c := range h.received {
		w.Receipts = append(w.Receipts, h.receiptOf(c))
	}
	return w, nil
}

func (h *hub) Post(l dot.Lane, b []byte) (func(context.Context) error, error) {
	f, err := batch.Open(b)
	if err != nil || !f.Verify(deviceKey.Public()) || f.Header.Chain.Lane != l {
		h.t.Errorf("frame in the %s lane: %v", l, err)
		return nil, err
	}
	entries, err := f.Entries()
	if err != nil {
		h.t.Error(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.frames)
	h.frames, h.sizes = append(h.frames, f.Header), append(h.sizes, len(b))
	h.under++
	h.mostTo = max(h.mostTo, h.under)
	fate := h.fate(n, f.Header)
	if fate.unsent {
		h.under--
		return nil, errLink
	}
	return func(ctx context.Context) error {
		return h.travel(ctx, f.Header, entries, fate)
	}, nil
}

// travel is a frame's way to the hub and the answer's back.
func (h *hub) travel(ctx context.Context, f batch.Header, entries []entry.Raw, fate fate) error {
	there := pause(ctx, fate.slow)
	h.mu.Lock()
	h.under--
	h.mu.Unlock()
	if !there {
		return ctx.Err()
	}
	if !fate.lost && !fate.swallowed {
		h.arrive(f, entries, fate)
	}
	if !pause(ctx, fate.late) {
		return ctx.Err()
	}
	if fate.unknown || fate.lost {
		return errLink
	}
	return nil
}

// arrive takes a frame into the database and publishes the receipt.
func (h *hub) arrive(head batch.Header, entries []entry.Raw, fate fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.box.mu.Lock()
	for i, raw := range entries {
		if !raw.Equal(h.box.chains[head.Chain].raws[int(head.Run.First)-1+i]) {
			h.t.Errorf("%s arrived as other bytes", head.Chain.At(head.Run.First+dot.Seq(i)))
		}
	}
	h.box.mu.Unlock()
	h.received[head.Chain] = h.received[head.Chain].Add(head.Run)
	if fate.noReceipt {
		return
	}
	b, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{h.receiptOf(head.Chain)}})
	if err != nil {
		h.t.Error(err)
	}
	h.up.TakeReceipts(b)
}

func pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// runs lists what arrived, for messages: "record 1-3".
func (h *hub) runs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, f := range h.frames {
		out = append(out, fmt.Sprintf("%s %s", f.Chain.Lane, f.Run))
	}
	return out
}

// has reports whether the hub has all that was captured.
func (h *hub) has(c dot.Chain, last dot.Seq) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Equal(h.received[c], lane.NewSet(lane.Run(1, last)))
}

// newUplink wires an uplink between box and h.
func newUplink(box *outbox, h *hub, change func(*uplink.Config)) *uplink.Uplink {
	cfg := uplink.Config{
		Outbox: box, Port: h, Key: deviceKey, Hub: hubKey.Public(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Greet:    func() wire.Hello { return wire.Hello{Version: "test"} },
		Epoch:    func() []byte { return box.epoch.Load().([]byte) },
		Welcomed: func(w wire.Welcome, _, _ time.Time) error { box.epoch.Store(w.Epoch); return nil },
	}
	if change != nil {
		change(&cfg)
	}
	h.up = uplink.New(cfg)
	return h.up
}

// The compressors make their channels when they are first used, and a channel
// made inside a synctest bubble belongs to it: use them outside first.
func init() {
	raw := entry.NewRaw([]byte("public"), []byte("private"))
	for _, level := range []batch.Level{batch.Small, batch.Fast} {
		b, _, err := batch.Seal(records, 1, entry.Genesis(records), []entry.Raw{raw}, deviceKey, level)
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
}
