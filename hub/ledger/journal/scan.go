package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

const (
	heading = "otor journal 1\n\x00"
	prefix  = 8 // bytes of a record before its content
	// maxTorn is how many bytes one record that was not finished can leave.
	maxTorn = prefix + MaxRecord
)

var table = crc32.MakeTable(crc32.Castagnoli)

func frameOf(content []byte) []byte {
	b := make([]byte, prefix, prefix+len(content))
	binary.BigEndian.PutUint32(b, uint32(len(content))) //nolint:gosec // at most MaxRecord
	b = append(b, content...)
	binary.BigEndian.PutUint32(b[4:], sum(b[:4], content))
	return b
}

func sum(length, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, table), table, content)
}

// record gives the content of the record that b begins with; ok is false when
// it begins with none.
func record(b []byte) (content []byte, ok bool) {
	if len(b) < prefix {
		return nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > MaxRecord || int(n) > len(b)-prefix {
		return nil, false
	}
	content = b[prefix : prefix+int(n)]
	return content, binary.BigEndian.Uint32(b[4:]) == sum(b[:4], content)
}

// scanned is what a file holds.
type scanned struct {
	records int
	end     int64  // after the last whole record
	torn    []byte // what stands there and is the rest of one that was not finished
}

// scan reads a journal file from its beginning.
func scan(r io.ReaderAt, each func(content []byte) error) (s scanned, err error) {
	in := &window{r: io.NewSectionReader(r, 0, math.MaxInt64)}
	if err := in.fill(); err != nil {
		return s, err
	}
	if !bytes.HasPrefix(in.rest(), []byte(heading)) {
		return s, fmt.Errorf("%w: it does not begin as a journal does", ErrDamaged)
	}
	for s.end = in.advance(len(heading)); ; s.records++ {
		if err := in.fill(); err != nil {
			return s, err
		}
		content, ok := record(in.rest())
		if !ok {
			break
		}
		if err := each(content); err != nil {
			return s, err
		}
		s.end = in.advance(prefix + len(content))
	}
	rest := in.rest()
	if len(rest) > maxTorn {
		return s, fmt.Errorf("%w: after %d records, at byte %d, stands what is no record, and more of it than an unfinished one leaves", ErrDamaged, s.records, s.end)
	}
	for i := 1; i < len(rest); i++ {
		if _, ok := record(rest[i:]); ok {
			return s, fmt.Errorf("%w: after %d records, at byte %d, stands what is no record, and whole ones follow at byte %d", ErrDamaged, s.records, s.end, s.end+int64(i))
		}
	}
	s.torn = bytes.Clone(rest)
	return s, nil
}

// window is the part of a file that is looked at, always more than one record
// unless the file ends.
type window struct {
	r   io.Reader
	buf []byte
	at  int   // of rest within buf
	off int64 // of buf within the file
	eof bool
}

func (w *window) rest() []byte { return w.buf[w.at:] }

// advance goes on by n bytes and returns where that is in the file.
func (w *window) advance(n int) int64 {
	w.at += n
	return w.off + int64(w.at)
}

// fill reads on until more than maxTorn bytes are there, or the file ends.
func (w *window) fill() error {
	if w.eof || len(w.rest()) > maxTorn {
		return nil
	}
	w.off += int64(w.at)
	w.buf, w.at = append(w.buf[:0], w.rest()...), 0
	have := len(w.buf)
	w.buf = append(w.buf, make([]byte, 8*maxTorn)...)
	n, err := io.ReadFull(w.r, w.buf[have:])
	w.buf = w.buf[:have+n]
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // ReadFull returns them bare
		w.eof, err = true, nil
	}
	return err
}
