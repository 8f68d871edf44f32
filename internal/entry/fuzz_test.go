package entry_test

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"testing"

	"otor/internal/entry"
	"otor/internal/golden"
)

func malformed(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, entry.ErrMalformed) {
		t.Fatalf("%v does not wrap ErrMalformed", err)
	}
}

// What decodes must encode again, and mean the same.
func FuzzDecodePublic(f *testing.F) {
	for _, v := range committed(f).Entries {
		f.Add(golden.Unhex(f, v.Public))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > entry.MaxRaw {
			t.Skip("larger than an entry")
		}
		p, err := entry.DecodePublic(b)
		if err != nil {
			malformed(t, err)
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatalf("decoded, but does not encode: %v", err)
		}
		q, err := entry.DecodePublic(again)
		if err != nil {
			t.Fatalf("encoded, but does not decode: %v", err)
		}
		third, err := q.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, third) {
			t.Fatalf("encodes differently the second time:\n%x\n%x", again, third)
		}
	})
}

func FuzzDecodePrivate(f *testing.F) {
	for _, v := range committed(f).Entries {
		f.Add(golden.Unhex(f, v.Private))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > entry.MaxRaw {
			t.Skip("larger than an entry")
		}
		p, err := entry.DecodePrivate(b)
		if err != nil {
			malformed(t, err)
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatalf("decoded, but does not encode: %v", err)
		}
		q, err := entry.DecodePrivate(again)
		if err != nil {
			t.Fatalf("encoded, but does not decode: %v", err)
		}
		third, err := q.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, third) {
			t.Fatalf("encodes differently the second time:\n%x\n%x", again, third)
		}
	})
}

func FuzzDecodeRaw(f *testing.F) {
	for _, v := range committed(f).Entries {
		f.Add(golden.Unhex(f, v.Stored))
		f.Add(golden.Unhex(f, v.Erased))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := entry.DecodeRaw(b)
		if err != nil {
			malformed(t, err)
			return
		}
		if r.Size() > entry.MaxRaw {
			t.Fatalf("%d bytes", r.Size())
		}
		again, err := entry.DecodeRaw(r.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !again.Equal(r) || again.Erased() != r.Erased() || again.Hash() != r.Hash() {
			t.Fatalf("got %+v, want %+v", again, r)
		}
		if e := r.Erase(); e.Hash() != r.Hash() || !reflect.DeepEqual(e, e.Erase()) {
			t.Fatal("erasing changed the hash")
		}
	})
}

// A small entry must not ask for much memory, however it is nested.
func TestMemoryIsBounded(t *testing.T) {
	fill := func(head string, n int, el string) []byte {
		return append(golden.Unhex(t, head), bytes.Repeat(golden.Unhex(t, el), n)...)
	}
	const most = 16 << 20
	for name, f := range map[string]func(){
		"empty lists as contexts": func() { entry.DecodePublic(fill("a10e"+"993fff", 0x3fff, "80")) },
		"nothing as refs":         func() { entry.DecodePublic(fill("a10d"+"993fff", 0x3fff, "f6")) },
		"nothing as blobs":        func() { entry.DecodePublic(fill("a10f"+"993fff", 0x3fff, "f6")) },
		"more than allowed":       func() { entry.DecodePublic(fill("a10d"+"99fff0", 0xfff0, "f6")) },
		"a length not there":      func() { entry.DecodePublic(golden.Unhex(t, "a10d9b7fffffffffffffff")) },
		"a text not there":        func() { entry.DecodePublic(golden.Unhex(t, "a10a7b7fffffffffffffff")) },
		"empty groups":            func() { entry.DecodePrivate(fill("a102a16178"+"993fff", 0x3fff, "a0")) },
		"lists of lists":          func() { entry.DecodePrivate(fill("a102a16178"+"993fff", 0x3fff, "8180")) },
		"nothing as writes":       func() { entry.DecodePrivate(fill("a103"+"993fff", 0x3fff, "f6")) },
		"a part not there":        func() { entry.DecodeRaw(golden.Unhex(t, "825b7fffffffffffffff")) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d KiB", name, used>>10)
		if used > most {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
}
