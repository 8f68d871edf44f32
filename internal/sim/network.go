package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// weather is how a device's link treats what it carries.
type weather struct {
	lost, twice, cut float64 // chances of one message
	least, most      time.Duration
}

var (
	fair = weather{least: time.Millisecond, most: 30 * time.Millisecond}
	// survives is the chance that a frame under way arrives although the
	// connection that it was sent on has broken.
	survives = 0.5
)

// newWeather draws from calm to terrible.
func newWeather(d dice) weather {
	bad := d.Float64() * d.Float64()
	return weather{
		lost: 0.6 * bad * d.Float64(), twice: 0.3 * bad, cut: 0.1 * bad,
		least: time.Millisecond, most: d.within(20*time.Millisecond, time.Duration(1+20*bad)*time.Second),
	}
}

var (
	errDown    = errors.New("there is no connection")
	errRefused = errors.New("the stream refuses the message")
)

// network is the link of one device; it implements uplink.Port. All chance is
// drawn when a message is posted, by the session's own goroutine.
type network struct {
	dev  *device
	w    *world
	dice dice

	mu      sync.Mutex // guards what follows
	up      bool
	dark    bool // up, and carries nothing
	gen     int  // of the connection
	weather weather
	alerts  []*flight // of this connection
	proc    *process  // whose connection it is; nil while down
	asked   map[dot.Chain][]lane.Range
}

// flight is one frame under way.
type flight struct {
	lane  dot.Lane
	frame []byte
	head  batch.Header
	gen   int
	done  chan error // holds one

	lost, survives, ackLost bool
	ackAfter                time.Duration
	failed                  time.Time // owner: network.mu; zero: not yet
}

func (f *flight) end(err error) {
	select {
	case f.done <- err:
	default:
	}
}

// Post implements uplink.Port.
func (n *network) Post(l dot.Lane, frame []byte) (func(context.Context) error, error) {
	opened, err := batch.Open(frame)
	if err != nil {
		n.w.violate("%s sent a frame that does not open: %v", n.dev.name, err)
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.up {
		return nil, errDown
	}
	d, wx := n.dice, n.weather
	f := &flight{
		lane: l, frame: frame, head: opened.Header, gen: n.gen, done: make(chan error, 1),
		lost: d.is(wx.lost), survives: d.is(survives), ackLost: d.is(wx.lost), ackAfter: d.within(wx.least, wx.most),
	}
	n.checkOrder(f)
	if l == dot.Alert {
		n.alerts = append(n.alerts, f)
	}
	n.w.did(n.dev.name, func(w *Work) { w.Frames++ }, "post %s %s lost %t", f.head.Chain, f.head.Run, f.lost)
	n.w.keep(taped{l, n.dev.id, frame})
	there := d.within(wx.least, wx.most)
	if f.lost {
		n.lose("frame")
	} else {
		n.w.later(there, func() { n.arrive(f, true) })
	}
	if d.is(wx.twice) {
		n.w.later(there+d.within(time.Millisecond, 3*wx.most), func() { n.arrive(f, false) })
	}
	return func(ctx context.Context) error { return n.wait(ctx, f) }, nil
}

func (n *network) wait(ctx context.Context, f *flight) error {
	var err error
	select {
	case err = <-f.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		f.failed = time.Now()
	} else if n.w.cfg.Control == CustodyIsReceipt {
		n.believe(f.head)
	}
	return err
}

func (n *network) lose(what string) {
	n.w.did(n.dev.name+" losses of "+what, func(w *Work) { w.Losses++ }, "lost")
}

// arrive brings a frame to the stream.
func (n *network) arrive(f *flight, first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dark || f.gen != n.gen && !f.survives {
		n.lose("frame on a broken connection")
		return
	}
	taken := n.w.streamOf(f.lane).put(message{sender: n.dev.id, frame: f.frame})
	switch {
	case !first:
	case !taken:
		f.end(errRefused)
	case f.ackLost:
		n.lose("acknowledgement")
	default:
		n.w.later(f.ackAfter, func() { n.acknowledge(f) })
	}
}

func (n *network) acknowledge(f *flight) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.up && !n.dark && f.gen == n.gen {
		f.end(nil)
		return
	}
	n.lose("acknowledgement on a broken connection")
}

