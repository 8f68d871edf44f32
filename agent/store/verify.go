package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sync/errgroup"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// Scope is how much [Store.Verify] looks at.
type Scope uint8

// The scopes of a verification.
const (
	Unsent Scope = iota + 1 // what the hub has not received
	All
)

// step is how many entries one worker checks at a time.
const step = 2048

// Verify walks the chains: every value opens, every seq is there, every head
// joins its neighbours and the tail. With [All] the public parts are decoded as
// well. It returns what is wrong now, in the order of the chains; what was
// found while opening is in [Store.Findings], to which it adds; a check of
// everything replaces what was known of entries before. progress may be
// nil; it is called with entries done and entries in all, from one goroutine at
// a time.
func (s *Store) Verify(ctx context.Context, scope Scope, progress func(done, total uint64)) ([]Finding, error) {
	type job struct {
		st ChainState
		r  lane.Range
	}
	var jobs []job
	var total uint64
	for _, st := range s.Chains() {
		ranges := st.Waiting()
		if scope == All {
			ranges = st.Pruned.Missing(st.Last)
		}
		for _, r := range ranges {
			total += r.Len()
			for first := r.First; first <= r.Last; first += step {
				jobs = append(jobs, job{st, lane.Run(first, min(r.Last, first+step-1))})
			}
		}
	}
	var (
		mu   sync.Mutex
		done uint64
	)
	walks := make([]walk, len(jobs))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), 4))
	for i, j := range jobs {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			w := walk{s: s, st: j.st, deep: scope == All}
			err := w.over(j.r)
			walks[i] = w
			mu.Lock()
			defer mu.Unlock()
			done += j.r.Len()
			if progress != nil {
				progress(done, total)
			}
			return err
		})
	}
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return nil, fmt.Errorf("verify store %s: %w", s.dir, err)
	}
	found := joinWalks(walks)
	if scope != All {
		s.note(found...)
		return found, nil
	}
	s.replaceFindings(found)
	if err := s.verifyFeeds(ctx); err != nil {
		return found, fmt.Errorf("verify store %s: %w", s.dir, err)
	}
	if err := s.keepFindings(ctx); err != nil {
		s.log.Warn("the findings are known to this run alone", "err", err)
	}
	return found, nil
}

// walk checks a range of a chain.
type walk struct {
	s    *Store
	st   ChainState
	deep bool
	// visit, when set, gets each whole entry with the head after it, and says
	// whether to go on.
	visit func(seq dot.Seq, e stored, after entry.Hash) bool

	lost, bad, broken lane.Set
}

// over walks r, which lies within the chain.
func (w *walk) over(r lane.Range) error {
	next := r.First
	prev, joined := w.headBefore(r.First)
	err := w.s.view(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues = false
		opts.Prefix = chainKey(kindEntry, w.st.Chain)
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Seek(entryKey(w.st.Chain, r.First)); it.Valid(); it.Next() {
			if w.s.readers.ending() {
				return ErrClosed
			}
			key := it.Item().Key()
			seq, ok := parseSeq(key[len(opts.Prefix):])
			if !ok || seq < next {
				continue // a key that no version wrote
			}
			if seq > r.Last {
				break
			}
			if seq > next {
				w.gap(txn, lane.Run(next, seq-1))
				prev, joined = w.st.pruning.headAt(seq - 1)
			}
			next = seq + 1
			e, err := w.open(it.Item(), key, seq)
			if err != nil {
				w.bad = w.bad.Add(lane.Run(seq, seq))
				joined = false
				continue
			}
			after := e.after()
			if joined && e.before != prev || seq == w.st.Last && after != w.st.Head {
				w.broken = w.broken.Add(lane.Run(seq, seq))
			}
			prev, joined = after, true
			if w.visit != nil && !w.visit(seq, e, after) {
				next = r.Last + 1 // what follows was not looked at
				break
			}
		}
		if next <= r.Last {
			w.gap(txn, lane.Run(next, r.Last))
		}
		return nil
	})
	return err
}

// gap notes that no entry of a run is there: what was not pruned is lost. What was
// pruned is asked of the moment that is read, since more may have gone since the
// chain's state was taken.
func (w *walk) gap(txn *badger.Txn, r lane.Range) {
	w.s.readPruned(txn, &w.st)
	w.lost = join(w.lost, w.st.present(r))
}

// headBefore is the head that the entry at seq must carry, when it is known.
func (w *walk) headBefore(seq dot.Seq) (entry.Hash, bool) {
	switch {
	case seq == 1:
		return entry.Genesis(w.st.Chain), true
	case seq == w.st.Received.Through()+1:
		return w.st.ReceivedHead, true
	}
	if head, known := w.st.pruning.headAt(seq - 1); known {
		return head, true
	}
	e, err := w.s.stored(w.st.Chain, seq-1)
	if err != nil {
		return entry.Hash{}, false // the range before reports it
	}
	return e.after(), true
}

func (w *walk) open(item *badger.Item, key []byte, seq dot.Seq) (e stored, err error) {
	err = item.Value(func(v []byte) error {
		e, err = w.s.box.openEntry(key, v)
		return err
	})
	if err == nil && w.deep {
		var pub entry.Public
		pub, err = entry.DecodePublic(e.raw.Public)
		if err == nil && pub.Dot != w.st.Chain.At(seq) {
			err = fmt.Errorf("it says that it is %s", pub.Dot)
		}
	}
	return e, err
}

func (w *walk) findings() []Finding { return joinWalks([]walk{*w}) }

// joinWalks words what walks found, one finding for each kind of damage of a chain.
func joinWalks(walks []walk) []Finding {
	all := make(map[dot.Chain]*walk)
	for _, w := range walks {
		a := all[w.st.Chain]
		if a == nil {
			a = &walk{st: w.st}
			all[w.st.Chain] = a
		}
		a.lost, a.bad, a.broken = join(a.lost, w.lost), join(a.bad, w.bad), join(a.broken, w.broken)
	}
	var out []Finding
	for c, w := range all {
		if len(w.lost) > 0 {
			out = append(out, entriesLost(c, w.lost))
		}
		if len(w.bad) > 0 {
			out = append(out, entryDamaged(c, w.bad))
		}
		if len(w.broken) > 0 {
			out = append(out, chainFinding(CodeChainBroken, c, w.broken,
				"these entries open, and their heads do not join their neighbours",
				"keep the folder and ask the hub's operator which entries it has"))
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return a.Chain.Compare(b.Chain) })
	return out
}

func join(a, b lane.Set) lane.Set {
	for _, r := range b {
		a = a.Add(r)
	}
	return a
}

func entriesLost(c dot.Chain, seqs lane.Set) Finding {
	return chainFinding(CodeEntriesLost, c, seqs, fmt.Sprintf("%d saved entries are not there any more", seqs.Len()),
		"entries that the hub received are safe there; the others must be captured again")
}

func entryDamaged(c dot.Chain, seqs lane.Set) Finding {
	return chainFinding(CodeEntryDamaged, c, seqs, fmt.Sprintf("%d saved entries were changed on the disk and do not open", seqs.Len()),
		"entries that the hub received are safe there; the others must be captured again")
}
