package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"otor/hub/store"
)

// Where several hubs record in one database, each has a journal of its own, which
// holds the facts of all of them. Before a hub records, and now and then in
// between, its journal learns what the others have recorded.
//
// A fact that stands at the end of a journal and did not get into the database,
// because its hub ended or its connection broke in between, may find its number
// taken. It was decided, so it is recorded again, under the same id and the next
// number; the record that stood in the journal is kept aside.

// Follow learns what other hubs have recorded, carries its effects outside of the
// database too, and brings into effect what is pending. more reports whether there
// was anything.
func (l *Ledger) Follow(ctx context.Context) (more bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.behind || l.owes {
		if err := l.settle(context.WithoutCancel(ctx), true); err != nil {
			return false, err
		}
	}
	if err := l.learn(ctx); err != nil {
		return false, err
	}
	for l.heard < l.tail.number {
		before := l.heard
		for row, err := range l.cfg.Store.Facts(ctx, store.FactQuery{After: l.heard, Limit: 64}) {
			if err != nil {
				return more, err
			}
			more = true
			if err := l.hear(ctx, row); err != nil {
				return more, err
			}
			l.heard = row.Number
		}
		if l.heard == before {
			return more, fmt.Errorf("%w: the database ends at fact %d and the journal at %d, so the database was put back: start the hub again", ErrForked, before, l.tail.number)
		}
	}
	return more, nil
}

// hear carries the effect of another hub's fact outside of the database.
func (l *Ledger) hear(ctx context.Context, row store.Fact) error {
	if l.own[row.Number] {
		delete(l.own, row.Number)
		return nil
	}
	kind := l.kinds[row.Kind]
	if kind.Heard == nil {
		return nil
	}
	f, err := Read(row.Signed, l.cfg.Key.Public())
	if err == nil {
		err = kind.Heard(ctx, f)
	}
	if err != nil {
		return fmt.Errorf("follow %s %s, which another hub recorded: %w", row.Kind, row.Subject, err)
	}
	return nil
}

// learn gives the journal the facts that the database has beyond its end.
func (l *Ledger) learn(ctx context.Context) error {
	for row, err := range l.cfg.Store.Facts(ctx, store.FactQuery{After: l.tail.number}) {
		if err != nil {
			return err
		}
		at := l.tail
		f, err := Read(row.Signed, l.cfg.Key.Public())
		if err == nil {
			err = at.next(f)
		}
		if err != nil {
			return fmt.Errorf("%w from fact %d on: %w", ErrForked, row.Number, err)
		}
		if err := l.journal.Append(row.Signed); err != nil {
			return fmt.Errorf("%w: %w", ErrJournal, err)
		}
		l.tail = at
	}
	return nil
}

// settle brings into effect what the journal has and the database lacks, and what was
// taken out of the journal.
func (l *Ledger) settle(ctx context.Context, after bool) error {
	if l.behind && l.cfg.Shared {
		for row, err := range l.cfg.Store.Facts(ctx, store.FactQuery{After: l.tail.number - 1, Limit: 1}) {
			switch {
			case err != nil:
				return err
			case row.Hash == l.tail.hash: // it had been committed after all
				l.behind = false
			default:
				if err := l.takeBack(); err != nil {
					return err
				}
			}
		}
	}
	if l.behind {
		if _, err := l.catchUp(ctx, after); err != nil {
			return err
		}
	}
	return l.owed(ctx, after)
}

// takeBack takes the last fact out of the journal: its number was taken. What was decided
// is owed from then on, also after a crash.
func (l *Ledger) takeBack() error {
	signed, err := l.journal.TakeBack()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	l.owes = true
	f, err := Read(signed, l.cfg.Key.Public())
	if err != nil {
		return err
	}
	l.tail, l.behind = tail{f.Number - 1, f.Before}, false
	return nil
}

// owed records once more what was taken out of the journal. What fails stays owed.
func (l *Ledger) owed(ctx context.Context, after bool) error {
	if !l.owes {
		return nil
	}
	all, err := l.journal.Aside()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	for _, a := range all {
		f, err := Read(a.Content, l.cfg.Key.Public())
		if err != nil {
			return fmt.Errorf("%s: %w", a.Path, err)
		}
		if err := l.again(ctx, f, after); err != nil {
			return err
		}
		if err := a.Done(); err != nil {
			return fmt.Errorf("%w: %w", ErrJournal, err)
		}
	}
	l.owes = false
	return nil
}

// again records an act whose number another hub's took, unless the database has
// it already.
func (l *Ledger) again(ctx context.Context, f Fact, after bool) error {
	kind, ok := l.kinds[f.Kind]
	if !ok {
		return fmt.Errorf("%w: the journal has a fact of kind %q, which this program does not know; run the newer hub", store.ErrNewer, f.Kind)
	}
	done, err := l.commit(ctx, kind, Act{ID: f.ID, By: f.By, Kind: f.Kind, Subject: f.Subject, Body: json.RawMessage(f.Body)}, nil)
	switch {
	case errors.Is(err, store.ErrExists):
		return nil
	case refused(err):
		l.cfg.Log.ErrorContext(ctx, "what was decided has no effect any more: another hub was faster", "kind", f.Kind, "subject", f.Subject, "err", err)
		return nil
	case err != nil:
		return err
	case !after:
		return nil
	}
	return l.after(ctx, kind, done)
}
