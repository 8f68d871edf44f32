package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Sizes of a code's parts in bytes.
const (
	secretSize = 8
	PinSize    = 10
	checkSize  = 2
)

// Pin is the start of the SHA-256 of a CA certificate's SubjectPublicKeyInfo.
// 80 bits: making another key with the same pin costs about 2^80 tries.
type Pin [PinSize]byte

// PinOf returns the pin of a certificate's RawSubjectPublicKeyInfo.
func PinOf(spki []byte) Pin {
	sum := sha256.Sum256(spki)
	return Pin(sum[:PinSize])
}

// Matches compares in constant time.
func (p Pin) Matches(spki []byte) bool {
	q := PinOf(spki)
	return subtle.ConstantTimeCompare(p[:], q[:]) == 1
}

// Secret is the part of a code that only the holder knows. The hub stores its hash alone.
type Secret [secretSize]byte

// Hash is what the hub keeps of a code.
func (s Secret) Hash() [32]byte { return sha256.Sum256(append([]byte("otor/1/code\x00"), s[:]...)) }

// Code is a one-time enrolment code. Written out it is 32 characters in eight
// groups, with two check bytes, so that a mistyped one is told from a wrong one.
type Code struct {
	Secret Secret
	Pin    Pin
}

// alphabet leaves out I, L, O and U: they are misread.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// crockford is base32 in that alphabet.
var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// ErrMistyped marks a code that cannot have been printed by any hub.
var ErrMistyped = errors.New("enrolment code is mistyped")

// NewCode draws a code for a hub with the given pin.
func NewCode(random io.Reader, pin Pin) (Code, error) {
	c := Code{Pin: pin}
	if _, err := io.ReadFull(random, c.Secret[:]); err != nil {
		return Code{}, fmt.Errorf("draw an enrolment code: %w", err)
	}
	return c, nil
}

func (c Code) bytes() []byte {
	b := append(append([]byte{}, c.Secret[:]...), c.Pin[:]...)
	sum := sha256.Sum256(append([]byte("otor/1/check\x00"), b...))
	return append(b, sum[:checkSize]...)
}

// String writes the code in groups of four: "K7QM-…".
func (c Code) String() string {
	s := crockford.EncodeToString(c.bytes())
	var groups []string
	for len(s) > 4 {
		groups = append(groups, s[:4])
		s = s[4:]
	}
	return strings.Join(append(groups, s), "-")
}

// ParseCode reads a code as people type it: either case, with or without
// hyphens and spaces, O for 0, I and L for 1. Errors wrap [ErrMistyped].
func ParseCode(s string) (Code, error) {
	clean := strings.NewReplacer("-", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.Join(strings.Fields(s), "")))
	if i := strings.IndexFunc(clean, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }); i >= 0 {
		return Code{}, fmt.Errorf("%w: only digits and letters other than I, L, O, U belong in it", ErrMistyped)
	}
	// The length is judged here: the decoder lets a character too many pass.
	if want := crockford.EncodedLen(secretSize + PinSize + checkSize); len(clean) != want {
		return Code{}, fmt.Errorf("%w: it has %d characters, a whole one has %d", ErrMistyped, len(clean), want)
	}
	b, err := crockford.DecodeString(clean)
	if err != nil {
		return Code{}, fmt.Errorf("%w: %w", ErrMistyped, err)
	}
	var c Code
	copy(c.Secret[:], b)
	copy(c.Pin[:], b[secretSize:])
	if string(c.bytes()) != string(b) {
		return Code{}, fmt.Errorf("%w: its check digits do not agree; compare it with the hub's screen", ErrMistyped)
	}
	return c, nil
}

// QRText is what an enrolment QR code says: the hub's address and the code
// (which holds the CA pin).
func (c Code) QRText(hub string) string {
	return "otor:enrol?" + url.Values{"hub": {hub}, "code": {c.String()}}.Encode()
}

// ParseQRText reads what QRText wrote: the code and the hub's address.
func ParseQRText(s string) (Code, string, error) {
	rest, ok := strings.CutPrefix(s, "otor:enrol?")
	if !ok {
		return Code{}, "", fmt.Errorf("%w: not the text of an enrolment QR code", ErrMistyped)
	}
	q, err := url.ParseQuery(rest)
	if err != nil {
		return Code{}, "", fmt.Errorf("%w: %w", ErrMistyped, err)
	}
	c, err := ParseCode(q.Get("code"))
	return c, q.Get("hub"), err
}
