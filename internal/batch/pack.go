package batch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"otor/internal/entry"
)

// A body is three sections and the noise:
//
//	uvarint length, zstd of the structure: shapes, which entry has which, and columns of numbers
//	uvarint length, zstd of the text: the content of text columns
//	the noise: salts, hashes and packed numbers, which no compressor can shorten
//
// The structure is: uvarint number of shapes; each as a root byte (1 public,
// 2 private), uvarint length and tokens; for each entry the number of its
// public shape and of its private shape, as uvarints counted from 1 (private 0:
// erased, its hash stands in the noise); then the columns, in the order in
// which the shapes first name them.
const (
	rootPublic  = 1
	rootPrivate = 2
)

// maxValues bounds the values in one frame, so that a small frame cannot ask
// for much memory: 128 an entry when the frame is full.
const maxValues = 1 << 19

// opaqueShapes is how many shapes an entry needs that is carried as it is.
const opaqueShapes = 2

// packer takes entries apart into columns.
type packer struct {
	cols      *columns
	shapes    map[string]int // root byte + shape to its number, from 1
	shapeList []string
	templates []template
	refs      []int
	ints      [][]int64  // by column
	texts     [][][]byte // by column: text, simple and opaque values
	noise     [][][]byte // by column: byte strings
	erased    []byte
	count     int // values
	items     int // of all shapes

	shape []byte
	vals  []value
}

// pack turns entries into a body. It wraps ErrTooLarge when there are too many values.
func pack(entries []entry.Raw, level Level) ([]byte, error) {
	p := &packer{cols: newColumns(), shapes: make(map[string]int)}
	for _, e := range entries {
		if err := p.add(rootPublic, e.Public); err != nil {
			return nil, err
		}
		if e.Erased() {
			p.refs = append(p.refs, 0)
			p.erased = append(p.erased, e.PrivateHash[:]...)
			continue
		}
		if err := p.add(rootPrivate, e.Private); err != nil {
			return nil, err
		}
	}
	if p.count > maxValues {
		return nil, fmt.Errorf("%w: %d values, the limit is %d", ErrTooLarge, p.count, maxValues)
	}
	var w writer
	w.structure = binary.AppendUvarint(w.structure, uint64(len(p.shapeList)))
	for _, s := range p.shapeList {
		w.structure = append(w.structure, s[0])
		w.structure = binary.AppendUvarint(w.structure, uint64(len(s)-1))
		w.structure = append(w.structure, s[1:]...)
	}
	for _, r := range p.refs {
		w.structure = binary.AppendUvarint(w.structure, uint64(r))
	}
	w.noise = p.erased
	for i, kind := range p.cols.kinds {
		switch kind {
		case tokInt:
			w.ints(p.ints[i])
		case tokText, tokOpaque:
			w.texts(p.texts[i])
		case tokSimple:
			w.simples(p.texts[i])
		case tokBytes:
			w.byteStrings(p.noise[i])
		}
	}
	if n := max(len(w.structure), len(w.text)); n > MaxRaw {
		return nil, fmt.Errorf("%w: a section of %d bytes, the limit is %d", ErrTooLarge, n, MaxRaw)
	}
	return w.body(level), nil
}

// add takes one part apart.
func (p *packer) add(root byte, part []byte) error {
	var items int
	p.shape, p.vals, items = walk(part, append(p.shape[:0], root), p.vals[:0])
	n, ok := p.shapes[string(p.shape)]
	if !ok && p.items+items > maxShapeItems-opaqueShapes {
		p.shape = append(p.shape[:0], root, tokOpaque)
		p.vals = append(p.vals[:0], value{kind: tokOpaque, bytes: part})
		n, ok = p.shapes[string(p.shape)]
	}
	if !ok {
		t, err := p.cols.compile(p.shape[1:], int(root), maxItems)
		if err != nil {
			return fmt.Errorf("shape of a part: %w", err)
		}
		name := string(p.shape)
		p.items += t.items
		p.shapeList = append(p.shapeList, name)
		p.templates = append(p.templates, t)
		n = len(p.shapeList)
		p.shapes[name] = n
	}
	p.refs = append(p.refs, n)
	p.count += len(p.vals)
	for len(p.ints) < len(p.cols.kinds) {
		p.ints, p.texts, p.noise = append(p.ints, nil), append(p.texts, nil), append(p.noise, nil)
	}
	for i, s := range p.templates[n-1].slots {
		v := p.vals[i]
		switch s.kind {
		case tokInt:
			p.ints[s.column] = append(p.ints[s.column], v.num)
		case tokBytes:
			p.noise[s.column] = append(p.noise[s.column], v.bytes)
		default:
			p.texts[s.column] = append(p.texts[s.column], v.bytes)
		}
	}
	return nil
}

var errBody = errors.New("damaged body")

// unpack turns a body back into count entries.
func unpack(body []byte, count int) ([]entry.Raw, error) {
	r, err := openBody(body)
	if err != nil {
		return nil, err
	}
	u := unpacker{r: r, cols: newColumns()}
	if err := u.shapes(); err != nil {
		return nil, err
	}
	if err := u.entries(count); err != nil {
		return nil, err
	}
	if err := u.columns(); err != nil {
		return nil, err
	}
	if err := r.finished(); err != nil {
		return nil, err
	}
	return u.build(count)
}

