package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
)

func feedStore(t *testing.T) (dir string, s *store.Store) {
	t.Helper()
	dir = t.TempDir()
	return dir, reopened(t, dir)
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

func cursorAt(n uint64, world byte) store.HeldCursor {
	return store.HeldCursor{Signed: fmt.Appendf(nil, "cursor %d of %d", n, world), N: n, Mark: feed.Mark{world, byte(n), byte(n >> 8)}}
}

func stateRow(n uint64, id, body string) feed.Row {
	return feed.Row{N: n, Kind: feed.Entity, Key: "household/" + id, Rev: n, Body: []byte(body)}
}

func goneAt(n uint64, id string) feed.Row {
	return feed.Row{N: n, Kind: feed.Gone, Key: "household/" + id}
}

// page applies rows that lead to n.
func page(t *testing.T, s *store.Store, scope string, n uint64, more bool, rows ...feed.Row) {
	t.Helper()
	p := store.Page{Scope: scope, From: s.Feed(scope).Position(), Next: cursorAt(n, 1), Rows: rows, More: more}
	if err := s.ApplyPage(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// shown writes what the device shows of a scope.
func shown(t *testing.T, s *store.Store, scope string) string {
	t.Helper()
	var out []string
	for _, slot := range []feed.Kind{feed.Entity, feed.Verdict} {
		for r, err := range s.Rows(t.Context(), scope, slot, "") {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s@%d=%s", strings.TrimPrefix(r.Key, "household/"), r.N, r.Body))
		}
	}
	return strings.Join(out, " ")
}

func grant(t *testing.T, s *store.Store, scopes ...string) {
	t.Helper()
	if err := s.GrantScopes(t.Context(), scopes); err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestPagesAndCursorTogether(t *testing.T) {
	dir, s := feedStore(t)
	first := store.Page{Scope: "a", Next: cursorAt(3, 1), Rows: []feed.Row{stateRow(1, "H-1", "one"), stateRow(3, "H-2", "two")}, More: true}
	if err := s.ApplyPage(t.Context(), first); !errors.Is(err, store.ErrStale) {
		t.Fatalf("a page of a scope that is not held: %v", err)
	}
	grant(t, s, "a", "b")
	if err := s.ApplyPage(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := s.ApplyPage(t.Context(), first); !errors.Is(err, store.ErrStale) {
		t.Errorf("the same page twice: %v", err)
	}
	page(t, s, "a", 6, false, goneAt(4, "H-1"), goneAt(5, "H-9"), stateRow(6, "H-3", "three"))
	late := store.Page{Scope: "a", From: cursorAt(3, 1).Position(), Next: cursorAt(4, 1), Rows: []feed.Row{stateRow(4, "H-3", "old")}}
	if err := s.ApplyPage(t.Context(), late); !errors.Is(err, store.ErrStale) {
		t.Errorf("a late page: %v", err)
	}
	is(t, "shown", shown(t, s, "a"), "H-2@3=two H-3@6=three")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, dir)
	is(t, "shown after reopening", shown(t, s, "a"), "H-2@3=two H-3@6=three")
	f := s.Feed("a")
	if f.Position() != cursorAt(6, 1).Position() || f.Rows != 4 || len(f.Cursors) != 2 || f.AsOf.IsZero() {
		t.Errorf("%+v", f)
	}
	if found, err := s.Verify(t.Context(), store.All, nil); err != nil || len(found) > 0 || len(s.Sick()) > 0 {
		t.Errorf("verify: %v %v, sick %v", found, err, s.Sick())
	}
}

func TestTheNewestOfScopes(t *testing.T) {
	_, s := feedStore(t)
	grant(t, s, "a", "b")
	old, fresh := stateRow(1, "H-1", "old"), stateRow(7, "H-1", "new")
	page(t, s, "a", 1, false, old)
	page(t, s, "b", 9, false, fresh, stateRow(9, "H-2", "only"))
	ref := entry.Ref{Type: "household", ID: "H-1"}
	b, ok, err := s.Base(ref)
	if err != nil || !ok || string(b.Body) != "new" || b.Scope != "b" {
		t.Errorf("%+v %v %v", b, ok, err)
	}
	var list []string
	for b, err := range s.Bases(t.Context(), "household") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(b.Body))
	}
	is(t, "list", strings.Join(list, " "), "new only")
	page(t, s, "b", 10, false, goneAt(10, "H-1")) // it left b and is in a still
	if b, ok, _ := s.Base(ref); !ok || b.Scope != "a" {
		t.Errorf("after it left one: %+v %v", b, ok)
	}
	if _, ok, _ := s.Base(entry.Ref{Type: "household", ID: "H-9"}); ok {
		t.Error("an entity that nobody sent")
	}
}

func TestLeavingAScope(t *testing.T) {
	dir, s := feedStore(t)
	grant(t, s, "a", "b")
	page(t, s, "a", 2, false, stateRow(1, "H-1", "x"), stateRow(2, "H-2", "y"))
	page(t, s, "b", 1, false, stateRow(1, "H-3", "z"))
	grant(t, s, "b")
	is(t, "left", shown(t, s, "a"), "")
	if _, ok, _ := s.Base(entry.Ref{Type: "household", ID: "H-1"}); ok {
		t.Error("a left scope's row is shown")
	}
	grant(t, s, "a", "b") // before anything was swept
	is(t, "granted again", shown(t, s, "a"), "")
	page(t, s, "a", 2, false, stateRow(1, "H-1", "again"))
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(t, "after the sweep", shown(t, s, "a")+"|"+shown(t, s, "b"), "H-1@1=again|H-3@1=z")
	grant(t, s)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = reopened(t, dir); len(s.Feeds()) != 0 {
		t.Errorf("left: %+v", s.Feeds())
	}
}

func TestRebaseSwitchesAtOnce(t *testing.T) {
	dir, s := feedStore(t)
	grant(t, s, "a")
	page(t, s, "a", 2, false, stateRow(1, "H-1", "x"), stateRow(2, "H-2", "y"))
	if err := s.RebaseFeed(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	page(t, s, "a", 7, true, stateRow(7, "H-5", "new"))
	is(t, "while it loads", shown(t, s, "a"), "H-1@1=x H-2@2=y")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, dir)
	if f := s.Feed("a"); !f.Loading || f.Position().N != 7 {
		t.Errorf("the load is resumed: %+v", f)
	}
	page(t, s, "a", 9, false, stateRow(9, "H-1", "x2"))
	is(t, "after the switch", shown(t, s, "a"), "H-1@9=x2 H-5@7=new")
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Verify(t.Context(), store.All, nil); err != nil || len(found) > 0 || len(s.Sick()) > 0 {
		t.Errorf("verify: %v %v, sick %v", found, err, s.Sick())
	}
	is(t, "after the sweep", shown(t, s, "a"), "H-1@9=x2 H-5@7=new")
}

func TestResumeDoubtsWhatCameAbove(t *testing.T) {
	_, s := feedStore(t)
	grant(t, s, "a")
	page(t, s, "a", 2, false, stateRow(1, "H-1", "x"), stateRow(2, "H-2", "y"))
	page(t, s, "a", 5, false, stateRow(4, "H-1", "lost"), stateRow(5, "H-3", "lost too"))
	if err := s.ResumeFeed(t.Context(), "a", cursorAt(4, 9)); !errors.Is(err, store.ErrStale) {
		t.Errorf("a cursor that it never passed: %v", err)
	}
	at := cursorAt(2, 1)
	at.Signed = []byte("signed anew")
	if err := s.ResumeFeed(t.Context(), "a", at); err != nil {
		t.Fatal(err)
	}
	is(t, "still shown", shown(t, s, "a"), "H-1@4=lost H-2@2=y H-3@5=lost too")
	p := store.Page{Scope: "a", From: at.Position(), Next: cursorAt(3, 2), Rows: []feed.Row{stateRow(3, "H-4", "new")}}
	if err := s.ApplyPage(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	names, all, err := s.Doubtful(t.Context(), "a", 10)
	if err != nil || !all || len(names) != 2 || names[0].Key != "household/H-1" || names[1].Key != "household/H-3" {
		t.Fatalf("doubtful: %v %v %v", names, all, err)
	}
	if some, all, _ := s.Doubtful(t.Context(), "a", 1); len(some) != 1 || all {
		t.Errorf("one of them: %v %v", some, all)
	}
	got := store.Fetched{Scope: "a", From: cursorAt(3, 2).Position(), Next: cursorAt(3, 3), Asked: names, Rows: []feed.Row{stateRow(1, "H-1", "x")}, All: true}
	if err := s.ApplyFetched(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if err := s.ApplyFetched(t.Context(), got); !errors.Is(err, store.ErrStale) {
		t.Errorf("the same answer twice: %v", err)
	}
	is(t, "put right", shown(t, s, "a"), "H-1@1=x H-2@2=y H-4@3=new")
	if s.Feed("a").Doubt {
		t.Error("doubt is left")
	}
	if _, all, _ := s.Doubtful(t.Context(), "a", 10); !all {
		t.Error("doubtful rows are left")
	}
}

func TestOutcomes(t *testing.T) {
	_, s := feedStore(t)
	scope := feed.ScopeOf("D-101")
	grant(t, s, scope)
	b, err := feed.Outcome{Verdict: "quarantined", Code: "id_checksum", Words: "the last digit", At: 5}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(4)
	page(t, s, scope, 1, false, feed.Row{N: 1, Kind: feed.Verdict, Key: d.String(), Body: b})
	o, ok, err := s.Outcome(d)
	if err != nil || !ok || o.Code != "id_checksum" || !o.Returned() {
		t.Errorf("%+v %v %v", o, ok, err)
	}
	n := 0
	for got, o := range s.Outcomes(t.Context()) {
		if got != d || o.Words != "the last digit" {
			t.Errorf("%s %+v", got, o)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d outcomes", n)
	}
	d.Seq++
	if _, ok, _ := s.Outcome(d); ok {
		t.Error("an entry that the hub said nothing of")
	}
}

// TestCursorsReachBack: of many cursors the newest stand close and the oldest far back.
func TestCursorsReachBack(t *testing.T) {
	_, s := feedStore(t)
	grant(t, s, "a")
	for n := uint64(1); n <= 300; n++ {
		page(t, s, "a", n, false, stateRow(n, "H-1", "x"))
	}
	cs := s.Feed("a").Cursors
	if len(cs) != feed.MaxCursors || cs[0].N != 300 || cs[1].N < 298 || cs[len(cs)-1].N > 30 {
		t.Errorf("%d cursors: %v", len(cs), func() (ns []uint64) {
			for _, c := range cs {
				ns = append(ns, c.N)
			}
			return ns
		}())
	}
	for i := 1; i < len(cs); i++ {
		if cs[i].N >= cs[i-1].N {
			t.Errorf("out of order at %d", i)
		}
	}
}

// TestFeedProperty holds a store against a hub that changes, forgets, and is put
// back, through any order of pages, loads, resumptions and restarts.
func TestFeedProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := reopened(t, dir)
		defer func() { _ = s.Close() }()
		grant(t, s, "a")
		h := newFeedHub()
		steps := []string{"change", "change", "pull", "pull", "restore", "save", "fetch", "pull", "change", "pull", "rebase", "restart"}
		seed := rapid.Uint64().Draw(rt, "seed") // rapid's own choice prefers the first step by far
		dice := rand.New(rand.NewPCG(seed, 1))
		for range 400 {
			step := steps[dice.IntN(len(steps))]
			if step == "restart" && dice.IntN(8) > 0 {
				continue // it takes long
			}
			switch step {
			case "change":
				h.change(fmt.Sprintf("H-%d", 1+dice.IntN(6)), dice.IntN(4) == 0)
			case "save":
				h.save()
			case "restore":
				h.restore()
			case "pull":
				h.pull(t.Context(), rt, s, 1+dice.IntN(3))
			case "fetch":
				h.fetch(t.Context(), rt, s, 1+dice.IntN(3))
			case "rebase":
				if err := s.RebaseFeed(t.Context(), "a"); err != nil {
					rt.Fatal(err)
				}
			case "restart":
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = reopened(t, dir)
			}
		}
		for range 200 {
			if h.pull(t.Context(), rt, s, 3) {
				break
			}
		}
		for range 100 {
			if !s.Feed("a").Doubt {
				break
			}
			h.fetch(t.Context(), rt, s, 3)
		}
		if got, want := shown(t, s, "a"), h.words(); got != want {
			rt.Fatalf("the device shows %q, the hub has %q", got, want)
		}
		if found, err := s.Verify(t.Context(), store.All, nil); err != nil || len(found) > 0 || len(s.Sick()) > 0 {
			rt.Fatalf("verify: %v %v, sick %v", found, err, s.Sick())
		}
	})
}

// feedHub is a hub with one feed, in a few lines.
type feedHub struct {
	n, world uint64
	rows     map[string]feed.Row
	marks    map[uint64]feed.Mark
	saved    *feedHub
}

func newFeedHub() *feedHub {
	return &feedHub{rows: make(map[string]feed.Row), marks: make(map[uint64]feed.Mark)}
}

func (h *feedHub) change(id string, goes bool) {
	h.n++
	h.world++
	h.marks[h.n] = feed.Mark{byte(h.world), byte(h.world >> 8), 1}
	h.rows[id] = stateRow(h.n, id, fmt.Sprint("v", h.world))
	if goes {
		h.rows[id] = goneAt(h.n, id)
	}
}

func (h *feedHub) save() {
	h.saved = &feedHub{n: h.n, rows: maps.Clone(h.rows), marks: maps.Clone(h.marks)}
}

func (h *feedHub) restore() {
	if h.saved != nil {
		h.n, h.rows, h.marks = h.saved.n, maps.Clone(h.saved.rows), maps.Clone(h.saved.marks)
	}
}

func (h *feedHub) sorted() []feed.Row {
	return slices.SortedFunc(maps.Values(h.rows), func(a, b feed.Row) int { return int(a.N) - int(b.N) })
}

func (h *feedHub) words() string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(h.rows)) {
		if r := h.rows[id]; r.Kind != feed.Gone {
			out = append(out, fmt.Sprintf("%s@%d=%s", id, r.N, r.Body))
		}
	}
	return strings.Join(out, " ")
}

