package contact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
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
type Epochs struct {
	// OnChild, which may be nil, is told that an epoch began because the database
	// had been put back. It is set before the first Hear, and called before that
	// Hear returns.
	OnChild func(ctx context.Context, child receipt.EpochCertificate)

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
	for {
		now, signed := e.Certificate()
		same := string(h.Epoch) == string(now.Epoch[:])
		switch {
		case e.frozen, len(lost) == 0 && shown.Epoch.IsZero():
			return now.Epoch, signed, e.trust(ctx, d, at)
		case !same && (shown.Epoch.IsZero() || shown.Epoch == now.Epoch || shown.Lineage < now.Lineage):
			return now.Epoch, signed, e.note(ctx, now.Epoch, lost)
		case same && len(lost) == 0:
			return now.Epoch, signed, e.trust(ctx, d, at)
		case same && e.began(now.Epoch):
			return now.Epoch, signed, e.doubt(ctx, d, lost[0], at)
		}
		if err := e.succeed(ctx, d, now, shown, lost, at); err != nil {
			return now.Epoch, signed, err
		}
	}
}

// Rewound takes in that device d brought a cursor which this hub signed in epoch
// c.Epoch and whose mark the database does not have. Nobody but the hub can have
// written it, so if the epoch is the current one the database was put back.
func (e *Epochs) Rewound(ctx context.Context, d dot.Device, c feed.Cursor, at int64) error {
	now, _ := e.Certificate()
	if e.frozen || c.Epoch != now.Epoch {
		return nil
	}
	e.log.Warn("a cursor names a moment that the database does not have", "device", string(d), "scope", c.Scope, "n", c.Anchored())
	return e.succeed(ctx, d, now, receipt.EpochCertificate{}, nil, at)
}

func (e *Epochs) began(c receipt.Epoch) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.own == c
}

// succeed begins a child of now, unless somebody else has begun one. Either
// way what Hear looks at next is newer.
func (e *Epochs) succeed(ctx context.Context, d dot.Device, now, shown receipt.EpochCertificate, lost []store.Loss, at int64) error {
	child, ok := now.Child(newEpoch(), at, shown)
	if !ok {
		return fmt.Errorf("begin an epoch after %s: no lineage is left", now.Epoch)
	}
	next, minted, err := e.store.Succeed(ctx, now.Epoch, child, under(child.Epoch, lost))
	if err != nil {
		return err
	}
	if next.Epoch == now.Epoch {
		return errors.New("the database keeps an epoch that it gave up")
	}
	if minted {
		e.log.Warn("the database was put back to an older copy: a new epoch begins and devices send again what is missing",
			"proved_by", string(d), "epoch", child.Epoch.String(), "parent", child.Parent.String(), "lineage", child.Lineage, "missing", words(lost))
	}
	if err := e.adopt(next, minted); err != nil {
		return err
	}
	if minted && e.OnChild != nil {
		e.OnChild(ctx, next)
	}
	return nil
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
		var have lane.Set
		chain := dot.Chain{Device: d, Incarnation: said.Incarnation, Lane: said.Lane}
		for _, l := range lanes {
			if l.Chain == chain {
				have = l.Received
			}
		}
		missing := have.Missing(min(said.Received, said.Last))
		if len(missing) == 0 {
			continue
		}
		out = append(out, store.Loss{Chain: chain, Run: lane.Run(missing[0].First, missing[len(missing)-1].Last), NotedAt: at})
	}
	return out
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
