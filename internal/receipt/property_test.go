package receipt_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// draw makes the receipt of a hub that holds some set of a chain.
func draw(t *rapid.T) (receipt.Receipt, lane.Set) {
	var s lane.Set
	for range rapid.IntRange(0, 40).Draw(t, "runs") {
		first := dot.Seq(rapid.Uint64Range(1, 200).Draw(t, "first"))
		s = s.Add(lane.Run(first, first+dot.Seq(rapid.IntRange(0, 5).Draw(t, "more"))))
	}
	through := s.Through()
	return receipt.Receipt{
		Epoch: epoch(9), Chain: chain, Through: through, Head: entry.Hash{7}, Extra: s.Extra(),
		Archived: dot.Seq(rapid.Uint64Range(0, uint64(through)).Draw(t, "archived")),
	}, s
}

func TestReceiptSpeaksForASubset(t *testing.T) {
	key := hubKey(t)
	rapid.Check(t, func(t *rapid.T) {
		r, s := draw(t)
		b, err := r.Sign(key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := receipt.Open(b, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if got.Through != r.Through || got.Archived != r.Archived || got.Head != r.Head || len(got.Extra) > receipt.MaxExtra {
			t.Fatalf("got %+v, want %+v", got, r)
		}
		said := got.Set()
		if said.Through() != s.Through() {
			t.Fatalf("the watermark became %d, was %d", said.Through(), s.Through())
		}
		if len(s.Extra()) <= receipt.MaxExtra && !reflect.DeepEqual(said, s) {
			t.Fatalf("got %s, want %s", said, s)
		}
		for q := dot.Seq(1); q <= 210; q++ {
			if said.Contains(q) && !s.Contains(q) {
				t.Fatalf("seq %d is called received and is not", q)
			}
		}
	})
}

func TestSignRefusesWhatOpenWould(t *testing.T) {
	key := hubKey(t)
	for name, r := range map[string]receipt.Receipt{
		"archived above received": {Chain: chain, Through: 3, Archived: 4},
		"above the last seq":      {Chain: chain, Through: dot.MaxSeq + 1},
		"seqs that wrap around":   {Chain: chain, Through: ^dot.Seq(0), Extra: []lane.Range{lane.Run(5, 6)}},
		"extra touches through":   {Chain: chain, Through: 3, Extra: []lane.Range{lane.Run(4, 6)}},
		"extra out of order":      {Chain: chain, Through: 3, Extra: []lane.Range{lane.Run(9, 10), lane.Run(6, 6)}},
		"extra at 1":              {Chain: chain, Extra: []lane.Range{lane.Run(1, 1)}},
		"extra backwards":         {Chain: chain, Extra: []lane.Range{lane.Run(7, 5)}},
		"no chain":                {Through: 3},
	} {
		if _, err := r.Sign(key); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}
