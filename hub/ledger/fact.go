package ledger

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"otor/hub/ledger/journal"
	"otor/hub/store"
	"otor/internal/identity"
)

// MaxBody bounds a fact's body in bytes of JSON.
const MaxBody = journal.MaxRecord - 4<<10

// maxText bounds who, kind and subject, in bytes each.
const maxText = 1 << 10

// Act is what is to be recorded.
type Act struct {
	ID      store.FactID // drawn when zero; the same act told again is [store.ErrExists]
	By      string       // who: an operator, a device, the hub
	Kind    string       // of those that were registered
	Subject string       // what it is about, such as a device
	Body    any          // what the kind's Apply needs to do it again; written as JSON
}

// Fact is a recorded act.
type Fact struct {
	store.Fact
	Before store.FactHash // the fact before; [Genesis] at the first
	Body   json.RawMessage
}

// Decode reads the body.
func (f Fact) Decode(into any) error {
	if err := json.Unmarshal(f.Body, into); err != nil {
		return fmt.Errorf("fact %d, %s: %w", f.Number, f.Kind, err)
	}
	return nil
}

// content fixes the keys of what is signed, version 1.
type content struct {
	Number  uint64 `cbor:"1,keyasint"`
	Before  []byte `cbor:"2,keyasint"`
	ID      []byte `cbor:"3,keyasint"`
	At      int64  `cbor:"4,keyasint"`
	By      string `cbor:"5,keyasint"`
	Kind    string `cbor:"6,keyasint"`
	Subject string `cbor:"7,keyasint,omitempty"`
	Body    []byte `cbor:"8,keyasint"`
}

// envelope is a fact as it is stored and journalled: [content bytes, signature].
type envelope struct {
	_         struct{} `cbor:",toarray"`
	Content   []byte
	Signature []byte
}

var (
	enc = must(cbor.CoreDetEncOptions().EncMode())
	dec = must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // constant options that the library's own tests cover
	}
	return v
}

// ErrBadFact marks bytes that are not a fact of this hub.
var ErrBadFact = errors.New("not a fact of this hub")

// Genesis stands before a hub's first fact: SHA-256("otor/1/ledger" || 0x00 || hub key).
func Genesis(hub identity.PublicKey) store.FactHash {
	return sha256.Sum256(append([]byte("otor/1/ledger\x00"), hub[:]...))
}

// seal signs a fact and fills in Signed and Hash.
func seal(f *Fact, key identity.SigningKey) error {
	for _, s := range []string{f.By, f.Kind, f.Subject} {
		if len(s) > maxText {
			return fmt.Errorf("a text of %d bytes, at most %d are taken", len(s), maxText)
		}
	}
	if len(f.Body) > MaxBody {
		return fmt.Errorf("%d bytes, at most %d are taken", len(f.Body), MaxBody)
	}
	c, err := enc.Marshal(content{f.Number, f.Before[:], f.ID[:], f.At, f.By, f.Kind, f.Subject, f.Body})
	if err != nil {
		return err
	}
	f.Hash = sha256.Sum256(c)
	f.Signed, err = enc.Marshal(envelope{Content: c, Signature: key.Sign(identity.ForFact, c)})
	return err
}

// Read reads a fact as it was signed, and checks that this hub did.
func Read(signed []byte, hub identity.PublicKey) (Fact, error) {
	var e envelope
	if err := dec.Unmarshal(signed, &e); err != nil {
		return Fact{}, fmt.Errorf("%w: %w", ErrBadFact, err)
	}
	if !hub.Verify(identity.ForFact, e.Content, e.Signature) {
		return Fact{}, fmt.Errorf("%w: another key signed it, or it was changed", ErrBadFact)
	}
	var c content
	if err := dec.Unmarshal(e.Content, &c); err != nil {
		return Fact{}, fmt.Errorf("%w: %w", ErrBadFact, err)
	}
	f := Fact{
		Fact: store.Fact{
			Number: c.Number, Hash: sha256.Sum256(e.Content), At: c.At, By: c.By, Kind: c.Kind, Subject: c.Subject, Signed: signed,
		},
		Body: c.Body,
	}
	if len(c.ID) != len(f.ID) || len(c.Before) != len(f.Before) || !json.Valid(c.Body) {
		return Fact{}, fmt.Errorf("%w: a part of it is not what it should be", ErrBadFact)
	}
	copy(f.ID[:], c.ID)
	copy(f.Before[:], c.Before)
	return f, nil
}

// tail is where a chain of facts ends.
type tail struct {
	number uint64
	hash   store.FactHash
}

// next checks that f follows, and goes on to it.
func (t *tail) next(f Fact) error {
	if f.Number != t.number+1 || f.Before != t.hash {
		return fmt.Errorf("%w: fact %d does not follow fact %d", ErrBadFact, f.Number, t.number)
	}
	t.number, t.hash = f.Number, f.Hash
	return nil
}
