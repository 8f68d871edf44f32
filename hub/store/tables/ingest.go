package tables

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// Ingest runs fn in one transaction. There is one writer, so it runs alone
// whatever lanes it touches. fn must not call the store's own writing methods:
// they would wait for it.
func (s *Store) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	var own error
	var moved []string
	err := s.write(ctx, "ingest", func(w *writer) (err error) {
		t := &tx{w: w, tallies: make(map[tally]int64), feeds: make(map[string]*openFeed), parents: make(map[entry.Ref][]entry.Ref)}
		defer func() { t.spoilt = errEnded }()
		if own = fn(t); own != nil {
			return own
		}
		if t.spoilt != nil {
			return t.spoilt
		}
		if err := t.saveTallies(); err != nil {
			return err
		}
		if err := t.saveFound(); err != nil {
			return err
		}
		moved, err = t.saveFeeds()
		return err
	})
	if err == nil && len(moved) > 0 {
		s.published(moved)
	}
	if own != nil {
		return s.db.Explain(ctx, own) // fn's error needs no words of ours
	}
	return err
}

var errEnded = errors.New("the transaction has ended")

// tally counts the entries of one chain with one verdict.
type tally struct{ chain, verdict int64 }

// tx is one ingest's view of the database.
type tx struct {
	w *writer
	// spoilt is the first error: a statement may have done half of its work
	// before it, so nothing is done after it and nothing is committed.
	spoilt error
	// tallies are changes of the counts, written once at the end.
	tallies map[tally]int64
	// found are words of entries, written once at the end.
	found []posting
	// feeds are the scopes that were published in, by name.
	feeds map[string]*openFeed
	// parents are those of the entities that were read or saved.
	parents map[entry.Ref][]entry.Ref
	// last is the chain that was inserted into last, lastID its number, 0: none yet.
	last   dot.Chain
	lastID int64
}

// do runs one act unless the transaction is spoilt, and spoils it on an error
// other than that nothing was found.
func (t *tx) do(what string, c dot.Chain, act func() error) error {
	if t.spoilt != nil {
		return fmt.Errorf("%s %s: %w", what, c, t.spoilt)
	}
	err := act()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNothing):
		return fmt.Errorf("%s %s: %w", what, c, store.ErrNotFound)
	}
	t.spoilt = fmt.Errorf("%s %s: %w", what, c, err)
	return t.spoilt
}

func (t *tx) Lane(c dot.Chain) (l store.Lane, err error) {
	err = t.do("read lane", c, func() error {
		found, err := t.w.one("SELECT "+laneColumns+" FROM chains c WHERE c.device = ? AND c.incarnation = ? AND c.lane = ?",
			[]any{string(c.Device), int64(c.Incarnation), int64(c.Lane)},
			func(s Row) (err error) { l, err = scanLane(s); return err })
		if err == nil && !found {
			l = store.Lane{Chain: c, Head: entry.Genesis(c)}
		}
		return err
	})
	return l, err
}

func (t *tx) SaveLane(l store.Lane) error {
	return t.do("save lane", l.Chain, func() error {
		id, err := t.w.chain(l.Chain, true)
		if err != nil {
			return err
		}
		highest := l.Received.Highest()
		if highest > dot.MaxSeq || l.Archived > dot.MaxSeq || l.Joined > dot.MaxSeq || l.Sealed.Highest() > dot.MaxSeq {
			return fmt.Errorf("seq %d is above the highest possible", max(highest, l.Archived, l.Joined, l.Sealed.Highest()))
		}
		// What arrived must exist: the device declared it by sending it.
		var head any
		if highest == l.Received.Through() {
			head = orNull(l.Head)
		}
		if err := t.w.closeLoss(id, l.Received, l.ReceivedAt); err != nil {
			return err
		}
		return t.w.later("UPDATE chains SET received = ?1, head = ?2, archived = ?3, duplicates = ?4, received_at = ?5,"+
			" declared_head = CASE WHEN declared < ?6 THEN ?7 ELSE declared_head END,"+
			" declared_at = CASE WHEN declared < ?6 THEN ?5 ELSE declared_at END, declared = CASE WHEN declared < ?6 THEN ?6 ELSE declared END, sealed = ?9, joined = ?10, joined_head = ?11 WHERE id = ?8",
			encodeSet(l.Received), orNull(l.Head), int64(l.Archived), int64(l.Duplicates), l.ReceivedAt, //nolint:gosec // counts stay far below
			int64(highest), head, id, encodeSet(l.Sealed), int64(l.Joined), orNull(l.JoinedHead)) //nolint:gosec // checked above
	})
}

func (t *tx) count(chain, verdict, n int64) { t.tallies[tally{chain, verdict}] += n }

func (t *tx) saveTallies() error {
	for k, n := range t.tallies {
		if n == 0 {
			continue
		}
		err := t.w.later("INSERT INTO tallies (chain, verdict, n) VALUES (?, ?, ?) ON CONFLICT (chain, verdict) DO UPDATE SET n = tallies.n + excluded.n", k.chain, k.verdict, n)
		if err != nil {
			return fmt.Errorf("count entries: %w", err)
		}
	}
	return nil
}

func (t *tx) Judge(c dot.Chain, by map[dot.Seq]store.Judgement) error {
	return t.do("judge entries of", c, func() error {
		id, err := t.w.chain(c, false)
		if err != nil {
			return err
		}
		for seq, j := range by {
			if err := t.judge(id, c.At(seq), j); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) judge(chain int64, d dot.Dot, j store.Judgement) error {
	if err := checkRun(d.Chain, lane.Run(d.Seq, d.Seq)); err != nil {
		return err
	}
	to, err := verdictNumber(j.Verdict)
	if err != nil {
		return err
	}
	code, err := t.w.term(j.Code)
	if err != nil {
		return err
	}
	var number, from, at int64
	found, err := t.w.one("SELECT number, verdict, corrected_time FROM entries WHERE chain = ? AND seq = ?", []any{chain, int64(d.Seq)},
		func(s Row) error { number, from, at = s.Int64(0), s.Int64(1), s.Int64(2); return nil })
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("entry %s: %w", d, store.ErrNotFound)
	}
	t.count(chain, from, -1)
	t.count(chain, to, 1)
	if err := t.rejudged(store.Place{Time: at, Chain: chain, Seq: int64(d.Seq)}, from, to); err != nil { //nolint:gosec // checked above
		return err
	}
	return t.w.later("UPDATE entries SET verdict = ?, code = ?, words = ? WHERE number = ?", to, code, text(j.Words), number)
}

// text stores an empty text as NULL.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}
