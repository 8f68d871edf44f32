package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/feed"
)

// feed plans one act.
func (p *plan) feed(a *feedAct, now time.Time) (err error) {
	switch {
	case a.page != nil:
		a.failed, err = p.page(a.page, now)
	case a.resume != nil:
		a.failed = p.resume(a.scope, *a.resume)
	case a.rebase:
		a.failed = p.rebase(a.scope)
	case a.fetched != nil:
		a.failed, err = p.fetched(a.fetched)
	case a.grant != nil:
		p.grant(a.grant)
	case a.asOf != nil:
		for _, scope := range a.asOf {
			if f := p.held(scope); f != nil && f.Next == nil {
				f.AsOf = now.UnixMilli()
				p.feeds[scope] = f
			}
		}
	default:
		p.rows = append(p.rows, a.sweep...)
		for _, scope := range a.forget {
			p.rows = append(p.rows, row{key: feedKey(scope)})
			p.feeds[scope] = nil
		}
	}
	return err
}

// feedOf gives a copy of a scope's planned state, nil for one that is not here.
// What is put into p.feeds, finish writes.
func (p *plan) feedOf(scope string) *feedState {
	if f, ok := p.feeds[scope]; ok {
		return f
	}
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	if f := p.s.feeds[scope]; f != nil {
		return f.clone()
	}
	return nil
}

// held is feedOf for a scope that the device may hold.
func (p *plan) held(scope string) *feedState {
	if f := p.feedOf(scope); f != nil && !f.Left {
		return f
	}
	return nil
}

func (p *plan) page(pg *Page, now time.Time) (stale, err error) {
	f := p.held(pg.Scope)
	if f == nil || f.view(pg.Scope).Position() != pg.From {
		return fmt.Errorf("page of %s after %d: %w", pg.Scope, pg.From.N, ErrStale), nil
	}
	p.feeds[pg.Scope] = f
	gen, count, cursors := f.Gen, &f.Rows, &f.Cursors
	if f.Next != nil {
		gen, count, cursors = f.Next.Gen, &f.Next.Rows, &f.Next.Cursors
	}
	for _, r := range pg.Rows {
		if err := p.putBase(pg.Scope, gen, count, r, f.Line); err != nil {
			return nil, err
		}
	}
	*cursors = keepCursors(*cursors, pg.Next)
	if !pg.More {
		f.AsOf = now.UnixMilli()
	}
	if f.Next != nil && !pg.More {
		f.Gen, f.Rows, f.Cursors, f.Turns, f.Next = f.Next.Gen, f.Next.Rows, f.Next.Cursors, nil, nil
		p.switched = append(p.switched, pg.Scope)
	}
	return nil, nil
}

// putBase plans one row of a generation, and keeps count of its rows. That
// something is gone is a row as well: if the hub turns out to have been put back
// since, what went away must be asked for again.
func (p *plan) putBase(scope string, gen uint32, count *uint64, r feed.Row, line uint32) error {
	key := baseKey(scope, gen, r.Name())
	had, err := p.hasBase(key)
	if err != nil {
		return err
	}
	if !had {
		*count++
	}
	p.bases[string(key)] = true
	p.changed = append(p.changed, scopedName{scope, r.Name()})
	return p.addRow(key, baseRow{N: r.N, Rev: r.Rev, Kind: r.Kind, Line: line, Body: r.Body})
}

// dropBase plans that a row goes.
func (p *plan) dropBase(scope string, gen uint32, count *uint64, n feed.Name) error {
	key := baseKey(scope, gen, n)
	had, err := p.hasBase(key)
	if err != nil || !had {
		return err
	}
	*count--
	p.rows = append(p.rows, row{key: key})
	p.bases[string(key)] = false
	p.changed = append(p.changed, scopedName{scope, n})
	return nil
}

// hasBase reports whether a row will be there before the next one is planned.
func (p *plan) hasBase(key []byte) (bool, error) {
	if had, ok := p.bases[string(key)]; ok {
		return had, nil
	}
	had := false
	err := p.s.view(func(txn *badger.Txn) error {
		_, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		had = err == nil
		return err
	})
	return had, err
}

func (p *plan) resume(scope string, at HeldCursor) error {
	f := p.held(scope)
	if f != nil && f.Next != nil { // the load itself is of a lost future: begin it again
		return p.rebase(scope)
	}
	if f == nil {
		return fmt.Errorf("resume %s: %w", scope, ErrStale)
	}
	i := slices.IndexFunc(f.Cursors, func(c HeldCursor) bool { return c.Position() == at.Position() })
	if i < 0 {
		return fmt.Errorf("resume %s at %d: %w", scope, at.N, ErrStale)
	}
	p.feeds[scope] = f
	f.Line++
	f.Turns = append(f.Turns, turn{Line: f.Line, N: at.N})
	f.Cursors = append([]HeldCursor{at}, f.Cursors[i+1:]...)
	return nil
}

func (p *plan) rebase(scope string) error {
	f := p.held(scope)
	if f == nil {
		return fmt.Errorf("load %s anew: %w", scope, ErrStale)
	}
	p.feeds[scope] = f
	next := f.Gen + 1
	if f.Next != nil {
		next = f.Next.Gen + 1
	}
	f.Next = &nextGen{Gen: next}
	return nil
}

func (p *plan) fetched(got *Fetched) (stale, err error) {
	f := p.held(got.Scope)
	if f == nil || f.Next != nil || f.view(got.Scope).Position() != got.From {
		return fmt.Errorf("rows of %s as of %d: %w", got.Scope, got.From.N, ErrStale), nil
	}
	p.feeds[got.Scope] = f
	for _, name := range got.Asked {
		key := baseKey(got.Scope, f.Gen, name)
		have, err := p.s.base(key)
		if err == nil && !f.doubts(have.Line, have.N) || errors.Is(err, ErrNotFound) {
			continue // a page was faster
		}
		i := slices.IndexFunc(got.Rows, func(r feed.Row) bool { return r.Name() == name })
		if i < 0 {
			err = p.dropBase(got.Scope, f.Gen, &f.Rows, name)
		} else {
			err = p.putBase(got.Scope, f.Gen, &f.Rows, got.Rows[i], f.Line)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(got.Asked) > 0 {
		f.Cursors = keepCursors(f.Cursors, got.Next)
	}
	if got.All {
		f.Turns = nil
	}
	return nil, nil
}

// grant begins what is granted, and marks what is not any more.
func (p *plan) grant(scopes []string) {
	p.s.mu.RLock()
	gone := make(map[string]bool)
	for scope := range p.s.feeds {
		gone[scope] = !slices.Contains(scopes, scope)
	}
	p.s.mu.RUnlock()
	for scope, left := range gone {
		if f := p.held(scope); left && f != nil {
			f.Left = true
			p.feeds[scope] = f
			p.switched = append(p.switched, scope)
		}
	}
	for _, scope := range scopes {
		f := p.feedOf(scope)
		switch {
		case f == nil:
			p.feeds[scope] = &feedState{feedRow: feedRow{Gen: 1, Line: 1}}
		case f.Left: // what is left of the old rows is swept
			gen := f.Gen
			if f.Next != nil {
				gen = f.Next.Gen
			}
			p.feeds[scope] = &feedState{feedRow: feedRow{Gen: gen + 1, Line: f.Line}}
		}
	}
}
