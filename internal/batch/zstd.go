package batch

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
)

// The coders are made once; EncodeAll and DecodeAll are safe for concurrent use.
var (
	encoders = [...]*zstd.Encoder{
		Small: newEncoder(zstd.SpeedBestCompression),
		Fast:  newEncoder(zstd.SpeedFastest),
	}
	decoder = newDecoder()
)

func newEncoder(l zstd.EncoderLevel) *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(l), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err) // options are constants
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxRaw), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // options are constants
	}
	return d
}

// body joins the sections.
func (w *writer) body(level Level) []byte {
	s := encoders[level].EncodeAll(w.structure, nil)
	t := encoders[level].EncodeAll(w.text, nil)
	out := make([]byte, 0, len(s)+len(t)+len(w.noise)+8)
	out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	out = append(binary.AppendUvarint(out, uint64(len(t))), t...)
	return append(out, w.noise...)
}

// openBody takes the sections apart.
func openBody(b []byte) (*reader, error) {
	var r reader
	for _, into := range []*[]byte{&r.structure, &r.text} {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, errBody
		}
		var err error
		if *into, err = decoder.DecodeAll(b[used:used+int(n)], nil); err != nil {
			return nil, errBody
		}
		b = b[used+int(n):]
	}
	r.noise = b
	return &r, nil
}
