package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/hlc"
)

// tail is where a chain ends.
type tail struct {
	last dot.Seq
	head entry.Hash
	hlc  hlc.Time
}

// tailRow is the row under 11.
type tailRow struct {
	Last    dot.Seq    `cbor:"1,keyasint"`
	Head    entry.Hash `cbor:"2,keyasint"`
	Millis  int64      `cbor:"3,keyasint"`
	Counter uint32     `cbor:"4,keyasint,omitempty"`
}

func (t tail) row() tailRow {
	return tailRow{Last: t.last, Head: t.head, Millis: t.hlc.Millis, Counter: t.hlc.Counter}
}

func (r tailRow) tail() tail {
	return tail{last: r.Last, head: r.Head, hlc: hlc.Time{Millis: r.Millis, Counter: r.Counter}}
}

// tailsFile keeps the tails of one incarnation outside the database. It is
// written after each synced commit and not synced itself: so it is never ahead
// of what is durable, and a database that knows less than this file has lost
// entries. Two slots a lane are written in turn, so one is whole at any time.
//
// A slot has 128 bytes, big endian: "OTT1", generation (8), lane (1), device
// length (1), device (32, zero padded), incarnation (4), last seq (8), head
// (32), HLC milliseconds (8), HLC counter (4), CRC-32C of all before (4).
type tailsFile struct {
	f   *os.File
	gen map[dot.Lane]uint64
}

const (
	slotSize  = 128
	slotUsed  = 4 + 8 + 1 + 1 + 32 + 4 + 8 + 32 + 8 + 4 + 4
	tailsSize = 2 * slotSize * int64(dot.Record) // two slots a lane, lanes count from 1
	tailsName = "tails-"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeSlot(gen uint64, c dot.Chain, t tail) []byte {
	b := make([]byte, 0, slotSize)
	b = append(b, "OTT1"...)
	b = binary.BigEndian.AppendUint64(b, gen)
	b = append(b, byte(c.Lane), byte(len(c.Device)))
	var name [32]byte
	copy(name[:], c.Device)
	b = append(b, name[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Incarnation))
	b = binary.BigEndian.AppendUint64(b, uint64(t.last))
	b = append(b, t.head[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.hlc.Millis))
	b = binary.BigEndian.AppendUint32(b, t.hlc.Counter)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:slotSize]
}

func decodeSlot(b []byte) (gen uint64, c dot.Chain, t tail, ok bool) {
	if len(b) < slotUsed || !bytes.HasPrefix(b, []byte("OTT1")) || b[13] > 32 ||
		binary.BigEndian.Uint32(b[slotUsed-4:]) != crc32.Checksum(b[:slotUsed-4], castagnoli) {
		return 0, dot.Chain{}, tail{}, false
	}
	c = dot.Chain{
		Device:      dot.Device(b[14 : 14+int(b[13])]),
		Incarnation: dot.Incarnation(binary.BigEndian.Uint32(b[46:])),
		Lane:        dot.Lane(b[12]),
	}
	t = tail{
		last: dot.Seq(binary.BigEndian.Uint64(b[50:])),
		head: entry.Hash(b[58:90]),
		hlc:  hlc.Time{Millis: int64(binary.BigEndian.Uint64(b[90:])), Counter: binary.BigEndian.Uint32(b[98:])},
	}
	return binary.BigEndian.Uint64(b[4:]), c, t, c.Check() == nil && t.last >= 1 && t.last <= dot.MaxSeq
}

// laneOf names a lane of an incarnation of this device.
type laneOf struct {
	inc  dot.Incarnation
	lane dot.Lane
}

// readTails reads every tails file of the folder: each chain's latest whole
// slot, and which lanes have blank slots only: those never had an entry.
func readTails(dir string) (tails map[dot.Chain]tail, unused map[laneOf]bool, err error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	tails, unused = make(map[dot.Chain]tail), make(map[laneOf]bool)
	for _, e := range list {
		number, ok := strings.CutPrefix(e.Name(), tailsName)
		inc, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil {
			continue // no file of ours
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, nil, err
		}
		if int64(len(b)) != tailsSize {
			continue // cut short: it proves nothing
		}
		for _, l := range dot.Lanes() {
			slots := b[int64(l-1)*2*slotSize:][:2*slotSize]
			unused[laneOf{dot.Incarnation(inc), l}] = bytes.Count(slots, []byte{0}) == len(slots)
		}
		gens := make(map[dot.Chain]uint64)
		for ; len(b) >= slotSize; b = b[slotSize:] {
			gen, c, t, ok := decodeSlot(b[:slotSize])
			if ok && gen >= gens[c] && uint64(c.Incarnation) == inc {
				gens[c], tails[c] = gen, t
			}
		}
	}
	return tails, unused, nil
}

func tailsPath(dir string, inc dot.Incarnation) string {
	return filepath.Join(dir, tailsName+strconv.FormatUint(uint64(inc), 10))
}

// openTails opens the file of one incarnation for writing, and makes it when needed.
func openTails(dir string, inc dot.Incarnation) (*tailsFile, error) {
	path := tailsPath(dir, inc)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if int64(len(b)) != tailsSize {
		b = append(make([]byte, 0, tailsSize), b[:min(int64(len(b)), tailsSize)]...)[:tailsSize]
		if err := durable.WriteFile(path, b, 0o600); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	tf := &tailsFile{f: f, gen: make(map[dot.Lane]uint64)}
	for ; len(b) >= slotSize; b = b[slotSize:] {
		if gen, c, _, ok := decodeSlot(b[:slotSize]); ok {
			tf.gen[c.Lane] = max(tf.gen[c.Lane], gen)
		}
	}
	return tf, nil
}

// write notes where a chain ends. To be called only AFTER the synced commit.
func (tf *tailsFile) write(c dot.Chain, t tail) error {
	tf.gen[c.Lane]++
	gen := tf.gen[c.Lane]
	at := (int64(c.Lane-1)*2 + int64(gen%2)) * slotSize
	if _, err := tf.f.WriteAt(encodeSlot(gen, c, t), at); err != nil {
		return fmt.Errorf("note the tail of %s in %s: %w", c, tf.f.Name(), err)
	}
	return nil
}

// close syncs once, so that an orderly end is known even after a power cut.
func (tf *tailsFile) close() error { return errors.Join(tf.f.Sync(), tf.f.Close()) }
