package store_test

import (
	"testing"
	"time"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

func settle(tb testing.TB, s *store.Store, r receipt.Receipt) store.Settlement {
	tb.Helper()
	out, err := s.Settle(tb.Context(), []receipt.Receipt{r})
	if err != nil || len(out) != 1 {
		tb.Fatal(out, err)
	}
	return out[0]
}

func TestSettleShrinksTheOutbox(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 20)
	one, two := receipt.Epoch{1}, receipt.Epoch{2}
	at := func(e receipt.Epoch, through dot.Seq, extra ...lane.Range) receipt.Receipt {
		head := entry.Genesis(chain)
		if through > 0 {
			head = saved[through-1].Head
		}
		return receipt.Receipt{Epoch: e, Chain: chain, Through: through, Head: head, Extra: extra}
	}
	archived := at(one, 9)
	archived.Archived = 6
	for _, c := range []struct {
		name    string
		r       receipt.Receipt
		newly   uint64
		waiting string
	}{
		{"nothing yet", at(one, 0), 0, "{1-20}"},
		{"the first five", at(one, 5), 5, "{6-20}"},
		{"with ranges above a gap", at(one, 7, lane.Run(10, 12), lane.Run(15, 15)), 6, "{8-9, 13-14, 16-20}"},
		{"late copy of an earlier one", at(one, 3), 0, "{8-9, 13-14, 16-20}"},
		{"archived rises", archived, 2, "{13-14, 16-20}"},
		{"a restored hub has less", at(two, 4, lane.Run(6, 6)), 0, "{5, 7-20}"},
		{"refilled", at(two, 20), 15, "{}"},
	} {
		out := settle(t, s, c.r)
		if out.Refused != nil {
			t.Fatalf("%s: %s", c.name, out.Refused)
		}
		check := func() {
			t.Helper()
			if got := lane.Format(state(t, s, chain).Waiting()); got != c.waiting {
				t.Fatalf("%s: waiting %s, want %s", c.name, got, c.waiting)
			}
		}
		check()
		if out.Newly != c.newly {
			t.Errorf("%s: newly %d, want %d", c.name, out.Newly, c.newly)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, options())
		check()
		if f := s.Findings(); len(f) != 0 {
			t.Fatal(f)
		}
	}
}

func TestSettleRefuses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 10)
	good := receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: chain, Through: 5, Head: saved[4].Head}
	for _, c := range []struct {
		name   string
		code   store.Code
		change func(*receipt.Receipt)
	}{
		{"other head", store.CodeHeadMismatch, func(r *receipt.Receipt) { r.Head[0] ^= 1 }},
		{"other head at the end", store.CodeHeadMismatch, func(r *receipt.Receipt) { r.Through = 10 }},
		{"no genesis at 0", store.CodeHeadMismatch, func(r *receipt.Receipt) { r.Through = 0 }},
		{"ahead", store.CodeReceiptAhead, func(r *receipt.Receipt) { r.Through = 11 }},
		{"ahead by a range", store.CodeReceiptAhead, func(r *receipt.Receipt) { r.Extra = []lane.Range{lane.Run(8, 11)} }},
		{"touching range", store.CodeReceiptBroken, func(r *receipt.Receipt) { r.Extra = []lane.Range{lane.Run(6, 7)} }},
		{"unknown chain", store.CodeUnknownChain, func(r *receipt.Receipt) { r.Chain.Device = "D-999" }},
	} {
		r := good
		c.change(&r)
		out := settle(t, s, r)
		if out.Refused == nil || out.Refused.Code != c.code || out.Refused.What == "" || out.Refused.Do == "" {
			t.Errorf("%s: %+v, want %s", c.name, out.Refused, c.code)
		}
		if got := lane.Format(state(t, s, chain).Waiting()); got != "{1-10}" {
			t.Errorf("%s: the outbox became %s", c.name, got)
		}
	}
	// One bad receipt does not stop the others of the same call.
	bad := good
	bad.Head[3] ^= 1
	out, err := s.Settle(t.Context(), []receipt.Receipt{bad, good})
	if err != nil || out[0].Refused == nil || out[1].Refused != nil || out[1].Newly != 5 {
		t.Fatal(out, err)
	}
	if len(state(t, s, chain).Lost) != 0 {
		t.Error("a refused receipt made entries count as lost")
	}
}

func TestContactIsKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	if c := s.Contact(); !c.LastContact.IsZero() || c.LastError != "" {
		t.Fatalf("a new store remembers %+v", c)
	}
	want := store.Contact{
		LastContact: time.UnixMilli(1_790_000_000_123), LastAttempt: time.UnixMilli(1_790_000_100_000), HubOffsetMillis: -2_820_000,
		OffsetMeasuredAt: time.UnixMilli(1_790_000_000_100), Epoch: []byte{1, 2, 3}, LastError: "no answer",
	}
	if err := s.SetContact(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := open(t, dir, options()).Contact()
	if !got.LastContact.Equal(want.LastContact) || !got.LastAttempt.Equal(want.LastAttempt) || got.HubOffsetMillis != want.HubOffsetMillis ||
		!got.OffsetMeasuredAt.Equal(want.OffsetMeasuredAt) || string(got.Epoch) != string(want.Epoch) || got.LastError != want.LastError {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// TestSealed: what damage took and the hub has given up is waiting no more; what is
// here still is, whatever the hub has given up.
func TestSealed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 20)
	answer(t, s, receipt.Epoch{1}, saved, 5, 0)
	for seq := dot.Seq(8); seq <= 10; seq++ {
		if err := store.DropEntry(s, chain.At(seq)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Fatal(err)
	}
	missed := "{8-10}"
	check := func(what, waiting, sendable string) {
		t.Helper()
		st := state(t, s, chain)
		is(t, what+": missed", st.Missed().String(), missed)
		is(t, what+": waiting", lane.Format(st.Waiting()), waiting)
		is(t, what+": sendable", lane.Format(st.Sendable()), sendable)
	}
	check("lost", "{6-20}", "{6-7, 11-20}")
	seal := func(rs ...lane.Range) {
		t.Helper()
		if err := s.SetSealed(t.Context(), map[dot.Chain]lane.Set{chain: lane.NewSet(rs...)}); err != nil {
			t.Fatal(err)
		}
	}
	seal(lane.Run(7, 9), lane.Run(19, 400))
	missed = "{10}"
	check("sealed", "{6-7, 10-20}", "{6-7, 11-20}")
	answer(t, s, receipt.Epoch{2}, saved, 6, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Fatal(err)
	}
	check("opened again, in another epoch", "{7, 10-20}", "{7, 11-20}")
	seal()
	missed = "{8-10}"
	check("the hub waits again", "{7-20}", "{7, 11-20}")
}

// TestTheHubsOwnWordIsKept: the receipt that goes furthest, as it was signed, so that a
// hub which was put back can be shown what it had. Another epoch's takes its place.
func TestTheHubsOwnWordIsKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 9)
	at := func(e byte, through dot.Seq, word string) receipt.Receipt {
		r := receipt.Receipt{Epoch: receipt.Epoch{e}, Chain: chain, Through: through, Head: saved[through-1].Head}
		if word != "" {
			r.Signed = []byte(word)
		}
		return r
	}
	for _, c := range []struct {
		name string
		r    receipt.Receipt
		want string
	}{
		{"from a program that kept none", at(1, 3, ""), ""},
		{"the same again", at(1, 3, "three"), "three"},
		{"further", at(1, 7, "seven"), "seven"},
		{"a late one", at(1, 5, "five"), "seven"},
		{"of a new epoch", at(2, 4, "four of two"), "four of two"},
	} {
		settle(t, s, c.r)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, options())
		if got := string(state(t, s, chain).Signed); got != c.want {
			t.Errorf("%s: %q is kept, want %q", c.name, got, c.want)
		}
	}
	if _, err := s.Answer(t.Context(), receipt.Epoch{3}, nil); err != nil {
		t.Fatal(err)
	}
	if got := state(t, s, chain).Signed; got != nil {
		t.Errorf("after an epoch that does not speak of the chain: %q is kept", got)
	}
}
