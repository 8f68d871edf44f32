package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"otor/hub/ledger/journal"
	"otor/hub/store"
	"otor/internal/identity"
)

// Checked says what [Ledger.Check] looked at.
type Checked struct {
	Facts     uint64         `json:"facts"`
	Journal   uint64         `json:"journal"` // facts in the journal
	Head      store.FactHash `json:"head"`
	ByKind    map[string]int `json:"by_kind"`
	Unapplied uint64         `json:"unapplied"` // decided, and not in effect yet
}

// Check reads ledger and journal from the first fact to the last, checks every
// signature and link, and compares the two. Errors wrap [store.ErrDamaged],
// [journal.ErrDamaged] or [ErrForked].
func (l *Ledger) Check(ctx context.Context) (Checked, error) {
	l.mu.Lock() // nothing is added between the two readings
	defer l.mu.Unlock()
	rows := l.cfg.Store.Facts(ctx, store.FactQuery{})
	if l.cfg.Shared && !l.behind && !l.owes { // what other hubs recorded meanwhile is no damage
		if err := l.learn(ctx); err != nil {
			return Checked{}, err
		}
		rows = until(rows, l.tail.number)
	}
	c, hashes, err := CheckRows(rows, l.cfg.Key.Public())
	if err != nil {
		return c, err
	}
	at := tail{0, Genesis(l.cfg.Key.Public())}
	err = l.journal.Each(func(signed []byte) error {
		f, err := Read(signed, l.cfg.Key.Public())
		if err = errors.Join(err, at.next(f)); err != nil {
			return fmt.Errorf("%w: record %d: %w", journal.ErrDamaged, c.Journal+1, err)
		}
		if c.Journal++; c.Journal <= c.Facts && hashes[c.Journal-1] != f.Hash {
			return fmt.Errorf("%w from fact %d on", ErrForked, f.Number)
		}
		return nil
	})
	if err == nil && c.Journal < c.Facts {
		err = fmt.Errorf("%w: it ends at fact %d, the database at %d", journal.ErrDamaged, c.Journal, c.Facts)
	}
	if err == nil {
		c.Unapplied = c.Journal - c.Facts
	}
	return c, err
}

// until ends facts behind one: others may come while they are read.
func until(rows iter.Seq2[store.Fact, error], last uint64) iter.Seq2[store.Fact, error] {
	return func(yield func(store.Fact, error) bool) {
		for f, err := range rows {
			if err == nil && f.Number > last || !yield(f, err) {
				return
			}
		}
	}
}

// CheckRows checks signatures and links of a database's facts.
func CheckRows(rows iter.Seq2[store.Fact, error], hub identity.PublicKey) (Checked, []store.FactHash, error) {
	c := Checked{Head: Genesis(hub), ByKind: make(map[string]int)}
	var hashes []store.FactHash
	at := tail{0, Genesis(hub)}
	for row, err := range rows {
		if err != nil {
			return c, hashes, err
		}
		f, err := Read(row.Signed, hub)
		if err == nil {
			err = at.next(f)
		}
		if err == nil && (row.ID != f.ID || row.Hash != f.Hash || row.Number != f.Number || row.At != f.At || row.By != f.By || row.Kind != f.Kind || row.Subject != f.Subject) {
			err = fmt.Errorf("%w: its columns say something else than what was signed", ErrBadFact)
		}
		if err != nil {
			return c, hashes, fmt.Errorf("%w: fact %d of the ledger: %w", store.ErrDamaged, row.Number, err)
		}
		c.Facts, c.Head = f.Number, f.Hash
		c.ByKind[f.Kind]++
		hashes = append(hashes, f.Hash)
	}
	return c, hashes, nil
}
