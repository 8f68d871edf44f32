package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// copyDir copies a store's folder while it is open, as a crash would leave it.
// A crash is one moment: a copy during which Badger changed its files is none,
// and is made again.
func copyDir(tb testing.TB, from string) string {
	tb.Helper()
	for {
		to := filepath.Join(tb.TempDir(), "copy")
		before := names(tb, from)
		err := copyTree(to, from)
		if err == nil && names(tb, from) == before {
			return to
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			tb.Fatal(err)
		}
	}
}

// copyTree leaves the ballast out: nothing reads it.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "ballast" {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}

// names lists the database's files and what the MANIFEST says of them.
func names(tb testing.TB, dir string) string {
	tb.Helper()
	list, err := os.ReadDir(filepath.Join(dir, "db"))
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.Name() + "\n")
	}
	m, err := os.ReadFile(filepath.Join(dir, "db", "MANIFEST"))
	if err != nil {
		tb.Fatal(err)
	}
	b.Write(m)
	return b.String()
}

func files(tb testing.TB, dir, pattern string) []string {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "db", pattern))
	if err != nil {
		tb.Fatal(err)
	}
	return names
}

// accounted opens a damaged store and reports which acknowledged entries are
// neither there, byte for byte, nor named by a finding.
func accounted(tb testing.TB, s *store.Store, saved []store.Saved) (whole, lost lane.Set) {
	tb.Helper()
	if _, err := s.Verify(tb.Context(), store.All, nil); err != nil {
		tb.Fatal(err)
	}
	var named lane.Set
	for _, f := range s.Findings() {
		if f.What == "" || f.Which == "" || f.Do == "" {
			tb.Errorf("finding without words: %+v", f)
		}
		if f.Chain == chain {
			for _, r := range f.Seqs {
				named = named.Add(r)
			}
		}
	}
	for _, v := range saved {
		q := v.Dot.Seq
		it, err := s.Get(v.Dot)
		switch {
		case err == nil && it.Hash != v.Hash:
			tb.Errorf("%s came back with other content", v.Dot)
		case err == nil:
			whole = whole.Add(lane.Run(q, q))
		case !errors.Is(err, store.ErrDamaged):
			tb.Errorf("%s: %v, want a store that says it is damaged", v.Dot, err)
		default:
			lost = lost.Add(lane.Run(q, q))
		}
	}
	if named.String() != lost.String() {
		tb.Errorf("the findings name %s and missing are %s", named, lost)
	}
	// Reading steps over the damage and gives everything else.
	var read lane.Set
	for from := dot.Seq(1); ; {
		run, err := s.Read(chain, from, 1000, 1<<20)
		if err != nil {
			tb.Fatal(err)
		}
		if len(run.Entries) == 0 {
			break
		}
		read = read.Add(lane.Run(run.First, run.Last()))
		from = run.Last() + 1
	}
	if read.String() != whole.String() {
		tb.Errorf("read %s and whole are %s", read, whole)
	}
	return whole, lost
}

// goesOn checks that the damaged store still saves, after the last acknowledged seq.
func goesOn(tb testing.TB, s *store.Store, saved []store.Saved) store.Saved {
	tb.Helper()
	v, err := s.Append(tb.Context(), visit(tb, 1))
	if err != nil {
		tb.Fatalf("after the damage: %v", err)
	}
	if want := saved[len(saved)-1]; v.Dot.Seq != want.Dot.Seq+1 || v.HLC.Compare(want.HLC) <= 0 {
		tb.Fatalf("after the damage: went on with %s at %s, the last acknowledged was %s at %s", v.Dot, v.HLC, want.Dot, want.HLC)
	}
	return v
}

