package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// control is a database broken on purpose, and the checks that must notice.
type control struct {
	name    string
	wrap    func(store.Store) store.Store
	noticed []string
}

var controls = []control{
	{
		"ingest commits although fn failed", func(s store.Store) store.Store { return commitsAnyway{s} },
		[]string{"an error in ingest leaves nothing"},
	},
	{
		"insert passes over a dot that exists", func(s store.Store) store.Store {
			return viaTx(s, func(tx store.Tx) store.Tx { return skipsExisting{tx} })
		},
		[]string{"a dot is inserted once", "a failed call spoils the transaction"},
	},
	{
		"a code is redeemed by everybody", func(s store.Store) store.Store { return redeemsTwice{s} },
		[]string{"codes end", "redeem is once under concurrency"},
	},
	{
		"judgements are not written", func(s store.Store) store.Store {
			return viaTx(s, func(tx store.Tx) store.Tx { return judgesNothing{tx} })
		},
		[]string{"judgements are replaced"},
	},
	{
		"lanes are read outside the transaction", func(s store.Store) store.Store { return staleLanes{s} },
		[]string{"ingests on one lane follow one another"},
	},
	{
		"paging starts over", func(s store.Store) store.Store { return startsOver{s} },
		[]string{"paging by number"},
	},
	{
		"bytes are lost", func(s store.Store) store.Store {
			return viaTx(s, func(tx store.Tx) store.Tx { return dropsPrivate{tx} })
		},
		[]string{"entries are kept whole", "a large batch"},
	},
	{
		"rows that are not on a roster any more stay", func(s store.Store) store.Store {
			return viaTx(s, func(tx store.Tx) store.Tx { return keepsRows{tx} })
		},
		[]string{"a roster is imported again and nothing of it is erased"},
	},
	{
		"matches are written whatever was imported meanwhile", func(s store.Store) store.Store { return matchesAnyway{s} },
		[]string{"matches of a roster follow its latest import"},
	},
	{
		"contexts are ignored", func(s store.Store) store.Store { return ignoresContext{s} },
		[]string{"a cancelled ingest leaves nothing"},
	},
	{
		"parents are lost", func(s store.Store) store.Store {
			return viaTx(s, func(tx store.Tx) store.Tx { return losesParents{tx} })
		},
		[]string{"an entity comes back as it was saved"},
	},
	{
		"a search starts over", func(s store.Store) store.Store { return searchesAgain{s} },
		[]string{"a search goes on where it ended"},
	},
	{
		"old words stay", func(s store.Store) store.Store {
			return viaTx(s, func(tx store.Tx) store.Tx { return keepsWords{tx} })
		},
		[]string{"entities are found by words"},
	},
	{
		"everybody begins an epoch", func(s store.Store) store.Store { return succeedsAlways{s} },
		[]string{"one of many succeeds an epoch"},
	},
}

// RunControls runs the checks against databases that are broken on purpose,
// and fails t when one of them passes the checks that stand against it.
func RunControls(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	all := checks()
	for _, k := range controls {
		t.Run(k.name, func(t *testing.T) {
			for _, name := range k.noticed {
				i := slices.IndexFunc(all, func(c check) bool { return c.name == name })
				if i < 0 {
					t.Fatalf("there is no check %q", name)
				}
				if complaints := listen(t, all[i], open, k.wrap); len(complaints) == 0 {
					t.Errorf("check %q did not notice", name)
				}
			}
		})
	}
}

type commitsAnyway struct{ store.Store }

func (s commitsAnyway) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	var own error
	if err := s.Store.Ingest(ctx, func(tx store.Tx) error { own = fn(tx); return nil }); err != nil {
		return err
	}
	return own
}

type wrapsTx struct {
	store.Store
	wrap func(store.Tx) store.Tx
}

func viaTx(s store.Store, wrap func(store.Tx) store.Tx) store.Store { return wrapsTx{s, wrap} }

func (s wrapsTx) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	return s.Store.Ingest(ctx, func(tx store.Tx) error { return fn(s.wrap(tx)) })
}

type skipsExisting struct{ store.Tx }

