package batch

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// How a column of numbers is written. Numbers are zigzag varints.
const (
	modeConst       = 0 // one value for all
	modePlain       = 1 // a varint each
	modeDelta       = 2 // a varint each: the difference to the one before, the first to 0
	modePacked      = 3 // varint least, byte width; then width bits each, in the noise, above least
	modePackedDelta = 4 // the same of the differences, the first to 0
	modeDict        = 5 // text only: distinct values, then the number of each
)

// writer gathers a body's sections.
type writer struct {
	structure, text, noise []byte
}

func (w *writer) ints(vs []int64) {
	if len(vs) == 0 {
		return
	}
	if !slices.ContainsFunc(vs, func(v int64) bool { return v != vs[0] }) {
		w.structure = binary.AppendVarint(append(w.structure, modeConst), vs[0])
		return
	}
	deltas := make([]int64, len(vs))
	last := int64(0)
	for i, v := range vs {
		deltas[i], last = v-last, v // wraps around; so does the sum
	}
	mode, vals := byte(modePlain), vs
	if varintSize(deltas) < varintSize(vs) {
		mode, vals = modeDelta, deltas
	}
	best := varintSize(vals)
	if n := packedSize(vs); n < best {
		mode, vals, best = modePacked, vs, n
	}
	if n := packedSize(deltas); n < best {
		mode, vals = modePackedDelta, deltas
	}
	w.structure = append(w.structure, mode)
	if mode == modePacked || mode == modePackedDelta {
		w.packed(vals)
		return
	}
	for _, v := range vals {
		w.structure = binary.AppendVarint(w.structure, v)
	}
}

func varintSize(vs []int64) int {
	n := 0
	for _, v := range vs {
		n += (bits.Len64(uint64(v<<1^v>>63)|1) + 6) / 7
	}
	return n
}

// span gives the least value and the width in bits of what is above it.
func span(vs []int64) (least int64, width int) {
	least = slices.Min(vs)
	return least, bits.Len64(uint64(slices.Max(vs) - least))
}

func packedSize(vs []int64) int {
	least, width := span(vs)
	return varintSize([]int64{least}) + 1 + (len(vs)*width+7)/8
}

func (w *writer) packed(vs []int64) {
	least, width := span(vs)
	w.structure = append(binary.AppendVarint(w.structure, least), byte(width))
	start := len(w.noise)
	w.noise = append(w.noise, make([]byte, (len(vs)*width+7)/8)...)
	into, at := w.noise[start:], 0
	for _, v := range vs {
		u := uint64(v - least)
		for b := 0; b < width; {
			n := min(8-at%8, width-b)
			into[at/8] |= byte(u>>b&(1<<n-1)) << (at % 8)
			b, at = b+n, at+n
		}
	}
}

func (w *writer) texts(vs [][]byte) {
	if len(vs) == 0 {
		return
	}
	index := make(map[string]int)
	var distinct [][]byte
	for _, v := range vs {
		if _, ok := index[string(v)]; !ok {
			index[string(v)] = len(distinct)
			distinct = append(distinct, v)
		}
	}
	switch {
	case len(distinct) == 1:
		w.structure = append(w.structure, modeConst)
		w.contents(distinct)
	case len(distinct)*4 <= len(vs)*3:
		w.structure = binary.AppendUvarint(append(w.structure, modeDict), uint64(len(distinct)))
		w.contents(distinct)
		for _, v := range vs {
			w.structure = binary.AppendUvarint(w.structure, uint64(index[string(v)]))
		}
	default:
		w.structure = append(w.structure, modePlain)
		w.contents(vs)
	}
}

func (w *writer) contents(vs [][]byte) {
	for _, v := range vs {
		w.structure = binary.AppendUvarint(w.structure, uint64(len(v)))
		w.text = append(w.text, v...)
	}
}

func (w *writer) simples(vs [][]byte) {
	if len(vs) == 0 {
		return
	}
	mode, vs := constOr(vs)
	w.structure = append(w.structure, mode)
	for _, v := range vs {
		w.structure = append(w.structure, v...)
	}
}

func (w *writer) byteStrings(vs [][]byte) {
	if len(vs) == 0 {
		return
	}
	mode, vs := constOr(vs)
	w.structure = append(w.structure, mode)
	for _, v := range vs {
		w.noise = append(w.noise, v...)
	}
}

// constOr keeps one value when all are equal.
func constOr(vs [][]byte) (byte, [][]byte) {
	if slices.ContainsFunc(vs, func(v []byte) bool { return !bytes.Equal(v, vs[0]) }) {
		return modePlain, vs
	}
	return modeConst, vs[:1]
}

