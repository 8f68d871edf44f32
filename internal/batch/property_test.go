package batch_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/golden"
)

// item writes one CBOR item, now and then a strange one: heads that are not the
// shortest, tags, unknown lengths, keys twice or out of order, text that is not
// UTF-8, floats of every size. All must travel unchanged.
func item(t *rapid.T, b []byte, depth int) []byte {
	kind := rapid.IntRange(0, 12).Draw(t, "kind")
	if depth <= 0 && kind >= 4 && kind <= 7 {
		kind = 0
	}
	switch kind {
	case 0, 1:
		return arg(t, b, byte(kind), rapid.Uint64().Draw(t, "number")>>rapid.IntRange(0, 63).Draw(t, "shift"))
	case 2, 3:
		s := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "string")
		return append(arg(t, b, byte(kind), uint64(len(s))), s...)
	case 4, 5:
		n := rapid.IntRange(0, 6).Draw(t, "length")
		b = arg(t, b, byte(kind), uint64(n))
		for range n << (kind - 4) {
			b = item(t, b, depth-1)
		}
		return b
	case 6:
		return item(t, append(b, 0xc1), depth-1)
	case 7:
		return append(item(t, append(b, 0x9f), depth-1), 0xff)
	case 8:
		return append(b, rapid.SampledFrom([]byte{0xf4, 0xf5, 0xf6, 0xf7, 0xe0, 0xf3}).Draw(t, "simple"))
	case 9:
		return append(b, 0xf9, rapid.Byte().Draw(t, "half"), 0)
	case 10:
		return binary.BigEndian.AppendUint64(append(b, 0xfb), rapid.Uint64().Draw(t, "double"))
	case 11:
		return append(b, 0xf8, rapid.Byte().Draw(t, "simple"))
	default:
		return append(b, 0xfa, 1, 2, 3, 4)
	}
}

// arg writes an item's head, one time in ten longer than it need be.
func arg(t *rapid.T, b []byte, major byte, n uint64) []byte {
	long := rapid.IntRange(0, 9).Draw(t, "long") == 0
	switch {
	case n < 24 && !long:
		return append(b, major<<5|byte(n))
	case n < 1<<8:
		return append(b, major<<5|24, byte(n))
	case n < 1<<16 && !long:
		return binary.BigEndian.AppendUint16(append(b, major<<5|25), uint16(n))
	case n < 1<<32 && !long:
		return binary.BigEndian.AppendUint32(append(b, major<<5|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, major<<5|27), n)
	}
}

// entries draws a batch: few kinds of shape, so that columns have more than one value.
func entries(t *rapid.T) []entry.Raw {
	part := rapid.Custom(func(t *rapid.T) []byte {
		if rapid.IntRange(0, 9).Draw(t, "opaque") == 0 {
			return rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "bytes")
		}
		return item(t, []byte{}, rapid.IntRange(0, 5).Draw(t, "depth"))
	})
	some := rapid.SliceOfN(part, 1, 6).Draw(t, "parts")
	n := rapid.IntRange(1, 40).Draw(t, "count")
	out := make([]entry.Raw, n)
	for i := range out {
		p, q := rapid.SampledFrom(some).Draw(t, "public"), rapid.SampledFrom(some).Draw(t, "private")
		out[i] = entry.NewRaw(append([]byte{}, p...), append([]byte{}, q...))
		if rapid.IntRange(0, 9).Draw(t, "erased") == 0 {
			out[i] = out[i].Erase()
		}
	}
	return out
}

func TestAnyEntriesRoundTrip(t *testing.T) {
	key := testKey(t)
	rapid.Check(t, func(t *rapid.T) {
		es := entries(t)
		before := entry.Hash{1}
		first := dot.Seq(rapid.Uint64Range(1, uint64(dot.MaxSeq)-uint64(len(es))+1).Draw(t, "first"))
		for _, level := range []batch.Level{batch.Small, batch.Fast} {
			frame, h, err := batch.Seal(chain, first, before, es, key, level)
			if err != nil {
				t.Fatal(err)
			}
			same(t, frame, h, es)
		}
	})
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// same opens a frame and expects those entries.
func same(t fataler, frame []byte, h batch.Header, es []entry.Raw) {
	t.Helper()
	f, err := batch.Open(frame)
	if err != nil {
		t.Fatal(err)
	}
	if f.Header != h {
		t.Fatalf("header %+v, want %+v", f.Header, h)
	}
	got, err := f.Entries()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(es) {
		t.Fatalf("%d entries, want %d", len(got), len(es))
	}
	for i := range es {
		if !got[i].Equal(es[i]) || got[i].Erased() != es[i].Erased() {
			t.Fatalf("entry %d: got %x | %x, want %x | %x", i, got[i].Public, got[i].Private, es[i].Public, es[i].Private)
		}
	}
}

// Columns of numbers in every mode: steady, rising, noisy, the widest.
func TestNumberColumnsRoundTrip(t *testing.T) {
	key := testKey(t)
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.SliceOfN(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3), rapid.Int64Range(1<<40, 1<<40+1000)), 1, 100).Draw(t, "numbers")
		es := make([]entry.Raw, len(ns))
		for i, n := range ns {
			major, arg := byte(0x1b), uint64(n)
			if n < 0 {
				major, arg = 0x3b, uint64(-1-n)
			}
			es[i] = entry.NewRaw(shortest(major>>5, arg), []byte{0xa0})
		}
		frame, h, err := batch.Seal(chain, 1, entry.Hash{}, es, key, batch.Fast)
		if err != nil {
			t.Fatal(err)
		}
		same(t, frame, h, es)
	})
}