// Hello implements uplink.Port.
func (n *network) Hello(ctx context.Context, h wire.Hello) (wire.Welcome, error) {
	b, err := wire.Marshal(h)
	if err != nil {
		return wire.Welcome{}, err
	}
	n.w.did(n.dev.name, nil, "hello %d", len(h.Lanes))
	if err := n.trip(ctx, "hello"); err != nil {
		return wire.Welcome{}, err
	}
	reply := n.w.hub.hello(ctx, n.dev.id, b)
	if reply == nil {
		<-ctx.Done() // nobody answers
		return wire.Welcome{}, ctx.Err()
	}
	if err := n.trip(ctx, "welcome"); err != nil {
		return wire.Welcome{}, err
	}
	return wire.Unmarshal[wire.Welcome](reply)
}

// trip is one way of a request.
func (n *network) trip(ctx context.Context, what string) error {
	return n.tripBy(ctx, what, n.dice)
}

// tripBy is one way of a request, by the dice of who makes it.
func (n *network) tripBy(ctx context.Context, what string, d dice) error {
	n.mu.Lock()
	lost := d.is(n.weather.lost)
	after := d.within(n.weather.least, n.weather.most)
	dark := n.dark
	n.mu.Unlock()
	if lost || dark {
		n.lose(what)
		<-ctx.Done()
		return ctx.Err()
	}
	if !sleep(ctx, after) {
		return ctx.Err()
	}
	return nil
}

// receipts brings what the hub published, by the worker's dice: any receipt
// may get lost, come twice, or overtake another.
func (n *network) receipts(b []byte, d dice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wx, gen := n.weather, n.gen
	lost, first, second := d.is(wx.lost), d.within(wx.least, wx.most), d.within(wx.least, 4*wx.most)
	twice := d.is(wx.twice)
	if !n.up || lost {
		n.lose("receipt")
		return
	}
	deliver := func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.up && !n.dark && n.gen == gen {
			n.proc.uplink.TakeReceipts(b)
		}
	}
	n.w.later(first, deliver)
	if twice {
		n.w.later(second, deliver)
	}
}

// checkOrder asks that no record goes before an alert that could: one that the
// session saw when it last looked, that no receipt covers and that is not under
// way. n.mu is held.
func (n *network) checkOrder(f *flight) {
	if f.lane == dot.Alert {
		return
	}
	under := make(map[dot.Chain]lane.Set)
	for _, a := range n.alerts {
		if a.failed.IsZero() || a.failed.Equal(time.Now()) {
			under[a.head.Chain] = under[a.head.Chain].Add(a.head.Run)
		}
	}
	for c, due := range n.asked {
		for _, r := range due {
			if !within(lane.NewSet(r), under[c]) {
				n.w.violate("%s sent %s %s before the alerts %s %s", n.dev.name, f.head.Chain, f.head.Run, c, r)
				return
			}
		}
	}
}

// sawDue notes the alerts that the session saw as due.
func (n *network) sawDue(due map[dot.Chain][]lane.Range) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = due
}

// set changes the connection; nil: there is none.
func (n *network) set(p *process) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up, n.proc, n.dark, n.alerts = p != nil, p, false, nil
	n.gen++
}

// believe takes custody for a receipt, which no device must. n.mu is held.
func (n *network) believe(h batch.Header) {
	if n.proc == nil {
		return
	}
	_, err := n.proc.store.Settle(context.Background(), []receipt.Receipt{{
		Epoch: n.dev.goesBy(n.proc.store), Chain: h.Chain, Through: h.Run.Last, Head: h.After,
	}})
	if err != nil {
		n.w.violate("%s: %v", n.dev.name, err)
	}
}

// blow changes the weather; dark: nothing gets through from now on.
func (n *network) blow(wx weather, dark bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather, n.dark = wx, dark
}

// streamOf is the stream that captures a lane's subject.
func (w *world) streamOf(l dot.Lane) *stream {
	if l == dot.Alert {
		return w.alerts
	}
	return w.records
}

// keep tapes a frame for late copies.
func (w *world) keep(t taped) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tape) == maxTape {
		w.tape = w.tape[1:]
	}
	w.tape = append(w.tape, t)
}
