// Package identity holds what a device or a hub proves itself with.
//
// A device makes its keys itself, at enrolment, and never shows the secret
// half. With its signing key it signs batches; a hub signs receipts and its
// epoch with its own. Every signature is over a [Domain] and the message, so
// that a signature made for one purpose can never be passed off as another.
//
//   - [SigningKey] is an Ed25519 secret, [PublicKey] its public half.
//   - [Code] is the one-time enrolment code: a secret, and a pin of the hub's CA.
//   - [Pin] is the start of the SHA-256 of a certificate's public key.
package identity

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
)

// Domain says what a signature is for.
type Domain string

// The purposes of signatures, version 1.
const (
	ForBatch   Domain = "otor/1/batch"
	ForReceipt Domain = "otor/1/receipt"
	ForEpoch   Domain = "otor/1/epoch"
	ForEnrol   Domain = "otor/1/enrol"
	ForDoor    Domain = "otor/1/door"
	ForCursor  Domain = "otor/1/cursor"
	ForFact    Domain = "otor/1/fact"
	// ForStatement is what operators hand out.
	ForStatement Domain = "otor/1/statement"
	ForLife      Domain = "otor/1/life"
	// ForPack is a version of a form pack, as it travels to devices.
	ForPack Domain = "otor/1/pack"
)

// SignatureSize is the length of a signature in bytes.
const SignatureSize = ed25519.SignatureSize

// PublicKey is an Ed25519 public key, 32 bytes.
type PublicKey [ed25519.PublicKeySize]byte

func (k PublicKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// MarshalText writes the key in base64url without padding.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *PublicKey) UnmarshalText(b []byte) error {
	raw, err := base64.RawURLEncoding.DecodeString(string(b))
	if err != nil || len(raw) != len(k) {
		return fmt.Errorf("public key: want %d bytes in base64url", len(k))
	}
	copy(k[:], raw)
	return nil
}

// Verify reports whether sig is k's signature of msg for that purpose.
func (k PublicKey) Verify(d Domain, msg, sig []byte) bool {
	return len(sig) == SignatureSize && ed25519.Verify(k[:], message(d, msg), sig)
}

// SigningKey is an Ed25519 secret key. Its String never shows the secret.
type SigningKey struct{ key ed25519.PrivateKey }

// NewSigningKey draws a key from random.
func NewSigningKey(random io.Reader) (SigningKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return SigningKey{}, fmt.Errorf("draw a signing key: %w", err)
	}
	return SigningKey{ed25519.NewKeyFromSeed(seed)}, nil
}

// SigningKeyFromSeed restores a key from its 32-byte seed.
func SigningKeyFromSeed(seed []byte) (SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return SigningKey{}, fmt.Errorf("signing key: seed has %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	return SigningKey{ed25519.NewKeyFromSeed(seed)}, nil
}

// Seed returns the 32 secret bytes, to be stored under protection.
func (k SigningKey) Seed() []byte { return k.key.Seed() }

// IsZero reports whether k holds no key.
func (k SigningKey) IsZero() bool { return k.key == nil }

// Public returns the public half.
func (k SigningKey) Public() PublicKey {
	return PublicKey(k.key[ed25519.SeedSize:])
}

func (k SigningKey) String() string {
	if k.IsZero() {
		return "no signing key"
	}
	return "signing key of " + k.Public().String()
}

// Sign signs msg for one purpose.
func (k SigningKey) Sign(d Domain, msg []byte) []byte {
	return ed25519.Sign(k.key, message(d, msg))
}

// message joins purpose and content; no purpose holds a zero byte, so the join is unambiguous.
func message(d Domain, msg []byte) []byte {
	out := make([]byte, 0, len(d)+1+len(msg))
	out = append(out, d...)
	out = append(out, 0)
	return append(out, msg...)
}
