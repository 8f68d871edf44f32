// Package ingest takes in what arrives from devices and makes it the hub's.
//
// A frame arrives, by its device's own connection or in a carrier's hands. It
// is opened and its signature checked against the key of that life of that
// device, several frames side by side. Then the frames of one round are
// committed together, in ONE transaction: entries, verdicts, gaps, segments and
// watermarks; while one frame is inserted the next are unpacked and judged by
// the forms. Only after it committed are receipts signed (law L5). No order of arrival is assumed:
// what lies above a hole is held and judged when the hole fills (L7); a copy is
// counted and acknowledged again; the same dot with other bytes is a fork and
// both are kept (L4). A bad entry is received and quarantined with its reason, and its
// lane goes on (L6); what no known signer vouches for is listed apart (L6a).
//
//   - [Ingest] does the work; [Arrival] is what came, [Result] what became of it.
//   - [Describe] makes the ledger's row of an entry and judges it, pure.
//   - [Author] mints the operators' own entries and decisions, under the device name HUB.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"otor/hub/store"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/form"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/receipt"
	"otor/internal/rules"
)

// Store is what ingest needs of the hub's database.
type Store interface {
	Key(ctx context.Context, d dot.Device, i dot.Incarnation) (store.Key, error)
	Keys(ctx context.Context, d dot.Device) ([]store.Key, error)
	Claim(ctx context.Context, l store.Life) (known store.Life, taken bool, err error)
	OpenForks(ctx context.Context, d dot.Device) (int64, error)
	ClearFinding(ctx context.Context, d dot.Device, code string, at int64) error
	Device(ctx context.Context, id dot.Device) (store.Device, error)
	Ingest(ctx context.Context, fn func(store.Tx) error) error
	PutUnattributed(ctx context.Context, u store.Unattributed) (bool, error)
	SetFinding(ctx context.Context, f store.Finding) error
}

// Forms finds the form that an entry answers.
type Forms interface {
	Form(id string, version uint32) (*form.Form, error)
}

// Config is what an [Ingest] is made of. All of it is needed.
type Config struct {
	Store Store
	Forms Forms
	Key   identity.SigningKey  // the hub's, for receipts
	Epoch func() receipt.Epoch // of the database, when a receipt is signed
	Now   func() time.Time
	// Zone is where dates are reckoned, for rules such as "not in the future".
	Zone *time.Location
	Demo bool // accept fictional resident numbers
	Log  *slog.Logger
	// Begin starts what a transaction makes of entities. nil: entries are kept and
	// no entities.
	Begin func(tx store.Tx, at int64) Round
	// Types gives the rules of entity types, for what operators write. nil: none are known.
	Types func(name string) *merge.Type
	// Rules are what the pack notices about records of a version of a form. nil: nothing is.
	Rules func(form string, version uint32) *rules.Set
	// Masks says what of entities is masked: nobody finds a record by a part of it. nil: nothing is.
	Masks find.Masks
	// NoDedup switches the check for copies off. Only a negative control of the
	// tests sets it: with it a resent entry is no longer recognised.
	NoDedup bool
	// NoLink switches off that all forms of one fact have one effect, for such a control.
	NoLink bool
}

// Round makes of one transaction's entries what they do to entities.
type Round interface {
	// Take is given entries of one chain, in its order, once they are judged; scopes
	// are those that their device is granted, nil for the hub's own.
	Take(es []store.Entry, scopes []string) error
	// Finish is called last in the transaction.
	Finish() error
}

// begin starts a round; of a hub without entities it is one that does nothing.
func (c Config) begin(tx store.Tx, at time.Time) Round {
	if c.Begin == nil {
		return noRound{}
	}
	return c.Begin(tx, at.UnixMilli())
}

func (c Config) typeOf(name string) *merge.Type {
	if c.Types == nil {
		return nil
	}
	return c.Types(name)
}

type noRound struct{}

func (noRound) Take([]store.Entry, []string) error { return nil }
func (noRound) Finish() error                      { return nil }

// Ingest takes arrivals in. It is safe for concurrent use.
type Ingest struct {
	cfg  Config
	room room // of each transaction
}

// New returns an Ingest.
func New(cfg Config) *Ingest { return &Ingest{cfg, room{maxReleased, maxReleasedBytes}} }

