// Package uplink drains a device's lanes to the hub.
//
// While a connection is up, one session runs: it says hello, settles what the
// hub already has, and then sends what is left, alert lane before record lane
// between any two batches, in signed frames whose size follows the link (about
// two seconds' worth). A bounded number of frames is in flight. A frame whose
// publish was acknowledged is in custody: the stream holds it, the hub's
// database perhaps not yet. Only a receipt settles it. An error on the way
// means "unknown", so the frame's entries are simply due again; the hub counts
// copies and acknowledges them again. Custody ends with the connection, or when
// no receipt came for a long time.
//
// Receipts count within the epoch of the hub's database that wrote them. A hello
// brings the epoch's certificate; one that follows the epoch that the device
// goes by is entered, and what the hub then lacks is due again. One that does
// not is answered with the device's own, so that the hub learns that it was put
// back to an older copy ([receipt.Relation] has the table). Receipts of another
// epoch than the hello's are not settled: they make the session say hello.
//
// Nothing here is kept on disk: what is due is always derived from the store
// (last seq against receipts), so a crash at any point resends and loses nothing.
//
// One goroutine, the session's, owns all of a session's state and publishes
// frames in order; each frame's acknowledgement is awaited by a goroutine of its
// own, which reports back on a channel.
//
//   - [Uplink] drains; [Uplink.Session] is one connection's life.
//   - [Outbox] is what it needs of the store, [Port] of the link.
//   - [Gate] may withhold entries: a demonstration or a test owns it.
package uplink

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// Chain is a chain as the store has it.
type Chain struct {
	Chain    dot.Chain
	Last     dot.Seq
	Head     entry.Hash
	Received lane.Set      // covered by receipts
	Epoch    receipt.Epoch // of those receipts
	Signed   []byte        // the one among them that goes furthest, as the hub signed it
	Lost     lane.Set      // not here, taken by damage or pruned: they cannot be sent
	// Disputed: the hub has another history under this chain's seqs. What is
	// due is sent once a session all the same, so that the hub learns of it.
	Disputed bool
	Archived dot.Seq
}

// Run is consecutive entries of a chain.
type Run struct {
	First   dot.Seq
	Before  entry.Hash // the head at First-1
	Entries []entry.Raw
}

// Outbox is what uplink needs of the device's store.
type Outbox interface {
	Chains() []Chain
	// Read gives consecutive entries, at most so many and so many bytes, from
	// the first one that is whole at or after a seq; what it had to step over
	// shows in Chain.Lost from then on.
	Read(c dot.Chain, from dot.Seq, maxCount, maxBytes int) (Run, error)
	// Settle stores receipts in one commit and returns how many entries they newly cover.
	Settle(ctx context.Context, rs []receipt.Receipt) (int, error)
	// Answer stores the receipts of a welcome, all of epoch e. Chains whose
	// receipts are of another epoch, and that these do not speak of, are due again.
	Answer(ctx context.Context, e receipt.Epoch, rs []receipt.Receipt) (int, error)
}

// Port is what uplink needs of the link.
type Port interface {
	Hello(ctx context.Context, h wire.Hello) (wire.Welcome, error)
	// Post publishes a frame and returns at once; frames go out in the order of
	// the calls. wait returns nil once the frame is in custody; any error of it
	// means unknown. An error of Post itself means that nothing left.
	Post(l dot.Lane, frame []byte) (wait func(context.Context) error, err error)
}

// Compare asks the hub for the [wire.Digest] of each of at most [wire.MaxRuns]
// runs of a chain, which rise.
type Compare func(ctx context.Context, runs []lane.Range) ([]entry.Hash, error)

// Gate says whether an entry may be sent now, and in which group: entries of
// different groups never share a frame. nil lets everything pass.
type Gate func(d dot.Dot) (open bool, group int)

// Config is what an [Uplink] is made of.
type Config struct {
	Outbox Outbox
	Port   Port
	Key    identity.SigningKey
	Hub    identity.PublicKey
	// Greet fills in the hello's facts about the device; the lanes are filled in here.
	Greet func() wire.Hello
	// Epoch gives the signed certificate of the epoch that the device goes by;
	// nil: it never heard of one.
	Epoch func() []byte
	// Welcomed is told of each hello's answer that is taken, with the device's
	// clock before and after the round trip. It stores the answer's epoch,
	// which is then the one that the device goes by.
	Welcomed func(w wire.Welcome, sent, got time.Time) error
	// Mend is called for each chain that is disputed after a hello: it finds out
	// where the hub's history parts from the device's, by asking for digests of
	// runs of the chain, and gives what lies above other names. nil: nothing does.
	Mend func(ctx context.Context, c dot.Chain, compare Compare) error
	Gate Gate
	Now  func() time.Time
	Log  *slog.Logger
	// MaxInFlight bounds frames of one lane sent and not settled. 0: 16.
	MaxInFlight int
	// MaxEntries bounds the entries of one frame. 0: as many as the format allows.
	MaxEntries int
	// Within draws a moment before a time has passed, for what many devices are
	// asked to do at once. nil: at random.
	Within func(most time.Duration) time.Duration
	// Left says how many bytes may still be sent and received, frames that are
	// under way included, and whether that is bounded at all. It holds records back,
	// never an alert. nil: unbounded.
	Left func() (bytes uint64, bounded bool)
	// Noticed is told when [Uplink.Held] has changed; may be nil.
	Noticed func()
	// Rate bounds what is sent, in bytes of frames a second, for links that are
	// paid for or shared. 0: as much as the link takes.
	Rate int
}

