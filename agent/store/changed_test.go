package store_test

import (
	"fmt"
	"slices"
	"testing"

	"otor/internal/entry"
	"otor/internal/feed"
)

// Who keeps something of all entities learns which are shown otherwise, and when
// that is not known any more.
func TestChanged(t *testing.T) {
	s := open(t, t.TempDir(), options())
	if err := s.GrantScopes(t.Context(), []string{"team", "device:D-101"}); err != nil {
		t.Fatal(err)
	}
	_, at, all := s.Changed(0)
	if !all || at == 0 {
		t.Fatalf("at first: %d, all %t", at, all)
	}
	expect := func(what string, want ...entry.Ref) {
		t.Helper()
		refs, now, all := s.Changed(at)
		if all || !slices.Equal(refs, want) {
			t.Errorf("%s: %v, all %t, want %v", what, refs, all, want)
		}
		at = now
	}
	expect("nothing happened")
	house := func(i int) entry.Ref { return entry.Ref{Type: "household", ID: fmt.Sprintf("H-%d", i)} }
	row := func(n uint64, kind feed.Kind, key string) feed.Row {
		return feed.Row{N: n, Kind: kind, Key: key, Body: []byte{1}}
	}
	page(t, s, "team", 2, false, row(1, feed.Entity, "household/H-1"), row(2, feed.Entity, "household/H-2"))
	expect("a page", house(1), house(2))
	page(t, s, "team", 3, false, feed.Row{N: 3, Kind: feed.Gone, Key: "household/H-1"})
	expect("something went", house(1))
	if _, err := s.Append(t.Context(), entry.Draft{Lane: 1, Public: entry.Public{Form: entry.FormRef{ID: "visit", Version: 1}, Refs: []entry.Ref{house(2)}}, Private: []byte{0xa0}, Written: []entry.Ref{house(2)}}); err != nil {
		t.Fatal(err)
	}
	expect("an own record", house(2))
	b, err := feed.Outcome{Verdict: "refused", Code: "x", At: 1}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	page(t, s, "device:D-101", 1, false, feed.Row{N: 1, Kind: feed.Verdict, Key: "D-101/1/record/1", Body: b})
	expect("a verdict: any of the own ones", entry.Ref{})
	for n := uint64(4); n < 12_000; n += 2000 {
		var rows []feed.Row
		for i := range uint64(2000) {
			rows = append(rows, row(n+i, feed.Entity, fmt.Sprintf("household/H-%d", n+i)))
		}
		page(t, s, "team", n+1999, false, rows...)
	}
	_, now, all := s.Changed(at)
	if !all {
		t.Error("12,000 changes are all remembered")
	}
	if refs, _, all := s.Changed(now - 1); all || len(refs) != 1 {
		t.Errorf("the last change: %v, all %t", refs, all)
	}
	if err := s.GrantScopes(t.Context(), []string{"device:D-101"}); err != nil {
		t.Fatal(err)
	}
	if _, _, all := s.Changed(now); !all {
		t.Error("a scope was taken, and nothing changed")
	}
	if _, _, all := s.Changed(now + 1000); !all {
		t.Error("a number that the store never gave is believed")
	}
}
