package batch_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"otor/internal/batch"
	"otor/internal/entry"
)

// mostMemory is what opening one frame may allocate in all, whatever it says:
// two unpacked sections, the values' places, and the entries.
const mostMemory = 8 * batch.MaxRaw

// allocated measures what f allocates, in bytes, garbage included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

type bomb struct {
	name  string
	count uint32
	body  []byte
}

// manyPaths writes shapes of about items items in all, each at a place of its own.
func manyPaths(items int, leaf ...byte) []byte {
	var s structure
	const each = 8000
	shapes := items / each
	s.uvarint(uint64(shapes))
	for i := range shapes { // {i: [leaf, leaf, ...]}
		tokens := binary.AppendVarint(append(container(tokMap, 1), tokInt), int64(i))
		s.shape(rootPublic, append(tokens, container(tokArray, each, bytes.Repeat(leaf, each)...)...))
	}
	return s.b
}

func bombs() []bomb {
	const full = batch.MaxCount
	big := bytes.Repeat([]byte{'x'}, 60<<10)
	huge := bytes.Repeat([]byte{0}, batch.MaxRaw)
	over := bytes.Repeat([]byte{0}, 4*batch.MaxRaw)
	var one structure // two shapes: one text, one text
	one.uvarint(2).shape(rootPublic, []byte{tokText}).shape(rootPrivate, []byte{tokText})
	texts := func(mode ...byte) []byte {
		s := structure{bytes.Clone(one.b)}
		return s.refs(full, 1, 2).bytes(mode...).b
	}
	size := binary.AppendUvarint(nil, uint64(len(big)))
	key := container(tokMap, 1, append(binary.AppendUvarint([]byte{tokText}, 7<<20), append(bytes.Repeat([]byte{'k'}, 7<<20), tokInt)...)...)
	wide := container(tokArray, 100, bytes.Repeat([]byte{tokInt}, 100)...)
	texty := container(tokArray, 100, bytes.Repeat([]byte{tokText}, 100)...)
	wider := container(tokArray, 8000, bytes.Repeat([]byte{tokText}, 8000)...)
	s := func() *structure { return &structure{} }
	return []bomb{
		{"empty body", 1, nil},
		{"length beyond the body", 1, binary.AppendUvarint(nil, math.MaxUint64)},
		{"structure of zeros as large as allowed", 1, bodyOf(huge, nil, nil)},
		{"structure over the limit", 1, bodyOf(over, nil, nil)},
		{"structure over the limit, of a length not told", 1, sections(streamed(over), nil)},
		{"text over the limit, of a length not told", 1, sections(packer.EncodeAll([]byte{0}, nil), streamed(over))},
		{"a window of a gigabyte", 1, sections([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x03, 0xff, 0xff, 0x00, 0x00}, nil)},
		{"text over the limit", 1, bodyOf(s().uvarint(0).b, over, nil)},
		{"both as large as allowed", full, bodyOf(huge, huge, nil)},
		{"shapes beyond count", 1, bodyOf(s().uvarint(math.MaxUint64).b, nil, nil)},
		{"shapes of no tokens", 1, bodyOf(s().uvarint(8193).bytes(bytes.Repeat([]byte{1, 0}, 8193)...).b, nil, nil)},
		{"shape longer than the structure", 1, bodyOf(s().uvarint(1).bytes(rootPublic).uvarint(math.MaxUint64).b, nil, nil)},
		{"array beyond count", 1, bodyOf(s().uvarint(1).shape(rootPublic, container(tokArray, math.MaxUint64)).b, nil, nil)},
		{"array of more items than allowed", 1, bodyOf(s().uvarint(1).shape(rootPublic, container(tokArray, 60000, make([]byte, 60000)...)).b, nil, nil)},
		{"deep nesting", 1, bodyOf(s().uvarint(1).shape(rootPublic, append(bytes.Repeat([]byte{tokArray, 1}, 1<<20), tokInt)).b, nil, nil)},
		{"a million places of numbers", 1, bodyOf(manyPaths(1<<20, tokInt), nil, nil)},
		{"a million places of empty lists", 1, bodyOf(manyPaths(1<<20, tokArray, 0), nil, nil)},
		{"as many places as allowed", 1, bodyOf(manyPaths(64000, tokText), nil, nil)},
		{"opaque inside", 1, bodyOf(s().uvarint(1).shape(rootPublic, container(tokArray, 1, tokOpaque)).b, nil, nil)},
		{"byte string of a gigabyte", 1, bodyOf(s().uvarint(1).shape(rootPublic, container(tokBytes, 1<<30)).b, nil, nil)},
		{"one text of 60 KiB for every part", full, bodyOf(texts(append([]byte{modeConst}, size...)...), big, nil)},
		{"the same from a dictionary", full, bodyOf(append(texts(append([]byte{modeDict, 1}, size...)...), make([]byte, 2*full)...), big, nil)},
		{"a map key of 7 MiB in every part", full, bodyOf(s().uvarint(2).shape(rootPublic, key).shape(rootPrivate, []byte{tokInt}).refs(full, 1, 2).bytes(modeConst, 0, modeConst, 0).b, nil, nil)},
		{"a tail of 7 MiB without any value", full, bodyOf(s().uvarint(2).
			shape(rootPublic, append(key[:len(key)-1:len(key)-1], tokArray, 0)).shape(rootPrivate, container(tokArray, 0)).refs(full, 1, 2).b, nil, nil)},
		{"as many values as allowed", full, bodyOf(s().uvarint(2).shape(rootPublic, wide).shape(rootPrivate, []byte{tokInt}).refs(full, 1, 2).
			bytes(bytes.Repeat([]byte{modeConst, 2}, 101)...).b, nil, nil)},
		{"as many texts as allowed", full, bodyOf(s().uvarint(2).shape(rootPublic, texty).shape(rootPrivate, []byte{tokInt}).refs(full, 1, 2).
			bytes(bytes.Repeat([]byte{modeConst, 15}, 100)...).bytes(modeConst, 0).b, make([]byte, 1500), nil)},
		{"more values than allowed", full, bodyOf(s().uvarint(2).shape(rootPublic, wider).shape(rootPrivate, []byte{tokInt}).refs(full, 1, 2).
			bytes(bytes.Repeat([]byte{modeConst, 0}, 8001)...).b, nil, nil)},
		{"a shape that is not there", 1, bodyOf(s().uvarint(1).shape(rootPublic, []byte{tokInt}).refs(1, 2, 0).b, nil, nil)},
		{"a private shape for a public part", 1, bodyOf(s().uvarint(1).shape(rootPrivate, []byte{tokInt}).refs(1, 1, 0).b, nil, make([]byte, 32))},
		{"erased without hashes", full, bodyOf(s().uvarint(1).shape(rootPublic, []byte{tokInt}).refs(full, 1, 0).bytes(modeConst, 0).b, nil, nil)},
		{"packed numbers wider than a number", 1, bodyOf(s().uvarint(1).shape(rootPublic, container(tokArray, 2, 0, 0)).refs(1, 1, 0).bytes(3, 0, 255).b, nil, make([]byte, 64))},
		{"an unknown way to write numbers", 1, bodyOf(s().uvarint(1).shape(rootPublic, []byte{tokInt}).refs(1, 1, 0).bytes(9).b, nil, make([]byte, 32))},
		{"bytes left over", 1, bodyOf(s().uvarint(1).shape(rootPublic, []byte{tokInt}).refs(1, 1, 0).bytes(modeConst, 0, 0).b, nil, make([]byte, 32))},
		{"noise left over", 1, bodyOf(s().uvarint(1).shape(rootPublic, []byte{tokInt}).refs(1, 1, 0).bytes(modeConst, 0).b, nil, make([]byte, 33))},
	}
}

