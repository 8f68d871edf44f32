package merge

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"unicode/utf8"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/vv"
)

// ErrMalformed marks bytes that are no state.
var ErrMalformed = errors.New("malformed state")

// maxDepth is how deep what is read may nest.
const maxDepth = 16

var mapType = reflect.TypeFor[map[string]any]()

// Decode reads a state. The bytes must be as [State.Encode] writes them, of
// this version or a newer one. Errors wrap [ErrMalformed]. The state keeps parts of b.
func Decode(b []byte) (s *State, err error) {
	r := &reader{b: b}
	defer func() {
		if r.err != nil {
			s, err = nil, fmt.Errorf("%w: byte %d: %w", ErrMalformed, len(b)-len(r.b), r.err)
		}
	}()
	s = &State{}
	version := uint64(0)
	r.members(7, &s.extra, func(key uint64) {
		switch key {
		case 1:
			version = r.uint(math.MaxUint64)
		case 2:
			if r.head(majorArray, 2) != 2 {
				r.fail("no type and id")
			}
			s.Ref = entry.Ref{Type: r.text(), ID: r.text()}
		case 3:
			r.chainList()
		case 4:
			s.Seen = r.vector()
		case 5:
			s.values = registers(r, (*reader).valueList)
		case 6:
			s.tallies = registers(r, (*reader).tally)
		case 7:
			s.beyond = registers(r, (*reader).someVector)
		}
	})
	if r.err == nil && (version == 0 || s.Ref.Type == "" || s.Ref.ID == "") {
		r.fail("no version, type or id")
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("something follows the state")
	}
	return s, nil
}

// reader takes CBOR apart. After an error it gives zeros.
type reader struct {
	b      []byte
	chains []dot.Chain
	err    error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// any reads a head, in its shortest form.
func (r *reader) any() (major byte, n uint64) {
	if r.err != nil {
		return 0, 0
	}
	if len(r.b) == 0 {
		r.fail("ends too early")
		return 0, 0
	}
	major, info := r.b[0]>>5, r.b[0]&31
	r.b = r.b[1:]
	if info < 24 {
		return major, uint64(info)
	}
	size := 1 << (info - 24)
	if info > 27 || len(r.b) < size {
		r.fail("a head is cut, or of indefinite length")
		return 0, 0
	}
	for _, x := range r.b[:size] {
		n = n<<8 | uint64(x)
	}
	least := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]
	if n < least && major != majorOther {
		r.fail("a head is longer than it must be")
		return 0, 0
	}
	r.b = r.b[size:]
	return major, n
}

// head reads the head of a thing of that kind, with at most most items or bytes.
func (r *reader) head(major byte, most uint64) uint64 {
	m, n := r.any()
	if r.err == nil && (m != major || n > most || major != majorUint && n > uint64(len(r.b))) {
		r.fail("another kind or size of item was expected")
		return 0
	}
	return n
}

func (r *reader) uint(most uint64) uint64 { return r.head(majorUint, most) }

func (r *reader) int() int64 {
	m, n := r.any()
	if m > majorNeg || n > math.MaxInt64 {
		r.fail("no whole number within 64 bits")
		return 0
	}
	if m == majorNeg {
		return -1 - int64(n)
	}
	return int64(n)
}

