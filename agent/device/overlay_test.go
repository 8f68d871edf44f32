package device_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"otor/agent/capture"
	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/form"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/receipt"
)

var (
	herdsman = entry.Ref{Type: "household", ID: "H-1"}
	kind     = func() *merge.Type {
		t, err := merge.NewType("household", []merge.Field{{Name: "phone", Rule: merge.Ask}, {Name: "stock", Rule: merge.Count}})
		if err != nil {
			panic(err)
		}
		return t
	}()
)

// editor captures edits of a household's phone and stock.
func editor(t *testing.T, s *store.Store) func(phone string, stock int64) dot.Dot {
	t.Helper()
	f, err := form.New(form.Form{
		ID: "edit", Version: 1, Lane: dot.Record, Entity: "household", Saves: []form.Save{{Type: "household"}},
		Fields: []form.Field{{Name: "phone", Kind: form.Text, SaveTo: "phone"}, {Name: "stock", Kind: form.Integer, SaveTo: "stock"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	forms, err := form.NewRegistry(f)
	if err != nil {
		t.Fatal(err)
	}
	c := capture.New(capture.Config{
		Store: s, Forms: forms, Random: zeros{}, Types: func(string) *merge.Type { return kind },
		Displayed: func(ref entry.Ref) (*merge.State, error) {
			shown, err := s.Shown(ref)
			return shown.State, err
		},
	})
	return func(phone string, stock int64) dot.Dot {
		t.Helper()
		fields := map[string]any{"phone": phone}
		if stock != 0 {
			fields["stock"] = stock
		}
		r, err := c.Capture(context.Background(), capture.Request{Form: "edit", Entity: "H-1", Fields: fields})
		if err != nil {
			t.Fatal(err)
		}
		return r.Dot
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func look(t *testing.T, s *store.Store) (phone any, stock any, own int) {
	t.Helper()
	shown, err := s.Shown(herdsman)
	if err != nil {
		t.Fatal(err)
	}
	v := shown.State.View(kind)
	phone, _ = v.Field("phone")
	stock, _ = v.Field("stock")
	all, err := s.Overlay(t.Context())
	if err != nil || len(all) != len(shown.Own) {
		t.Fatalf("overlay %v, own %v, %v", all, shown.Own, err)
	}
	return phone, stock, len(shown.Own)
}

// hubRow is the hub's state after it took in changes.
func hubRow(n uint64, s *merge.State) feed.Row {
	return feed.Row{N: n, Kind: feed.Entity, Key: feed.EntityKey(herdsman), Rev: n, Body: s.Encode()}
}

// change reads what an entry of the store does to the household.
func change(t *testing.T, s *store.Store, d dot.Dot) merge.Change {
	t.Helper()
	it, err := s.Get(d)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := entry.DecodePrivate(it.Raw.Private)
	if err != nil {
		t.Fatal(err)
	}
	ts, err := merge.Changes(it.Public, priv)
	if err != nil || len(ts) != 1 {
		t.Fatal(ts, err)
	}
	return ts[0].Change
}

func TestOverlay(t *testing.T) {
	dir := t.TempDir()
	s := reopened(t, dir)
	if err := s.GrantScopes(t.Context(), []string{"gacha-1", feed.ScopeOf("D-101")}); err != nil {
		t.Fatal(err)
	}
	hub := merge.New(herdsman)
	hub.Apply(merge.Change{Dot: dot.Chain{Device: dot.Hub, Incarnation: 1, Lane: dot.Record}.At(1), HLC: hlc.Time{Millis: 1}, Writes: []merge.Write{
		{Register: "phone", Raw: []byte{0x61, '1'}}, {Register: "stock", Op: entry.Move, Move: 10},
	}})
	page(t, s, "gacha-1", 1, false, hubRow(1, hub))
	before := hub.Clone()
	put := editor(t, s)
	first := put("2", -3)
	if phone, stock, own := look(t, s); phone != "2" || stock != int64(7) || own != 1 {
		t.Fatalf("own write over the base: %v, %v, %d", phone, stock, own)
	}
	second := put("3", -1)
	if c := change(t, s, second); !c.Writes[0].Context.Covers(first) {
		t.Errorf("a later record had not seen the earlier one: %+v", c)
	}
	if again := put("3", 0); !slices.Equal(registersOf(t, s, again), nil) {
		t.Error("what is displayed already was written")
	}

	// Both stay through a restart; the hub takes the first in.
	_ = s.Close()
	s = reopened(t, dir)
	if phone, stock, own := look(t, s); phone != "3" || stock != int64(6) || own != 2 {
		t.Fatalf("after a restart: %v, %v, %d", phone, stock, own)
	}
	hub.Apply(change(t, s, first))
	page(t, s, "gacha-1", 2, false, hubRow(2, hub))
	if phone, stock, own := look(t, s); phone != "3" || stock != int64(6) || own != 1 {
		t.Fatalf("the base holds the first: %v, %v, %d", phone, stock, own)
	}
	hub.Apply(change(t, s, second))
	page(t, s, "gacha-1", 3, false, hubRow(3, hub))
	if phone, stock, own := look(t, s); phone != "3" || stock != int64(6) || own != 0 {
		t.Fatalf("the base holds both: %v, %v, %d", phone, stock, own)
	}
	// A hub that was put back puts them over the base again.
	page(t, s, "gacha-1", 4, false, hubRow(4, before))
	if phone, stock, own := look(t, s); phone != "3" || stock != int64(6) || own != 2 {
		t.Fatalf("the hub was put back: %v, %v, %d", phone, stock, own)
	}
	// What is set aside is not shown any more; the base does not know of it.
	o, err := feed.Outcome{Verdict: "quarantined", Code: "x", At: 1}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	page(t, s, feed.ScopeOf("D-101"), 1, false, feed.Row{N: 1, Kind: feed.Verdict, Key: second.String(), Body: o})
	if phone, stock, own := look(t, s); phone != "2" || stock != int64(7) || own != 1 {
		t.Fatalf("set aside: %v, %v, %d", phone, stock, own)
	}
	// The entity leaves the device's scopes; the hub says that it took the first in.
	page(t, s, "gacha-1", 5, false, feed.Row{N: 5, Kind: feed.Gone, Key: feed.EntityKey(herdsman)})
	if o, err = (feed.Outcome{Verdict: "applied", At: 2}).Encode(); err != nil {
		t.Fatal(err)
	}
	page(t, s, feed.ScopeOf("D-101"), 2, false, feed.Row{N: 2, Kind: feed.Verdict, Key: first.String(), Body: o})
	if _, _, own := look(t, s); own != 0 {
		t.Errorf("%d own writes of an entity that is elsewhere", own)
	}
}

// received settles the hub's receipt for the first so many entries of the record lane.
func received(t *testing.T, s *store.Store, through dot.Dot) {
	t.Helper()
	next, err := s.Read(through.Chain, through.Seq+1, 1, 1<<20)
	head := next.Before
	if st, ok := s.Chain(through.Chain); err != nil || ok && st.Last == through.Seq {
		head = st.Head
	}
	got, err := s.Settle(t.Context(), []receipt.Receipt{{Epoch: receipt.Epoch{1}, Chain: through.Chain, Through: through.Seq, Head: head}})
	if err != nil || len(got) != 1 || got[0].Refused != nil {
		t.Fatalf("settle %s: %+v, %v", through, got, err)
	}
}

// An entity leaves the device's scopes with writes of the device in it: those
// that the hub has taken in are its affair from then on, whether or not the base
// showed them first; those that it has not received stay shown.
func TestOverlayOfWhatLeft(t *testing.T) {
	for _, pulled := range []bool{true, false} {
		s := reopened(t, t.TempDir())
		if err := s.GrantScopes(t.Context(), []string{"gacha-1", feed.ScopeOf("D-101")}); err != nil {
			t.Fatal(err)
		}
		hub := merge.New(herdsman)
		put := editor(t, s)
		first, second := put("2", 1), put("3", 1)
		received(t, s, first)
		if _, _, own := look(t, s); own != 2 {
			t.Errorf("received and in no page yet: %d own writes, want 2", own)
		}
		hub.Apply(change(t, s, first))
		n := uint64(1)
		if pulled {
			page(t, s, "gacha-1", n, false, hubRow(n, hub))
			n++
		}
		page(t, s, "gacha-1", n, false, feed.Row{N: n, Kind: feed.Gone, Key: feed.EntityKey(herdsman), Rev: n})
		shown, err := s.Shown(herdsman)
		if err != nil || !slices.Equal(shown.Own, []dot.Dot{second}) {
			t.Errorf("pulled before %v: own writes %v, %v; want %s alone", pulled, shown.Own, err, second)
		}
		received(t, s, second)
		if _, _, own := look(t, s); own != 0 {
			t.Errorf("pulled before %v: %d own writes of an entity that is elsewhere", pulled, own)
		}
	}
}

// A scope is taken away, which leaves no marks in any feed: writes of what was in it,
// and of what no page had brought yet, end with the hub's receipt; those of an
// entity that another scope holds, and those not received, stay shown.
func TestOverlayOfWhatWasTakenAway(t *testing.T) {
	for _, c := range []struct {
		name    string
		pulled  bool
		another bool
	}{{"pulled before", true, false}, {"in no page yet", false, false}, {"another scope holds it", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := reopened(t, dir)
			own := feed.ScopeOf("D-101")
			if err := s.GrantScopes(t.Context(), []string{"gacha-1", "team-1", own}); err != nil {
				t.Fatal(err)
			}
			hub := merge.New(herdsman)
			put := editor(t, s)
			first, second := put("2", 1), put("3", 1)
			received(t, s, first)
			if c.another {
				page(t, s, "team-1", 1, false, hubRow(1, hub)) // as it was before
			}
			if c.pulled {
				hub.Apply(change(t, s, first))
				page(t, s, "gacha-1", 1, false, hubRow(2, hub))
			}
			if err := s.GrantScopes(t.Context(), []string{"team-1", own}); err != nil {
				t.Fatal(err)
			}
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = reopened(t, dir)
			want := []dot.Dot{second}
			if c.another {
				want = []dot.Dot{first, second}
			}
			if shown, err := s.Shown(herdsman); err != nil || !slices.Equal(shown.Own, want) {
				t.Errorf("own writes %v, %v; want %v", shown.Own, err, want)
			}
			received(t, s, second)
			if _, _, own := look(t, s); !c.another && own != 0 {
				t.Errorf("%d own writes of an entity that is elsewhere", own)
			}
			// It is granted again: the base has it all, and nothing counts twice.
			if err := s.GrantScopes(t.Context(), []string{"gacha-1", "team-1", own}); err != nil {
				t.Fatal(err)
			}
			if !c.pulled {
				hub.Apply(change(t, s, first))
			}
			hub.Apply(change(t, s, second))
			page(t, s, "gacha-1", 3, false, hubRow(3, hub))
			if phone, stock, own := look(t, s); phone != "3" || stock != int64(2) || own != 0 {
				t.Errorf("granted again: %v, %v, %d own writes", phone, stock, own)
			}
		})
	}
}

// registersOf lists the registers that an entry writes.
func registersOf(t *testing.T, s *store.Store, d dot.Dot) (out []string) {
	t.Helper()
	it, err := s.Get(d)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := entry.DecodePrivate(it.Raw.Private)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range priv.Writes {
		out = append(out, w.Field)
	}
	return out
}

func reopened(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{Key: [32]byte{7}, Device: "D-101", Incarnation: 1, Origin: entry.Origin{Reason: entry.Installed}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// page applies rows that lead to n.
func page(t *testing.T, s *store.Store, scope string, n uint64, more bool, rows ...feed.Row) {
	t.Helper()
	next := store.HeldCursor{Signed: fmt.Appendf(nil, "cursor %d", n), N: n, Mark: feed.Mark{byte(n)}}
	if err := s.ApplyPage(t.Context(), store.Page{Scope: scope, From: s.Feed(scope).Position(), Next: next, Rows: rows, More: more}); err != nil {
		t.Fatal(err)
	}
}
