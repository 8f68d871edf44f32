package feed

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"otor/internal/entry"
)

// Limits of a page. A device applies a page in one commit, which bounds its
// content; a message bounds what it takes on the wire.
const (
	MaxRows   = 2048
	MaxRaw    = 384 << 10 // bytes of rows by [Row.Size], unless a page holds one row
	MaxPacked = 200 << 10 // bytes of a packed body
)

// maxUnpacked bounds what a body may unpack to: rows by their sizes, and one more.
const maxUnpacked = MaxRaw + MaxBody + MaxKey + 64<<10

var (
	packer   = newPacker()
	unpacker = newUnpacker()
)

func newPacker() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err)
	}
	return e
}

func newUnpacker() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return d
}

// Pack writes rows, in rising order of N and all above after, as they travel: zstd of
// their number and of one column after the other, the rows by what they are of, so that
// like stands beside like. An entity's key is that of its state, where it is the
// same. docs/protocol.md has the bytes.
func Pack(after uint64, rows []Row) ([]byte, error) {
	last := after
	for _, r := range rows {
		if err := r.Check(); err != nil {
			return nil, err
		}
		if r.N <= last {
			return nil, fmt.Errorf("row %s %s: %d comes after %d", r.Kind, r.Key, r.N, last)
		}
		last = r.N
	}
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(x, y Row) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), strings.Compare(x.Key, y.Key), cmp.Compare(x.N, y.N))
	})
	b := binary.AppendUvarint(nil, uint64(len(rows)))
	for _, r := range rows {
		b = append(b, byte(r.Kind))
	}
	last = after
	for _, r := range rows {
		b = binary.AppendVarint(b, int64(r.N)-int64(last)) //nolint:gosec // both at most MaxN
		last = r.N
	}
	for _, r := range rows {
		b = binary.AppendUvarint(b, r.Rev)
	}
	keys := make([]string, len(rows))
	for i, r := range rows {
		if keys[i] = r.Key; r.Kind == Entity && keyIn(r.Body) == r.Key {
			keys[i] = ""
		}
		b = binary.AppendUvarint(b, uint64(len(keys[i])))
	}
	for _, r := range rows {
		b = binary.AppendUvarint(b, uint64(len(r.Body)))
	}
	for _, k := range keys {
		b = append(b, k...)
	}
	for _, r := range rows {
		b = append(b, r.Body...)
	}
	return packer.EncodeAll(b, nil), nil
}

// keyIn is the key of the entity whose state begins so; "" when it does not.
func keyIn(state []byte) string {
	u := unpacking{b: state}
	if h := u.take(1)[0]; h>>5 != 5 || h&31 > 23 {
		return ""
	}
	if u.take(1)[0] != 1 || u.take(1)[0] > 23 || u.take(1)[0] != 2 || u.take(1)[0] != 0x82 {
		return "" // version and [type, id] are its first members
	}
	typ, id := u.text(), u.text()
	if u.bad {
		return ""
	}
	return EntityKey(entry.Ref{Type: typ, ID: id})
}

// text takes a text of CBOR, of less than 256 bytes.
func (u *unpacking) text() string {
	h := u.take(1)[0]
	n := uint64(h & 31)
	switch {
	case h>>5 != 3 || n > 24:
		u.bad = true
	case n == 24:
		n = uint64(u.take(1)[0])
	}
	return string(u.take(n))
}

// Unpack reads what [Pack] wrote. Errors wrap [ErrInvalid].
func Unpack(after uint64, packed []byte) ([]Row, error) {
	if len(packed) > MaxPacked+MaxBody {
		return nil, fmt.Errorf("%w: a page's rows take %d bytes", ErrInvalid, len(packed))
	}
	b, err := unpacker.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: unpack a page: %w", ErrInvalid, err)
	}
	u := unpacking{b: b}
	n := u.number(MaxRows)
	if u.bad || uint64(len(u.b)) < n {
		return nil, fmt.Errorf("%w: a page's rows are cut off", ErrInvalid)
	}
	rows := make([]Row, n)
	for i := range rows {
		rows[i].Kind = Kind(u.take(1)[0])
	}
	last := int64(after) //nolint:gosec // a cursor's number, at most MaxN
	for i := range rows {
		last += u.step()
		rows[i].N = uint64(last) //nolint:gosec // checked here
		u.bad = u.bad || last < 1 || last > MaxN
	}
	for i := range rows {
		rows[i].Rev = u.number(MaxN)
	}
	keys, bodies := make([]uint64, n), make([]uint64, n)
	for i := range rows {
		keys[i] = u.number(MaxKey)
	}
	for i := range rows {
		bodies[i] = u.number(MaxBody)
	}
	for i := range rows {
		rows[i].Key = string(u.take(keys[i]))
	}
	for i := range rows {
		rows[i].Body = u.take(bodies[i])
		if keys[i] == 0 && rows[i].Kind == Entity {
			rows[i].Key = keyIn(rows[i].Body)
		}
		u.bad = u.bad || !utf8.ValidString(rows[i].Key)
	}
	if u.bad || len(u.b) > 0 {
		return nil, fmt.Errorf("%w: a page's rows do not add up", ErrInvalid)
	}
	slices.SortFunc(rows, func(x, y Row) int { return cmp.Compare(x.N, y.N) })
	above := after
	for _, r := range rows {
		if err := r.Check(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if r.N <= above {
			return nil, fmt.Errorf("%w: row %s %s: %d comes after %d", ErrInvalid, r.Kind, r.Key, r.N, above)
		}
		above = r.N
	}
	return rows, nil
}

// unpacking takes a body apart. Once bad it gives zeros.
type unpacking struct {
	b   []byte
	bad bool
}

func (u *unpacking) number(most uint64) uint64 {
	v, n := binary.Uvarint(u.b)
	if u.bad || n <= 0 || v > most {
		u.bad = true
		return 0
	}
	u.b = u.b[n:]
	return v
}

// step is a difference of two numbers of rows.
func (u *unpacking) step() int64 {
	v, n := binary.Varint(u.b)
	if u.bad || n <= 0 || v > MaxN || v < -MaxN {
		u.bad = true
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacking) take(n uint64) []byte {
	if u.bad || uint64(len(u.b)) < n {
		u.bad = true
		return make([]byte, min(n, 1))
	}
	out := u.b[:n:n]
	u.b = u.b[n:]
	return out
}
