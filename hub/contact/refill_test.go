package contact_test

import (
	"testing"

	"otor/hub/contact"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/wire"
)

func TestRefill(t *testing.T) {
	o := newOffice(t)
	o.enrol(t, "D-102")
	chain := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	var es []store.Entry
	for seq := dot.Seq(1); seq <= 30; seq++ {
		raw := entry.NewRaw([]byte{0xa1, byte(seq)}, make([]byte, 8<<10))
		es = append(es, store.Entry{Dot: chain.At(seq), Hash: raw.Hash(), Raw: raw, Judgement: store.Judgement{Verdict: store.Applied}})
	}
	es[20].Hash[0] ^= 1 // the ledger itself is damaged there
	if err := o.Ingest(t.Context(), func(tx store.Tx) error { return tx.Insert(es) }); err != nil {
		t.Fatal(err)
	}
	ask := func(d dot.Device, r wire.Refill) (wire.RefillPage, error) {
		t.Helper()
		b, err := wire.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		p, err := contact.Refill(t.Context(), o.Store, d, b)
		if err != nil {
			return p, err
		}
		if b, err = wire.Marshal(p); err != nil || len(b) > wire.MaxRefillPage {
			t.Fatalf("a page of %d bytes, %v", len(b), err)
		}
		return wire.Unmarshal[wire.RefillPage](b)
	}
	want := wire.Refill{Incarnation: 1, Lane: dot.Record, First: 5, Last: 20}
	p, err := ask("D-101", want)
	if err != nil || p.Refused != nil || p.First != 5 || len(p.Entries) < 5 || len(p.Entries) > 12 {
		t.Fatalf("%d entries from %d, refused %v, %v", len(p.Entries), p.First, p.Refused, err)
	}
	for i, b := range p.Entries {
		if raw, err := entry.DecodeRaw(b); err != nil || !raw.Equal(es[4+i].Raw) {
			t.Fatalf("entry %d has other bytes", 5+i)
		}
	}
	want.Bytes = 1
	if p, err = ask("D-101", want); err != nil || len(p.Entries) != 1 {
		t.Errorf("with room for one: %d entries, %v", len(p.Entries), err)
	}
	want.First, want.Last = 31, 40
	if p, err = ask("D-101", want); err != nil || len(p.Entries) != 0 {
		t.Errorf("of what the hub lacks: %d entries, %v", len(p.Entries), err)
	}
	want.First, want.Last = 21, 21
	if p, err = ask("D-101", want); err == nil {
		t.Errorf("what the ledger has damaged was passed on: %+v", p)
	}
	// Another device gets nothing of it, and a stranger nothing at all.
	want.First, want.Last = 1, 5
	if p, err = ask("D-102", want); err != nil || len(p.Entries) != 0 {
		t.Errorf("another device: %d entries, %v", len(p.Entries), err)
	}
	if p, err = ask("D-999", want); err != nil || p.Refused == nil || p.Refused.Code != "unknown_device" {
		t.Errorf("a stranger: %+v, %v", p, err)
	}
	if p, err := contact.Refill(t.Context(), o.Store, "D-101", []byte("nonsense")); err != nil || p.Refused == nil || p.Refused.Code != "bad_refill" {
		t.Errorf("nonsense: %+v, %v", p, err)
	}
	if _, err := o.Revoke(t.Context(), "D-101", 1); err != nil {
		t.Fatal(err)
	}
	if p, err = ask("D-101", want); err != nil || p.Refused == nil || p.Refused.Code != "revoked" {
		t.Errorf("revoked: %+v, %v", p, err)
	}
}
