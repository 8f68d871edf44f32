package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
)

// Run is consecutive entries of one chain, ready for a batch.
type Run struct {
	Chain   dot.Chain
	First   dot.Seq // of the first entry
	Before  entry.Hash
	After   entry.Hash
	Entries []entry.Raw
	Bytes   int // of all parts
}

// Last is the seq of the run's last entry; meaningless for an empty run.
func (r Run) Last() dot.Seq { return r.First + dot.Seq(len(r.Entries)) - 1 }

// Read returns the consecutive entries that start with the first one at or
// after from that is whole: at most maxCount of them and, beyond the first,
// maxBytes. Every value is opened and every head checked. A run ends before
// damage and First lies above from when from itself is damaged; the damage
// becomes a [Finding] and shows in [ChainState.Lost]. The run is empty only
// when nothing is left.
func (s *Store) Read(c dot.Chain, from dot.Seq, maxCount, maxBytes int) (Run, error) {
	st, ok := s.Chain(c)
	if !ok || from > st.Last {
		return Run{Chain: c}, nil
	}
	run := Run{Chain: c}
	w := walk{s: s, st: st, visit: func(seq dot.Seq, e stored, after entry.Hash) bool {
		size := e.raw.Size()
		switch {
		case len(run.Entries) == 0:
			run.First, run.Before = seq, e.before
		case seq != run.Last()+1 || e.before != run.After || len(run.Entries) >= maxCount || run.Bytes+size > maxBytes:
			return false
		}
		run.Entries = append(run.Entries, e.raw)
		run.Bytes += size
		run.After = after
		return true
	}}
	err := w.over(lane.Run(max(from, 1), st.Last))
	s.note(w.findings()...)
	if err != nil {
		return Run{Chain: c}, fmt.Errorf("read %s from %d: %w", c, from, err)
	}
	return run, nil
}

// State is how far an entry is, as far as the device knows.
type State uint8

// The states of an entry, in their order.
const (
	Waiting  State = iota + 1 // here only
	Received                  // committed at the hub
	Archived                  // in a verified backup of the hub
)

func (s State) String() string {
	return [...]string{"", "waiting", "received", "archived"}[min(s, Archived)]
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Item is one entry with what is known of it.
type Item struct {
	Dot     dot.Dot
	Now     dot.Dot // the name by which the hub knows its fact, Dot unless it was re-homed
	Hash    entry.Hash
	Raw     entry.Raw
	Public  entry.Public // decoded from Raw
	SavedAt time.Time
	State   State
}

func (c ChainState) stateOf(s dot.Seq) State {
	switch {
	case s <= c.Archived:
		return Archived
	case c.Received.Contains(s):
		return Received
	default:
		return Waiting
	}
}

func (s *Store) item(d dot.Dot, e stored) (Item, error) {
	pub, err := entry.DecodePublic(e.raw.Public)
	if err != nil {
		return Item{}, fmt.Errorf("read %s: %w", d, err)
	}
	it := Item{Dot: d, Now: d, Hash: e.raw.Hash(), Raw: e.raw, Public: pub, SavedAt: e.savedAt}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for {
		st := s.chains[it.Now.Chain]
		if st == nil {
			return it, nil
		}
		it.State = st.stateOf(it.Now.Seq)
		if st.End == nil || it.Now.Seq <= st.End.Seq {
			return it, nil
		}
		it.State = Waiting
		next := st.End.place(it.Now.Seq).Exact
		if next.IsZero() {
			return it, nil
		}
		it.Now = next
	}
}

// holds reports whether the store has the entry at d.
func (s *Store) holds(d dot.Dot) bool {
	st, ok := s.Chain(d.Chain)
	return ok && d.Seq <= st.Last && !st.Absent().Contains(d.Seq)
}

// stored opens one entry. The error is [ErrNotFound], or says what is wrong with the value.
func (s *Store) stored(c dot.Chain, seq dot.Seq) (e stored, err error) {
	err = s.view(func(txn *badger.Txn) error {
		key := entryKey(c, seq)
		it, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return it.Value(func(v []byte) error {
			e, err = s.box.openEntry(key, v)
			return err
		})
	})
	return e, err
}

// HeadAt is the chain's head after seq, which is what a receipt of the hub with that
// watermark must have; known is false where damage took it, and beyond the chain's last entry.
func (s *Store) HeadAt(c dot.Chain, seq dot.Seq) (head entry.Hash, known bool) {
	st, ok := s.Chain(c)
	if !ok || seq > st.Last {
		return entry.Hash{}, false
	}
	return s.headAt(&st, seq)
}

// headAt is the chain's head after seq; known is false where damage took it.
func (s *Store) headAt(st *ChainState, seq dot.Seq) (head entry.Hash, known bool) {
	switch {
	case seq == 0:
		return entry.Genesis(st.Chain), true
	case seq == st.Last:
		return st.Head, true
	case st.End != nil && seq == st.End.Seq:
		return st.End.Head, true
	case seq == st.Received.Through():
		return st.ReceivedHead, true
	}
	if head, known := st.pruning.headAt(seq); known {
		return head, true
	}
	if e, err := s.stored(st.Chain, seq); err == nil {
		return e.after(), true
	}
	if e, err := s.stored(st.Chain, seq+1); err == nil {
		return e.before, true
	}
	return entry.Hash{}, false
}

// view reads the database; it answers [ErrClosed] after Close, and turns a
// panic over damaged bytes into an error.
func (s *Store) view(read func(*badger.Txn) error) (err error) {
	if !s.readers.enter() {
		return ErrClosed
	}
	defer s.readers.leave()
	defer func() {
		if r := recover(); r != nil {
			err = damaged(s.dbDir(), fmt.Sprint("reading it went wrong: ", r), "run doctor")
		}
	}()
	return s.db.View(read)
}

// Get returns one entry, or an error that is [ErrNotFound], [ErrPruned] or [ErrDamaged].
func (s *Store) Get(d dot.Dot) (Item, error) {
	st, ok := s.Chain(d.Chain)
	if !ok || d.Seq == 0 || d.Seq > st.Last {
		return Item{}, fmt.Errorf("entry %s: %w", d, ErrNotFound)
	}
	e, err := s.stored(d.Chain, d.Seq)
	if errors.Is(err, ErrNotFound) {
		_ = s.view(func(txn *badger.Txn) error { s.readPruned(txn, &st); return nil }) // it may have gone just now
	}
	switch {
	case errors.Is(err, ErrNotFound) && st.Pruned.Contains(d.Seq):
		return Item{}, fmt.Errorf("entry %s: %w", d, ErrPruned)
	case errors.Is(err, ErrNotFound):
		return Item{}, damaged(d.String(), "the entry was saved and is not there any more", "run doctor")
	case errors.Is(err, ErrClosed) || errors.Is(err, ErrDamaged):
		return Item{}, fmt.Errorf("entry %s: %w", d, err)
	case err != nil:
		return Item{}, damaged(d.String(), err.Error(), "run doctor")
	}
	return s.item(d, e)
}

// ListQuery narrows [Store.List]. The zero value asks for everything.
type ListQuery struct {
	Lane   dot.Lane // 0: every lane
	State  State    // 0: every state
	Before hlc.Time // only entries before it; zero: from the newest
	Limit  int      // 0: no limit
}

func (q ListQuery) wants(it Item) bool {
	return (q.State == 0 || it.State == q.State) && (q.Before.IsZero() || it.Public.HLC.Compare(q.Before) < 0)
}

// List yields the device's entries of all incarnations, newest first by their
// logical time; re-homed ones once, in their first form. To go on where a list ended, ask for what is before the last
// item's Public.HLC. Damaged entries are left out and become findings. An error
// is yielded once, at the end.
func (s *Store) List(ctx context.Context, q ListQuery) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		err := s.view(func(txn *badger.Txn) error { return s.list(ctx, txn, q, yield) })
		if err != nil && !errors.Is(err, errStopped) {
			yield(Item{}, fmt.Errorf("list entries: %w", err))
		}
	}
}

