package storetest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
)

// The wall clock of the suite, Unix milliseconds; nothing in it depends on the real one.
const noon = 1_774_000_000_000

var (
	chainA = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	chainB = dot.Chain{Device: "D-102", Incarnation: 4_000_000_000, Lane: dot.Record}
	alertA = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Alert}
)

// rawOf makes an entry's bytes; the ledger does not look inside them.
func rawOf(d dot.Dot, words string) entry.Raw {
	return entry.NewRaw([]byte("public "+d.String()+" "+words), bytes.Repeat([]byte(words+"\x00"), 20))
}

// entryAt makes a whole entry. Its columns differ from one another and from
// seq to seq, so that swapped ones are noticed.
func entryAt(c dot.Chain, seq dot.Seq) store.Entry {
	d := c.At(seq)
	raw := rawOf(d, "as captured")
	return store.Entry{
		Dot: d, Hash: raw.Hash(), Raw: raw,
		Form: fmt.Sprintf("form-%d", seq%3), FormVersion: uint32(seq%5) + 1, EntityType: "household", Entity: fmt.Sprintf("HH-%04d", seq),
		Actor: "U-7", DeviceTime: noon + int64(seq), CorrectedTime: noon - 47*60_000 + int64(seq), ReceivedAt: noon + 3_600_000,
		Via: "D-301", Judgement: store.Judgement{Verdict: store.Applied},
	}
}

func entriesOf(c dot.Chain, run lane.Range) []store.Entry {
	out := make([]store.Entry, 0, run.Len())
	for s := run.First; s <= run.Last; s++ {
		out = append(out, entryAt(c, s))
	}
	return out
}

// headOf makes up a head; the suite's chains need none that verifies.
func headOf(words string) entry.Hash { return sha256.Sum256([]byte(words)) }

func keyOf(words string) identity.PublicKey {
	return identity.PublicKey(sha256.Sum256([]byte("key " + words)))
}

func codeOf(words string) [32]byte { return sha256.Sum256([]byte("code " + words)) }

// add commits entries and the lane state that they lead to.
func add(t T, s store.Store, es ...store.Entry) {
	t.Helper()
	err := s.Ingest(t.Context(), func(tx store.Tx) error { return addIn(tx, es...) })
	if err != nil {
		t.Fatalf("ingest: %v", err)
	}
}

func addIn(tx store.Tx, es ...store.Entry) error {
	lanes := make(map[dot.Chain]store.Lane)
	for _, e := range es {
		l, ok := lanes[e.Dot.Chain]
		if !ok {
			var err error
			if l, err = tx.Lane(e.Dot.Chain); err != nil {
				return err
			}
		}
		l.Received = l.Received.Add(lane.Run(e.Dot.Seq, e.Dot.Seq))
		l.Head, l.ReceivedAt = headOf(e.Dot.String()), e.ReceivedAt
		lanes[e.Dot.Chain] = l
	}
	if err := tx.Insert(es); err != nil {
		return err
	}
	for _, l := range lanes {
		if err := tx.SaveLane(l); err != nil {
			return err
		}
	}
	return nil
}

// enrolled invites and enrols a device.
func enrolled(t T, s store.Store, d dot.Device) store.Key {
	t.Helper()
	in := store.Invitation{Device: d, Scopes: []string{"gacha-1"}, CodeHash: codeOf(string(d)), AddedAt: noon, ExpiresAt: noon + 1000}
	if err := s.Invite(t.Context(), in, true); err != nil {
		t.Fatalf("invite %s: %v", d, err)
	}
	k, err := s.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, SignKey: keyOf(string(d)), NatsKey: "U" + string(d), At: noon + 1})
	if err != nil {
		t.Fatalf("redeem %s: %v", d, err)
	}
	return k
}

// same compares what came back with what is due.
func same(t T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// ok ends the check on an error.
func ok(t T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// list collects a query.
func list(t T, s store.Store, q store.EntryQuery) []store.ListedEntry {
	t.Helper()
	var out []store.ListedEntry
	for e, err := range s.Entries(t.Context(), q) {
		ok(t, "list entries", err)
		out = append(out, e)
	}
	return out
}

func dotsOf(es []store.ListedEntry) []dot.Dot {
	out := make([]dot.Dot, len(es))
	for i, e := range es {
		out[i] = e.Dot
	}
	return out
}

func laneOf(t T, s store.Store, c dot.Chain) store.Lane {
	t.Helper()
	ls, err := s.LanesOf(t.Context(), c.Device)
	ok(t, "lanes of "+string(c.Device), err)
	for _, l := range ls {
		if l.Chain == c {
			return l
		}
	}
	return store.Lane{}
}
