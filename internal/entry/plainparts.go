package entry

import (
	"math"

	"otor/internal/dot"
)

// Bounds of what is read here; more is the general decoder's affair.
const (
	plainElements = 1 << 10
	plainPairs    = 1 << 8
	plainDepth    = 8
)

// public reads a public part.
func (p *plain) public(w *wirePublic) bool {
	n, ok := p.count(majorMap, 16)
	last := uint64(0)
	for range n {
		key, good := p.uint(16)
		if !ok || !good || key <= last { // rising, so none stands twice
			return false
		}
		last = key
		if !p.publicMember(key, w) {
			return false
		}
	}
	return ok && len(p.b) == 0
}

func (p *plain) publicMember(key uint64, w *wirePublic) (ok bool) {
	var n uint64
	switch key {
	case 1:
		w.Device, ok = p.string()
	case 2:
		n, ok = p.uint(math.MaxUint32)
		w.Incarnation = dot.Incarnation(n) //nolint:gosec // within bounds when ok
	case 3:
		n, ok = p.uint(math.MaxUint8)
		w.Lane = uint8(n) //nolint:gosec // within bounds when ok
	case 4:
		n, ok = p.uint(math.MaxInt64)
		w.Seq = dot.Seq(n)
	case 5:
		w.Wall, ok = p.int64()
	case 6:
		w.Ahead, ok = p.int64()
	case 7:
		w.Counter, ok = p.uint32()
	case 8:
		var z int32
		z, ok = p.int32()
		w.Zone = int(z)
	case 9:
		w.Offset, ok = p.offset()
	case 10:
		w.Actor, ok = p.string()
	case 11:
		w.Form, ok = p.form()
	case 13:
		w.Refs, ok = p.refs()
	case 14:
		w.Contexts, ok = p.contexts()
	case 16:
		w.Position, ok = p.position()
	default: // rare, or unknown
	}
	return ok
}

func (p *plain) offset() (*Offset, bool) {
	if !p.exactly(2) {
		return nil, false
	}
	millis, ok1 := p.int64()
	age, ok2 := p.uint32()
	return &Offset{Millis: millis, Age: age}, ok1 && ok2
}

func (p *plain) form() (*FormRef, bool) {
	if !p.exactly(2) {
		return nil, false
	}
	id, ok1 := p.string()
	version, ok2 := p.uint32()
	return &FormRef{ID: id, Version: version}, ok1 && ok2
}

func (p *plain) refs() ([]Ref, bool) {
	n, ok := p.count(majorArray, plainElements)
	if !ok || n > len(p.b) {
		return nil, false
	}
	out := make([]Ref, n)
	for i := range out {
		if !p.exactly(2) {
			return nil, false
		}
		var ok1, ok2 bool
		out[i].Type, ok1 = p.string()
		out[i].ID, ok2 = p.string()
		if !ok1 || !ok2 {
			return nil, false
		}
	}
	return out, true
}

func (p *plain) contexts() ([][]wireDot, bool) {
	n, ok := p.count(majorArray, plainElements)
	if !ok || n > len(p.b) {
		return nil, false
	}
	out := make([][]wireDot, n)
	for i := range out {
		dots, ok := p.count(majorArray, plainElements)
		if !ok || dots > len(p.b) {
			return nil, false
		}
		out[i] = make([]wireDot, dots)
		for j := range out[i] {
			if out[i][j], ok = p.dot(); !ok {
				return nil, false
			}
		}
	}
	return out, true
}

func (p *plain) position() (*Position, bool) {
	n, ok := p.count(majorMap, 6)
	var out Position
	last := uint64(0)
	for range n {
		key, good := p.uint(6)
		if !ok || !good || key <= last {
			return nil, false
		}
		last = key
		switch key {
		case 1:
			out.Lon, ok = p.int32()
		case 2:
			out.Lat, ok = p.int32()
		case 3:
			out.Accuracy, ok = p.uint32()
		case 4:
			var v uint64
			v, ok = p.uint(math.MaxUint8)
			out.Source = PositionSource(v) //nolint:gosec // within bounds when ok
		case 5:
			out.Age, ok = p.uint32()
		case 6:
			var v int32
			v, ok = p.int32()
			out.Altitude = &v
		}
	}
	return &out, ok
}

// private reads a private part without writes.
func (p *plain) private(w *wirePrivate) bool {
	n, ok := p.count(majorMap, 2)
	if !ok || n < 1 || len(p.b) < 2+SaltSize || p.b[0] != 1 || p.b[1] != majorBytes<<5|SaltSize {
		return false
	}
	copy(w.Salt[:], p.b[2:])
	p.b = p.b[2+SaltSize:]
	if n == 2 {
		if key, ok := p.uint(2); !ok || key != 2 {
			return false
		}
		if w.Fields, ok = p.fields(1); !ok {
			return false
		}
	}
	return len(p.b) == 0
}

// fields reads a map of answers by name.
func (p *plain) fields(depth int) (map[string]any, bool) {
	n, ok := p.count(majorMap, plainPairs)
	if !ok || n > len(p.b) || depth > plainDepth {
		return nil, false
	}
	out := make(map[string]any, n)
	last := ""
	for i := range n {
		name, ok := p.string()
		rises := i == 0 || len(name) > len(last) || len(name) == len(last) && name > last
		if !ok || !rises { // rising, so none stands twice
			return nil, false
		}
		last = name
		if out[name], ok = p.value(depth); !ok {
			return nil, false
		}
	}
	return out, true
}

// value reads an answer.
func (p *plain) value(depth int) (any, bool) {
	if len(p.b) == 0 {
		return nil, false
	}
	switch p.b[0] >> 5 {
	case majorUint, majorNegint:
		return boxed(p.int64())
	case majorText:
		return boxed(p.string())
	case majorArray:
		return p.list(depth + 1)
	case majorMap:
		return boxed(p.fields(depth + 1))
	case majorSimple:
		return p.simple()
	default:
		return nil, false
	}
}

func boxed[T any](v T, ok bool) (any, bool) { return v, ok }

func (p *plain) list(depth int) (any, bool) {
	n, ok := p.count(majorArray, plainElements)
	if !ok || n > len(p.b) || depth > plainDepth {
		return nil, false
	}
	out := make([]any, n)
	for i := range out {
		if out[i], ok = p.value(depth); !ok {
			return nil, false
		}
	}
	return out, true
}

func (p *plain) simple() (any, bool) {
	switch p.b[0] {
	case 0xf4, 0xf5:
		v := p.b[0] == 0xf5
		p.b = p.b[1:]
		return v, true
	case 0xf6:
		p.b = p.b[1:]
		return nil, true
	default:
		return boxed(p.float())
	}
}
