package contact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// EpochStore is what [Epochs] needs of the hub's database.
type EpochStore interface {
	Epoch(ctx context.Context, mint func() (receipt.EpochCertificate, error)) (receipt.EpochCertificate, error)
	Succeed(ctx context.Context, was receipt.Epoch, child receipt.EpochCertificate, losses []store.Loss) (receipt.EpochCertificate, bool, error)
	NoteLosses(ctx context.Context, losses []store.Loss) error
	SetFinding(ctx context.Context, f store.Finding) error
	ClearFinding(ctx context.Context, d dot.Device, code string, at int64) error
}

// Epochs finds out, from what devices say, that the database was put back to an
// older copy, and then begins a child epoch. Receipts of the new epoch take the
// place of the old ones on every device, so what the hub lacks is sent again
// without anybody's doing. It is safe for concurrent use.
//
// What a hello proves:
//
//	the device goes by             | and says                    | the hub
//	-------------------------------|-----------------------------|--------------------------------------------
//	the hub's epoch                | receipts for what is there  | goes on
//	the hub's epoch                | receipts for more           | begins a child, notes what is missing
//	the same, begun by this run    | receipts for more           | does not believe it: a finding
//	the same                       | the same, and brings one    | begins a child, notes what is missing
//	another, certificate not shown | anything                    | goes on, notes what is missing
//	a lower lineage, shown         | anything                    | goes on, notes what is missing
//	the same lineage or a higher,  | anything                    | begins a child above both, notes what is
//	shown                          |                             | missing
//
// A device can lie in the second row alone: certificates carry the hub's own
// signature. Between the start of a hub and its next one a lie is believed once
// at most, since an epoch that this run began cannot have been put back within
// it. What it costs is a number and one more hello of each device: honest
// devices hold receipts for no more than there is, so they send nothing again.
// What is noted as missing by it concerns the liar's own lanes. Each
// certificate there is can be shown with effect once: the child is above it.
//
// So that a child began proves nothing by itself. What does is something that the
// hub signed and its database does not know: a certificate, a cursor, or a receipt
// that a hello brings with it. [Succession.Why] tells them apart. A device that
// lost something brings its receipt with its next hello, when the child has begun
// already; OnProof hears of it.
type Epochs struct {
	// OnChild, which may be nil, is told that an epoch began because the database
	// had been put back. It is set before the first Hear, and called before that
	// Hear returns.
	OnChild func(ctx context.Context, s Succession)
	// OnProof, which may be nil, is told that a device brought something which this
	// hub signed in an epoch before the current one and which its database does not
	// know. Much of that is long accounted for. It is set and called like OnChild.
	OnProof func(ctx context.Context, of receipt.Epoch)

	store  EpochStore
	key    identity.SigningKey
	log    *slog.Logger
	frozen bool

	mu      sync.Mutex // guards what follows
	current receipt.EpochCertificate
	signed  []byte
	own     receipt.Epoch       // begun by this run
	doubted map[dot.Device]bool // with an open finding of this run
}

// Why says what made an epoch begin.
type Why uint8

// What makes epochs begin.
const (
	Claimed Why = iota + 1 // a device says so, and nothing that the hub signed shows it
	Proved                 // something shows it that the hub signed
	PutBack                // the hub itself knows it
)

// Succession says that an epoch began because the database had been put back.
type Succession struct {
	Child receipt.EpochCertificate
	Why   Why
	Shown receipt.EpochCertificate // the certificate that proved it, if one did
}

// falseClaim is the finding about receipts that the hub cannot have given.
const falseClaim = "false_claim"

// OpenEpochs reads the database's epoch, or begins its first one, at that
// moment in Unix milliseconds. A frozen one never begins a child: only a
// negative control of the tests wants that.
func OpenEpochs(ctx context.Context, s EpochStore, key identity.SigningKey, at int64, frozen bool, log *slog.Logger) (*Epochs, error) {
	e := &Epochs{store: s, key: key, log: log, frozen: frozen, doubted: make(map[dot.Device]bool)}
	cert, err := s.Epoch(ctx, func() (receipt.EpochCertificate, error) {
		e.own = newEpoch()
		return receipt.EpochCertificate{Epoch: e.own, Minted: at}, nil
	})
	if err != nil {
		return nil, err
	}
	return e, e.adopt(cert, cert.Epoch == e.own)
}

func newEpoch() (id receipt.Epoch) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Refresh takes up the epoch that another hub of this database has begun.
func (e *Epochs) Refresh(ctx context.Context) error {
	cert, err := e.store.Epoch(ctx, func() (receipt.EpochCertificate, error) {
		return receipt.EpochCertificate{}, fmt.Errorf("the database has lost its epoch: %w", store.ErrDamaged)
	})
	if now, _ := e.Certificate(); err != nil || cert.Epoch == now.Epoch {
		return err
	}
	return e.adopt(cert, false)
}

// Epoch is the one that receipts are signed for now.
func (e *Epochs) Epoch() receipt.Epoch {
	c, _ := e.Certificate()
	return c.Epoch
}