func (r *reader) text() string {
	n := r.head(majorText, math.MaxInt32)
	if r.err != nil {
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	if !utf8.ValidString(s) {
		r.fail("text is not UTF-8")
	}
	return s
}

// members reads a map with rising integer keys: those up to known by read, the
// others are kept.
func (r *reader) members(known uint64, extra *[]pair, read func(key uint64)) {
	last := uint64(0)
	for range r.head(majorMap, math.MaxInt32) {
		key := r.uint(math.MaxUint64)
		if r.err != nil {
			return
		}
		if key <= last {
			r.fail("key %d stands twice or out of order", key)
			return
		}
		last = key
		if key <= known {
			read(key)
		} else {
			*extra = append(*extra, pair{key, r.item(1)})
		}
	}
}

// item passes over one well-formed item and gives its bytes.
func (r *reader) item(depth int) []byte {
	from := r.b
	major, n := r.any()
	if depth > maxDepth {
		r.fail("nested deeper than %d", maxDepth)
	}
	if r.err != nil {
		return nil
	}
	switch major {
	case majorUint, majorNeg:
		if n > math.MaxInt64 {
			r.fail("no whole number within 64 bits")
		}
	case majorBytes, majorText:
		if n > uint64(len(r.b)) || major == majorText && !utf8.Valid(r.b[:n]) {
			r.fail("text is cut or not UTF-8")
			return nil
		}
		r.b = r.b[n:]
	case majorArray, majorMap:
		if n > uint64(len(r.b)) {
			r.fail("a list is longer than what follows")
			return nil
		}
		r.items(major, n, depth)
	case majorOther:
		// False, true, null and floats are values. Others are read as they stand, and are
		// shown as nothing: hubs took them once, and one must not hide all else that is known.
		if from[0]&31 == 24 && n < 32 {
			r.fail("a simple value that is written too long")
		}
	default:
		r.fail("a tag")
	}
	if r.err != nil {
		return nil
	}
	return from[:len(from)-len(r.b)]
}

// items passes over a list's items, or a map's members, whose keys are text and rise.
func (r *reader) items(major byte, n uint64, depth int) {
	last := ""
	for i := range n {
		if major == majorMap {
			key := r.text()
			if r.err == nil && i > 0 && compareKeys(key, last) <= 0 {
				r.fail("a value's keys stand twice or out of order")
			}
			last = key
		}
		if r.item(depth + 1); r.err != nil {
			return
		}
	}
}

func (r *reader) chainList() {
	for range r.head(majorArray, math.MaxInt32) {
		if r.head(majorArray, 3) != 3 {
			r.fail("no chain")
		}
		c := dot.Chain{
			Device: dot.Device(r.text()), Incarnation: dot.Incarnation(r.uint(math.MaxUint32)), Lane: dot.Lane(r.uint(math.MaxUint8)),
		}
		if r.err != nil {
			return
		}
		if err := c.Check(); err != nil {
			r.err = err
			return
		}
		if n := len(r.chains); n > 0 && r.chains[n-1].Compare(c) >= 0 {
			r.fail("chains stand twice or out of order")
			return
		}
		r.chains = append(r.chains, c)
	}
}

func (r *reader) dot() dot.Dot {
	i, seq := r.uint(math.MaxUint64), r.uint(uint64(dot.MaxSeq))
	if r.err == nil && (i >= uint64(len(r.chains)) || seq == 0) {
		r.fail("a dot of no chain")
	}
	if r.err != nil {
		return dot.Dot{}
	}
	return r.chains[i].At(dot.Seq(seq))
}

func (r *reader) dots() []dot.Dot {
	n := r.head(majorArray, math.MaxInt32)
	if n%2 != 0 {
		r.fail("half a dot")
	}
	out := make([]dot.Dot, 0, n/2)
	for range n / 2 {
		d := r.dot()
		if r.err != nil {
			return nil
		}
		if len(out) > 0 && out[len(out)-1].Compare(d) >= 0 {
			r.fail("dots stand twice or out of order")
		}
		out = append(out, d)
	}
	return out
}

func (r *reader) vector() vv.Vector {
	ds := r.dots()
	v := make(vv.Vector, len(ds))
	for _, d := range ds {
		if v[d.Chain] != 0 {
			r.fail("a chain stands twice in a vector")
		}
		v[d.Chain] = d.Seq
	}
	return v
}

func (r *reader) someVector() vv.Vector {
	v := r.vector()
	if len(v) == 0 {
		r.fail("an empty vector")
	}
	return v
}

// registers reads a map by register names.
func registers[V any](r *reader, read func(*reader) V) map[string]V {
	n := r.head(majorMap, math.MaxInt32)
	out := make(map[string]V, min(n, 64))
	last := ""
	for range n {
		name := r.text()
		v := read(r)
		if r.err != nil {
			return nil
		}
		if err := checkRegister(name); err != nil {
			r.err = err
			return nil
		}
		if last != "" && compareKeys(name, last) <= 0 {
			r.fail("registers stand twice or out of order")
		}
		out[name], last = v, name
	}
	return out
}

func (r *reader) valueList() []Value {
	n := r.head(majorArray, math.MaxInt32)
	if n == 0 {
		r.fail("a register without values")
	}
	out := make([]Value, 0, min(n, 8))
	for range n {
		v := r.value()
		if r.err != nil {
			return nil
		}
		if len(out) > 0 && byDot(out[len(out)-1], v) >= 0 {
			r.fail("values stand twice or out of order")
		}
		out = append(out, v)
	}
	return out
}

func (r *reader) value() (v Value) {
	r.members(7, &v.extra, func(key uint64) {
		switch key {
		case 1:
			v.Dots = r.dots()
		case 2:
			v.HLC.Millis = r.int()
		case 3:
			v.HLC = hlc.Time{Millis: v.HLC.Millis, Counter: uint32(r.uint(math.MaxUint32))}
		case 4:
			v.Add = r.uint(1) == 1
		case 5:
			v.Raw = r.item(1)
		case 6:
			v.Context = r.vector()
		case 7:
			if r.head(majorArray, 3) != 3 {
				r.fail("no displayed value")
			}
			v.Prior = &Prior{Dot: r.dot(), Raw: r.item(1)}
		}
	})
	if r.err == nil && (len(v.Dots) == 0 || v.Raw == nil) {
		r.fail("a value without its dot or content")
	}
	return v
}

func (r *reader) tally() Tally {
	if r.head(majorArray, 2) != 2 {
		r.fail("no tally")
	}
	return Tally{Sum: r.int(), Moves: r.vector()}
}
