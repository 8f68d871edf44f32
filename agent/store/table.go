package store

import (
	"errors"
	"fmt"
	"os"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// checkTable verifies every checksum of a Badger table. Badger does so too,
// but it reads a table's end before it checks it, and stops the process there.
//
// A table is: blocks, index (a flatbuffer), index length (4), checksum of the
// index, length of that (4). A block ends with its checksum and the length of
// that (4).
func checkTable(path string) (err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// The index is read only after its checksum held; this is for a file that
	// was wrong when it was written.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the table's index cannot be read: %v", r)
		}
	}()
	body, sum, err := checksummed(b)
	if err != nil {
		return fmt.Errorf("the table's end: %w", err)
	}
	if len(body) < 4 {
		return errors.New("the table's end: too short")
	}
	size := int(y.BytesToU32(body[len(body)-4:]))
	if size < 0 || size > len(body)-4 {
		return errors.New("the table's end: too short for its index")
	}
	body = body[:len(body)-4]
	blocks, index := body[:len(body)-size], body[len(body)-size:]
	if err := verify(index, sum); err != nil {
		return fmt.Errorf("the table's index: %w", err)
	}
	idx := fb.GetRootAsTableIndex(index, 0)
	if idx.OffsetsLength() == 0 {
		return errors.New("the table's index is empty")
	}
	var at fb.BlockOffset
	for i := range idx.OffsetsLength() {
		if !idx.Offsets(&at, i) {
			return fmt.Errorf("block %d: not in the index", i)
		}
		from, n := uint64(at.Offset()), uint64(at.Len())
		if from+n > uint64(len(blocks)) {
			return fmt.Errorf("block %d: ends after the table", i)
		}
		data, sum, err := checksummed(blocks[from : from+n])
		if err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
		if err := verify(data, sum); err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
	}
	return nil
}

// checksummed splits b into what stands before its checksum, and the checksum.
func checksummed(b []byte) (body, sum []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errors.New("too short")
	}
	n := int(y.BytesToU32(b[len(b)-4:]))
	b = b[:len(b)-4]
	if n < 0 || n > len(b) {
		return nil, nil, errors.New("too short for its checksum")
	}
	return b[:len(b)-n], b[len(b)-n:], nil
}

func verify(data, sum []byte) error {
	var want pb.Checksum
	if err := proto.Unmarshal(sum, &want); err != nil {
		return errors.New("its checksum cannot be read")
	}
	if want.Sum == 0 || y.CalculateChecksum(data, want.Algo) != want.Sum {
		return errors.New("its checksum is wrong")
	}
	return nil
}
