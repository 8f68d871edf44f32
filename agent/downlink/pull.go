package downlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"otor/internal/feed"
	"otor/internal/wire"
)

// pull takes one step with a scope: a page, a turn, or doubtful rows.
func (d *Downlink) pull(ctx context.Context, scope string, bytes uint32) error {
	d.begin(scope)
	st := d.cfg.Store.Feed(scope)
	if slices.Contains(d.cfg.Store.Sick(), scope) {
		if err := d.cfg.Store.RebaseFeed(ctx, scope); err != nil {
			return err
		}
		st = d.cfg.Store.Feed(scope)
	}
	p, err := d.ask(ctx, st, wire.Pull{Scope: scope, Bytes: bytes}, false)
	if err != nil {
		return err
	}
	if p.Turn == wire.Ask {
		if p, err = d.ask(ctx, st, wire.Pull{Scope: scope, Bytes: bytes}, true); err != nil {
			return err
		}
	}
	switch p.Turn {
	case wire.Resume:
		return d.resume(ctx, st, p)
	case wire.Rebase:
		d.cfg.Log.Info("a scope is loaded anew", "scope", scope)
		return d.cfg.Store.RebaseFeed(ctx, scope)
	case wire.Onward:
	default:
		return fmt.Errorf("pull %s: the hub does not know what it asks for", scope)
	}
	more, err := d.apply(ctx, st, p)
	if errors.Is(err, d.cfg.Stale) {
		return nil // somebody was faster: look again
	}
	if err != nil || more {
		return err
	}
	if d.cfg.Store.Feed(scope).Doubt {
		return d.refetch(ctx, scope, bytes)
	}
	d.done(scope)
	return d.cfg.Store.Sweep(ctx)
}