// Certificate is the epoch's certificate, and its signed form.
func (e *Epochs) Certificate() (receipt.EpochCertificate, []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current, e.signed
}

func (e *Epochs) adopt(c receipt.EpochCertificate, own bool) error {
	signed, err := c.Sign(e.key)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.signed != nil && c.Lineage < e.current.Lineage {
		return nil // somebody who began a later one was faster here
	}
	e.current, e.signed = c, signed
	if own {
		e.own = c.Epoch
	}
	return nil
}

// Hear takes in what a hello of device d says of epochs, against lanes that
// were read after it arrived. It returns the epoch to answer from.
func (e *Epochs) Hear(ctx context.Context, d dot.Device, h wire.Hello, lanes []store.Lane, at int64) (receipt.Epoch, []byte, error) {
	shown := e.shown(d, h)
	lost := losses(d, h, lanes, at)
	// Of lanes that the hub passed over it takes no note, or a device could name what it likes.
	noted := slices.DeleteFunc(slices.Clone(lost), func(l store.Loss) bool {
		return !slices.ContainsFunc(lanes, func(n store.Lane) bool { return n.Chain == l.Chain })
	})
	proofs := e.proofs(d, h, lanes)
	for {
		now, signed := e.Certificate()
		same := string(h.Epoch) == string(now.Epoch[:])
		proved := slices.Contains(proofs, now.Epoch)
		switch {
		case e.frozen, len(lost) == 0 && shown.Epoch.IsZero() && len(proofs) == 0:
			return now.Epoch, signed, e.trust(ctx, d, at)
		case proved: // whatever else it says
		case !same && (shown.Epoch.IsZero() || shown.Epoch == now.Epoch || shown.Lineage < now.Lineage):
			e.earlier(ctx, d, proofs)
			return now.Epoch, signed, e.note(ctx, now.Epoch, noted)
		case same && len(lost) == 0:
			return now.Epoch, signed, e.trust(ctx, d, at)
		case same && e.began(now.Epoch):
			return now.Epoch, signed, e.doubt(ctx, d, lost[0], at)
		}
		if _, err := e.succeed(ctx, d, now, because(same, proved, shown), noted, at); err != nil {
			return now.Epoch, signed, err
		}
	}
}

// because says why a hello begins a child, which goes by the hub's epoch or not.
func because(same, proved bool, shown receipt.EpochCertificate) Succession {
	switch {
	case !same && !shown.Epoch.IsZero():
		return Succession{Why: Proved, Shown: shown}
	case proved:
		return Succession{Why: Proved}
	}
	return Succession{Why: Claimed}
}

// Rewound takes in that device d brought a cursor which this hub signed in epoch
// c.Epoch and whose mark the database does not have. Nobody but the hub can have
// written it, so if the epoch is the current one the database was put back.
func (e *Epochs) Rewound(ctx context.Context, d dot.Device, c feed.Cursor, at int64) error {
	now, _ := e.Certificate()
	switch {
	case e.frozen:
		return nil
	case c.Epoch != now.Epoch:
		e.earlier(ctx, d, []receipt.Epoch{c.Epoch})
		return nil
	}
	e.log.Warn("a cursor names a moment that the database does not have", "device", string(d), "scope", c.Scope, "n", c.Anchored())
	_, err := e.succeed(ctx, d, now, Succession{Why: Proved}, nil, at)
	return err
}

// PutBack begins a child since the hub itself knows that its database was put back:
// what it signed in the epoch before and does not know is accounted for from then
// on. The child is above every lineage up to above.
func (e *Epochs) PutBack(ctx context.Context, above uint32, at int64) error {
	for !e.frozen {
		now, _ := e.Certificate()
		why := Succession{Why: PutBack, Shown: receipt.EpochCertificate{Lineage: above}}
		if minted, err := e.succeed(ctx, dot.Hub, now, why, nil, at); minted || err != nil {
			return err
		}
	}
	return nil
}

// earlier tells of proofs from epochs before the current one.
func (e *Epochs) earlier(ctx context.Context, d dot.Device, of []receipt.Epoch) {
	if e.OnProof == nil {
		return
	}
	for _, epoch := range of {
		e.log.Debug("a device brings what this hub signed and does not know", "device", string(d), "epoch", epoch.String())
		e.OnProof(ctx, epoch)
	}
}

// proofs lists the epochs of receipts that the hello brings, which this hub signed for
// the device, and for more than the lanes hold.
func (e *Epochs) proofs(d dot.Device, h wire.Hello, lanes []store.Lane) (out []receipt.Epoch) {
	for _, b := range h.Proofs {
		r, err := receipt.Open(b, e.key.Public())
		if err != nil || r.Chain.Device != d {
			e.log.Warn("a hello brings a receipt that is not this hub's, or not the device's", "device", string(d), "err", err)
			continue
		}
		if len(received(lanes, r.Chain).Missing(r.Through)) > 0 && !slices.Contains(out, r.Epoch) {
			out = append(out, r.Epoch)
		}
	}
	return out
}

