package durable_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/durable"
)

// TestUsedIsUpToTheLastByte writes pieces anywhere in a file with room behind
// them, and asks for what a plain look at all its bytes gives.
func TestUsedIsUpToTheLastByte(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(dir, "log")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		size := rapid.Int64Range(0, 1<<20).Draw(t, "size")
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 3).Draw(t, "pieces") {
			if size == 0 {
				break
			}
			at := rapid.Int64Range(0, size-1).Draw(t, "at")
			piece := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1}), 0, int(min(size-at, 70))).Draw(t, "piece")
			if _, err := f.WriteAt(piece, at); err != nil {
				t.Fatal(err)
			}
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.TrimRight(whole, "\x00")
		if got, err := durable.Used(f); err != nil || got != int64(len(want)) {
			t.Fatalf("%d bytes in use, %v; want %d of %d", got, err, len(want), size)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "copy")
		was, err := durable.CopyUsed(to, path, 0o600)
		if err != nil || was != size {
			t.Fatalf("copied one of %d bytes, %v; want %d", was, err, size)
		}
		if copied, err := os.ReadFile(to); err != nil || !bytes.Equal(copied, want) {
			t.Fatalf("the copy has %d bytes, %v; want %d", len(copied), err, len(want))
		}
	})
}

func TestCopyUsedOfNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := durable.CopyUsed(filepath.Join(dir, "to"), filepath.Join(dir, "missing"), 0o600); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "to")); err == nil {
		t.Error("a copy of nothing was made")
	}
}
