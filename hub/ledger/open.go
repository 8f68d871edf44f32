package ledger

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/ledger/journal"
	"otor/hub/store"
)

// Opened says what [Open] found and did.
type Opened struct {
	Made bool // there was no journal in the folder
	// Filled counts facts that the database had and the journal did not.
	Filled uint64
	// Replayed counts facts that the journal had and the database did not, by kind:
	// the database was put back to an older copy, or a crash came between the two.
	Replayed map[string]int
	Cut      int64 // bytes of a record that a crash left unfinished
	// Refused counts those of the replayed ones whose effect the database would
	// not take; they stand in the ledger all the same.
	Refused int
}

// Caught is the number of facts that were replayed.
func (o Opened) Caught() int {
	n := 0
	for _, k := range o.Replayed {
		n += k
	}
	return n
}

// Open opens the journal, compares it with the database from the first fact to
// the last, fills it where it ends before the database, and brings into effect
// what the database lacks.
func Open(ctx context.Context, cfg Config) (_ *Ledger, err error) {
	l := &Ledger{cfg: cfg, kinds: make(map[string]Kind), own: make(map[uint64]bool)}
	for _, k := range cfg.Kinds {
		l.kinds[k.Name] = k
	}
	public := cfg.Key.Public()
	l.tail = tail{0, Genesis(public)}
	hashes := []store.FactHash{} // of the journal's facts
	j, found, err := journal.Open(cfg.Dir, cfg.Make, func(signed []byte) error {
		f, err := Read(signed, public)
		if err != nil && len(hashes) == 0 {
			return fmt.Errorf("%w is in %s: %w", ErrForeign, cfg.Dir, err)
		}
		if err == nil {
			err = l.tail.next(f)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
		}
		hashes = append(hashes, f.Hash)
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.journal = j
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	l.opened = Opened{Made: found.Made, Cut: found.Cut}
	if found.Cut > 0 {
		cfg.Log.WarnContext(ctx, "an act that was not finished was cut off the journal", "dir", cfg.Dir, "bytes", found.Cut)
	}
	if err := l.fill(ctx, hashes); err != nil {
		return nil, err
	}
	if l.opened.Replayed, err = l.catchUp(ctx, false); err != nil {
		return nil, err
	}
	l.owes = cfg.Shared
	if err := l.owed(ctx, false); err != nil {
		return nil, err
	}
	l.heard = l.tail.number // whoever starts the hub brings the outside in line
	clear(l.own)
	return l, nil
}

// fill compares the database's facts with the journal's, and gives the journal
// those that it lacks.
func (l *Ledger) fill(ctx context.Context, hashes []store.FactHash) error {
	public := l.cfg.Key.Public()
	at := tail{0, Genesis(public)}
	for row, err := range l.cfg.Store.Facts(ctx, store.FactQuery{}) {
		if err != nil {
			return err
		}
		f, err := Read(row.Signed, public)
		if err == nil {
			err = at.next(f)
		}
		if err != nil && row.Number == 1 {
			return fmt.Errorf("%w: the hub of this database has other keys than this folder, or its first fact is damaged; copy the folder keys from that hub's folder: %w", store.ErrForeign, err)
		}
		if err != nil {
			return fmt.Errorf("%w: fact %d of the ledger: %w", store.ErrDamaged, row.Number, err)
		}
		if n := len(hashes); l.cfg.Shared && f.Number == uint64(n) && hashes[n-1] != f.Hash {
			if err := l.takeBack(); err != nil {
				return err
			}
			hashes = hashes[:n-1]
		}
		switch n := f.Number; {
		case n <= uint64(len(hashes)):
			if hashes[n-1] != f.Hash {
				return fmt.Errorf("%w from fact %d on: %s goes with another life of this hub; name another --journal folder", ErrForked, n, l.cfg.Dir)
			}
		default:
			if err := l.journal.Append(row.Signed); err != nil {
				return fmt.Errorf("give the journal the facts that it lacks: %w", err)
			}
			l.tail = at
			l.opened.Filled++
		}
	}
	l.behind = at.number < l.tail.number
	if l.opened.Filled > 0 && !l.opened.Made && !l.cfg.Shared { // what others recorded meanwhile is as it should be
		l.cfg.Log.WarnContext(ctx, "the journal lacked facts that were in the database, and has them now: its disk may lose what it was told to keep",
			"dir", l.cfg.Dir, "facts", l.opened.Filled)
	}
	return nil
}

// catchUp brings into effect what the journal has and the database lacks, each
// fact in a transaction of its own, so that a crash loses no place.
func (l *Ledger) catchUp(ctx context.Context, after bool) (done map[string]int, err error) {
	done = make(map[string]int)
	if !l.behind {
		return done, nil
	}
	var have store.Fact
	if err := l.cfg.Store.Ingest(ctx, func(tx store.Tx) (err error) { have, err = tx.LastFact(); return err }); err != nil {
		return done, err
	}
	number := uint64(0)
	err = l.journal.Each(func(signed []byte) error {
		if number++; number <= have.Number {
			return nil
		}
		f, err := Read(signed, l.cfg.Key.Public())
		if err != nil {
			return fmt.Errorf("%w: %w", journal.ErrDamaged, err)
		}
		return l.replay(ctx, f, after, done)
	})
	if err != nil {
		return done, err
	}
	l.behind = false
	return done, nil
}

func (l *Ledger) replay(ctx context.Context, f Fact, after bool, done map[string]int) error {
	kind, ok := l.kinds[f.Kind]
	if !ok {
		return fmt.Errorf("%w: the journal has a fact of kind %q (number %d), which this program does not know; run the newer hub", store.ErrNewer, f.Kind, f.Number)
	}
	err := l.cfg.Store.Ingest(ctx, func(tx store.Tx) error {
		if err := kind.Apply(tx, f); err != nil {
			return err
		}
		return tx.AddFact(f.Fact)
	})
	if refused(err) {
		// One fact that does not fit must not keep the hub from starting.
		l.cfg.Log.ErrorContext(ctx, "a fact of the journal has no effect on this database", "number", f.Number, "kind", f.Kind, "subject", f.Subject, "err", err)
		l.opened.Refused++
		err = l.cfg.Store.Ingest(ctx, func(tx store.Tx) error { return tx.AddFact(f.Fact) })
	}
	if err != nil {
		return fmt.Errorf("bring fact %d (%s %s) of the journal into effect: %w", f.Number, f.Kind, f.Subject, err)
	}
	done[f.Kind]++
	l.cfg.Log.InfoContext(ctx, "fact replayed from the journal", "number", f.Number, "kind", f.Kind, "subject", f.Subject)
	if !after {
		return nil
	}
	return l.after(ctx, kind, f)
}

// refused reports whether the database's state, not some trouble, keeps a fact
// from having its effect.
func refused(err error) bool {
	for _, e := range []error{store.ErrExists, store.ErrNotFound, store.ErrRevoked, store.ErrCodeUsed, store.ErrCodeExpired} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