func (e *Epochs) began(c receipt.Epoch) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.own == c
}

// succeed begins a child of now, unless somebody else has begun one. Either
// way what Hear looks at next is newer.
func (e *Epochs) succeed(ctx context.Context, d dot.Device, now receipt.EpochCertificate, why Succession, lost []store.Loss, at int64) (minted bool, err error) {
	// Along a line of epochs each began after the one before, whatever the clock shows.
	at = max(at, now.Minted+1, why.Shown.Minted+1)
	child, ok := now.Child(newEpoch(), at, why.Shown)
	if !ok {
		return false, fmt.Errorf("begin an epoch after %s: no lineage is left", now.Epoch)
	}
	next, minted, err := e.store.Succeed(ctx, now.Epoch, child, under(child.Epoch, lost))
	if err != nil {
		return false, err
	}
	switch {
	case next.Epoch == now.Epoch:
		return false, errors.New("the database keeps an epoch that it gave up")
	case !minted && next.Lineage < now.Lineage:
		// The database fell back under this run, which holds the certificate of what it lost.
		return e.succeed(ctx, d, next, Succession{Why: Proved, Shown: now}, lost, at)
	}
	if minted {
		e.log.Warn("the database was put back to an older copy: a new epoch begins and devices send again what is missing",
			"said_by", string(d), "proved", why.Why != Claimed, "epoch", child.Epoch.String(), "parent", child.Parent.String(), "lineage", child.Lineage, "missing", words(lost))
	}
	if err := e.adopt(next, minted); err != nil {
		return minted, err
	}
	if minted && e.OnChild != nil {
		why.Child = next
		e.OnChild(ctx, why)
	}
	return minted, nil
}

// shown is the certificate that the hello shows; zero when it shows none that
// this hub signed.
func (e *Epochs) shown(d dot.Device, h wire.Hello) receipt.EpochCertificate {
	if len(h.Shown) == 0 {
		return receipt.EpochCertificate{}
	}
	c, err := receipt.OpenEpoch(h.Shown, e.key.Public())
	if err != nil || string(h.Epoch) != string(c.Epoch[:]) {
		e.log.Warn("a hello shows an epoch that is not this hub's, or not the one it goes by", "device", string(d), "err", err)
		return receipt.EpochCertificate{}
	}
	return c
}

// losses lists what the hello claims to have receipts for and the lanes lack.
func losses(d dot.Device, h wire.Hello, lanes []store.Lane, at int64) (out []store.Loss) {
	if len(h.Epoch) == 0 {
		return nil // receipts of no epoch
	}
	for _, said := range h.Lanes {
		chain := dot.Chain{Device: d, Incarnation: said.Incarnation, Lane: said.Lane}
		missing := received(lanes, chain).Missing(min(said.Received, said.Last))
		if len(missing) == 0 {
			continue
		}
		out = append(out, store.Loss{Chain: chain, Run: lane.Run(missing[0].First, missing[len(missing)-1].Last), NotedAt: at})
	}
	return out
}

// received is what the hub has of a chain.
func received(lanes []store.Lane, c dot.Chain) (have lane.Set) {
	for _, l := range lanes {
		if l.Chain == c {
			have = l.Received
		}
	}
	return have
}

func under(epoch receipt.Epoch, lost []store.Loss) []store.Loss {
	out := make([]store.Loss, len(lost))
	for i, l := range lost {
		l.Epoch = epoch
		out[i] = l
	}
	return out
}

func words(lost []store.Loss) (out []string) {
	for _, l := range lost {
		out = append(out, l.Chain.String()+" "+l.Run.String())
	}
	return out
}

func (e *Epochs) note(ctx context.Context, epoch receipt.Epoch, lost []store.Loss) error {
	if len(lost) == 0 {
		return nil
	}
	return e.store.NoteLosses(ctx, under(epoch, lost))
}

// doubt raises the finding about a claim that cannot be true.
func (e *Epochs) doubt(ctx context.Context, d dot.Device, l store.Loss, at int64) error {
	e.mu.Lock()
	e.doubted[d] = true
	e.mu.Unlock()
	return e.store.SetFinding(ctx, store.Finding{
		Device: d, Code: falseClaim, Value: int64(l.Run.Last), OpenedAt: at, UpdatedAt: at, //nolint:gosec // at most the highest seq
		Words: fmt.Sprintf("says that it has receipts for %s up to %d, and this hub never gave them: its program or its folder is not right", l.Chain, l.Run.Last),
	})
}

// trust closes that finding once the device says nothing of the kind.
func (e *Epochs) trust(ctx context.Context, d dot.Device, at int64) error {
	e.mu.Lock()
	was := e.doubted[d]
	delete(e.doubted, d)
	e.mu.Unlock()
	if !was {
		return nil
	}
	return e.store.ClearFinding(ctx, d, falseClaim, at)
}
