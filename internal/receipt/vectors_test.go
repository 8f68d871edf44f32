package receipt_test

import (
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/golden"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// vector is one signed word of the hub, in hex.
type vector struct {
	Name  string `json:"name"`
	Bytes string `json:"bytes"`
	Diag  string `json:"body_diagnostic"` // RFC 8949 section 8, to read by
}

type vectors struct {
	Seed         string   `json:"signing_seed"`
	Public       string   `json:"public_key"`
	Receipts     []vector `json:"receipts"`
	Certificates []vector `json:"epoch_certificates"`
}

var chain = dot.Chain{Device: "D-201", Incarnation: 2, Lane: dot.Record}

func hubKey(t testing.TB) identity.SigningKey {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	k, err := identity.SigningKeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func epoch(first byte) (e receipt.Epoch) {
	for i := range e {
		e[i] = first + byte(i)
	}
	return e
}

func receipts() []receipt.Receipt {
	var head entry.Hash
	for i := range head {
		head[i] = byte(0xff - i)
	}
	return []receipt.Receipt{
		{Epoch: epoch(1), Chain: chain, Head: entry.Genesis(chain)},
		{Epoch: epoch(1), Chain: chain, Through: 4, Head: head, Extra: []lane.Range{lane.Run(6, 6), lane.Run(8, 1000)}, Archived: 3},
		{Epoch: epoch(1), Chain: dot.Chain{Device: dot.Hub, Incarnation: 1<<32 - 1, Lane: dot.Alert}, Through: dot.MaxSeq, Head: head, Archived: dot.MaxSeq},
	}
}

func certificates() []receipt.EpochCertificate {
	return []receipt.EpochCertificate{
		{Epoch: epoch(1), Minted: 1758160020000},
		{Epoch: epoch(2), Parent: epoch(1), Lineage: 1, Minted: 1758246420000},
	}
}

func diagnose(t testing.TB, b []byte) string {
	var s struct {
		_         struct{} `cbor:",toarray"`
		Body, Sig []byte
	}
	if err := cbor.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	d, err := cbor.Diagnose(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func build(t testing.TB) vectors {
	out := vectors{Seed: hex.EncodeToString(hubKey(t).Seed()), Public: hubKey(t).Public().String()}
	for i, r := range receipts() {
		b, err := r.Sign(hubKey(t))
		if err != nil {
			t.Fatal(err)
		}
		name := []string{"nothing yet", "extra ranges", "as far as seqs go"}[i]
		out.Receipts = append(out.Receipts, vector{name, hex.EncodeToString(b), diagnose(t, b)})
	}
	for i, c := range certificates() {
		b, err := c.Sign(hubKey(t))
		if err != nil {
			t.Fatal(err)
		}
		name := []string{"a hub's first epoch", "its child"}[i]
		out.Certificates = append(out.Certificates, vector{name, hex.EncodeToString(b), diagnose(t, b)})
	}
	return out
}

func committed(t testing.TB) vectors {
	v := golden.Load[vectors](t)
	if len(v.Receipts) == 0 || len(v.Certificates) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func TestVectors(t *testing.T) {
	got := build(t)
	golden.Update(t, got)
	want := committed(t)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("bytes changed\n got %+v\nwant %+v", got, want)
	}
	for i, v := range want.Receipts {
		r, err := receipt.Open(golden.Unhex(t, v.Bytes), hubKey(t).Public())
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		want := receipts()[i]
		want.Signed = golden.Unhex(t, v.Bytes)
		if !reflect.DeepEqual(r, want) {
			t.Errorf("%s: got %+v, want %+v", v.Name, r, want)
		}
	}
	for i, v := range want.Certificates {
		c, err := receipt.OpenEpoch(golden.Unhex(t, v.Bytes), hubKey(t).Public())
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if c != certificates()[i] {
			t.Errorf("%s: got %+v, want %+v", v.Name, c, certificates()[i])
		}
	}
}

func TestSignatureCoversAll(t *testing.T) {
	b := golden.Unhex(t, committed(t).Receipts[1].Bytes)
	for i := range b {
		for _, bit := range []byte{1, 0x80} {
			b[i] ^= bit
			if r, err := receipt.Open(b, hubKey(t).Public()); err == nil {
				t.Fatalf("byte %d changed by %#x: accepted as %+v", i, bit, r)
			}
			b[i] ^= bit
		}
	}
	if _, err := receipt.OpenEpoch(b, hubKey(t).Public()); err == nil {
		t.Error("a receipt passed as an epoch certificate")
	}
	if _, err := receipt.Open(b, identity.PublicKey{}); err == nil {
		t.Error("accepted under another key")
	}
}
