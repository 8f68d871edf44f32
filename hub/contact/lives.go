package contact

import (
	"context"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/wire"
)

// lives is what a hello's claims came to.
type lives struct {
	claimed, taken map[dot.Incarnation]bool
	answers        []wire.LifeAnswer
	uplinkOnly     bool // the one that speaks is a twin that nobody confirmed
}

// hearLives notes the lives that a device claims, and which of them speaks. A
// claim that no key of the device signed counts as not made.
func (k *Desk) hearLives(ctx context.Context, d dot.Device, h wire.Hello, now int64) (lives, error) {
	out := lives{claimed: make(map[dot.Incarnation]bool), taken: make(map[dot.Incarnation]bool)}
	if len(h.Lives) == 0 {
		return out, nil
	}
	keys, err := k.Store.Keys(ctx, d)
	if err != nil {
		return out, err
	}
	for i, c := range h.Lives {
		key, ok := signerOf(keys, d, c)
		if !ok {
			k.Log.Warn("a life that no key of the device vouches for", "device", string(d), "incarnation", uint64(c.Incarnation))
			continue
		}
		out.claimed[c.Incarnation] = true
		known, taken, err := k.Store.Claim(ctx, store.Life{
			Device: d, Incarnation: c.Incarnation, ID: c.ID, Reason: c.Reason, Previous: c.Previous, Enrolled: key.Incarnation, ClaimedAt: now,
		})
		switch {
		case err != nil:
			return out, err
		case taken:
			next, err := k.Store.NextLife(ctx, d)
			if err != nil {
				return out, err
			}
			out.taken[c.Incarnation] = true
			out.answers = append(out.answers, wire.LifeAnswer{Incarnation: c.Incarnation, State: wire.LifeTaken, Next: next})
		case known.UplinkOnly():
			out.answers = append(out.answers, wire.LifeAnswer{Incarnation: c.Incarnation, State: wire.LifeUplinkOnly})
			out.uplinkOnly = i == len(h.Lives)-1
		}
	}
	return out, k.speak(ctx, d, h, out, now)
}

// declared lists the lanes that a hello declares and that count.
//
// A lane of a life that the hub does not know and that is not claimed is passed over,
// and no reason to send the device away: its alerts would stay out as well. A device
// cannot claim a life whose id went down with its book, nor more than a hello has room
// for; and the frames of a life are a claim of it.
func (k *Desk) declared(ctx context.Context, dev store.Device, h wire.Hello, l lives, now int64) (out []store.Lane, refused *wire.Welcome, err error) {
	var known map[dot.Incarnation]bool
	for _, x := range h.Lanes {
		chain := dot.Chain{Device: dev.ID, Incarnation: x.Incarnation, Lane: x.Lane}
		if chain.Check() != nil || x.Last > dot.MaxSeq {
			w := refuse(now, "bad_hello", "the device declared a lane that it cannot have", chain.String(), "run: agent doctor")
			return nil, &w, nil
		}
		if l.taken[x.Incarnation] {
			continue // what it holds under that number gets another
		}
		if x.Incarnation > dev.Incarnation && !l.claimed[x.Incarnation] {
			if known == nil {
				if known, err = k.livesOf(ctx, dev.ID); err != nil {
					return nil, nil, err
				}
			}
			if !known[x.Incarnation] {
				k.Log.Warn("a lane of a life that is neither known nor claimed", "device", string(dev.ID), "chain", chain.String())
				continue
			}
		}
		out = append(out, store.Lane{Chain: chain, Declared: x.Last, DeclaredHead: x.Head, DeclaredAt: now})
	}
	return out, nil, nil
}

func (k *Desk) livesOf(ctx context.Context, d dot.Device) (map[dot.Incarnation]bool, error) {
	all, err := k.Store.Lives(ctx, d)
	out := make(map[dot.Incarnation]bool, len(all))
	for _, l := range all {
		out[l.Incarnation] = true
	}
	return out, err
}

// signerOf finds the enrolment whose key signed a claim.
func signerOf(keys []store.Key, d dot.Device, c wire.LifeClaim) (store.Key, bool) {
	for _, k := range keys {
		if k.RevokedAt == 0 && k.SignKey.Verify(identity.ForLife, c.Message(d), c.Proof) {
			return k, true
		}
	}
	return store.Key{}, false
}

// speak notes the life that says hello, takes back what it declared under
// another history, and raises the finding about twins.
func (k *Desk) speak(ctx context.Context, d dot.Device, h wire.Hello, l lives, now int64) error {
	for _, e := range h.Ended {
		err := k.Store.EndDeclared(ctx, dot.Chain{Device: d, Incarnation: e.Incarnation, Lane: e.Lane}, e.Last, e.Head)
		if err != nil {
			return err
		}
	}
	current := h.Lives[len(h.Lives)-1].Incarnation
	if !l.claimed[current] || l.taken[current] {
		return nil
	}
	twins, err := k.Store.Speak(ctx, d, current, now)
	if err != nil {
		return err
	}
	for _, t := range twins {
		k.Log.Warn("two copies of one device's folder are live", "device", string(d), "life", uint64(current), "twin", uint64(t.Incarnation))
		err := k.Store.SetFinding(ctx, store.Finding{
			Device: d, Code: TwinsFinding, Value: int64(t.Incarnation), OpenedAt: now, UpdatedAt: now,
			Words: fmt.Sprintf("two folders run as %s: life %d, and life %d, which may send and gets nothing until it is confirmed: hub device confirm %s --life %d; or revoke the device",
				d, current, t.Incarnation, d, t.Incarnation),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TwinsFinding is the finding that two copies of a folder are live.
const TwinsFinding = "twins"

// compare answers what a device asks about the hub's ledger of its own chains.
func (k *Desk) compare(ctx context.Context, d dot.Device, asked []wire.Comparison) ([]wire.Compared, error) {
	var out []wire.Compared
	for _, c := range asked {
		sums, err := k.Store.Compare(ctx, dot.Chain{Device: d, Incarnation: c.Incarnation, Lane: c.Lane}, c.Runs)
		if err != nil {
			return nil, err
		}
		out = append(out, wire.Compared{Incarnation: c.Incarnation, Lane: c.Lane, Digests: sums})
	}
	return out, nil
}
