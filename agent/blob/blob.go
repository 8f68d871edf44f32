// Package blob keeps the files that answers name: photos, signatures,
// recordings.
//
// A file is named by the SHA-256 of its content, so that the same photo is kept
// once and a damaged one is noticed. It is sealed with XChaCha20-Poly1305 under
// a key of its own, with its name as additional data: a lost phone shows no
// picture. A file is durable before its name is given out, and an answer may
// name it from then on.
//
// Files lie in DIR/blobs, one each, under the hexadecimal hash without the
// extension that the name has for people.
package blob

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"otor/internal/durable"
	"otor/internal/entry"
)

// MaxSize is the most bytes that one file may have.
const MaxSize = 4 << 20

// Errors of a Room. ErrDamaged: what is on the disk is not what was kept.
var (
	ErrNotFound = errors.New("there is no such file on this device")
	ErrTooLarge = errors.New("the file is too large to be kept")
	ErrDamaged  = errors.New("the file was changed on the disk")
)

// Room holds the files of one device. It is safe for concurrent use.
type Room struct {
	dir  string
	aead cipher.AEAD
}

// New returns the room in dir/blobs, which is made with the first file. key is
// the device's store key.
func New(dir string, key [32]byte) (*Room, error) {
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte("otor blobs 1"))
	aead, err := chacha20poly1305.NewX(m.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	return &Room{filepath.Join(dir, "blobs"), aead}, nil
}

var nameOf = regexp.MustCompile(`^([0-9a-f]{64})(\.[a-z0-9]{1,5})?$`)

// extensions by media type, for the names that people see.
var extensions = map[string]string{
	"image/jpeg": ".jpg", "image/png": ".png", "audio/webm": ".webm", "audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/mp4": ".m4a",
	"audio/wav": ".wav", "video/webm": ".webm", "video/mp4": ".mp4", "application/pdf": ".pdf",
}

// Keep stores content durably and returns its name: the hash, and an extension
// by its media type. Errors: [ErrTooLarge], or the disk's.
func (r *Room) Keep(mime string, content []byte) (name string, err error) {
	if len(content) > MaxSize {
		return "", fmt.Errorf("%w: it has %d bytes, at most %d are kept", ErrTooLarge, len(content), MaxSize)
	}
	sum := sha256.Sum256(content)
	id := hex.EncodeToString(sum[:])
	if _, err := r.read(id); err == nil {
		return Name(entry.Blob{Hash: sum, Mime: mime}), nil
	}
	if err := durable.MkdirAll(r.dir, 0o700); err != nil {
		return "", fmt.Errorf("keep a file: %w", err)
	}
	sealed := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(content)+chacha20poly1305.Overhead)
	rand.Read(sealed) // never fails: the runtime stops the process first
	sealed = r.aead.Seal(sealed, sealed[:chacha20poly1305.NonceSizeX], content, []byte(id))
	if err := durable.WriteFile(filepath.Join(r.dir, id), sealed, 0o600); err != nil {
		return "", fmt.Errorf("keep a file: %w", err)
	}
	return Name(entry.Blob{Hash: sum, Mime: mime}), nil
}

// Read returns a kept file. Errors: [ErrNotFound], [ErrDamaged], or the disk's.
func (r *Room) Read(name string) ([]byte, error) {
	m := nameOf.FindStringSubmatch(strings.ToLower(name))
	if m == nil {
		return nil, ErrNotFound
	}
	return r.read(m[1])
}

func (r *Room) read(id string) ([]byte, error) {
	sealed, err := os.ReadFile(filepath.Join(r.dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a file: %w", err)
	}
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, ErrDamaged
	}
	content, err := r.aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], []byte(id))
	if err != nil {
		return nil, ErrDamaged
	}
	return content, nil
}

// Name is what answers call a file.
func Name(b entry.Blob) string { return hex.EncodeToString(b.Hash[:]) + extensions[b.Mime] }

// Find says what a kept file is, without reading it; false when it is not here.
func (r *Room) Find(name string) (entry.Blob, bool) {
	m := nameOf.FindStringSubmatch(strings.ToLower(name))
	if m == nil {
		return entry.Blob{}, false
	}
	st, err := os.Stat(filepath.Join(r.dir, m[1]))
	hash, bad := hex.DecodeString(m[1])
	if err != nil || bad != nil || st.Size() < overSealed {
		return entry.Blob{}, false
	}
	b := entry.Blob{Hash: entry.Hash(hash), Size: uint64(st.Size() - overSealed)} //nolint:gosec // checked above
	for mime, ext := range extensions {
		if ext == m[2] && m[2] != "" {
			b.Mime = mime
		}
	}
	return b, true
}

// overSealed is what sealing adds to a file.
const overSealed = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// KeptAt is when a file was kept, by this device's clock; false when it is not here.
func (r *Room) KeptAt(h entry.Hash) (time.Time, bool) {
	st, err := os.Stat(filepath.Join(r.dir, hex.EncodeToString(h[:])))
	if err != nil {
		return time.Time{}, false
	}
	return st.ModTime(), true
}

// All lists the files that are here.
func (r *Room) All() ([]entry.Hash, error) {
	names, err := os.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list files: %w", err)
	}
	var out []entry.Hash
	for _, n := range names {
		if hash, err := hex.DecodeString(n.Name()); err == nil && len(hash) == len(entry.Hash{}) {
			out = append(out, entry.Hash(hash))
		}
	}
	return out, nil
}

// Remove removes a file; one that is not here is no error.
func (r *Room) Remove(h entry.Hash) error {
	if err := os.Remove(filepath.Join(r.dir, hex.EncodeToString(h[:]))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a file: %w", err)
	}
	return nil
}
