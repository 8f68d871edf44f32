package store

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// evidence is what the disk says about one chain.
type evidence struct {
	row        *tail // the tail's row
	outside    *tail // the tail kept beside the database
	unused     bool  // the file beside the database says that the lane never had an entry
	receipt    *receiptRow
	end        *endRow
	pruned     *prunedRow
	highest    dot.Seq // the highest entry that is there
	rowDamaged bool
}

func at(m map[dot.Chain]*evidence, c dot.Chain) *evidence {
	if m[c] == nil {
		m[c] = new(evidence)
	}
	return m[c]
}

// loadRows gathers the evidence inside the database.
func (s *Store) loadRows(txn *badger.Txn, found map[dot.Chain]*evidence) error {
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues = false
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Rewind(); it.Valid(); {
		key := it.Item().KeyCopy(nil)
		if key[0] == kindEntry {
			// One look at each chain, then over all its entries at once.
			c, _, err := parseChain(key)
			if err != nil {
				it.Next()
				continue
			}
			at(found, c).highest = highest(txn, c)
			it.Seek(append(chainKey(kindEntry, c), bytes.Repeat([]byte{0xff}, 9)...))
			continue
		}
		if key[0] == kindBase {
			it.Seek([]byte{kindBase + 1}) // they are counted in the background
			continue
		}
		s.loadRow(it.Item(), key, found)
		it.Next()
	}
	return nil
}

// askLife asks which life is the current one, when nobody has said so.
func (s *Store) askLife() error {
	if s.o.Life == nil {
		return nil
	}
	lived, err := s.lived()
	if err == nil {
		s.o.Incarnation, s.o.Origin, err = s.o.Life(lived)
	}
	return err
}

