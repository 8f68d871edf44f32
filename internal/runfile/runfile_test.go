package runfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"otor/internal/runfile"
)

func TestAnnouncement(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := runfile.Read(dir); ok || err != nil {
		t.Fatal("an empty folder announces something", ok, err)
	}
	want := runfile.Info{PID: 7, HTTP: "127.0.0.1:8470", NATS: "127.0.0.1:4222"}
	if err := runfile.Write(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := runfile.Read(dir); !ok || err != nil || got != want {
		t.Fatal(got, ok, err)
	}
	runfile.Remove(dir)
	if _, ok, _ := runfile.Read(dir); ok {
		t.Fatal("it was taken back")
	}
	if err := os.WriteFile(filepath.Join(dir, "run.json"), []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runfile.Read(dir); err == nil {
		t.Fatal("a torn announcement was believed")
	}
}

func TestTokenStays(t *testing.T) {
	dir := t.TempDir()
	a, err := runfile.Token(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := runfile.Token(dir)
	if err != nil || a != b || len(a) < 26 {
		t.Fatal(a, b, err)
	}
	if err := os.Truncate(filepath.Join(dir, "token"), 3); err != nil {
		t.Fatal(err)
	}
	if c, err := runfile.Token(dir); err != nil || c == a || len(c) < 26 {
		t.Fatal("a token that was cut short must be made anew", c, err)
	}
}
