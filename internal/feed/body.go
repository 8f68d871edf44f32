package feed

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
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

// Pack writes rows, in rising order of N and all above after, as they travel:
// zstd of their number and of one column after the other, bodies by what they are
// of, so that like stands beside like. docs/protocol.md has the bytes.
func Pack(after uint64, rows []Row) ([]byte, error) {
	b := binary.AppendUvarint(nil, uint64(len(rows)))
	for _, r := range rows {
		b = append(b, byte(r.Kind))
	}
	last := after
	for _, r := range rows {
		if err := r.Check(); err != nil {
			return nil, err
		}
		if r.N <= last {
			return nil, fmt.Errorf("row %s %s: %d comes after %d", r.Kind, r.Key, r.N, last)
		}
		b = binary.AppendUvarint(b, r.N-last)
		last = r.N
	}
	for _, r := range rows {
		b = binary.AppendUvarint(b, r.Rev)
	}
	for _, r := range rows {
		b = binary.AppendUvarint(b, uint64(len(r.Key)))
	}
	for _, r := range rows {
		b = binary.AppendUvarint(b, uint64(len(r.Body)))
	}
	for _, r := range rows {
		b = append(b, r.Key...)
	}
	for _, i := range alike(rows) {
		b = append(b, rows[i].Body...)
	}
	return packer.EncodeAll(b, nil), nil
}

// alike lists rows in the order in which their bodies stand: by kind, then by key,
// so that an entity's stands beside those of its type.
func alike(rows []Row) []int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(rows[i].Kind, rows[j].Kind), strings.Compare(rows[i].Key, rows[j].Key))
	})
	return order
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
	last := after
	for i := range rows {
		step := u.number(MaxN)
		last += step
		rows[i].N = last
		u.bad = u.bad || step == 0 || last > MaxN
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
		key := u.take(keys[i])
		u.bad = u.bad || !utf8.Valid(key)
		rows[i].Key = string(key)
	}
	for _, i := range alike(rows) {
		rows[i].Body = u.take(bodies[i])
	}
	if u.bad || len(u.b) > 0 {
		return nil, fmt.Errorf("%w: a page's rows do not add up", ErrInvalid)
	}
	for _, r := range rows {
		if err := r.Check(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
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

func (u *unpacking) take(n uint64) []byte {
	if u.bad || uint64(len(u.b)) < n {
		u.bad = true
		return make([]byte, min(n, 1))
	}
	out := u.b[:n:n]
	u.b = u.b[n:]
	return out
}