// ask sends a pull with the newest cursor, or with all.
func (d *Downlink) ask(ctx context.Context, st feed.State, p wire.Pull, all bool) (wire.FeedPage, error) {
	p.Incarnation, p.All = d.cfg.Incarnation(), all || len(st.Cursors) <= 1
	for i, c := range st.Cursors {
		if i > 0 && !all {
			break
		}
		p.Cursors = append(p.Cursors, c.Signed)
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	page, err := d.cfg.Port.Pull(ctx, p)
	if err != nil {
		return page, fmt.Errorf("pull %s: %w", p.Scope, err)
	}
	if page.Scope != p.Scope && (page.Refused == nil || page.Scope != "") { // also a refusal of another scope
		return page, fmt.Errorf("pull %s: %w: a page of %q came", p.Scope, feed.ErrInvalid, page.Scope)
	}
	if page.Refused != nil {
		return page, fmt.Errorf("pull %s: %w", p.Scope, page.Refused)
	}
	return page, nil
}

// cursor reads the page's cursor. One of another epoch than the last welcome's
// means that the hub has found out that it was put back: a hello brings the rest.
func (d *Downlink) cursor(p wire.FeedPage) (feed.Held, feed.Cursor, error) {
	c, err := feed.OpenCursor(p.Next, d.cfg.Hub)
	if err != nil {
		return feed.Held{}, c, err
	}
	if c.Scope != p.Scope {
		return feed.Held{}, c, fmt.Errorf("%w: the cursor is one of %s", feed.ErrInvalid, c.Scope)
	}
	d.mu.Lock()
	other := c.Epoch != d.epoch
	d.epoch = c.Epoch // asked for once
	d.mu.Unlock()
	if other {
		d.cfg.Again()
	}
	return feed.Held{Signed: p.Next, N: c.N, Mark: c.Mark}, c, nil
}

// apply checks a page that follows st, and puts it into the store.
func (d *Downlink) apply(ctx context.Context, st feed.State, p wire.FeedPage) (more bool, err error) {
	next, _, err := d.cursor(p)
	if err != nil {
		return false, fmt.Errorf("page of %s: %w", st.Scope, err)
	}
	page := feed.Page{Scope: st.Scope, From: st.Position(), Next: next, More: p.More}
	if p.After != page.From.N {
		return false, fmt.Errorf("page of %s: %w: it follows %d, and %d was asked for", st.Scope, feed.ErrInvalid, p.After, page.From.N)
	}
	if len(p.Body) > 0 {
		if page.Rows, err = feed.Unpack(page.From.N, p.Body); err != nil {
			return false, fmt.Errorf("page of %s: %w", st.Scope, err)
		}
	}
	last := page.From.N
	if n := len(page.Rows); n > 0 {
		last = page.Rows[n-1].N
	}
	if next.N < last || p.More && (next.N != last || len(page.Rows) == 0) {
		return false, fmt.Errorf("page of %s: %w: rows to %d and a cursor at %d", st.Scope, feed.ErrInvalid, last, next.N)
	}
	if page.Next.Position() == page.From && !st.Loading {
		return false, d.cfg.Store.ConfirmFeeds(ctx, []string{st.Scope})
	}
	if err := d.cfg.Store.ApplyPage(ctx, page); err != nil {
		return false, err
	}
	d.took(page)
	return p.More, nil
}

// took counts a page's rows, and hears of what only a hello brings.
func (d *Downlink) took(p feed.Page) {
	d.mu.Lock()
	d.pulled += len(p.Rows)
	d.mu.Unlock()
	if d.cfg.Applied != nil {
		d.cfg.Applied(p.Scope, len(p.Rows))
	}
	if p.Scope != feed.ScopeOf(d.cfg.Device) {
		return
	}
	d.mu.Lock()
	known := d.grant
	d.mu.Unlock()
	// Another grant than the welcome's: only a hello says how far its scopes go.
	if slices.ContainsFunc(p.Rows, func(r feed.Row) bool { return r.Kind == feed.Grant && !bytes.Equal(r.Body, known) }) {
		d.cfg.Again()
	}
}

// resume goes back to the cursor that the hub names.
func (d *Downlink) resume(ctx context.Context, st feed.State, p wire.FeedPage) error {
	at, _, err := d.cursor(p)
	if err != nil {
		return fmt.Errorf("resume %s: %w", st.Scope, err)
	}
	d.cfg.Log.Warn("the hub was put back: a scope goes on from an earlier cursor", "scope", st.Scope, "from", st.Position().N, "to", at.N)
	if err = d.cfg.Store.ResumeFeed(ctx, st.Scope, at); errors.Is(err, d.cfg.Stale) {
		return nil
	}
	return err
}

// refetch asks for rows that a lost database sent.
func (d *Downlink) refetch(ctx context.Context, scope string, bytes uint32) error {
	names, all, err := d.cfg.Store.Doubtful(ctx, scope, wire.MaxNames)
	if err != nil {
		return err
	}
	st := d.cfg.Store.Feed(scope)
	got := feed.Fetched{Scope: scope, From: st.Position(), Asked: names, All: all}
	if len(names) > 0 {
		p := wire.Pull{Scope: scope, Bytes: bytes}
		for _, n := range names {
			p.Names = append(p.Names, wire.RowName{Slot: n.Slot, Key: n.Key})
		}
		page, err := d.ask(ctx, st, p, false)
		if err != nil || page.Turn != wire.Onward {
			return err // a turn: the next pull hears of it again
		}
		if got.Next, _, err = d.cursor(page); err != nil {
			return err
		}
		if len(page.Body) > 0 {
			if got.Rows, err = feed.Unpack(0, page.Body); err != nil {
				return err
			}
		}
		if n := int(page.Answered); n < len(names) {
			if n == 0 {
				return fmt.Errorf("rows of %s: %w: none was answered", scope, feed.ErrInvalid)
			}
			got.Asked, got.All = names[:n], false
		}
	}
	if err = d.cfg.Store.ApplyFetched(ctx, got); errors.Is(err, d.cfg.Stale) {
		return nil
	}
	return err
}
