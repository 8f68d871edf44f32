// Package contact answers hellos.
//
// A device opens each contact with one request: how far its lanes go, what its
// clock says, how it is. The hub notes all of that, works out the clock's skew,
// and answers in one reply with everything the device may need to know at once:
// the hub's time, its epoch, a receipt for each lane, the scopes granted. When
// nothing is new, that round trip is the whole contact.
//
// Declared heads are what the hub later counts waiting entries by: waiting =
// declared minus received.
//
// A contact is also when a device's credentials are renewed: the hello says how
// long they last, and once half of their life is over the answer holds new ones.
// A device that was away for longer than they last comes by its door instead,
// see [Desk.Door].
package contact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// Store is what a contact needs of the hub's database.
type Store interface {
	Device(ctx context.Context, id dot.Device) (store.Device, error)
	Key(ctx context.Context, d dot.Device, i dot.Incarnation) (store.Key, error)
	LanesOf(ctx context.Context, d dot.Device) ([]store.Lane, error)
	NoteContact(ctx context.Context, d dot.Device, c store.Contact, declared []store.Lane) error
	Keys(ctx context.Context, d dot.Device) ([]store.Key, error)
	Claim(ctx context.Context, l store.Life) (known store.Life, taken bool, err error)
	Speak(ctx context.Context, d dot.Device, i dot.Incarnation, at int64) (twins []store.Life, err error)
	Lives(ctx context.Context, d dot.Device) ([]store.Life, error)
	NextLife(ctx context.Context, d dot.Device) (dot.Incarnation, error)
	EndDeclared(ctx context.Context, c dot.Chain, last dot.Seq, head entry.Hash) error
	Compare(ctx context.Context, c dot.Chain, runs []lane.Range) ([]entry.Hash, error)
	SetFinding(ctx context.Context, f store.Finding) error
	ClearFinding(ctx context.Context, d dot.Device, code string, at int64) error
}

// Signer signs the hub's word on a lane, in an epoch.
type Signer func(e receipt.Epoch, l store.Lane) ([]byte, error)

// Desk answers hellos. It is safe for concurrent use.
type Desk struct {
	Store Store
	Sign  Signer
	// Epochs hears what hellos say of them, and gives the certificate.
	Epochs *Epochs
	Now    func() time.Time
	// Issuer makes new credentials; nil: devices keep those that they have.
	Issuer Issuer
	// Heads says how far the feeds go that a life of the device may pull; nil: nothing is said.
	Heads func(ctx context.Context, dev store.Device, i dot.Incarnation) ([]wire.ScopeAt, error)
	// Lost lists files of the device that the hub had and has lost; nil: none.
	Lost func(ctx context.Context, d dot.Device) ([]entry.Hash, error)
	// SkewFlag is how far a clock may be off before it becomes a finding.
	SkewFlag time.Duration
	Log      *slog.Logger

	challenges challenges
}

// maxLanes bounds the lanes that one hello may declare.
const maxLanes = 256

// Hello answers one hello from device d. The error is for the hub's log; the
// device then gets no answer and tries again.
func (k *Desk) Hello(ctx context.Context, d dot.Device, b []byte) (wire.Welcome, error) {
	now := k.Now().UnixMilli()
	h, err := wire.Unmarshal[wire.Hello](b)
	if err == nil && len(h.Lanes) > maxLanes {
		err = fmt.Errorf("%d lanes, the limit is %d", len(h.Lanes), maxLanes)
	}
	if err != nil {
		return refuse(now, "bad_hello", err.Error(), string(d), "update the agent"), nil
	}
	dev, err := k.Store.Device(ctx, d)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(now, "unknown_device", "this hub does not know the device", string(d), "enrol it again"), nil
	case err != nil:
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	case dev.RevokedAt != 0:
		return wire.Welcome{Time: now, Refused: revoked(d)}, nil
	}
	c := said(h, now)
	lives, err := k.hearLives(ctx, d, h, now)
	if err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	declared, refused, err := k.declared(ctx, dev, h, lives, now)
	if err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	if refused != nil {
		return *refused, nil
	}
	if err := k.Store.NoteContact(ctx, d, c, declared); err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	if err := k.noteSkew(ctx, d, c); err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	w := wire.Welcome{Time: now, Scopes: dev.Scopes, Credentials: k.renew(ctx, dev, h), Lives: lives.answers}
	if lives.uplinkOnly {
		w.Scopes = nil
	}
	if w.Compared, err = k.compare(ctx, d, h.Compare); err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	lanes, err := k.Store.LanesOf(ctx, d)
	if err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	var epoch receipt.Epoch
	if epoch, w.Epoch, err = k.Epochs.Hear(ctx, d, h, lanes, now); err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	if w.Heads, err = k.heads(ctx, dev, h); err != nil {
		return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
	}
	if k.Lost != nil {
		if w.Again, err = k.Lost(ctx, d); err != nil {
			return wire.Welcome{}, fmt.Errorf("hello of %s: %w", d, err)
		}
	}
	w.Sealed = sealed(lanes)
	for _, l := range lanes {
		b, err := k.Sign(epoch, l)
		if err != nil {
			return wire.Welcome{}, err
		}
		w.Receipts = append(w.Receipts, b)
	}
	return w, nil
}

