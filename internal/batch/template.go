package batch

import (
	"encoding/binary"
	"errors"

	"otor/internal/entry"
)

// slot is one value's place in a shape: the bytes that stand before it, its
// column, and, for byte strings, its length.
type slot struct {
	literal []byte
	kind    byte
	column  int
	length  int
}

// template is a shape made ready: slots, the bytes after the last one, and how
// many items it has.
type template struct {
	slots []slot
	tail  []byte
	items int
}

// place is a member of a container: a place in the tree.
type place struct {
	parent int
	key    string
}

// columns numbers columns in order of first appearance. A column is named by
// where in the tree its values stand, and of what kind they are. Places with
// the same name share a column across shapes, so that the times of all entries
// stand together whatever their forms.
type columns struct {
	paths  map[place]int
	byPath [][tokOpaque + 1]int // by path and kind: the column's number from 1; 0: none yet
	kinds  []byte
}

func newColumns() *columns {
	return &columns{paths: make(map[place]int), byPath: make([][tokOpaque + 1]int, rootPrivate+1)}
}

// path numbers a member's place, after the roots.
func (c *columns) path(parent int, key []byte) int {
	id, ok := c.paths[place{parent: parent, key: string(key)}] // allocates nothing
	if !ok {
		id = len(c.byPath)
		c.paths[place{parent: parent, key: string(key)}] = id
		c.byPath = append(c.byPath, [tokOpaque + 1]int{})
	}
	return id
}

func (c *columns) column(path int, kind byte) int {
	number := &c.byPath[path][kind]
	if *number == 0 {
		c.kinds = append(c.kinds, kind)
		*number = len(c.kinds)
	}
	return *number - 1
}

// Items are values and containers. Both bounds keep a small frame from asking
// for much memory; a part that would break one is carried opaque.
const (
	maxItems      = 1 << 13 // in one shape
	maxShapeItems = 1 << 16 // in all shapes of a frame
)

var errShape = errors.New("damaged shape")

// compile reads a shape with at most most items. root tells public parts (1)
// from private ones (2).
func (c *columns) compile(shape []byte, root, most int) (template, error) {
	p := compiler{columns: c, rest: shape, left: most}
	if err := p.item(root, 0); err != nil {
		return template{}, err
	}
	if len(p.rest) != 0 {
		return template{}, errShape
	}
	return template{slots: p.slots, tail: p.literal[p.from:], items: most - p.left}, nil
}

type compiler struct {
	columns *columns
	rest    []byte
	literal []byte // of all slots so far; what lies behind from stands before the next slot
	from    int
	slots   []slot
	left    int // items that the shape may still have
}

func (p *compiler) token() (byte, error) {
	if len(p.rest) == 0 {
		return 0, errShape
	}
	t := p.rest[0]
	p.rest = p.rest[1:]
	return t, nil
}

func (p *compiler) uvarint() (uint64, error) {
	n, used := binary.Uvarint(p.rest)
	if used <= 0 {
		return 0, errShape
	}
	p.rest = p.rest[used:]
	return n, nil
}

func (p *compiler) slot(path int, kind byte, length int) {
	end := len(p.literal)
	p.slots = append(p.slots, slot{literal: p.literal[p.from:end:end], kind: kind, column: p.columns.column(path, kind), length: length})
	p.from = end
}

func (p *compiler) item(path, depth int) error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if p.left--; p.left < 0 || depth > maxDepth {
		return errShape
	}
	switch t {
	case tokInt, tokText, tokSimple:
		p.slot(path, t, 0)
		return nil
	case tokOpaque:
		if depth != 0 {
			return errShape
		}
		p.slot(path, t, 0)
		return nil
	case tokBytes:
		n, err := p.uvarint()
		if err != nil || n > entry.MaxRaw {
			return errShape
		}
		p.slot(path, t, int(n))
		return nil
	case tokArray, tokMap:
		n, err := p.uvarint()
		if err != nil || n > maxItems {
			return errShape
		}
		if t == tokArray {
			return p.array(path, depth, n)
		}
		return p.pairs(path, depth, n)
	default:
		return errShape
	}
}

func (p *compiler) array(path, depth int, n uint64) error {
	p.literal = appendHead(p.literal, 4, n)
	for i := range n {
		if err := p.item(p.columns.path(path, binary.AppendUvarint([]byte{tokArray}, i)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *compiler) pairs(path, depth int, n uint64) error {
	p.literal = appendHead(p.literal, 5, n)
	for range n {
		before := len(p.literal)
		if err := p.key(); err != nil {
			return err
		}
		if err := p.item(p.columns.path(path, p.literal[before:]), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *compiler) key() error {
	t, err := p.token()
	if err != nil {
		return err
	}
	switch t {
	case tokInt:
		n, used := binary.Varint(p.rest)
		if used <= 0 {
			return errShape
		}
		p.rest = p.rest[used:]
		p.literal = appendInt(p.literal, n)
		return nil
	case tokText:
		n, err := p.uvarint()
		if err != nil || n > uint64(len(p.rest)) {
			return errShape
		}
		p.literal = append(appendHead(p.literal, 3, n), p.rest[:n]...)
		p.rest = p.rest[n:]
		return nil
	default:
		return errShape
	}
}
