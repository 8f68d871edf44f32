package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"otor/internal/durable"
)

// copyFile copies a file into a new one that its owner alone reads, synced, and
// returns the SHA-256 of what was copied, in hex.
func copyFile(from, to string) (digest string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close() //nolint:errcheck // only read
	if digest, err = copyInto(to, in); err != nil {
		return "", fmt.Errorf("copy %s: %w", from, err)
	}
	return digest, nil
}

// copyInto does so with what in gives.
func copyInto(to string, in io.Reader) (digest string, err error) {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// copyKeys copies the hub's key files and adds their digests to files.
func copyKeys(from, to string, files map[string]string) error {
	names, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("copy the hub's keys: %w", err)
	}
	if err := durable.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("copy the hub's keys: %w", err)
	}
	for _, n := range names {
		if !n.Type().IsRegular() || strings.HasPrefix(n.Name(), ".") {
			continue // something half written
		}
		digest, err := copyFile(filepath.Join(from, n.Name()), filepath.Join(to, n.Name()))
		if err != nil {
			return fmt.Errorf("copy the hub's keys: %w", err)
		}
		files[keysFolder+"/"+n.Name()] = digest
	}
	return durable.SyncDir(to)
}
