package entry

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"otor/internal/dot"
)

// Nearly every part that arrives was written by [Public.Encode] or
// [Private.Encode] of this very version. Such parts are read here, without
// reflection. Whatever looks different in any way (an unknown or repeated key, a
// form that is not the shortest, another type, a rare member) is not judged
// here: the general decoder reads it from the beginning. So what is accepted,
// what is refused, and what it means is the general decoder's alone;
// FuzzPlainReading compares the two.

// plain reads CBOR items from a part. Its strings share the memory of text, so
// a part costs one allocation for all its strings. Each reading tells in ok
// whether it met what it expected; after a false nothing read so far counts.
type plain struct {
	b    []byte // what is left
	text string // the whole part
}

func newPlain(b []byte) plain { return plain{b: b, text: string(b)} }

// CBOR's major types.
const (
	majorUint   = 0
	majorNegint = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorSimple = 7
)

// head reads the head of an item that is not of major type 7.
func (p *plain) head() (major byte, arg uint64, ok bool) {
	if len(p.b) == 0 {
		return 0, 0, false
	}
	major, info := p.b[0]>>5, p.b[0]&0x1f
	if info < 24 {
		p.b = p.b[1:]
		return major, uint64(info), true
	}
	var least uint64
	n := 1
	switch {
	case info == 24 && len(p.b) > 1:
		arg, least = uint64(p.b[1]), 24
	case info == 25 && len(p.b) > 2:
		arg, least, n = uint64(binary.BigEndian.Uint16(p.b[1:])), 1<<8, 2
	case info == 26 && len(p.b) > 4:
		arg, least, n = uint64(binary.BigEndian.Uint32(p.b[1:])), 1<<16, 4
	case info == 27 && len(p.b) > 8:
		arg, least, n = binary.BigEndian.Uint64(p.b[1:]), 1<<32, 8
	default:
		return 0, 0, false
	}
	p.b = p.b[1+n:]
	return major, arg, arg >= least && major != majorSimple
}

// want reads the head of an item of one major type.
func (p *plain) want(major byte) (arg uint64, ok bool) {
	m, arg, ok := p.head()
	return arg, ok && m == major
}

// count reads the head of an array or map of at most most elements.
func (p *plain) count(major byte, most uint64) (n int, ok bool) {
	arg, ok := p.want(major)
	return int(min(arg, most)), ok && arg <= most //nolint:gosec // most is small
}

// exactly reads the head of an array of n elements.
func (p *plain) exactly(n uint64) bool {
	arg, ok := p.want(majorArray)
	return ok && arg == n
}

func (p *plain) uint(most uint64) (uint64, bool) {
	arg, ok := p.want(majorUint)
	return arg, ok && arg <= most
}

func (p *plain) uint32() (uint32, bool) {
	v, ok := p.uint(math.MaxUint32)
	return uint32(v), ok //nolint:gosec // within bounds when ok
}

func (p *plain) int64() (int64, bool) {
	major, arg, ok := p.head()
	switch {
	case !ok || arg > math.MaxInt64:
		return 0, false
	case major == majorUint:
		return int64(arg), true
	default:
		return -1 - int64(arg), major == majorNegint
	}
}

func (p *plain) int32() (int32, bool) {
	v, ok := p.int64()
	return int32(v), ok && v >= math.MinInt32 && v <= math.MaxInt32 //nolint:gosec // within bounds when ok
}

// string reads a text.
func (p *plain) string() (string, bool) {
	n, ok := p.want(majorText)
	if !ok {
		return "", false
	}
	return p.take(n)
}

// take gives n bytes as a string, if they are text.
func (p *plain) take(n uint64) (string, bool) {
	if n > uint64(len(p.b)) {
		return "", false
	}
	at := len(p.text) - len(p.b)
	p.b = p.b[n:]
	s := p.text[at : at+int(n)] //nolint:gosec // not more than there is
	return s, utf8.ValidString(s)
}

// dot reads [device, incarnation, lane, seq].
func (p *plain) dot() (w wireDot, ok bool) {
	if !p.exactly(4) {
		return w, false
	}
	if w.Device, ok = p.string(); !ok {
		return w, false
	}
	i, ok1 := p.uint32()
	l, ok2 := p.uint(math.MaxUint8)
	s, ok3 := p.uint(math.MaxInt64)
	w.Incarnation, w.Lane, w.Seq = dot.Incarnation(i), uint8(l), dot.Seq(s) //nolint:gosec // within bounds when ok
	return w, ok1 && ok2 && ok3
}

// float reads what follows the first byte of a float of 2, 4 or 8 bytes.
func (p *plain) float() (v float64, ok bool) {
	switch {
	case p.b[0] == 0xf9 && len(p.b) > 2:
		v, ok = half(binary.BigEndian.Uint16(p.b[1:]))
		p.b = p.b[3:]
	case p.b[0] == 0xfa && len(p.b) > 4:
		v = float64(math.Float32frombits(binary.BigEndian.Uint32(p.b[1:])))
		ok, p.b = true, p.b[5:]
	case p.b[0] == 0xfb && len(p.b) > 8:
		v = math.Float64frombits(binary.BigEndian.Uint64(p.b[1:]))
		ok, p.b = true, p.b[9:]
	}
	return v, ok && !math.IsNaN(v)
}

// half reads a binary16 (IEEE 754) that is zero or normal.
func half(b uint16) (float64, bool) {
	exponent, fraction := int(b>>10&0x1f), int(b&0x3ff)
	var v float64
	switch {
	case exponent == 0x1f || exponent == 0 && fraction != 0:
		return 0, false
	case exponent != 0:
		v = math.Ldexp(float64(1<<10|fraction), exponent-25)
	}
	if b>>15 != 0 {
		v = math.Copysign(v, -1)
	}
	return v, true
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