// Arrival is one frame and how it came.
type Arrival struct {
	// Sender is the device whose connection brought the frame.
	Sender dot.Device
	// Relayed says that Sender carried it for others.
	Relayed bool
	Frame   []byte
}

// Result says what became of an arrival.
type Result struct {
	// Chain is the frame's chain, Receipt the hub's signed word on it after the
	// commit. Both are empty for a frame that nobody vouches for.
	Chain   dot.Chain
	Receipt []byte
	// New, Copies and Forked count the frame's entries.
	New, Copies, Forked int
	// Unlinked counts entries that were held above a hole and turned out to
	// follow another history of the device when the frame filled it.
	Unlinked int
	// Linked counts entries whose fact the ledger had already in another form,
	// Rehomed those that name an older form.
	Linked, Rehomed int
	// Left counts the frame's entries that were not taken, since their chain has too many
	// holes: no receipt covers them, and the device sends them again.
	Left int
	// Unreleased says that more of the chain is held with nothing missing below it: see [Ingest.Release].
	Unreleased bool
	// Unattributed is the reason code when nobody vouches for the frame.
	Unattributed string
}

// Take takes frames in, in one transaction. On an error nothing of them is in
// the ledger and they may be taken again; what nobody vouches for may be listed
// already, and is listed once.
func (g *Ingest) Take(ctx context.Context, arrivals []Arrival) ([]Result, error) {
	frames, err := g.prepare(ctx, arrivals)
	if err != nil {
		return nil, err
	}
	// Set aside first: an error after the commit would have committed frames
	// taken again, and counted as copies that nobody sent. That a body is not
	// what was signed shows only when it is read, which a round without other
	// trouble does beside the transaction; that one then begins anew.
	results := make([]Result, len(arrivals))
	if slices.ContainsFunc(frames, func(p *prepared) bool { return p.refused != nil }) {
		g.read(frames).Wait()
		refuseBroken(frames)
	}
	for again := true; again; {
		for i, p := range frames {
			if p.refused == nil || results[i].Unattributed != "" {
				continue
			}
			if _, err := g.cfg.Store.PutUnattributed(ctx, *p.refused); err != nil {
				return nil, fmt.Errorf("set aside a frame (%s): %w", p.refused.Code, err)
			}
			results[i].Unattributed = p.refused.Code
		}
		if again, err = g.commit(ctx, frames, results); err != nil {
			return nil, err
		}
	}
	for i, r := range results {
		g.alarm(ctx, frames[i], r)
	}
	return results, nil
}

// errBroken ends a transaction that met a frame which must be set aside.
var errBroken = errors.New("a frame is not what was signed")