// lived lists the incarnations of which entries have left a trace, in the database or
// in a file beside it, rising. Receipts alone are none: a hub writes them of lanes too
// that never had an entry.
func (s *Store) lived() ([]dot.Incarnation, error) {
	tails, _, err := readTails(s.dir)
	if err != nil {
		return nil, err
	}
	found := make(map[dot.Incarnation]bool)
	for c := range tails {
		found[c.Incarnation] = true
	}
	err = s.view(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues = false
		it := txn.NewIterator(opts)
		defer it.Close()
		for _, kind := range []byte{kindEntry, kindTail, kindEnd, kindPruned} {
			for it.Seek([]byte{kind}); it.Valid() && it.Item().Key()[0] == kind; {
				c, _, err := parseChain(it.Item().Key())
				if err != nil {
					it.Next()
					continue
				}
				found[c.Incarnation] = true
				it.Seek(append(chainKey(kind, c), bytes.Repeat([]byte{0xff}, 9)...))
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(found)), err
}

// blank reports whether nothing says that the chain ever had an entry.
func (c *ChainState) blank() bool {
	return c.Last == 0 && c.End == nil && !c.endUnknown && len(c.Pruned)+len(c.Lost) == 0
}

// highest is the last entry of a chain that is there.
func highest(txn *badger.Txn, c dot.Chain) dot.Seq {
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues, opts.Reverse = false, true
	opts.Prefix = chainKey(kindEntry, c)
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Seek(entryKey(c, dot.MaxSeq)); it.Valid(); it.Next() {
		if seq, ok := parseSeq(it.Item().Key()[len(opts.Prefix):]); ok {
			return seq
		}
	}
	return 0
}

// loadRow reads a row that is no entry. A damaged one is a finding.
func (s *Store) loadRow(item *badger.Item, key []byte, found map[dot.Chain]*evidence) {
	open := func(into any) bool {
		err := item.Value(func(v []byte) error { return s.box.openRow(key, v, into) })
		if err != nil {
			s.note(Finding{
				Code: CodeRowDamaged, Which: fmt.Sprintf("row %x", key), What: err.Error(),
				Do: "nothing: it is worked out again from the entries and the hub's next answer",
			})
		}
		return err == nil
	}
	switch key[0] {
	case kindTail:
		if c, _, err := parseChain(key); err == nil {
			var r tailRow
			if open(&r) {
				t := r.tail()
				at(found, c).row = &t
			} else {
				at(found, c).rowDamaged = true
			}
		}
	case kindEnd:
		if c, _, err := parseChain(key); err == nil {
			var r endRow
			if open(&r) {
				at(found, c).end = &r
			}
		}
	case kindPruned:
		var r prunedRow
		if c, _, err := parseChain(key); err == nil && open(&r) {
			at(found, c).pruned = &r
		}
	case kindReceipt:
		var r receiptRow
		if c, _, err := parseChain(key); err == nil && open(&r) {
			at(found, c).receipt = &r
		}
	case kindFeed:
		// One that does not open is a scope that was never pulled.
		var r feedRow
		if scope, ok := parseFeed(key); ok && open(&r) {
			s.feeds[scope] = &feedState{feedRow: r}
		}
	case kindFormDraft:
		var r formDraftRow
		if open(&r) {
			s.loadFormDraft(string(key[1:]), r)
		}
	case kindBlob:
		var r blobRow
		if open(&r) {
			s.loadBlob(key, r)
		}
	case kindSetting:
		var r contactRow
		var f findingsRow
		var t Traffic
		var prefs Preferences
		switch {
		case bytes.Equal(key, contactKey) && open(&r):
			s.contact = r.contact()
		case bytes.Equal(key, findingsKey) && open(&f):
			s.kept = f.findings()
		case bytes.Equal(key, trafficKey) && open(&t):
			s.traffic = t
		case bytes.Equal(key, prefsKey) && open(&prefs):
			s.prefs = prefs
		}
	}
}

// judge decides where a chain ends: at the furthest of what its row, the file
// beside the database and its entries say. The file is never ahead of what was
// durable, and each of the first two names the head too.
func (s *Store) judge(c dot.Chain, ev *evidence) *ChainState {
	st := &ChainState{Chain: c, Head: entry.Genesis(c), ReceivedHead: entry.Genesis(c)}
	for _, t := range []*tail{ev.row, ev.outside} {
		if t != nil && t.last > st.Last {
			st.Last, st.Head, st.LastHLC = t.last, t.head, t.hlc
		}
	}
	if ev.highest > st.Last {
		s.adopt(st, ev)
	}
	if ev.end != nil {
		st.End = ev.end.end()
	}
	if ev.pruned != nil {
		ev.pruned.apply(st)
	}
	if ev.receipt != nil {
		ev.receipt.apply(st)
		st.cut()
	}
	current := c.Device == s.o.Device && c.Incarnation == s.o.Incarnation
	if current && ev.outside == nil && !ev.unused && s.tookDamage(ev) {
		// Files or rows were lost and the second record of the end as well.
		st.endUnknown = true
		s.note(chainFinding(CodeEndUnknown, c, nil,
			fmt.Sprintf("files were damaged and nothing proves that seq %d was the last one", st.Last),
			"what is saved from now on belongs to a new life; run: agent doctor --repair"))
	}
	return st
}

// adopt takes the highest entry itself for the end: its row is damaged or older.
func (s *Store) adopt(st *ChainState, ev *evidence) {
	e, err := s.stored(st.Chain, ev.highest)
	if err != nil {
		s.note(entryDamaged(st.Chain, lane.NewSet(lane.Run(ev.highest, ev.highest))))
		st.Last, st.endUnknown = ev.highest, true
		return
	}
	st.Last, st.Head = ev.highest, e.after()
	if pub, err := entry.DecodePublic(e.raw.Public); err == nil {
		st.LastHLC = pub.HLC
	}
	if ev.row == nil || ev.row.last < st.Last {
		s.note(Finding{
			Code: CodeRowDamaged, Chain: st.Chain, Which: "tail of " + st.Chain.String(),
			What: fmt.Sprintf("it does not know of the entries up to %d", st.Last), Do: "nothing: it was worked out from the entries",
		})
	}
}

// tookDamage reports whether opening met damaged files, or this chain's own rows.
func (s *Store) tookDamage(ev *evidence) bool {
	if ev.rowDamaged {
		return true
	}
	for _, f := range s.Findings() {
		if f.Code == CodeFileDamaged {
			return true
		}
	}
	return false
}
