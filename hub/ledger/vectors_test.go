package ledger_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/golden"
	"otor/internal/identity"
)

// vector is a fact's committed bytes.
type vector struct {
	Note   string `json:"note"`
	Before string `json:"before"`
	Hash   string `json:"hash"`
	Signed string `json:"signed"`
}

// The bytes of facts stand in journals that outlive programs.
func TestVectors(t *testing.T) {
	key, err := identity.SigningKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	must(t, err)
	o := newOffice(t)
	o.close()
	o.key, o.dir, o.journal = key, t.TempDir(), t.TempDir()
	o.open()
	var got []vector
	for i, a := range []ledger.Act{
		{By: "operator", Kind: "invited", Subject: "D-101", Body: invited{"D-101", bytes.Repeat([]byte{9}, 32)}},
		{By: "hub", Kind: "said", Body: map[string]int{"facts": 3}},
	} {
		a.ID = store.FactID{byte(i + 1)}
		f, err := o.Record(t.Context(), a, nil)
		must(t, err)
		got = append(got, vector{a.Kind + " by " + a.By, f.Before.String(), f.Hash.String(), hex.EncodeToString(f.Signed)})
	}
	golden.Update(t, got)
	for i, want := range golden.Load[[]vector](t) {
		if got[i] != want {
			t.Errorf("%s:\n got %+v\nwant %+v", want.Note, got[i], want)
		}
		if _, err := ledger.Read(golden.Unhex(t, want.Signed), key.Public()); err != nil {
			t.Errorf("%s: %v", want.Note, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	key, err := identity.SigningKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	must(f, err)
	for _, v := range golden.Load[[]vector](f) {
		f.Add(golden.Unhex(f, v.Signed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fact, err := ledger.Read(b, key.Public())
		if err != nil && !errors.Is(err, ledger.ErrBadFact) {
			t.Fatal(err)
		}
		if err == nil && !bytes.Equal(fact.Signed, b) {
			t.Fatal("a fact that reads differently than it was written")
		}
	})
}