func shortest(major byte, n uint64) []byte {
	m := major << 5
	switch {
	case n < 24:
		return []byte{m | byte(n)}
	case n < 1<<8:
		return []byte{m | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{m | 25}, uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32([]byte{m | 26}, uint32(n))
	default:
		return binary.BigEndian.AppendUint64([]byte{m | 27}, n)
	}
}

// Parts at and over the bounds of a shape are carried as they are.
func TestLargeShapes(t *testing.T) {
	list := func(n int, el ...byte) []byte {
		b := binary.BigEndian.AppendUint16([]byte{0x99}, uint16(n))
		for range n {
			b = append(b, el...)
		}
		return b
	}
	keyed := func(k uint16, part []byte) []byte { // {k: part}
		return append(binary.BigEndian.AppendUint16([]byte{0xa1, 0x19}, 1000+k), part...)
	}
	many := make([]entry.Raw, 40) // 40 shapes of 4000 items: more than a frame's shapes may have
	for i := range many {
		many[i] = entry.NewRaw(keyed(uint16(i), list(4000, 7)), keyed(uint16(i), []byte{1}))
	}
	deep := []byte{}
	for range 17 {
		deep = append(deep, 0x81)
	}
	for name, es := range map[string][]entry.Raw{
		"at the bound":        {entry.NewRaw(list(8191, 0x01), []byte{0xa0})},
		"over the bound":      {entry.NewRaw(list(8192, 0x01), []byte{0xa0})},
		"empty lists":         {entry.NewRaw(list(30000, 0x80), list(30000, 0xa0))},
		"many shapes":         many,
		"over, and then like": {entry.NewRaw(list(20000, 0x01), []byte{0xa0}), entry.NewRaw(list(300, 0x02), []byte{0xa0}), entry.NewRaw(list(300, 0x03), []byte{0xa0})},
		"numbers beyond int64": {
			entry.NewRaw(binary.BigEndian.AppendUint64([]byte{0x1b}, 1<<63), binary.BigEndian.AppendUint64([]byte{0x3b}, 1<<63)),
			entry.NewRaw(binary.BigEndian.AppendUint64([]byte{0x1b}, 1<<64-1), binary.BigEndian.AppendUint64([]byte{0x3b}, 1<<63-1)),
			entry.NewRaw(append(binary.BigEndian.AppendUint64([]byte{0xa1, 0x1b}, 1<<63), 1), []byte{0x18, 0x17}),
		},
		"too deep":       {entry.NewRaw(append(deep, 1), append(deep[:16:16], 1))},
		"deep and empty": {entry.NewRaw(append(deep[:16:16], 0x80), append(deep[:15:15], 0x80))},
	} {
		frame, h, err := batch.Seal(chain, 1, entry.Hash{}, es, testKey(t), batch.Small)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, frame, h, es)
	}
}

func TestSealRefuses(t *testing.T) {
	noise := make([]byte, entry.MaxRaw)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	large := entry.NewRaw(noise[:60<<10], noise[60<<10:])
	zeros := entry.NewRaw(make([]byte, entry.MaxRaw), []byte{})
	small := entry.NewRaw([]byte{0xa0}, []byte{0xa0})
	seal := func(c dot.Chain, first dot.Seq, es ...entry.Raw) error {
		_, _, err := batch.Seal(c, first, entry.Hash{}, es, testKey(t), batch.Small)
		return err
	}
	if err := seal(chain, 1, large); err != nil {
		t.Errorf("one entry of 64 KiB that nothing can compress must always fit: %v", err)
	}
	fill := func(n int, e entry.Raw) []entry.Raw {
		out := make([]entry.Raw, n)
		for i := range out {
			out[i] = e
		}
		return out
	}
	for name, err := range map[string]error{
		"two large ones":        seal(chain, 1, entry.NewRaw(noise[:entry.MaxRaw-1], []byte{1}), entry.NewRaw(flip(noise), []byte{})),
		"over 68 KiB":           seal(chain, 1, entry.NewRaw(noise, []byte{1})),
		"over MaxRaw":           seal(chain, 1, fill(batch.MaxRaw/entry.MaxRaw+1, zeros)...),
		"over MaxCount":         seal(chain, 1, fill(batch.MaxCount+1, small)...),
		"over a frame's values": seal(chain, 1, fill(70, entry.NewRaw(append([]byte{0x99, 0x1f, 0x40}, make([]byte, 8000)...), []byte{}))...),
	} {
		if !errors.Is(err, batch.ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
	}
	for name, err := range map[string]error{
		"nothing": seal(chain, 1), "seq 0": seal(chain, 0, small), "beyond the last seq": seal(chain, dot.MaxSeq, small, small),
		"no device": seal(dot.Chain{Incarnation: 1, Lane: dot.Record}, 1, small),
	} {
		if err == nil || errors.Is(err, batch.ErrTooLarge) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[len(b)-1-i]
	}
	return out
}

// Whatever byte of a frame is changed, the signature or the heads notice.
func TestEveryByteIsPinned(t *testing.T) {
	for _, v := range committed(t).Frames {
		frame := golden.Unhex(t, v.Frame)
		want := make([]string, 0, len(v.Entries))
		want = append(want, v.Entries...)
		for i := range frame {
			frame[i] ^= 1 << (i % 8)
			f, err := batch.Open(frame)
			if err == nil && f.Verify(testKey(t).Public()) {
				if es, err := f.Entries(); err == nil {
					for k, e := range es {
						if string(golden.Unhex(t, want[k])) != string(e.Encode()) {
							t.Fatalf("%s: byte %d changed and entry %d with it, unnoticed", v.Name, i, k)
						}
					}
				}
			}
			frame[i] ^= 1 << (i % 8)
		}
	}
}
