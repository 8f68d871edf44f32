package batch_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"

	"otor/internal/batch"
	"otor/internal/entry"
	"otor/internal/identity"
)

// Frames that no honest program makes: the header is right and signed, the body is anything.

var packer = func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return e
}()

// bodyOf joins sections as the frame format does.
func bodyOf(structure, text, noise []byte) []byte {
	return append(sections(packer.EncodeAll(structure, nil), packer.EncodeAll(text, nil)), noise...)
}

// streamed packs without telling the length beforehand.
func streamed(b []byte) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	for len(b) > 0 { // in pieces, or the writer learns the length
		n := min(len(b), 1<<20)
		if _, err := w.Write(b[:n]); err != nil {
			panic(err)
		}
		b = b[n:]
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// sections puts the lengths before packed sections.
func sections(s, t []byte) []byte {
	b := append(binary.AppendUvarint(nil, uint64(len(s))), s...)
	return append(binary.AppendUvarint(b, uint64(len(t))), t...)
}

// frameOf signs a header for count entries over any body.
func frameOf(t testing.TB, count uint32, after entry.Hash, body []byte) []byte {
	before := entry.Genesis(chain)
	header, err := cbor.Marshal(map[int]any{
		1: batch.Version, 2: string(chain.Device), 3: chain.Incarnation, 4: uint8(chain.Lane),
		5: 1, 6: count, 7: before[:], 8: after[:], 9: batch.Columns,
	})
	if err != nil {
		t.Fatal(err)
	}
	frame, err := cbor.Marshal([][]byte{header, testKey(t).Sign(identity.ForBatch, header), body})
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// Tokens of a shape, as the format fixes them.
const (
	tokInt, tokText, tokBytes, tokSimple, tokArray, tokMap, tokOpaque = 0, 1, 2, 3, 4, 5, 6

	rootPublic, rootPrivate = 1, 2
	modeConst, modePlain    = 0, 1
	modeDict                = 5
)

// structure writes a body's structure section.
type structure struct{ b []byte }

func (s *structure) uvarint(n uint64) *structure { s.b = binary.AppendUvarint(s.b, n); return s }
func (s *structure) bytes(b ...byte) *structure  { s.b = append(s.b, b...); return s }

// shape writes one shape.
func (s *structure) shape(root byte, tokens []byte) *structure {
	s.bytes(root).uvarint(uint64(len(tokens)))
	return s.bytes(tokens...)
}

// refs gives each of count entries the same two shapes.
func (s *structure) refs(count int, public, private uint64) *structure {
	for range count {
		s.uvarint(public).uvarint(private)
	}
	return s
}

func container(tok byte, n uint64, rest ...byte) []byte {
	return append(binary.AppendUvarint([]byte{tok}, n), rest...)
}

// sectionsOf takes a good frame's body apart, unpacked.
func sectionsOf(t testing.TB, frame []byte) (structure, text, noise []byte) {
	var parts [][]byte
	if err := cbor.Unmarshal(frame, &parts); err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	noise = parts[2]
	for _, into := range []*[]byte{&structure, &text} {
		n, used := binary.Uvarint(noise)
		if *into, err = d.DecodeAll(noise[used:used+int(n)], nil); err != nil {
			t.Fatal(err)
		}
		noise = noise[used+int(n):]
	}
	return structure, text, noise
}