// commit applies the frames that somebody vouches for. again says that nothing
// was committed since a frame turned out to be broken: it is refused now.
func (g *Ingest) commit(ctx context.Context, prepared []*prepared, results []Result) (again bool, err error) {
	any := false
	for _, p := range prepared {
		any = any || p.refused == nil
	}
	if !any {
		return false, nil
	}
	lanes := make(map[dot.Chain]store.Lane)
	reading := g.read(prepared)
	err = g.cfg.Store.Ingest(ctx, func(tx store.Tx) error {
		clear(lanes)
		round, room := g.cfg.begin(tx, g.cfg.Now()), g.room
		for i, p := range prepared {
			if p.refused != nil {
				continue
			}
			if <-p.read; p.broken != nil {
				return errBroken
			}
			a := applier{ingest: g, tx: tx, p: p, round: round, room: &room}
			l, err := a.apply()
			if err != nil {
				return fmt.Errorf("ingest %s %s: %w", p.header.Chain, p.header.Run, err)
			}
			lanes[l.Chain] = l
			results[i] = Result{Chain: l.Chain, New: a.added, Copies: a.copies, Forked: a.forked, Unlinked: a.unlinked, Linked: a.linked, Rehomed: a.rehomed, Left: a.left, Unreleased: Unreleased(l)}
		}
		return round.Finish()
	})
	reading.Wait()
	if errors.Is(err, errBroken) {
		clear(results)
		refuseBroken(prepared)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, g.sign(prepared, lanes, results)
}

// refuseBroken refuses the frames that were read and found broken.
func refuseBroken(frames []*prepared) {
	for _, p := range frames {
		if p.refused == nil {
			p.refused = p.broken
		}
	}
}

// sign adds the receipts to the results.
func (g *Ingest) sign(prepared []*prepared, lanes map[dot.Chain]store.Lane, results []Result) (err error) {
	signed := make(map[dot.Chain][]byte, len(lanes))
	for i := range results {
		l, ok := lanes[results[i].Chain]
		if !ok || prepared[i].refused != nil {
			continue
		}
		if signed[l.Chain] == nil {
			if signed[l.Chain], err = ReceiptOf(g.cfg.Epoch(), l).Sign(g.cfg.Key); err != nil {
				return err
			}
		}
		results[i].Receipt = signed[l.Chain]
	}
	return nil
}

// ReceiptOf is the receipt for what the hub holds of a lane. It goes as far as entries took
// their effect; what is held above, also what is only waiting to be released, is named apart.
func ReceiptOf(e receipt.Epoch, l store.Lane) receipt.Receipt {
	through := l.Received.Through()
	if l.Joined == 0 || l.Joined >= through {
		return receipt.Receipt{Epoch: e, Chain: l.Chain, Through: through, Head: l.Head, Extra: l.Received.Extra(), Archived: l.Archived}
	}
	// What a receipt names apart does not touch its watermark: the one seq between is not
	// named, and a device that sends it again sends one copy.
	above := l.Received.Without(lane.Run(1, l.Joined+1))
	return receipt.Receipt{Epoch: e, Chain: l.Chain, Through: l.Joined, Head: l.JoinedHead, Extra: above, Archived: min(l.Archived, l.Joined)}
}

// prepared is an arrival made ready for the transaction.
type prepared struct {
	at      int64 // Unix milliseconds
	via     dot.Device
	header  batch.Header
	arrival Arrival
	frame   *batch.Frame
	skew    int64    // of the device's clock, milliseconds
	scopes  []string // that the device is granted
	refused *store.Unattributed

	begun bool          // reading it has begun; owner: who reads
	read  chan struct{} // closed when what follows is there
	// broken says why the body could not be unpacked.
	broken  *store.Unattributed
	entries []store.Entry // judged as if applied
	heads   []entry.Hash  // the chain's head after each
}

// read unpacks and judges frames that are not judged yet, in their order,
// several at a time, beside the transaction that inserts them.
func (g *Ingest) read(prepared []*prepared) *sync.WaitGroup {
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(prepared)) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(prepared)); i = next.Add(1) - 1 {
				if p := prepared[i]; p.refused == nil && !p.begun {
					p.unpack(g.cfg)
				}
			}
		})
	}
	return &working
}

// prepare opens and verifies, several frames at a time.
func (g *Ingest) prepare(ctx context.Context, arrivals []Arrival) ([]*prepared, error) {
	out := make([]*prepared, len(arrivals))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, a := range arrivals {
		group.Go(func() (err error) {
			out[i], err = g.prepareOne(ctx, a)
			return err
		})
	}
	return out, group.Wait()
}

func (g *Ingest) prepareOne(ctx context.Context, a Arrival) (*prepared, error) {
	p := &prepared{at: g.cfg.Now().UnixMilli(), arrival: a, read: make(chan struct{})}
	f, err := batch.Open(a.Frame)
	if err != nil {
		return p.refuse("", "malformed", err.Error()), nil
	}
	p.header = f.Header
	device := f.Header.Chain.Device
	if a.Relayed || a.Sender != device {
		p.via = a.Sender
	}
	key, err := g.cfg.Store.Key(ctx, device, f.Header.Chain.Incarnation)
	if errors.Is(err, store.ErrNotFound) {
		key, err = g.adopt(ctx, f, p.at)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return p.refuse(device, "unknown_key", fmt.Sprintf("no device %s with incarnation %d is enrolled here", device, f.Header.Chain.Incarnation)), nil
	case err != nil:
		return nil, fmt.Errorf("key of %s: %w", f.Header.Chain, err)
	case key.RevokedAt != 0:
		return p.refuse(device, "revoked", fmt.Sprintf("device %s was revoked on this hub", device)), nil
	case !f.Verify(key.SignKey):
		return p.refuse(device, "bad_signature", fmt.Sprintf("not signed with the key of %s", device)), nil
	}
	p.frame = f
	return p, g.know(ctx, p, device)
}