// reader takes a body's sections apart. Every taking is bounded by what is there.
type reader struct {
	structure, text, noise []byte
}

func (r *reader) finished() error {
	if len(r.structure)+len(r.text)+len(r.noise) != 0 {
		return errBody
	}
	return nil
}

func (r *reader) uvarint() (uint64, error) {
	n, used := binary.Uvarint(r.structure)
	if used <= 0 {
		return 0, errBody
	}
	r.structure = r.structure[used:]
	return n, nil
}

func (r *reader) varint() (int64, error) {
	n, used := binary.Varint(r.structure)
	if used <= 0 {
		return 0, errBody
	}
	r.structure = r.structure[used:]
	return n, nil
}

func (r *reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.structure)) {
		return nil, errBody
	}
	out := r.structure[:n]
	r.structure = r.structure[n:]
	return out, nil
}

func (r *reader) takeNoise(n int) ([]byte, error) {
	if n < 0 || n > len(r.noise) {
		return nil, errBody
	}
	out := r.noise[:n]
	r.noise = r.noise[n:]
	return out, nil
}

func (r *reader) ints(n int) ([]int64, error) {
	if n == 0 {
		return nil, nil
	}
	mode, err := r.take(1)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	switch mode[0] {
	case modeConst:
		v, err := r.varint()
		for i := range out {
			out[i] = v
		}
		return out, err
	case modePlain, modeDelta:
		for i := range out {
			if out[i], err = r.varint(); err != nil {
				return nil, err
			}
		}
	case modePacked, modePackedDelta:
		if err := r.packed(out); err != nil {
			return nil, err
		}
	default:
		return nil, errBody
	}
	if mode[0] == modeDelta || mode[0] == modePackedDelta {
		for i := 1; i < n; i++ {
			out[i] += out[i-1]
		}
	}
	return out, nil
}

func (r *reader) packed(out []int64) error {
	least, err := r.varint()
	if err != nil {
		return err
	}
	wb, err := r.take(1)
	if err != nil || wb[0] > 64 {
		return errBody
	}
	width := int(wb[0])
	from, err := r.takeNoise((len(out)*width + 7) / 8)
	if err != nil {
		return err
	}
	at := 0
	for i := range out {
		var u uint64
		for b := 0; b < width; {
			n := min(8-at%8, width-b)
			u |= uint64(from[at/8]>>(at%8)&(1<<n-1)) << b
			b, at = b+n, at+n
		}
		out[i] = int64(u) + least
	}
	return nil
}

func (r *reader) texts(n int) ([][]byte, error) {
	if n == 0 {
		return nil, nil
	}
	mode, err := r.take(1)
	if err != nil {
		return nil, err
	}
	switch mode[0] {
	case modePlain:
		return r.contents(n)
	case modeConst:
		one, err := r.contents(1)
		if err != nil {
			return nil, err
		}
		return repeat(one[0], n), nil
	case modeDict:
		d, err := r.uvarint()
		if err != nil || d > uint64(n) {
			return nil, errBody
		}
		distinct, err := r.contents(int(d))
		if err != nil {
			return nil, err
		}
		out := make([][]byte, n)
		for i := range out {
			k, err := r.uvarint()
			if err != nil || k >= d {
				return nil, errBody
			}
			out[i] = distinct[k]
		}
		return out, nil
	default:
		return nil, errBody
	}
}

func (r *reader) contents(n int) ([][]byte, error) {
	out := make([][]byte, n)
	for i := range out {
		size, err := r.uvarint()
		if err != nil || size > uint64(len(r.text)) {
			return nil, errBody
		}
		out[i], r.text = r.text[:size], r.text[size:]
	}
	return out, nil
}

func (r *reader) simples(n int) ([][]byte, error) {
	return r.constOr(n, func(int) ([]byte, error) {
		if len(r.structure) == 0 {
			return nil, errBody
		}
		size := simpleLen(r.structure[0])
		if size == 0 {
			return nil, errBody
		}
		return r.take(uint64(size))
	})
}

func (r *reader) byteStrings(lengths []int) ([][]byte, error) {
	return r.constOr(len(lengths), func(i int) ([]byte, error) { return r.takeNoise(lengths[i]) })
}

func (r *reader) constOr(n int, next func(int) ([]byte, error)) ([][]byte, error) {
	if n == 0 {
		return nil, nil
	}
	mode, err := r.take(1)
	if err != nil {
		return nil, err
	}
	if mode[0] == modeConst {
		one, err := next(0)
		return repeat(one, n), err
	}
	if mode[0] != modePlain {
		return nil, errBody
	}
	out := make([][]byte, n)
	for i := range out {
		if out[i], err = next(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func repeat(v []byte, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = v
	}
	return out
}