// Opening any frame is an error or gives entries, within bounded memory.
func TestBombs(t *testing.T) {
	for _, b := range bombs() {
		frame := frameOf(t, b.count, entry.Hash{}, b.body)
		var err error
		used := allocated(func() {
			var f *batch.Frame
			if f, err = batch.Open(frame); err == nil {
				_, err = f.Entries()
			}
		})
		t.Logf("%s: frame of %d bytes, %d KiB allocated: %v", b.name, len(frame), used>>10, err)
		if err == nil {
			t.Errorf("%s: accepted, though its heads do not agree", b.name)
		}
		if used > mostMemory {
			t.Errorf("%s: %d bytes allocated, at most %d are allowed", b.name, used, mostMemory)
		}
	}
}

// An entry's two parts together may be no larger than any store will take.
func TestEntrySizeIsBounded(t *testing.T) {
	for size, good := range map[int]bool{entry.MaxRaw / 2: true, entry.MaxRaw/2 + 1: false} {
		var s structure
		s.uvarint(2).shape(rootPublic, []byte{tokOpaque}).shape(rootPrivate, []byte{tokOpaque}).refs(1, 1, 2)
		for range 2 {
			s.bytes(modeConst).uvarint(uint64(size))
		}
		es, err := batch.Unpack(bodyOf(s.b, make([]byte, 2*size), nil), 1)
		if (err == nil) != good {
			t.Errorf("two parts of %d bytes each: %d entries, %v", size, len(es), err)
		}
	}
}
