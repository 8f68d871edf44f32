// Package golden keeps committed bytes that must not change: test vectors.
//
// A vector file is JSON in a package's testdata. Tests build the same values
// anew and compare. With -update a test writes the file first: a changed byte
// is then a change of the protocol, and the diff shows it.
package golden

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// File is where each package has its vectors.
const File = "testdata/vectors.json"

var update = flag.Bool("update", false, "rewrite "+File+": a changed byte is a change of the protocol")

// Load reads the package's vectors.
func Load[T any](t testing.TB) (v T) {
	t.Helper()
	b, err := os.ReadFile(File)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Update writes the package's vectors when -update was given.
func Update(t testing.TB, v any) {
	t.Helper()
	if !*update {
		return
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(File), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(File, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Unhex reads hex digits.
func Unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