// Limits and waits.
const (
	defaultInFlight = 16
	inFlightBytes   = 2 << 20
	helloTimeout    = 60 * time.Second
	sendTimeout     = 60 * time.Second
	// custodyLimit is how long an unsettled frame counts as on its way.
	custodyLimit = 10 * time.Minute
	// quietLimit is how long the hub may say nothing about a frame in custody
	// before it is asked; it doubles up to longestQuiet while asking brings nothing.
	quietLimit   = 8 * time.Second
	longestQuiet = 2 * time.Minute
	// idleLimit is how long a session with nothing to do sleeps at most.
	idleLimit  = 10 * time.Minute
	retryAfter = time.Second
	// mostAsked bounds the epochs, other than its own, that one session asks about.
	mostAsked = 64
)

// Uplink drains lanes. Its methods are safe for concurrent use; sessions run
// one at a time.
type Uplink struct {
	cfg      Config
	pace     *pace
	wake     chan struct{}
	receipts chan []receipt.Receipt
	calls    chan wire.Call // the latest one

	held           atomic.Bool // records wait for a budget
	heard          rounds
	again          atomic.Bool
	sent, received atomic.Uint64
}

// New returns an Uplink.
func New(cfg Config) *Uplink {
	if cfg.MaxInFlight == 0 {
		cfg.MaxInFlight = defaultInFlight
	}
	if cfg.Within == nil {
		cfg.Within = func(most time.Duration) time.Duration { return rand.N(most + 1) }
	}
	return &Uplink{
		cfg: cfg, pace: newPace(cfg.Rate), wake: make(chan struct{}, 1), receipts: make(chan []receipt.Receipt, 64),
		calls: make(chan wire.Call, 1),
	}
}

// Wake tells the session that there may be something new to send.
func (u *Uplink) Wake() {
	select {
	case u.wake <- struct{}{}:
	default: // one is pending already
	}
}

// TakeReceipts hands in what the hub published. Receipts that are not valid
// are dropped: the next hello brings good ones.
func (u *Uplink) TakeReceipts(b []byte) {
	news, err := wire.Unmarshal[wire.ReceiptNews](b)
	if err != nil {
		u.cfg.Log.Warn("receipts not understood", "err", err)
		return
	}
	if c := news.Call; c != nil && u.heard.first(c.Round) {
		select {
		case u.calls <- *c:
		default: // the session has not taken up an earlier one, which does as well
		}
	}
	if rs := u.open(news.Receipts); len(rs) > 0 {
		select {
		case u.receipts <- rs:
		default: // the session is behind; its next hello asks for all of them
		}
	}
}

// dropReceipts forgets what came in by an earlier connection: the hub may have
// been put back since, and a session's hello brings what still holds.
func (u *Uplink) dropReceipts() {
	for {
		select {
		case <-u.receipts:
		default:
			return
		}
	}
}

// open checks the hub's signature on each receipt.
func (u *Uplink) open(signed [][]byte) []receipt.Receipt {
	var out []receipt.Receipt
	for _, b := range signed {
		r, err := receipt.Open(b, u.cfg.Hub)
		if err != nil {
			u.cfg.Log.Warn("receipt dropped", "err", err)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Result counts what one session did, in entries.
type Result struct {
	Sent      int `json:"sent"`      // sent, copies included
	Received  int `json:"received"`  // newly confirmed by the hub
	Pulled    int `json:"pulled"`    // changes taken from the hub
	Remaining int `json:"remaining"` // here, and not confirmed yet
}

// Totals counts over the Uplink's life, in entries.
type Totals struct{ Sent, Received uint64 }

// Totals returns what all sessions did so far.
func (u *Uplink) Totals() Totals {
	return Totals{Sent: u.sent.Load(), Received: u.received.Load()}
}

// Held reports whether records wait because the budget is used up.
func (u *Uplink) Held() bool { return u.held.Load() }

// hold notes whether they do.
func (u *Uplink) hold(held bool) {
	if u.held.Swap(held) != held && u.cfg.Noticed != nil {
		u.cfg.Noticed()
	}
}

// Again makes the running session say hello once more.
func (u *Uplink) Again() {
	u.again.Store(true)
	u.Wake()
}

// Remaining counts the entries that no receipt covers and that can be sent: a contact
// is not unfinished for the sake of what nobody has any more.
func Remaining(chains []Chain) int {
	n := 0
	for _, c := range chains {
		settled := c.Received
		for _, r := range c.Lost {
			settled = settled.Add(r)
		}
		for _, r := range settled.Missing(c.Last) {
			n += int(r.Len())
		}
	}
	return n
}