// pull does what a device and a hub do together; done: nothing is left to pull.
func (h *feedHub) pull(ctx context.Context, rt *rapid.T, s *store.Store, most int) (done bool) {
	f := s.Feed("a")
	for i, c := range f.Cursors {
		if h.marks[anchorOf(c)] != c.Mark {
			continue
		}
		if i > 0 {
			if err := s.ResumeFeed(ctx, "a", c); err != nil {
				rt.Fatal(err)
			}
			f = s.Feed("a")
		}
		return h.send(ctx, rt, s, f, most)
	}
	if len(f.Cursors) > 0 {
		if err := s.RebaseFeed(ctx, "a"); err != nil {
			rt.Fatal(err)
		}
		f = s.Feed("a")
	}
	return h.send(ctx, rt, s, f, most)
}

// cursor is at n, as the feed is now. What is signed says how far that was.
func (h *feedHub) cursor(n uint64) store.HeldCursor {
	return store.HeldCursor{N: n, Mark: h.marks[h.n], Signed: binary.BigEndian.AppendUint64(nil, h.n)}
}

func anchorOf(c store.HeldCursor) uint64 { return binary.BigEndian.Uint64(c.Signed) }

func (h *feedHub) send(ctx context.Context, rt *rapid.T, s *store.Store, f store.Feed, most int) (done bool) {
	p := store.Page{Scope: "a", From: f.Position()}
	for _, r := range h.sorted() {
		if r.N <= p.From.N {
			continue
		}
		if len(p.Rows) == most {
			p.More = true
			break
		}
		p.Rows = append(p.Rows, r)
	}
	if len(p.Rows) == 0 && !f.Loading {
		return true
	}
	at := h.n
	if p.More {
		at = p.Rows[len(p.Rows)-1].N
	}
	p.Next = h.cursor(at)
	if err := s.ApplyPage(ctx, p); err != nil {
		rt.Fatal(err)
	}
	return false
}

