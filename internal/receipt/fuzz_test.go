package receipt_test

import (
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/golden"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// signed puts a good signature on any body: what a hub gone wrong could send.
func signed(t testing.TB, d identity.Domain, body []byte) []byte {
	b, err := cbor.Marshal([][]byte{body, hubKey(t).Sign(d, body)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bodyOf(t testing.TB, b []byte) []byte {
	var s [][]byte
	if err := cbor.Unmarshal(b, &s); err != nil || len(s) != 2 {
		t.Fatalf("%v: %d parts", err, len(s))
	}
	return s[0]
}

func FuzzOpen(f *testing.F) {
	for _, v := range committed(f).Receipts {
		f.Add(golden.Unhex(f, v.Bytes), false)
		f.Add(bodyOf(f, golden.Unhex(f, v.Bytes)), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = signed(t, identity.ForReceipt, b)
		}
		r, err := receipt.Open(b, hubKey(t).Public())
		if err != nil {
			if !errors.Is(err, receipt.ErrInvalid) {
				t.Fatalf("%v does not wrap ErrInvalid", err)
			}
			return
		}
		s := r.Set()
		if s.Through() != r.Through || len(s.Extra()) != len(r.Extra) || r.Archived > r.Through {
			t.Fatalf("%+v covers %s", r, s)
		}
		for i, x := range s.Extra() {
			if x != lane.Run(r.Extra[i].First, r.Extra[i].Last) {
				t.Fatalf("%+v covers %s", r, s)
			}
		}
		if _, err := r.Sign(hubKey(t)); err != nil {
			t.Fatalf("opened, but cannot be signed: %v", err)
		}
	})
}

func FuzzOpenEpoch(f *testing.F) {
	for _, v := range committed(f).Certificates {
		f.Add(golden.Unhex(f, v.Bytes), false)
		f.Add(bodyOf(f, golden.Unhex(f, v.Bytes)), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = signed(t, identity.ForEpoch, b)
		}
		c, err := receipt.OpenEpoch(b, hubKey(t).Public())
		if err != nil {
			if !errors.Is(err, receipt.ErrInvalid) {
				t.Fatalf("%v does not wrap ErrInvalid", err)
			}
			return
		}
		if c.Epoch.IsZero() {
			t.Fatal("an epoch without an id")
		}
	})
}
