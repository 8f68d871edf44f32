package batch_test

import (
	"errors"
	"testing"

	"otor/internal/batch"
	"otor/internal/entry"
	"otor/internal/golden"
)

// FuzzOpen reads frames as they come from outside.
func FuzzOpen(f *testing.F) {
	for _, v := range committed(f).Frames {
		f.Add(golden.Unhex(f, v.Frame))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := batch.Open(b)
		if err != nil {
			if !errors.Is(err, batch.ErrMalformed) {
				t.Fatalf("%v does not wrap ErrMalformed", err)
			}
			return
		}
		if n := fr.Header.Count(); n < 1 || n > batch.MaxCount || !fr.Header.Run.Valid() {
			t.Fatalf("header %+v", fr.Header)
		}
		fr.Verify(testKey(t).Public())
		checkEntries(t, fr)
	})
}

// FuzzBody unpacks any body, past the signature and the heads: a hostile device
// can make both fit. The sections come unpacked, so that the fuzzer sees
// through the compressor. Whatever unpacks must pack again and be the same.
func FuzzBody(f *testing.F) {
	for _, v := range committed(f).Frames {
		s, text, noise := sectionsOf(f, golden.Unhex(f, v.Frame))
		f.Add(uint16(len(v.Entries)), s, text, noise)
	}
	var s structure
	s.uvarint(2).shape(rootPublic, container(tokMap, 2, tokInt, 2, tokInt, tokInt, 4, tokText)).shape(rootPrivate, container(tokBytes, 4)).refs(2, 1, 2)
	f.Add(uint16(2), s.bytes(modePlain, 2, 4).bytes(modeConst, 2).bytes(modePlain).b, []byte("ab"), []byte("12345678"))
	f.Fuzz(func(t *testing.T, count uint16, structure, text, noise []byte) {
		if len(structure)+len(text)+len(noise) > 1<<16 {
			t.Skip("large ones only slow the fuzzer down")
		}
		n := 1 + int(count)%batch.MaxCount
		body := bodyOf(structure, text, noise)
		var es []entry.Raw
		var err error
		used := allocated(func() { es, err = batch.Unpack(body, n) })
		if used > mostMemory {
			t.Fatalf("%d bytes allocated, at most %d are allowed", used, mostMemory)
		}
		if err != nil {
			return
		}
		checkSizes(t, es, n)
		frame, h, err := batch.Seal(chain, 1, entry.Hash{}, es, testKey(t), batch.Fast)
		if errors.Is(err, batch.ErrTooLarge) {
			t.Skip("larger than a frame")
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, frame, h, es)
	})
}

// FuzzRoundTrip carries any bytes as parts.
func FuzzRoundTrip(f *testing.F) {
	for _, v := range committed(f).Frames {
		for _, s := range v.Entries {
			e, err := entry.DecodeRaw(golden.Unhex(f, s))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(e.Public, e.Private, false)
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte, erased bool) {
		if len(a)+len(b) > entry.MaxRaw {
			t.Skip("larger than an entry")
		}
		if a == nil {
			a = []byte{}
		}
		if b == nil {
			b = []byte{}
		}
		es := []entry.Raw{entry.NewRaw(a, b), entry.NewRaw(b, a), entry.NewRaw(a, a)}
		if erased {
			es[1] = es[1].Erase()
		}
		frame, h, err := batch.Seal(chain, 1, entry.Hash{}, es, testKey(t), batch.Fast)
		if errors.Is(err, batch.ErrTooLarge) {
			t.Skip("larger than a frame")
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, frame, h, es)
	})
}

func checkEntries(t *testing.T, fr *batch.Frame) {
	es, err := fr.Entries()
	if err != nil {
		if !errors.Is(err, batch.ErrMalformed) && !errors.Is(err, batch.ErrMismatch) {
			t.Fatalf("%v wraps neither ErrMalformed nor ErrMismatch", err)
		}
		return
	}
	checkSizes(t, es, fr.Header.Count())
}

func checkSizes(t *testing.T, es []entry.Raw, count int) {
	if len(es) != count {
		t.Fatalf("%d entries, want %d", len(es), count)
	}
	size := 0
	for _, e := range es {
		if e.Size() > entry.MaxRaw {
			t.Fatalf("an entry of %d bytes", e.Size())
		}
		size += e.Size()
	}
	if size > batch.MaxRaw {
		t.Fatalf("%d bytes unpacked", size)
	}
}