func (h *feedHub) fetch(ctx context.Context, rt *rapid.T, s *store.Store, most int) {
	names, all, err := s.Doubtful(ctx, "a", most)
	if err != nil {
		rt.Fatal(err)
	}
	var rows []feed.Row
	for _, n := range names {
		if r, ok := h.rows[strings.TrimPrefix(n.Key, "household/")]; ok {
			rows = append(rows, r)
		}
	}
	f := s.Feed("a")
	if len(f.Cursors) == 0 {
		return
	}
	if h.marks[anchorOf(f.Cursors[0])] != f.Cursors[0].Mark {
		return // the hub answers with a turn, see pull
	}
	if err := s.ApplyFetched(ctx, store.Fetched{Scope: "a", From: f.Position(), Next: h.cursor(f.Position().N), Asked: names, Rows: rows, All: all}); err != nil && !f.Loading {
		rt.Fatal(err)
	}
}

// TestDamagedRowsLoadAnew: what the hub sent can be had from it again.
func TestDamagedRowsLoadAnew(t *testing.T) {
	dir, s := feedStore(t)
	grant(t, s, "a")
	page(t, s, "a", 2, false, stateRow(1, "H-1", "x"), stateRow(2, "H-2", "y"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := store.Open(dir, store.Options{Key: [32]byte{7}, Device: "D-101", Incarnation: 1, Origin: entry.Origin{Reason: entry.Installed}})
	if err != nil {
		t.Fatal(err)
	}
	s = other
	defer func() { _ = s.Close() }()
	if err := store.DropBaseRow(s, "a", "household/H-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Sick(), []string{"a"}) || !hasCode(s, store.CodeBaseDamaged) {
		t.Fatalf("sick %v, findings %v", s.Sick(), s.Findings())
	}
	if err := s.RebaseFeed(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	page(t, s, "a", 2, false, stateRow(1, "H-1", "x"), stateRow(2, "H-2", "y"))
	is(t, "shown", shown(t, s, "a"), "H-1@1=x H-2@2=y")
	if len(s.Sick()) > 0 || hasCode(s, store.CodeBaseDamaged) {
		t.Errorf("sick %v, findings %v", s.Sick(), s.Findings())
	}
}

func hasCode(s *store.Store, c store.Code) bool {
	return slices.ContainsFunc(s.Findings(), func(f store.Finding) bool { return f.Code == c })
}
