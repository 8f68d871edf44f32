// Package feed answers devices' pulls and tells them that there is something to pull.
//
// A device asks for what lies above its cursor in a scope that it may see, and
// gets a page: rows, and the cursor behind them, signed. The cursor holds the
// mark that the hub's database left at the moment of the page. A cursor that
// this hub signed and whose mark it does not have proves that its database was
// put back to an older copy (law L12): a child epoch begins, and the device goes
// back to the newest cursor that both have. Where there is none, or where the
// feed has forgotten too much of what went away, it loads the scope anew.
//
//   - [Desk] answers pulls; [Desk.Heads] says in a welcome how far the feeds go,
//     so that a device with nothing new asks for nothing.
//   - [Herald] publishes the news of scopes that moved, coalesced.
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// Store is what a pull needs of the hub's database.
type Store interface {
	Device(ctx context.Context, id dot.Device) (store.Device, error)
	Feed(ctx context.Context, scope string, after uint64, maxBytes int) (store.FeedPage, error)
	FeedRows(ctx context.Context, scope string, names []feed.Name) ([]feed.Row, store.FeedHead, error)
	MarkAt(ctx context.Context, scope string, n uint64) (feed.Mark, bool, error)
	FeedHeads(ctx context.Context, scopes []string) ([]store.FeedHead, error)
}

// Desk answers pulls. It is safe for concurrent use.
type Desk struct {
	Store Store
	Key   identity.SigningKey  // the hub's, for cursors
	Epoch func() receipt.Epoch // of the database, when a page is made
	// Rewound is told of a cursor whose mark is not there, whatever its epoch.
	Rewound func(ctx context.Context, d dot.Device, c feed.Cursor, at int64) error
	// UplinkOnly says why a life of a device may send and not pull; "": it may.
	// nil: all may.
	UplinkOnly func(ctx context.Context, d dot.Device, i dot.Incarnation) (why string, err error)
	Now        func() time.Time
	Log        *slog.Logger
	// NoMarks believes every cursor. Only a negative control of the tests sets it.
	NoMarks bool
}

// Pull answers one pull from device d. The error is for the hub's log; the
// device then gets no answer and asks again.
func (k *Desk) Pull(ctx context.Context, d dot.Device, b []byte) (wire.FeedPage, error) {
	p, err := wire.Unmarshal[wire.Pull](b)
	if err != nil {
		return refuse("bad_pull", err.Error(), string(d), "update the agent"), nil
	}
	if no, err := k.refused(ctx, d, p); err != nil || no != nil {
		return wire.FeedPage{Scope: p.Scope, Refused: no}, err
	}
	page, err := k.answer(ctx, d, p)
	if err != nil {
		return wire.FeedPage{}, fmt.Errorf("pull of %s by %s: %w", p.Scope, d, err)
	}
	page.Scope = p.Scope
	return page, nil
}

func refuse(code, what, which, do string) wire.FeedPage {
	return wire.FeedPage{Refused: &wire.Refusal{Code: code, What: what, Which: which, Do: do}}
}

// refused says why the device may not pull the scope; nil: it may.
func (k *Desk) refused(ctx context.Context, d dot.Device, p wire.Pull) (*wire.Refusal, error) {
	dev, err := k.Store.Device(ctx, d)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse("unknown_device", "this hub does not know the device", string(d), "enrol it again").Refused, nil
	case err != nil:
		return nil, fmt.Errorf("pull by %s: %w", d, err)
	case dev.RevokedAt != 0:
		return refuse("revoked", "this device was revoked", string(d), "ask the hub's operator").Refused, nil
	case !slices.Contains(feed.Scopes(d, dev.Scopes), p.Scope):
		return refuse("not_granted", "the device is not granted this scope", p.Scope, "").Refused, nil
	case k.UplinkOnly == nil:
		return nil, nil
	}
	why, err := k.UplinkOnly(ctx, d, p.Incarnation)
	if err != nil {
		return nil, fmt.Errorf("pull by %s: %w", d, err)
	}
	if why != "" {
		return refuse("uplink_only", "this device may send, and gets nothing until an operator has confirmed it: "+why,
			fmt.Sprintf("%s/%d", d, p.Incarnation), "ask the hub's operator").Refused, nil
	}
	return nil, nil
}

// answer judges the cursors and makes the page.
func (k *Desk) answer(ctx context.Context, d dot.Device, p wire.Pull) (wire.FeedPage, error) {
	heads, err := k.Store.FeedHeads(ctx, []string{p.Scope})
	if err != nil {
		return wire.FeedPage{}, err
	}
	for i, signed := range p.Cursors {
		c, err := feed.OpenCursor(signed, k.Key.Public())
		if err != nil || c.Scope != p.Scope {
			k.Log.Warn("a pull's cursor is not this hub's", "device", string(d), "scope", p.Scope, "err", err)
			continue
		}
		stands, err := k.stands(ctx, c)
		switch {
		case err != nil:
			return wire.FeedPage{}, err
		case stands && c.Complete() < heads[0].Floor:
			return wire.FeedPage{Turn: wire.Rebase}, nil
		case stands && i == 0:
			return k.page(ctx, p, c)
		case stands:
			c.Epoch = k.Epoch()
			next, err := c.Sign(k.Key)
			return wire.FeedPage{Turn: wire.Resume, Next: next}, err
		case c.Complete() < heads[0].Floor:
			return wire.FeedPage{Turn: wire.Rebase}, nil // its mark was forgotten, which proves nothing
		default:
			if err := k.Rewound(ctx, d, c, k.Now().UnixMilli()); err != nil {
				return wire.FeedPage{}, err
			}
		}
	}
	switch {
	case len(p.Cursors) == 0:
		return k.page(ctx, p, feed.Cursor{Scope: p.Scope})
	case p.All:
		return wire.FeedPage{Turn: wire.Rebase}, nil
	}
	return wire.FeedPage{Turn: wire.Ask}, nil
}

