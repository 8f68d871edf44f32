package contact

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/wire"
)

// Issuer makes NATS credentials. Its clock is that of the server which checks
// them, whatever clock the rest of the hub is given.
type Issuer interface {
	Issue(d dot.Device, natsPub string, scopes []string) (wire.Credentials, error)
	// RenewalDue reports whether credentials that end then, in Unix seconds,
	// should be replaced.
	RenewalDue(expires int64) bool
}

// renew returns new credentials for a device that says hello with credentials
// whose half is over, or without a door. They were good enough for the server
// just now, so nothing more has to be proved. nil: it keeps what it has. A
// contact never fails for want of new credentials: the next hello asks again.
func (k *Desk) renew(ctx context.Context, dev store.Device, h wire.Hello) *wire.Credentials {
	if h.Holds == nil || k.Issuer == nil || h.Holds.Door && !k.Issuer.RenewalDue(h.Holds.Expires) {
		return nil
	}
	key, refused, err := k.holder(ctx, dev, h.Holds.Incarnation)
	if err != nil {
		k.Log.Error("credentials not renewed", "device", string(dev.ID), "err", err)
		return nil
	}
	if refused != nil {
		return nil
	}
	c, err := k.Issuer.Issue(dev.ID, key.NatsKey, dev.Scopes)
	if err != nil {
		k.Log.Error("credentials not renewed", "device", string(dev.ID), "err", err)
		return nil
	}
	k.Log.Info("credentials renewed", "device", string(dev.ID), "incarnation", uint64(key.Incarnation))
	return &c
}

// holder finds the key of the life that credentials are for. A life that a
// newer enrolment replaced gets none: its own run until they expire.
func (k *Desk) holder(ctx context.Context, dev store.Device, i dot.Incarnation) (store.Key, *wire.Refusal, error) {
	if dev.RevokedAt != 0 {
		return store.Key{}, revoked(dev.ID), nil
	}
	key, err := k.Store.Key(ctx, dev.ID, i)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Key{}, &wire.Refusal{
			Code: "unknown_device", What: "this hub does not know this life of the device",
			Which: fmt.Sprintf("%s/%d", dev.ID, i), Do: "enrol it again; what it holds stays safe on it",
		}, nil
	case err != nil:
		return store.Key{}, nil, err
	case key.RevokedAt != 0:
		return store.Key{}, revoked(dev.ID), nil
	case i != dev.Incarnation:
		return store.Key{}, &wire.Refusal{
			Code: "superseded", What: "the device was enrolled again elsewhere since", Which: fmt.Sprintf("%s/%d", dev.ID, i),
			Do: "ask the hub's administrator for a code of its own; what it holds stays safe on it",
		}, nil
	}
	return key, nil, nil
}

func revoked(d dot.Device) *wire.Refusal {
	return &wire.Refusal{Code: "revoked", What: "this device was revoked at the hub", Which: string(d), Do: "ask the hub's administrator"}
}