// adopt finds who vouches for a life that the hub has not heard of: a device
// mints one by itself, and its frames may come by a carrier before its hello.
// The frame's signature is the claim. [store.ErrNotFound] when no key of the
// device made it.
func (g *Ingest) adopt(ctx context.Context, f *batch.Frame, at int64) (store.Key, error) {
	c := f.Header.Chain
	keys, err := g.cfg.Store.Keys(ctx, c.Device)
	if err != nil {
		return store.Key{}, err
	}
	for _, k := range keys {
		if k.RevokedAt != 0 || !f.Verify(k.SignKey) {
			continue
		}
		_, taken, err := g.cfg.Store.Claim(ctx, store.Life{
			Device: c.Device, Incarnation: c.Incarnation, Reason: entry.Moved, Previous: k.Incarnation, Enrolled: k.Incarnation, ClaimedAt: at,
		})
		if err != nil {
			return store.Key{}, err
		}
		if !taken {
			return k, nil
		}
	}
	return store.Key{}, store.ErrNotFound
}

// know reads what the hub knows of a device: what the last hello told of its
// clock, in milliseconds (device minus hub), for entries that carry no estimate of
// their own, and its scopes.
func (g *Ingest) know(ctx context.Context, p *prepared, d dot.Device) error {
	dev, err := g.cfg.Store.Device(ctx, d)
	if err != nil {
		return fmt.Errorf("device %s: %w", d, err)
	}
	p.skew, p.scopes = dev.Contact.Skew, append([]string{}, dev.Scopes...)
	return nil
}

func (p *prepared) refuse(claims dot.Device, code, words string) *prepared {
	p.refused = p.aside(claims, code, words)
	return p
}

// aside is the frame as it is set aside.
func (p *prepared) aside(claims dot.Device, code, words string) *store.Unattributed {
	whole := p.arrival.Frame
	frame := whole
	if len(frame) > store.MaxKeptFrame {
		frame = frame[:store.MaxKeptFrame]
	}
	return &store.Unattributed{
		ReceivedAt: p.at, Via: p.arrival.Sender, Claims: claims, Code: code, Words: words, Size: len(whole), Frame: frame,
	}
}

// TakeSingly takes the entries of one frame each in a transaction of its own,
// for a frame that cannot be taken whole. The result counts what was kept; the
// error joins why the others were not.
func (g *Ingest) TakeSingly(ctx context.Context, a Arrival) (Result, error) {
	p, err := g.prepareOne(ctx, a)
	if err != nil {
		return Result{}, err
	}
	if p.refused == nil {
		p.unpack(g.cfg)
		p.refused = p.broken
	}
	if p.refused != nil {
		_, err := g.cfg.Store.PutUnattributed(ctx, *p.refused)
		return Result{Unattributed: p.refused.Code}, err
	}
	sum := Result{Chain: p.header.Chain}
	var errs []error
	for i := range p.entries {
		results := make([]Result, 1)
		if _, err := g.commit(ctx, []*prepared{p.single(i)}, results); err != nil {
			errs = append(errs, err)
			continue
		}
		r := results[0]
		sum.New, sum.Copies, sum.Forked = sum.New+r.New, sum.Copies+r.Copies, sum.Forked+r.Forked
		sum.Unlinked, sum.Linked, sum.Rehomed = sum.Unlinked+r.Unlinked, sum.Linked+r.Linked, sum.Rehomed+r.Rehomed
		sum.Left, sum.Unreleased = sum.Left+r.Left, r.Unreleased
		sum.Receipt = r.Receipt
	}
	g.alarm(ctx, p, sum)
	return sum, errors.Join(errs...)
}

// single is the frame cut down to its i-th entry.
func (p *prepared) single(i int) *prepared {
	one := *p
	s := p.header.Run.First + dot.Seq(i)
	one.header.Run = lane.Run(s, s)
	one.header.After = p.heads[i]
	if i > 0 {
		one.header.Before = p.heads[i-1]
	}
	one.entries, one.heads = p.entries[i:i+1], p.heads[i:i+1]
	return &one
}