func flip(tb testing.TB, path string, at int64) {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	b[at] ^= 0x10
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func truncate(tb testing.TB, path string, size int64) {
	tb.Helper()
	if err := os.Truncate(path, size); err != nil {
		tb.Fatal(err)
	}
}

func size(tb testing.TB, path string) int64 {
	tb.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return fi.Size()
}

// used is the number of bytes of a log before its zeros.
func used(tb testing.TB, path string) int64 {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return int64(len(bytes.TrimRight(b, "\x00")))
}

func TestDamage(t *testing.T) {
	// The first 100 entries lie in a table, 60 more in a log, as after kill -9.
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	saved = append(saved, put(t, s, dot.Record, 60)...)
	crashed := copyDir(t, dir)

	one := func(t *testing.T, dir, pattern string) string {
		t.Helper()
		names := files(t, dir, pattern)
		if len(names) == 0 {
			t.Fatalf("no %s in the copy", pattern)
		}
		return names[len(names)-1]
	}
	none := lane.Set(nil)
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		lost   lane.Set // exactly; nil with any set: some of 101-160, a closed end
		any    bool
	}{
		{name: "nothing", damage: func(*testing.T, string) {}, lost: none},
		{name: "log: 0 bytes", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "*.mem"), 0) }, lost: lane.NewSet(lane.Run(101, 160))},
		{name: "log: 7 bytes", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "*.mem"), 7) }, lost: lane.NewSet(lane.Run(101, 160))},
		{name: "log: header only", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "*.mem"), 20) }, lost: lane.NewSet(lane.Run(101, 160))},
		{name: "log: half", damage: func(t *testing.T, d string) { m := one(t, d, "*.mem"); truncate(t, m, used(t, m)/2) }, any: true},
		{name: "log: last byte cut", damage: func(t *testing.T, d string) { m := one(t, d, "*.mem"); truncate(t, m, used(t, m)-1) }, lost: lane.NewSet(lane.Run(160, 160))},
		{name: "log: flip at the start", damage: func(t *testing.T, d string) { flip(t, one(t, d, "*.mem"), 25) }, lost: lane.NewSet(lane.Run(101, 160))},
		{name: "log: flip in the middle", damage: func(t *testing.T, d string) { m := one(t, d, "*.mem"); flip(t, m, used(t, m)/2) }, any: true},
		{name: "log: header flip", damage: func(t *testing.T, d string) { flip(t, one(t, d, "*.mem"), 12) }, lost: none},
		{name: "log: missing", damage: func(t *testing.T, d string) { remove(t, one(t, d, "*.mem")) }, lost: lane.NewSet(lane.Run(101, 160))},
		{name: "log: torn last page", damage: func(t *testing.T, d string) { m := one(t, d, "*.mem"); zeroTail(t, m, used(t, m)&^4095) }, any: true},
		{name: "table: flip at the start", damage: func(t *testing.T, d string) { flip(t, one(t, d, "*.sst"), 100) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table: flip in the middle", damage: func(t *testing.T, d string) { p := one(t, d, "*.sst"); flip(t, p, size(t, p)/2) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table: flip at the end", damage: func(t *testing.T, d string) { p := one(t, d, "*.sst"); flip(t, p, size(t, p)-2) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table: last byte cut", damage: func(t *testing.T, d string) { p := one(t, d, "*.sst"); truncate(t, p, size(t, p)-1) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table: half", damage: func(t *testing.T, d string) { p := one(t, d, "*.sst"); truncate(t, p, size(t, p)/2) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table: 0 bytes", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "*.sst"), 0) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table: 3 bytes", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "*.sst"), 3) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table: missing", damage: func(t *testing.T, d string) { remove(t, one(t, d, "*.sst")) }, lost: lane.NewSet(lane.Run(1, 100))},
		{name: "table and log missing", damage: func(t *testing.T, d string) { remove(t, one(t, d, "*.sst")); remove(t, one(t, d, "*.mem")) }, lost: lane.NewSet(lane.Run(1, 160))},
		{name: "value log: 0 bytes", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "*.vlog"), 0) }, lost: none},
		{name: "value log: missing", damage: func(t *testing.T, d string) { remove(t, one(t, d, "*.vlog")) }, lost: none},
		{name: "discard statistics: cut", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "DISCARD"), 10) }, lost: none},
		{name: "discard statistics: missing", damage: func(t *testing.T, d string) { remove(t, one(t, d, "DISCARD")) }, lost: none},
		{name: "key registry: 0 bytes", damage: func(t *testing.T, d string) { truncate(t, one(t, d, "KEYREGISTRY"), 0) }, lost: none},
		{name: "key registry: flip", damage: func(t *testing.T, d string) { flip(t, one(t, d, "KEYREGISTRY"), 20) }, lost: none},
		{name: "key registry: missing", damage: func(t *testing.T, d string) { remove(t, one(t, d, "KEYREGISTRY")) }, lost: none},
		{name: "tails: missing", damage: func(t *testing.T, d string) { remove(t, filepath.Join(d, "tails-1")) }, lost: none},
		{name: "tails: 0 bytes", damage: func(t *testing.T, d string) { truncate(t, filepath.Join(d, "tails-1"), 0) }, lost: none},
		{name: "tails: flips", damage: func(t *testing.T, d string) {
			flip(t, filepath.Join(d, "tails-1"), 256+60)
			flip(t, filepath.Join(d, "tails-1"), 384+60)
		}, lost: none},
		{name: "manifest: last change cut", damage: func(t *testing.T, d string) {
			m := one(t, d, "MANIFEST")
			truncate(t, m, size(t, m)-1)
		}, lost: lane.NewSet(lane.Run(1, 100))},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := copyDir(t, crashed)
			c.damage(t, d)
			s := open(t, d, options())
			_, lost := accounted(t, s, saved)
			switch {
			case c.any && (len(lost) != 1 || lost[0].First <= 100 || lost[0].Last != 160):
				t.Errorf("lost %s, want the end of what lay in the log", lost)
			case !c.any && lost.String() != c.lost.String():
				t.Errorf("lost %s, want %s", lost, c.lost)
			}
			if len(lost) > 0 && !strings.Contains(c.name, "missing") {
				kept, err := os.ReadDir(filepath.Join(d, "apart"))
				if err != nil || len(kept) == 0 {
					t.Errorf("entries are lost and nothing was set apart: %v", err)
				}
			}
			saved := append(slices.Clip(saved), goesOn(t, s, saved))
			// A second look finds the same, and no new trouble.
			before := len(s.Findings())
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, d, options())
			if _, again := accounted(t, s, saved); again.String() != lost.String() {
				t.Errorf("after reopening lost are %s, before %s", again, lost)
			}
			if n := len(s.Findings()); n > before {
				t.Errorf("%d findings after reopening, %d before", n, before)
			}
		})
	}
}

