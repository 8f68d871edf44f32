package access

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost is what hashing a password costs. A hash carries its own, so a change
// makes no earlier password invalid.
type Cost struct {
	Passes  uint32
	MiB     uint32
	Threads uint8
}

// Usual is the second choice of RFC 9106, section 4, for machines that have not
// two gigabytes to spare for each sign-in.
var Usual = Cost{Passes: 3, MiB: 64, Threads: 4}

// Lengths of a password, in characters. The most keeps a request small; nobody
// is asked for special characters (NIST SP 800-63B, section 5.1.1).
const (
	MinPassword = 12
	MaxPassword = 128
)

const (
	saltSize = 16
	hashSize = 32
)

// hash makes the PHC string of a password.
func (c Cost) hash(password string, random io.Reader) (string, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("draw a salt: %w", err)
	}
	sum := argon2.IDKey([]byte(password), salt, c.Passes, c.MiB<<10, c.Threads, hashSize)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MiB<<10, c.Passes, c.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

// errHash marks a PHC string that is none of ours: the database was changed by hand.
var errHash = errors.New("the stored password cannot be read")

// matches compares a password with a PHC string.
func matches(password, phc string) (bool, error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errHash
	}
	var version int
	var kib, passes uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &kib, &passes, &threads); err != nil {
		return false, errHash
	}
	if kib < 8 || kib > 1<<20 || passes < 1 || passes > 64 || threads < 1 {
		return false, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, errHash
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) != hashSize {
		return false, errHash
	}
	got := argon2.IDKey([]byte(password), salt, passes, kib, threads, hashSize)
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// weak says what is wrong with a password, "" if nothing.
func weak(password, name string) string {
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return "is not text"
	case n < MinPassword:
		return fmt.Sprintf("has %d characters: at least %d are needed; four words that do not belong together are easy to keep", n, MinPassword)
	case n > MaxPassword:
		return fmt.Sprintf("has %d characters: at most %d are kept", n, MaxPassword)
	case strings.Contains(strings.ToLower(password), strings.ToLower(name)):
		return "holds your name: leave it out"
	case distinct(password) < 5:
		return "repeats a few characters: mix more of them"
	}
	return ""
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}
