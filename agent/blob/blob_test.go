package blob_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/agent/blob"
)

func room(t *testing.T, dir string) *blob.Room {
	t.Helper()
	r, err := blob.New(dir, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	r := room(t, dir)
	photo := bytes.Repeat([]byte("a photo "), 1000)
	name, err := r.Keep("image/jpeg", photo)
	if err != nil || !strings.HasSuffix(name, ".jpg") {
		t.Fatal(name, err)
	}
	if again, err := r.Keep("image/jpeg", photo); err != nil || again != name {
		t.Errorf("kept again: %s %v", again, err)
	}
	if got, err := room(t, dir).Read(name); err != nil || !bytes.Equal(got, photo) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	sealed, err := os.ReadFile(files[0])
	if err != nil || bytes.Contains(sealed, []byte("a photo")) {
		t.Errorf("the photo can be read on the disk: %v", err)
	}
	sealed[len(sealed)/2] ^= 1
	if err := os.WriteFile(files[0], sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(name); !errors.Is(err, blob.ErrDamaged) {
		t.Errorf("a changed file: %v", err)
	}
	// What is damaged is kept anew.
	if _, err := r.Keep("image/jpeg", photo); err != nil {
		t.Error(err)
	}
	if got, err := r.Read(name); err != nil || !bytes.Equal(got, photo) {
		t.Errorf("kept anew: %v", err)
	}
	other, err := blob.New(dir, [32]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Read(name); !errors.Is(err, blob.ErrDamaged) {
		t.Errorf("opened with another key: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	r := room(t, t.TempDir())
	if _, err := r.Keep("image/jpeg", make([]byte, blob.MaxSize+1)); !errors.Is(err, blob.ErrTooLarge) {
		t.Error(err)
	}
	for _, name := range []string{"", "../db/x", strings.Repeat("a", 64), strings.Repeat("a", 64) + "/..", "a.jpg"} {
		if _, err := r.Read(name); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
