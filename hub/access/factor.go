package access

import (
	"crypto/cipher"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"golang.org/x/crypto/chacha20poly1305"
)

// The second factor is RFC 6238 with what every authenticator app knows: SHA-1,
// 6 digits, 30 seconds; one step early or late is taken, none twice.
const (
	stepSeconds = 30
	factorSize  = 20
)

var factorOptions = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

// stepOf gives the time step in which code was made, if it is later than after.
func stepOf(secret []byte, code string, now time.Time, after int64) (step int64, ok bool) {
	code = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, code)
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	current := now.Unix() / stepSeconds
	for step := current - 1; step <= current+1; step++ {
		good, err := hotp.ValidateCustom(code, uint64(max(step, 0)), text, factorOptions) //nolint:gosec // not negative
		if err == nil && good && step > after {
			return step, true
		}
	}
	return 0, false
}

// sealFactor seals the secret of a second factor for the database: a copy of
// the database alone gives none away.
func sealFactor(box cipher.AEAD, name string, secret []byte, random io.Reader) ([]byte, error) {
	nonce := make([]byte, box.NonceSize(), box.NonceSize()+len(secret)+box.Overhead())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("draw a nonce: %w", err)
	}
	return box.Seal(nonce, nonce, secret, []byte("factor of "+name)), nil
}

var errFactor = errors.New("the second factor of this operator was made with another hub's key: make a new one")

func openFactor(box cipher.AEAD, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < box.NonceSize() {
		return nil, errFactor
	}
	secret, err := box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], []byte("factor of "+name))
	if err != nil {
		return nil, errFactor
	}
	return secret, nil
}

func newBox(key [32]byte) (cipher.AEAD, error) { return chacha20poly1305.NewX(key[:]) }