type unpacker struct {
	r         *reader
	cols      *columns
	templates []template
	roots     []byte
	refs      []int
	erased    []byte
	counts    []int // values by column
	ints      [][]int64
	bytes     [][][]byte
}

func (u *unpacker) shapes() error {
	n, err := u.r.uvarint()
	if err != nil || n > 2*MaxCount+1 {
		return errBody
	}
	left := maxShapeItems
	for range n {
		root, err := u.r.take(1)
		if err != nil {
			return err
		}
		size, err := u.r.uvarint()
		if err != nil {
			return err
		}
		tokens, err := u.r.take(size)
		if err != nil {
			return err
		}
		if root[0] != rootPublic && root[0] != rootPrivate {
			return errBody
		}
		t, err := u.cols.compile(tokens, int(root[0]), min(maxItems, left))
		if err != nil {
			return err
		}
		left -= t.items
		u.templates, u.roots = append(u.templates, t), append(u.roots, root[0])
	}
	return nil
}

func (u *unpacker) entries(count int) error {
	u.counts = make([]int, len(u.cols.kinds))
	u.refs = make([]int, 0, 2*count)
	total, erased := 0, 0
	for i := range 2 * count {
		root := byte(rootPublic + i%2)
		n, err := u.r.uvarint()
		if err != nil {
			return err
		}
		if n == 0 && root == rootPrivate {
			erased++
			u.refs = append(u.refs, 0)
			continue
		}
		if n == 0 || n > uint64(len(u.templates)) || u.roots[n-1] != root {
			return errBody
		}
		u.refs = append(u.refs, int(n))
		slots := u.templates[n-1].slots
		if total += len(slots); total > maxValues {
			return errBody
		}
		for _, s := range slots {
			u.counts[s.column]++
		}
	}
	var err error
	u.erased, err = u.r.takeNoise(erased * len(entry.Hash{}))
	return err
}

func (u *unpacker) columns() error {
	u.ints, u.bytes = make([][]int64, len(u.counts)), make([][][]byte, len(u.counts))
	lengths := u.byteLengths()
	for i, kind := range u.cols.kinds {
		var err error
		switch kind {
		case tokInt:
			u.ints[i], err = u.r.ints(u.counts[i])
		case tokText, tokOpaque:
			u.bytes[i], err = u.r.texts(u.counts[i])
		case tokSimple:
			u.bytes[i], err = u.r.simples(u.counts[i])
		case tokBytes:
			u.bytes[i], err = u.r.byteStrings(lengths[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// byteLengths lists, for each column of byte strings, the lengths that its values have.
func (u *unpacker) byteLengths() [][]int {
	out := make([][]int, len(u.counts))
	for _, ref := range u.refs {
		if ref == 0 {
			continue
		}
		for _, s := range u.templates[ref-1].slots {
			if s.kind == tokBytes {
				out[s.column] = append(out[s.column], s.length)
			}
		}
	}
	return out
}

// build writes the parts back, all into one buffer.
func (u *unpacker) build(count int) ([]entry.Raw, error) {
	buf := []byte{} // never nil: an erased part is nil, an empty one is not
	ends := make([]int, 0, len(u.refs))
	next := make([]int, len(u.counts))
	for _, ref := range u.refs {
		if ref > 0 {
			before := len(buf)
			if buf = u.part(buf, u.templates[ref-1], next); len(buf) > MaxRaw || len(buf)-before > entry.MaxRaw {
				return nil, errBody
			}
		}
		ends = append(ends, len(buf))
	}
	out := make([]entry.Raw, count)
	start := 0
	for i := range out {
		public, private := buf[start:ends[2*i]:ends[2*i]], buf[ends[2*i]:ends[2*i+1]:ends[2*i+1]]
		start = ends[2*i+1]
		if len(public)+len(private) > entry.MaxRaw {
			return nil, errBody
		}
		if u.refs[2*i+1] == 0 {
			out[i] = entry.Raw{Public: public, PrivateHash: entry.Hash(u.erased[:len(entry.Hash{})])}
			u.erased = u.erased[len(entry.Hash{}):]
			continue
		}
		out[i] = entry.NewRaw(public, private)
	}
	return out, nil
}

// part writes one part back. It stops early when the part grows over what an
// entry may have: the caller sees that by its size.
func (u *unpacker) part(buf []byte, t template, next []int) []byte {
	most := len(buf) + entry.MaxRaw
	for _, s := range t.slots {
		buf = append(buf, s.literal...)
		i := next[s.column]
		next[s.column]++
		if s.kind == tokInt {
			buf = appendInt(buf, u.ints[s.column][i])
			continue
		}
		v := u.bytes[s.column][i]
		switch s.kind {
		case tokText:
			buf = appendHead(buf, 3, uint64(len(v)))
		case tokBytes:
			buf = appendHead(buf, 2, uint64(len(v)))
		}
		buf = append(buf, v...)
		if len(buf) > most {
			return buf
		}
	}
	return append(buf, t.tail...)
}
