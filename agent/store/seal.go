package store

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/crypto/chacha20poly1305"

	"otor/internal/dot"
	"otor/internal/entry"
)

// sealStore names the one sealing there is: XChaCha20-Poly1305 under the store's key.
const sealStore = 0x01

const sealOverhead = 1 + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// entryOverhead is what an entry's value holds beside entry.Raw.Encode().
const entryOverhead = len(entry.Hash{}) + 8

// errSealed marks a value that does not open: changed, swapped, or of another key.
var errSealed = errors.New("the value does not open: it was changed, or belongs to another key")

// box seals values. It is safe for concurrent use.
type box struct{ aead cipher.AEAD }

func newBox(key [32]byte) (box, error) {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return box{}, fmt.Errorf("store key: %w", err)
	}
	return box{aead}, nil
}

// seal returns the value to store under key.
func (b box) seal(key, content []byte) []byte {
	out := make([]byte, 1+chacha20poly1305.NonceSizeX, sealOverhead+len(content))
	out[0] = sealStore
	nonce := out[1:]
	rand.Read(nonce) // never fails: the runtime stops the process first
	return b.aead.Seal(out, nonce, content, key)
}

// open returns the content, appended to dst.
func (b box) open(dst, key, value []byte) ([]byte, error) {
	if len(value) < sealOverhead {
		return nil, errSealed
	}
	if value[0] != sealStore {
		return nil, fmt.Errorf("sealing %#02x is not known to this version", value[0])
	}
	nonce, sealed := value[1:1+chacha20poly1305.NonceSizeX], value[1+chacha20poly1305.NonceSizeX:]
	out, err := b.aead.Open(dst, nonce, sealed, key)
	if err != nil {
		return nil, errSealed
	}
	return out, nil
}

// stored is an entry as its value holds it.
type stored struct {
	before  entry.Hash
	savedAt time.Time
	raw     entry.Raw
}

func (s stored) after() entry.Hash { return entry.Next(s.before, s.raw) }

func (b box) sealEntry(key []byte, e stored) []byte {
	raw := e.raw.Encode()
	content := make([]byte, 0, entryOverhead+len(raw))
	content = append(content, e.before[:]...)
	content = binary.BigEndian.AppendUint64(content, uint64(e.savedAt.UnixMilli()))
	return b.seal(key, append(content, raw...))
}

func (b box) openEntry(key, value []byte) (stored, error) {
	content, err := b.open(nil, key, value)
	if err != nil {
		return stored{}, err
	}
	if len(content) < entryOverhead {
		return stored{}, fmt.Errorf("%w: %d bytes", entry.ErrMalformed, len(content))
	}
	raw, err := entry.DecodeRaw(content[entryOverhead:])
	if err != nil {
		return stored{}, err
	}
	return stored{
		before:  entry.Hash(content[:len(entry.Hash{})]),
		savedAt: time.UnixMilli(int64(binary.BigEndian.Uint64(content[len(entry.Hash{}):]))),
		raw:     raw,
	}, nil
}

var encMode, decMode = func() (cbor.EncMode, cbor.DecMode) {
	em, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	dm, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 8, MaxArrayElements: 1 << 12, MaxMapPairs: 256,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return em, dm
}()

// sealRow encodes and seals a small row.
func (b box) sealRow(key []byte, row any) ([]byte, error) {
	content, err := encMode.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("encode row %x: %w", key, err)
	}
	return b.seal(key, content), nil
}

func (b box) openRow(key, value []byte, into any) error {
	content, err := b.open(nil, key, value)
	if err != nil {
		return err
	}
	return decMode.Unmarshal(content, into)
}

// formatRow is the row under 01.
type formatRow struct {
	Version uint32     `cbor:"1,keyasint"`
	Device  dot.Device `cbor:"2,keyasint"`
}