func remove(tb testing.TB, path string) {
	tb.Helper()
	if err := os.Remove(path); err != nil {
		tb.Fatal(err)
	}
}

func zeroTail(tb testing.TB, path string, from int64) {
	tb.Helper()
	n := size(tb, path)
	truncate(tb, path, from)
	truncate(tb, path, n)
}

func TestWithoutManifestNothingIsTouched(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"missing": os.Remove,
		"0 bytes": func(p string) error { return os.Truncate(p, 0) },
		"garbage": func(p string) error { return os.WriteFile(p, []byte("no manifest at all"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, options())
			put(t, s, dot.Record, 10)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damage(filepath.Join(dir, "db", "MANIFEST")); err != nil {
				t.Fatal(err)
			}
			before := listing(t, dir)
			for range 2 {
				_, err := store.Open(dir, options())
				if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "MANIFEST") {
					t.Fatalf("opened: %v", err)
				}
			}
			if after := listing(t, dir); after != before {
				t.Fatalf("files changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func listing(tb testing.TB, dir string) string {
	tb.Helper()
	var b strings.Builder
	err := filepath.WalkDir(filepath.Join(dir, "db"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			c, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			h := entry.NewRaw(nil, c).PrivateHash
			b.WriteString(filepath.Base(p) + " " + h.String() + "\n")
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestWrongKeyAndOtherDevice(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	put(t, s, dot.Record, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Key[0] ^= 1
	if _, err := store.Open(dir, o); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("other key: %v", err)
	}
	o = options()
	o.Device = "D-102"
	if _, err := store.Open(dir, o); err == nil || !strings.Contains(err.Error(), "D-101") {
		t.Errorf("other device: %v", err)
	}
	wholeChain(t, open(t, dir, options()), chain)
}

func TestNothingReadableOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	d := visit(t, 1)
	secret := "id_card_and_face_photo"
	if !bytes.Contains(d.Private, []byte(secret)) {
		t.Fatal("the test's draft does not hold its secret")
	}
	if _, err := s.Append(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if bytes.Contains(b, []byte(secret)) || bytes.Contains(b, []byte("H-NB-07")) {
			t.Errorf("%s holds the captured text in the clear", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
