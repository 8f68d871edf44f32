package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Used returns how many bytes of a file are in use: up to the last one that is
// not zero. A log that was given room in advance ends in zeros, mostly as a
// hole; where the system tells of holes (lseek(2), Linux) they are not read.
// The position in f is changed.
func Used(f *os.File) (int64, error) {
	end, err := dataEnd(f)
	if err != nil {
		return 0, err
	}
	var block [32 << 10]byte
	for end > 0 {
		at := max(0, end-int64(len(block)))
		b := block[:end-at]
		if n, err := f.ReadAt(b, at); err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
			return 0, err
		}
		if !bytes.Equal(b, zeros[:len(b)]) {
			return at + int64(len(bytes.TrimRight(b, "\x00"))), nil
		}
		end = at
	}
	return 0, nil
}

var zeros [32 << 10]byte

// dataEnd returns where the last data ends that is not a hole, or the file's
// size where holes are not told of.
func dataEnd(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	end := int64(0)
	for end < size {
		data, err := f.Seek(end, seekData)
		if errors.Is(err, errNoMoreData) {
			return end, nil
		}
		if err != nil {
			return size, nil // a file system without holes
		}
		if end, err = f.Seek(data, seekHole); err != nil {
			return size, nil
		}
	}
	return size, nil
}

// CopyUsed copies the bytes in use of a file, see [Used], into a new one with mode. Size is that of
// the original, in case the room behind them matters.
func CopyUsed(to, from string, mode fs.FileMode) (size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	fi, err := in.Stat()
	if err != nil {
		return 0, err
	}
	used, err := Used(in)
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", from, err)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	_, err = io.CopyN(out, in, used)
	return fi.Size(), err
}