func (x skipsExisting) Insert(es []store.Entry) error {
	seen := make(map[dot.Dot]bool)
	for _, e := range es {
		have, err := x.Hashes(e.Dot.Chain, lane.Run(e.Dot.Seq, e.Dot.Seq))
		if err != nil {
			return err
		}
		if len(have) == 0 && !seen[e.Dot] {
			if err := x.Tx.Insert([]store.Entry{e}); err != nil {
				return err
			}
		}
		seen[e.Dot] = true
	}
	return nil
}

type redeemsTwice struct{ store.Store }

func (s redeemsTwice) Redeem(ctx context.Context, e store.Enrolment) (store.Key, error) {
	k, err := s.Store.Redeem(ctx, e)
	if errors.Is(err, store.ErrCodeUsed) {
		return store.Key{Device: "D-101", Incarnation: 1, SignKey: e.SignKey}, nil
	}
	return k, err
}

type judgesNothing struct{ store.Tx }

func (x judgesNothing) Judge(dot.Chain, map[dot.Seq]store.Judgement) error { return nil }

type staleLanes struct{ store.Store }

func (s staleLanes) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	lanes, err := s.Lanes(ctx)
	if err != nil {
		return err
	}
	return s.Store.Ingest(ctx, func(tx store.Tx) error { return fn(staleTx{tx, lanes}) })
}

type staleTx struct {
	store.Tx
	lanes []store.Lane
}

func (x staleTx) Lane(c dot.Chain) (store.Lane, error) {
	for _, l := range x.lanes {
		if l.Chain == c {
			return l, nil
		}
	}
	return store.Lane{Chain: c, Head: entry.Genesis(c)}, nil
}

type startsOver struct{ store.Store }

func (s startsOver) Entries(ctx context.Context, q store.EntryQuery) iter.Seq2[store.ListedEntry, error] {
	q.After = 0
	return s.Store.Entries(ctx, q)
}

type dropsPrivate struct{ store.Tx }

func (x dropsPrivate) Insert(es []store.Entry) error {
	es = slices.Clone(es)
	for i := range es {
		es[i].Raw = es[i].Raw.Erase()
	}
	return x.Tx.Insert(es)
}

type succeedsAlways struct{ store.Store }

func (s succeedsAlways) Succeed(ctx context.Context, was receipt.Epoch, child receipt.EpochCertificate, losses []store.Loss) (receipt.EpochCertificate, bool, error) {
	for {
		now, minted, err := s.Store.Succeed(ctx, was, child, losses)
		if err != nil || minted {
			return now, minted, err
		}
		was = now.Epoch
	}
}

type ignoresContext struct{ store.Store }

func (s ignoresContext) Ingest(_ context.Context, fn func(store.Tx) error) error {
	return s.Store.Ingest(context.Background(), fn)
}

type losesParents struct{ store.Tx }

func (x losesParents) SaveEntities(es []store.Entity) error {
	es = slices.Clone(es)
	for i := range es {
		es[i].Parents = nil
	}
	return x.Tx.SaveEntities(es)
}

// keepsRows has rows stand that are not on a roster any more.
type keepsRows struct{ store.Tx }

func (keepsRows) EndRosterRows(string, uint64, []string) error { return nil }

// matchesAnyway writes matches of a list that is not the latest.
type matchesAnyway struct{ store.Store }

func (m matchesAnyway) PutRosterMatches(ctx context.Context, kind string, _ uint64, at int64, put []store.RosterMatch, drop []string) (bool, error) {
	all, err := m.Rosters(ctx)
	if err != nil || len(all) == 0 {
		return false, err
	}
	return m.Store.PutRosterMatches(ctx, kind, all[0].Import, at, put, drop)
}

// searchesAgain gives the first page of a search each time.
type searchesAgain struct{ store.Store }

func (s searchesAgain) Find(ctx context.Context, q store.FoundQuery) (store.Found, error) {
	q.Before = store.Place{}
	return s.Store.Find(ctx, q)
}

// keepsWords gives an entity words once.
type keepsWords struct{ store.Tx }

func (t keepsWords) SetEntityWords(ref entry.Ref, words []string) error {
	if len(words) == 1 {
		return nil
	}
	return t.Tx.SetEntityWords(ref, words)
}