// stands reports whether the hub knows the moment at which a cursor was given.
func (k *Desk) stands(ctx context.Context, c feed.Cursor) (bool, error) {
	if c.Anchored() == 0 || k.NoMarks {
		return true, nil
	}
	mark, ok, err := k.Store.MarkAt(ctx, c.Scope, c.Anchored())
	return ok && mark == c.Mark, err
}

// page makes the page behind a cursor that stands.
func (k *Desk) page(ctx context.Context, p wire.Pull, c feed.Cursor) (wire.FeedPage, error) {
	budget := feed.MaxPacked
	if p.Bytes > 0 {
		budget = int(min(p.Bytes, feed.MaxPacked))
	}
	if len(p.Names) > 0 {
		return k.byName(ctx, p, c, budget)
	}
	got, err := k.Store.Feed(ctx, p.Scope, c.N, min(feed.MaxRaw, budget*likelyRatio))
	if err != nil {
		return wire.FeedPage{}, err
	}
	if c.N > 0 && c.Complete() < got.Head.Floor { // forgotten since it was looked at
		return wire.FeedPage{Turn: wire.Rebase}, nil
	}
	rows, body, err := fit(c.N, got.Rows, budget)
	if err != nil {
		return wire.FeedPage{}, err
	}
	next := feed.Cursor{Epoch: k.Epoch(), Scope: p.Scope, N: got.Head.N, Mark: got.Head.Mark}
	more := got.More || len(rows) < len(got.Rows)
	if more {
		next.N, next.Anchor = rows[len(rows)-1].N, got.Head.N
	}
	next.Since = c.Since
	if c.N == 0 {
		next.Since = got.Head.N
	}
	if next.Since <= next.N {
		next.Since = 0
	}
	signed, err := next.Sign(k.Key)
	return wire.FeedPage{After: c.N, Next: signed, Body: body, More: more}, err
}

// likelyRatio is about how much smaller packed rows are at best: more need not be read.
const likelyRatio = 12

// fit packs as many rows as a budget in bytes holds, at least one.
func fit(after uint64, rows []feed.Row, budget int) ([]feed.Row, []byte, error) {
	for {
		if len(rows) == 0 {
			return nil, nil, nil
		}
		body, err := feed.Pack(after, rows)
		if err != nil || len(body) <= budget || len(rows) == 1 {
			return rows, body, err
		}
		fewer := len(rows) * budget / len(body) * 9 / 10
		rows = rows[:min(max(fewer, 1), len(rows)-1)]
	}
}

// byName answers which rows there are of some names.
func (k *Desk) byName(ctx context.Context, p wire.Pull, c feed.Cursor, budget int) (wire.FeedPage, error) {
	names := make([]feed.Name, len(p.Names))
	for i, n := range p.Names {
		names[i] = feed.Name{Slot: n.Slot, Key: n.Key}
	}
	got, head, err := k.Store.FeedRows(ctx, p.Scope, names)
	if err != nil {
		return wire.FeedPage{}, err
	}
	byName := make(map[feed.Name]feed.Row, len(got))
	for _, r := range got {
		byName[r.Name()] = r
	}
	answered, size := len(names), 0
	for i, n := range names {
		if size += byName[n].Size(); i > 0 && size > feed.MaxRaw {
			answered = i
			break
		}
	}
	var body []byte
	for {
		var rows []feed.Row
		for _, n := range names[:answered] {
			if r, ok := byName[n]; ok {
				rows = append(rows, r)
				delete(byName, n)
			}
		}
		for _, r := range rows {
			byName[r.Name()] = r
		}
		slices.SortFunc(rows, func(a, b feed.Row) int { return int(a.N) - int(b.N) }) //nolint:gosec // at most feed.MaxN
		if body, err = feed.Pack(0, rows); err != nil {
			return wire.FeedPage{}, err
		}
		if len(body) <= budget || answered == 1 {
			break
		}
		answered /= 2
	}
	next := c
	next.Epoch, next.Mark, next.Anchor = k.Epoch(), head.Mark, head.N
	if next.Anchor == next.N {
		next.Anchor = 0
	}
	signed, err := next.Sign(k.Key)
	return wire.FeedPage{Next: signed, Body: body, Answered: uint32(answered)}, err //nolint:gosec // at most wire.MaxNames
}

// Heads says how far the feeds go of the scopes that a device may pull.
func (k *Desk) Heads(ctx context.Context, dev store.Device, i dot.Incarnation) ([]wire.ScopeAt, error) {
	if k.UplinkOnly != nil {
		if why, err := k.UplinkOnly(ctx, dev.ID, i); err != nil || why != "" {
			return nil, err
		}
	}
	heads, err := k.Store.FeedHeads(ctx, feed.Scopes(dev.ID, dev.Scopes))
	if err != nil {
		return nil, err
	}
	out := make([]wire.ScopeAt, len(heads))
	for i, h := range heads {
		out[i] = wire.ScopeAt{Scope: h.Scope, N: h.N, Mark: h.Mark}
	}
	return out, nil
}