// sealed lists what the hub lacks of a device's lanes and waits for no more, so
// that the device does not count it as waiting either. Beyond what a welcome
// holds the highest are left out.
func sealed(lanes []store.Lane) (out []wire.Sealed) {
	room := wire.MaxRuns
	for _, l := range lanes {
		runs := l.Sealed
		for _, r := range l.Received {
			runs = runs.Without(r)
		}
		if runs = runs[:min(len(runs), room)]; len(runs) > 0 {
			out = append(out, wire.Sealed{Incarnation: l.Chain.Incarnation, Lane: l.Chain.Lane, Runs: runs})
			room -= len(runs)
		}
	}
	return out
}

// heads are those of the life that the hello speaks for.
func (k *Desk) heads(ctx context.Context, dev store.Device, h wire.Hello) ([]wire.ScopeAt, error) {
	if k.Heads == nil {
		return nil, nil
	}
	i := dev.Incarnation
	if h.Holds != nil {
		i = h.Holds.Incarnation
	}
	if len(h.Lives) > 0 {
		i = h.Lives[len(h.Lives)-1].Incarnation
	}
	return k.Heads(ctx, dev, i)
}

// Bounds of what a device is believed about itself.
const (
	maxSkew    = int64(100 * 365 * 24 * time.Hour / time.Millisecond) // a clock further off is shown as this far off
	maxVersion = 64                                                   // bytes
	maxPackID  = 64                                                   // bytes
)

// said is what a hello tells of the device. A clock can show anything: what is
// reckoned with it later must not overflow.
func said(h wire.Hello, now int64) store.Contact {
	c := store.Contact{
		At: now, Skew: min(max(h.Clock, now-maxSkew), now+maxSkew) - now, Version: h.Version, Battery: -1,
		DiskFree: int64(min(h.DiskFree, 1<<62)), Blobs: int(min(h.Blobs, 1<<31-1)),
	}
	if len(c.Version) > maxVersion {
		c.Version = strings.ToValidUTF8(c.Version[:maxVersion], "")
	}
	if p := h.Pack; p != nil && len(p.ID) <= maxPackID && utf8.ValidString(p.ID) {
		c.Pack, c.PackVersion = p.ID, p.Version
	}
	if h.Battery != nil {
		c.Battery = int(min(*h.Battery, 100))
	}
	return c
}

// noteSkew keeps the finding about the device's clock in line with what was seen.
func (k *Desk) noteSkew(ctx context.Context, d dot.Device, c store.Contact) error {
	skew := time.Duration(c.Skew) * time.Millisecond
	if skew.Abs() < k.SkewFlag {
		return k.Store.ClearFinding(ctx, d, "clock_skew", c.At)
	}
	return k.Store.SetFinding(ctx, store.Finding{
		Device: d, Code: "clock_skew", Value: c.Skew, OpenedAt: c.At, UpdatedAt: c.At, Words: SkewWords(skew),
	})
}

// SkewWords says in a sentence how far a clock is off; positive is fast.
func SkewWords(skew time.Duration) string {
	way := "fast"
	if skew < 0 {
		way = "slow"
	}
	return fmt.Sprintf("device clock %d min %s", int(skew.Abs().Round(time.Minute)/time.Minute), way)
}

func refuse(now int64, code, what, which, do string) wire.Welcome {
	return wire.Welcome{Time: now, Refused: &wire.Refusal{Code: code, What: what, Which: which, Do: do}}
}
