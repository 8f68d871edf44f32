package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"otor/internal/golden"
	"otor/internal/wire"
)

func FuzzHello(f *testing.F)       { fuzz[wire.Hello](f) }
func FuzzWelcome(f *testing.F)     { fuzz[wire.Welcome](f) }
func FuzzDoorHello(f *testing.F)   { fuzz[wire.DoorHello](f) }
func FuzzDoorAnswer(f *testing.F)  { fuzz[wire.DoorAnswer](f) }
func FuzzRefill(f *testing.F)      { fuzz[wire.Refill](f) }
func FuzzRefillPage(f *testing.F)  { fuzz[wire.RefillPage](f) }
func FuzzPull(f *testing.F)        { fuzz[wire.Pull](f) }
func FuzzFeedPage(f *testing.F)    { fuzz[wire.FeedPage](f) }
func FuzzFeedNews(f *testing.F)    { fuzz[wire.FeedNews](f) }
func FuzzReceiptNews(f *testing.F) { fuzz[wire.ReceiptNews](f) }
func FuzzBlobAsk(f *testing.F)     { fuzz[wire.BlobAsk](f) }
func FuzzBlobAnswer(f *testing.F)  { fuzz[wire.BlobAnswer](f) }

// What is understood must encode again, to the same bytes each time.
func fuzz[M wire.Message](f *testing.F) {
	for _, v := range committed(f) {
		f.Add(golden.Unhex(f, v.Bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Unmarshal[M](b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%v does not wrap ErrMalformed", err)
			}
			return
		}
		again, err := wire.Marshal(m)
		if err != nil {
			t.Fatalf("understood, but does not encode: %v", err)
		}
		n, err := wire.Unmarshal[M](again)
		if err != nil {
			if len(again) > wire.MaxMessage { // of a shorter head, or a page's own limit
				return
			}
			t.Fatalf("encoded, but is not understood: %v", err)
		}
		third, err := wire.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, third) {
			t.Fatalf("encodes differently the second time:\n%x\n%x", again, third)
		}
	})
}
