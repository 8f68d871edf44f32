package entry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"otor/internal/dot"
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h was never set.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes the hash in lower-case hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) {
		return fmt.Errorf("hash: %d characters, want %d", len(b), 2*len(h))
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// UnmarshalCBOR reads a byte string of 32 bytes and nothing else: a shorter one
// must not pass as a hash that ends in zeros.
func (h *Hash) UnmarshalCBOR(b []byte) error {
	if len(b) != 2+len(h) || b[0] != 0x58 || int(b[1]) != len(h) {
		return fmt.Errorf("hash: want a byte string of %d bytes", len(h))
	}
	copy(h[:], b[2:])
	return nil
}

// Raw is an entry as bytes: what is stored, hashed and sent.
type Raw struct {
	Public  []byte
	Private []byte // nil once erased
	// PrivateHash is the SHA-256 of the private part, whether or not it is still there.
	PrivateHash Hash
}

// NewRaw puts two encoded parts together.
func NewRaw(public, private []byte) Raw {
	return Raw{Public: public, Private: private, PrivateHash: sha256.Sum256(private)}
}

// Erased reports whether the private part was deleted.
func (r Raw) Erased() bool { return r.Private == nil }

// Erase returns the entry without its private part; its hash and every head stay the same.
func (r Raw) Erase() Raw { return Raw{Public: r.Public, PrivateHash: r.PrivateHash} }

// Size is the number of bytes of both parts.
func (r Raw) Size() int { return len(r.Public) + len(r.Private) }

// Hash is the entry's own hash: SHA-256(public || SHA-256(private)).
func (r Raw) Hash() Hash {
	var room [512]byte
	b := append(room[:0], r.Public...)
	return sha256.Sum256(append(b, r.PrivateHash[:]...))
}

// Equal reports whether both are the same bytes.
func (r Raw) Equal(o Raw) bool {
	return bytes.Equal(r.Public, o.Public) && r.PrivateHash == o.PrivateHash && bytes.Equal(r.Private, o.Private)
}

// Genesis is the head of a chain before its first entry:
// SHA-256 of the deterministic CBOR of ["otor/1", device, incarnation, lane].
func Genesis(c dot.Chain) Hash {
	b, err := encMode.Marshal([]any{"otor/1", string(c.Device), uint32(c.Incarnation), uint8(c.Lane)})
	if err != nil {
		panic(err) // no input makes a list of plain values fail
	}
	return sha256.Sum256(b)
}

// Next is the head after r: SHA-256(head before || public || SHA-256(private)).
func Next(before Hash, r Raw) Hash {
	var room [512]byte
	b := append(append(room[:0], before[:]...), r.Public...)
	return sha256.Sum256(append(b, r.PrivateHash[:]...))
}

// rawFull and rawErased are the stored forms: [public, private] and [public, null, hash].
type rawFull struct {
	_       struct{} `cbor:",toarray"`
	Public  []byte
	Private []byte
}

type rawErased struct {
	_       struct{} `cbor:",toarray"`
	Public  []byte
	Private *[]byte
	Hash    Hash
}

// Encode writes the stored form of the entry.
func (r Raw) Encode() []byte {
	b := make([]byte, 0, r.Size()+2*9+1+2+len(r.PrivateHash))
	if r.Erased() {
		b = appendBytes(append(b, majorArray<<5|3), r.Public)
		return appendBytes(append(b, 0xf6), r.PrivateHash[:])
	}
	return appendBytes(appendBytes(append(b, majorArray<<5|2), r.Public), r.Private)
}

// appendBytes appends a byte string; nil counts as an empty one.
func appendBytes(b, s []byte) []byte { return append(appendHead(b, majorBytes, uint64(len(s))), s...) }

// DecodeRaw reads the stored form. It does not look inside the parts; it
// refuses what is over [MaxRaw]. Errors wrap [ErrMalformed].
func DecodeRaw(b []byte) (Raw, error) {
	if len(b) == 0 {
		return Raw{}, fmt.Errorf("%w: no bytes", ErrMalformed)
	}
	var r Raw
	switch b[0] {
	case 0x82:
		if public, private, ok := plainRaw(b); ok {
			r = NewRaw(public, private)
			break
		}
		var f rawFull
		if err := decMode.Unmarshal(b, &f); err != nil {
			return Raw{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if f.Private == nil {
			return Raw{}, fmt.Errorf("%w: private part is null but its hash is missing", ErrMalformed)
		}
		r = NewRaw(f.Public, f.Private)
	case 0x83:
		var f rawErased
		if err := decMode.Unmarshal(b, &f); err != nil {
			return Raw{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if f.Private != nil {
			return Raw{}, fmt.Errorf("%w: both a private part and its hash", ErrMalformed)
		}
		r = Raw{Public: f.Public, PrivateHash: f.Hash}
	default:
		return Raw{}, fmt.Errorf("%w: starts with byte %#02x", ErrMalformed, b[0])
	}
	if r.Size() > MaxRaw {
		return Raw{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, r.Size(), MaxRaw)
	}
	return r, nil
}

// plainRaw takes [public, private] apart when it is written as Encode does. The
// parts are copies, as the general decoder's are.
func plainRaw(b []byte) (public, private []byte, ok bool) {
	b = append([]byte(nil), b...)
	p := plain{b: b[1:]}
	for _, part := range []*[]byte{&public, &private} {
		n, ok := p.want(majorBytes)
		if !ok || n > uint64(len(p.b)) {
			return nil, nil, false
		}
		*part, p.b = p.b[:n:n], p.b[n:]
	}
	return public, private, len(p.b) == 0
}