// Door answers a device that came by its door, since its ordinary credentials
// ran out: first with a challenge, then, when the device's signing key signed
// that one, with new credentials. Nothing is noted of the device here; its
// hello follows. The error is for the hub's log; the device then gets no answer
// and tries again.
func (k *Desk) Door(ctx context.Context, d dot.Device, b []byte) (wire.DoorAnswer, error) {
	now := k.Now()
	no := func(r *wire.Refusal) (wire.DoorAnswer, error) {
		k.Log.Warn("no credentials by the door", "device", string(d), "code", r.Code)
		return wire.DoorAnswer{Time: now.UnixMilli(), Refused: r}, nil
	}
	h, err := wire.Unmarshal[wire.DoorHello](b)
	if err != nil {
		return no(&wire.Refusal{Code: "bad_hello", What: err.Error(), Which: string(d), Do: "update the agent"})
	}
	dev, err := k.Store.Device(ctx, d)
	if errors.Is(err, store.ErrNotFound) {
		return no(&wire.Refusal{Code: "unknown_device", What: "this hub does not know the device", Which: string(d), Do: "enrol it again"})
	}
	if err != nil {
		return wire.DoorAnswer{}, fmt.Errorf("door of %s: %w", d, err)
	}
	key, refused, err := k.holder(ctx, dev, h.Incarnation)
	if err != nil {
		return wire.DoorAnswer{}, fmt.Errorf("door of %s: %w", d, err)
	}
	if refused != nil {
		return no(refused)
	}
	if len(h.Proof) == 0 {
		return wire.DoorAnswer{Time: now.UnixMilli(), Challenge: k.challenges.mint(key, now)}, nil
	}
	if !key.SignKey.Verify(identity.ForDoor, wire.DoorProof(h.Challenge, d, key.NatsKey), h.Proof) {
		return no(&wire.Refusal{Code: "bad_proof", What: "the proof was not made with this device's signing key", Which: string(d), Do: "run: agent doctor; if it finds nothing, enrol the device again"})
	}
	if !k.challenges.take(key, h.Challenge, now) {
		// Too old, used, or of a hub that was restarted since: sign this one.
		return wire.DoorAnswer{Time: now.UnixMilli(), Challenge: k.challenges.mint(key, now)}, nil
	}
	c, err := k.Issuer.Issue(d, key.NatsKey, dev.Scopes)
	if err != nil {
		return wire.DoorAnswer{}, fmt.Errorf("door of %s: %w", d, err)
	}
	k.Log.Info("credentials issued by the door", "device", string(d), "incarnation", uint64(key.Incarnation))
	return wire.DoorAnswer{Time: now.UnixMilli(), Credentials: &c}, nil
}

// ChallengeLife is how long a challenge can be answered: a round trip on the
// worst link, and some.
const ChallengeLife = 2 * time.Minute

// challenges mints challenges and takes each at most once. A challenge is
// minted time (8 bytes, ms), 8 random bytes, and the first 16 of an HMAC-SHA256
// over both and the key's owner: nothing is kept of one that nobody answers, so
// asking costs the hub no memory. Only answers with a valid proof are kept, until
// they could not be used again anyway. The secret is drawn by each process, so
// a restart forgets the answers and with them every challenge.
type challenges struct {
	once   sync.Once
	secret [32]byte

	mu   sync.Mutex
	used map[[wire.ChallengeSize]byte]time.Time // until when
}

// maxUsed bounds the answers kept: far more than a whole fleet gives in
// [ChallengeLife]. At the bound nothing is taken until some have aged.
const maxUsed = 1 << 16

const (
	stamped = 8  // of a challenge's bytes are the time
	seeded  = 16 // time and chance; the rest is the HMAC
)

func (c *challenges) mac(key store.Key, head []byte) []byte {
	c.once.Do(func() { _, _ = rand.Read(c.secret[:]) }) // never fails, see crypto/rand
	m := hmac.New(sha256.New, c.secret[:])
	m.Write(head)
	m.Write(binary.BigEndian.AppendUint32(nil, uint32(key.Incarnation)))
	m.Write([]byte(key.Device))
	return m.Sum(nil)[:wire.ChallengeSize-seeded]
}

func (c *challenges) mint(key store.Key, now time.Time) []byte {
	b := make([]byte, seeded, wire.ChallengeSize)
	binary.BigEndian.PutUint64(b, uint64(now.UnixMilli()))
	_, _ = rand.Read(b[stamped:])
	return append(b, c.mac(key, b)...)
}

// take reports whether the challenge is ours, for this key, fresh and unused,
// and counts it as used.
func (c *challenges) take(key store.Key, challenge []byte, now time.Time) bool {
	if len(challenge) != wire.ChallengeSize || !hmac.Equal(challenge[seeded:], c.mac(key, challenge[:seeded])) {
		return false
	}
	minted := time.UnixMilli(int64(binary.BigEndian.Uint64(challenge)))
	if age := now.Sub(minted); age < 0 || age > ChallengeLife {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for x, until := range c.used {
		if now.After(until) {
			delete(c.used, x)
		}
	}
	if _, again := c.used[[wire.ChallengeSize]byte(challenge)]; again || len(c.used) >= maxUsed {
		return false
	}
	if c.used == nil {
		c.used = make(map[[wire.ChallengeSize]byte]time.Time)
	}
	c.used[[wire.ChallengeSize]byte(challenge)] = minted.Add(ChallengeLife)
	return true
}
