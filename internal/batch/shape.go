package batch

import (
	"encoding/binary"
	"errors"
	"math"
)

// A part's shape is its CBOR with the values taken out. It is written in
// tokens; a value's place is a slot, and its kind says in what sort of column
// the value stands.
const (
	tokInt    = 0 // slot: an integer within int64
	tokText   = 1 // slot: a text string
	tokBytes  = 2 // slot: a byte string; uvarint length follows
	tokSimple = 3 // slot: float, bool, null, other simple value
	tokArray  = 4 // uvarint count follows, then the elements
	tokMap    = 5 // uvarint count follows, then key and value in turn; a key is tokInt + zigzag uvarint, or tokText + uvarint length + bytes
	tokOpaque = 6 // slot: the whole part as it is (not deterministic CBOR)
)

const maxDepth = 16

// value is what stands in a slot.
type value struct {
	kind  byte
	num   int64
	bytes []byte // text, byte string, encoded simple value or opaque part; aliases the part
}

var errNotPlain = errors.New("not plain deterministic CBOR")

// walk takes a part apart: its shape appended to shape, its values to vals,
// and the number of items, values and containers both. Whatever is not plain
// deterministic CBOR becomes one opaque value.
func walk(part, shape []byte, vals []value) ([]byte, []value, int) {
	w := walker{shape: shape, vals: vals}
	rest, err := w.item(part, 0)
	if err != nil || len(rest) != 0 {
		return append(shape, tokOpaque), append(vals, value{kind: tokOpaque, bytes: part}), 1
	}
	return w.shape, w.vals, w.items
}

type walker struct {
	shape []byte
	vals  []value
	items int
}

// item takes one item from b and returns what follows it.
func (w *walker) item(b []byte, depth int) ([]byte, error) {
	w.items++
	if depth > maxDepth || w.items > maxItems {
		return nil, errNotPlain
	}
	major, arg, rest, err := head(b)
	if err != nil {
		return nil, err
	}
	switch major {
	case 0, 1:
		if arg > math.MaxInt64 {
			return nil, errNotPlain
		}
		w.shape, w.vals = append(w.shape, tokInt), append(w.vals, value{kind: tokInt, num: signed(major, arg)})
		return rest, nil
	case 2, 3:
		if arg > uint64(len(rest)) {
			return nil, errNotPlain
		}
		v := value{kind: tokText, bytes: rest[:arg]}
		if major == 3 {
			w.shape = append(w.shape, tokText)
		} else {
			v.kind = tokBytes
			w.shape = binary.AppendUvarint(append(w.shape, tokBytes), arg)
		}
		w.vals = append(w.vals, v)
		return rest[arg:], nil
	case 4, 5:
		return w.container(major, arg, rest, depth)
	case 7:
		n := len(b) - len(rest)
		w.shape, w.vals = append(w.shape, tokSimple), append(w.vals, value{kind: tokSimple, bytes: b[:n]})
		return rest, nil
	default:
		return nil, errNotPlain
	}
}

// container takes the n elements of an array or pairs of a map.
func (w *walker) container(major byte, n uint64, rest []byte, depth int) ([]byte, error) {
	tok := byte(tokArray)
	if major == 5 {
		tok = tokMap
	}
	w.shape = binary.AppendUvarint(append(w.shape, tok), n)
	var err error
	for range n {
		if major == 5 {
			if w.shape, rest, err = walkKey(rest, w.shape); err != nil {
				return nil, err
			}
		}
		if rest, err = w.item(rest, depth+1); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func walkKey(b, shape []byte) (_, rest []byte, _ error) {
	major, arg, rest, err := head(b)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case major <= 1 && arg <= math.MaxInt64:
		return binary.AppendVarint(append(shape, tokInt), signed(major, arg)), rest, nil
	case major == 3 && arg <= uint64(len(rest)):
		shape = binary.AppendUvarint(append(shape, tokText), arg)
		return append(shape, rest[:arg]...), rest[arg:], nil
	default:
		return nil, nil, errNotPlain
	}
}

func signed(major byte, arg uint64) int64 {
	if major == 1 {
		return -1 - int64(arg)
	}
	return int64(arg)
}

// head reads an item's head and refuses what is not the shortest form. For
// major 7 the argument is consumed with the head and its length is not judged:
// the bytes are kept as they are.
func head(b []byte) (major byte, arg uint64, rest []byte, err error) {
	if len(b) == 0 {
		return 0, 0, nil, errNotPlain
	}
	major, info := b[0]>>5, b[0]&0x1f
	if info < 24 {
		return major, uint64(info), b[1:], nil
	}
	if info > 27 {
		return 0, 0, nil, errNotPlain
	}
	n := 1 << (info - 24)
	if len(b) < 1+n {
		return 0, 0, nil, errNotPlain
	}
	var least uint64
	switch n {
	case 1:
		arg, least = uint64(b[1]), 24
	case 2:
		arg, least = uint64(binary.BigEndian.Uint16(b[1:])), 1<<8
	case 4:
		arg, least = uint64(binary.BigEndian.Uint32(b[1:])), 1<<16
	default:
		arg, least = binary.BigEndian.Uint64(b[1:]), 1<<32
	}
	if major != 7 && arg < least {
		return 0, 0, nil, errNotPlain
	}
	return major, arg, b[1+n:], nil
}

// appendHead writes an item's head in the shortest form.
func appendHead(b []byte, major byte, arg uint64) []byte {
	m := major << 5
	switch {
	case arg < 24:
		return append(b, m|byte(arg))
	case arg < 1<<8:
		return append(b, m|24, byte(arg))
	case arg < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, m|25), uint16(arg))
	case arg < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, m|26), uint32(arg))
	default:
		return binary.BigEndian.AppendUint64(append(b, m|27), arg)
	}
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, 1, uint64(-1-n))
	}
	return appendHead(b, 0, uint64(n))
}

// simpleLen is the length of the float or simple value that starts with c; 0: none does.
func simpleLen(c byte) int {
	switch {
	case c >= 0xe0 && c < 0xf8:
		return 1
	case c >= 0xf8 && c <= 0xfb:
		return 1 + 1<<(c-0xf8)
	default:
		return 0
	}
}
