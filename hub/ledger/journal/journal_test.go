package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"otor/hub/ledger/journal"
)

// open opens a journal and gives its records.
func open(t testing.TB, dir string) (*journal.Journal, []string, journal.Found) {
	t.Helper()
	var got []string
	j, found, err := journal.Open(dir, true, func(b []byte) error { got = append(got, string(b)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return j, got, found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// filled makes a journal with records and returns its file.
func filled(t testing.TB, dir string, records ...string) string {
	j, _, _ := open(t, dir)
	for _, r := range records {
		must(t, j.Append([]byte(r)))
	}
	must(t, j.Close())
	return filepath.Join(dir, "facts")
}

func TestKeeps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "journal")
	if _, _, err := journal.Open(dir, false, nil); !errors.Is(err, journal.ErrMissing) {
		t.Errorf("one that must be there: %v", err)
	}
	want := []string{"one", "two", string(bytes.Repeat([]byte{0}, journal.MaxRecord))}
	filled(t, dir, want...)
	j, got, found := open(t, dir)
	if !slices.Equal(got, want) || found.Made || found.Records != 3 || found.Cut != 0 {
		t.Errorf("%d records, %+v", len(got), found)
	}
	if _, _, err := journal.Open(dir, true, nil); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("a second writer: %v", err)
	}
	for _, wrong := range [][]byte{nil, make([]byte, journal.MaxRecord+1)} {
		if err := j.Append(wrong); err == nil {
			t.Errorf("a record of %d bytes was taken", len(wrong))
		}
	}
	must(t, j.Append([]byte("four")))
	n := 0
	must(t, j.Each(func([]byte) error { n++; return nil }))
	if n != 4 {
		t.Errorf("%d records are read again", n)
	}
	must(t, j.Close())
	if err := j.Append([]byte("five")); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Every position in which a crash can leave the file is repaired: the last
// record was written in part, or its place was made and not filled.
func TestCrashPositions(t *testing.T) {
	whole := filled(t, t.TempDir(), "one", "the second record")
	b, err := os.ReadFile(whole)
	must(t, err)
	last := len(b) - 8 - len("the second record")
	for cut := last; cut <= len(b); cut++ {
		images := [][]byte{b[:cut]}
		if cut < len(b) {
			zeroed := bytes.Clone(b)
			clear(zeroed[cut:])
			images = append(images, zeroed)
		}
		for i, image := range images {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "facts"), image, 0o600))
			j, got, found := open(t, dir)
			want := []string{"one"}
			if cut == len(b) {
				want = append(want, "the second record")
			}
			if !slices.Equal(got, want) || (found.Cut > 0) != (cut < len(b) && len(image) > last) {
				t.Fatalf("cut at %d, image %d: %q, %+v", cut, i, got, found)
			}
			must(t, j.Append([]byte("next")))
			must(t, j.Close())
			j, got, found = open(t, dir)
			if !slices.Equal(got, append(want, "next")) || found.Cut != 0 {
				t.Fatalf("cut at %d, image %d, afterwards: %q, %+v", cut, i, got, found)
			}
			must(t, j.Close())
			if found.Cut > 0 {
				if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("cut-%d", last))); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// What no crash leaves is refused, and the file stays as it is.
func TestRefusesDamage(t *testing.T) {
	path := filled(t, t.TempDir(), "one", "two", "three")
	b, err := os.ReadFile(path)
	must(t, err)
	flipped := func(at int) []byte { c := bytes.Clone(b); c[at] ^= 1; return c }
	cases := map[string][]byte{
		"heading":        flipped(3),
		"empty":          {},
		"first record":   flipped(16 + 8),
		"first length":   flipped(16 + 3),
		"second record":  flipped(16 + 8 + 3 + 8),
		"a record lost":  append(bytes.Clone(b[:16+4]), b[16+8+3:]...),
		"too much after": append(bytes.Clone(b), make([]byte, journal.MaxRecord+9)...),
	}
	for name, image := range cases {
		dir := t.TempDir()
		file := filepath.Join(dir, "facts")
		must(t, os.WriteFile(file, image, 0o600))
		if _, _, err := journal.Open(dir, true, func([]byte) error { return nil }); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, image) {
			t.Errorf("%s: the file was changed, %v", name, err)
		}
	}
}

// Damage anywhere but in the last record is never taken for a crash: a changed
// byte before it is refused, and in it costs that record alone, which is kept aside.
func TestDamageIsNeverSilent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		records := rapid.SliceOfN(rapid.StringN(1, 40, 200), 2, 6).Draw(r, "records")
		dir, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		path := filled(t, dir, records...)
		b, err := os.ReadFile(path)
		must(t, err)
		last := len(b) - 8 - len(records[len(records)-1])
		at := rapid.IntRange(0, len(b)-1).Draw(r, "at")
		b[at] ^= byte(rapid.IntRange(1, 255).Draw(r, "flip"))
		must(t, os.WriteFile(path, b, 0o600))
		var got []string
		j, found, err := journal.Open(dir, true, func(c []byte) error { got = append(got, string(c)); return nil })
		if at < last {
			if !errors.Is(err, journal.ErrDamaged) {
				r.Fatalf("a changed byte at %d of %d (last record at %d): %v", at, len(b), last, err)
			}
			return
		}
		if err != nil || found.Cut == 0 || !slices.Equal(got, records[:len(records)-1]) {
			r.Fatalf("a changed byte in the last record: %q, %+v, %v", got, found, err)
		}
		must(t, j.Close())
	})
}

func FuzzOpen(f *testing.F) {
	b, err := os.ReadFile(filled(f, f.TempDir(), "one", "two"))
	must(f, err)
	f.Add(b)
	f.Add(b[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "facts"), b, 0o600))
		n := 0
		j, _, err := journal.Open(dir, true, func([]byte) error { n++; return nil })
		if err != nil {
			return
		}
		must(t, j.Append([]byte("next")))
		must(t, j.Close())
		j, got, found := open(t, dir)
		if len(got) != n+1 || found.Cut != 0 {
			t.Fatalf("%d records, then %d, %+v", n, len(got), found)
		}
		must(t, j.Close())
	})
}
