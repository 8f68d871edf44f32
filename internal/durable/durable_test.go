package durable_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"otor/internal/durable"
)

func TestWriteFileReplaces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "run.json")
	for _, want := range []string{"first", "the second, longer one", ""} {
		if err := durable.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("read %q, %v; want %q", got, err, want)
		}
	}
	if runtime.GOOS != "windows" {
		fi, err := os.Stat(path)
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v, %v", fi.Mode(), err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("%d files are left, %v; want the one written", len(left), err)
	}
}

func TestWriteFileLeavesTheOldOneOnError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "target")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil { // a folder cannot be replaced by a file
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x"), 0o600); err == nil {
		t.Fatal("replaced a folder")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("%d names are left, %v; want 1", len(left), err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "no", "such", "folder"), nil, 0o600); err == nil {
		t.Fatal("wrote into a folder that does not exist")
	}
}

func TestFull(t *testing.T) {
	for err, want := range map[error]bool{
		&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}: true, os.ErrPermission: false, nil: false,
	} {
		if got := durable.Full(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