// errStopped says that a list's reader wants no more, or that it was enough.
var errStopped = errors.New("stopped")

// list merges the chains, each read backwards.
func (s *Store) list(ctx context.Context, txn *badger.Txn, q ListQuery, yield func(Item, error) bool) error {
	var heads []*backwards
	defer func() {
		for _, b := range heads {
			b.it.Close()
		}
	}()
	for _, st := range s.Chains() {
		if st.Last == 0 || q.Lane != 0 && st.Chain.Lane != q.Lane {
			continue
		}
		b := newBackwards(s, txn, st)
		heads = append(heads, b)
		b.next(q)
	}
	for n := 0; q.Limit == 0 || n < q.Limit; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.readers.ending() {
			return ErrClosed
		}
		var newest *backwards
		for _, b := range heads {
			if b.ok && (newest == nil || b.item.Public.HLC.Compare(newest.item.Public.HLC) > 0) {
				newest = b
			}
		}
		if newest == nil {
			return nil
		}
		if !yield(newest.item, nil) {
			return errStopped
		}
		newest.next(q)
	}
	return nil
}

// backwards reads one chain from its end.
type backwards struct {
	s    *Store
	st   ChainState
	it   *badger.Iterator
	item Item
	ok   bool
}

func newBackwards(s *Store, txn *badger.Txn, st ChainState) *backwards {
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues, opts.Reverse = false, true
	opts.Prefix = chainKey(kindEntry, st.Chain)
	b := &backwards{s: s, st: st, it: txn.NewIterator(opts)}
	b.it.Seek(entryKey(st.Chain, dot.MaxSeq))
	return b
}

// next moves to the next older item that the query wants.
func (b *backwards) next(q ListQuery) {
	for b.ok = false; b.it.Valid(); b.it.Next() {
		key := b.it.Item().Key()
		_, rest, err := parseChain(key)
		seq, ok := parseSeq(rest)
		if err != nil || !ok {
			continue
		}
		var e stored
		err = b.it.Item().Value(func(v []byte) error {
			e, err = b.s.box.openEntry(key, v)
			return err
		})
		if err == nil {
			b.item, err = b.s.item(b.st.Chain.At(seq), e)
		}
		if err != nil {
			b.s.note(entryDamaged(b.st.Chain, lane.NewSet(lane.Run(seq, seq))))
			continue
		}
		if was := b.item.Public.Was; was != nil && b.s.holds(was.Dot) {
			continue // shown in its first form, where it was captured
		}
		if q.wants(b.item) {
			b.ok = true
			b.it.Next()
			return
		}
	}
}
