package pack_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"otor/internal/form"
	"otor/internal/identity"
	"otor/internal/pack"
)

func hubKey(t testing.TB, first byte) identity.SigningKey {
	t.Helper()
	seed := make([]byte, 32)
	seed[0] = first
	k, err := identity.SigningKeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// changed is the built-in pack with files changed; "" as the new text leaves one out.
func changed(t testing.TB, change map[string]func(string) string) fstest.MapFS {
	t.Helper()
	src, err := pack.TranshumanceFS()
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	err = fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(src, name)
		if do := change[name]; do != nil {
			b = []byte(do(string(b)))
		}
		out[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func swap(from, to string) func(string) string {
	return func(s string) string { return strings.Replace(s, from, to, 1) }
}

func second(t testing.TB) fstest.MapFS {
	t.Helper()
	return changed(t, map[string]func(string) string{
		"pack.toml":                swap("version = 1\n", "version = 2\n"),
		"forms/visit/settings.csv": swap("visit,入户走访,1,", "visit,入户走访,2,"),
		"forms/visit/survey.csv":   func(s string) string { return s + "text,wind,风,Wind,Салхи,,,,,,,,,,\n" },
		"entities.toml":            swap("ger_count = { type = \"integer\", rule = \"latest\" }\n", "ger_count = { type = \"integer\", rule = \"latest\" }\nwind = { type = \"text\", rule = \"latest\" }\n"),
	})
}

func TestEditionTravels(t *testing.T) {
	key := hubKey(t, 1)
	one, oldPieces, err := pack.Publish(changed(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	e, pieces, err := pack.Publish(second(t))
	if err != nil {
		t.Fatal(err)
	}
	fresh := 0
	for x := range pieces {
		if oldPieces[x] == nil {
			fresh++
		}
	}
	if fresh == 0 || fresh > 3 { // pack.toml, entities.toml, forms/visit
		t.Errorf("%d pieces of %d are new: what did not change goes again", fresh, len(pieces))
	}
	for x, b := range pieces {
		if len(b) > pack.MaxPiece || pack.HashOf(b) != x {
			t.Errorf("piece %s has %d bytes", x, len(b))
		}
	}
	signed, err := e.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pack.OpenEdition(signed, key.Public())
	if err != nil || !got.Same(e) || got.Same(one) || got.Key() != "pack/transhumance/2" {
		t.Fatalf("%v %+v", err, got)
	}
	p, err := got.Load(func(x pack.Piece) ([]byte, error) { return pieces[x], nil })
	if err != nil || p.Version != 2 {
		t.Fatal(err)
	}
	if _, err := pack.OpenEdition(signed, hubKey(t, 2).Public()); !errors.Is(err, pack.ErrEdition) {
		t.Errorf("of another hub: %v", err)
	}
	_, err = got.Load(func(x pack.Piece) ([]byte, error) { return append([]byte{1}, pieces[x]...), nil })
	if !errors.Is(err, pack.ErrEdition) {
		t.Errorf("with changed pieces: %v", err)
	}
}

func TestZipRoundTrip(t *testing.T) {
	b, err := pack.Zip(second(t))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := pack.OpenZip(b)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := pack.Load(dir); err != nil || p.Version != 2 {
		t.Fatalf("%v", err)
	}
}

// zipOf writes a zip with these files; one whose name ends in ! is a link.
func zipOf(t testing.TB, files map[string][]byte, twice ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(name string, c []byte) {
		h := &zip.FileHeader{Name: strings.TrimSuffix(name, "!"), Method: zip.Deflate}
		if strings.HasSuffix(name, "!") {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = f.Write(c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range files {
		add(name, c)
	}
	for _, name := range twice {
		add(name, files[name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZipsThatAreNoPacks(t *testing.T) {
	big := make([]byte, 5<<20)
	many := map[string][]byte{}
	for i := range 17 {
		many["fixtures/"+string(rune('a'+i))+".csv"] = big[:4<<20]
	}
	for name, c := range map[string]struct {
		zip   []byte
		words string
	}{
		"no zip":            {[]byte("hello"), "cannot be read"},
		"out of the folder": {zipOf(t, map[string][]byte{"../pack.toml": nil}), "no plain file inside"},
		"an absolute path":  {zipOf(t, map[string][]byte{"/etc/passwd": nil}), "no plain file inside"},
		"a drive":           {zipOf(t, map[string][]byte{`C:\pack.toml`: nil}), "no plain file inside"},
		"a link":            {zipOf(t, map[string][]byte{"pack.toml!": []byte("/etc/passwd")}), "no plain file inside"},
		"twice":             {zipOf(t, map[string][]byte{"pack.toml": {1}}, "pack.toml"), "stands twice"},
		"a large file":      {zipOf(t, map[string][]byte{"pack.toml": big}), "larger than 4 MiB"},
		"a bomb":            {zipOf(t, many), "together"},
		"beside":            {zipOf(t, map[string][]byte{"p/pack.toml": {1}, "other.txt": {1}}), "beside the folder p"},
		"too large itself":  {make([]byte, pack.MaxZip+1), "more than 8 MiB"},
	} {
		if _, err := pack.OpenZip(c.zip); err == nil || !strings.Contains(err.Error(), c.words) || len(pack.Faults(err)) != 1 {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
	}
	if dir, err := pack.OpenZip(zipOf(t, map[string][]byte{"p/pack.toml": {1}, "p/.git/x": {1}, "__MACOSX/p/y": {1}})); err != nil {
		t.Error(err)
	} else if _, err := fs.Stat(dir, "pack.toml"); err != nil {
		t.Error(err)
	}
}

func mustLoad(t testing.TB, dir fs.FS) *pack.Pack {
	t.Helper()
	p, err := pack.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestVersionsSideBySide(t *testing.T) {
	one, two := mustLoad(t, changed(t, nil)), mustLoad(t, second(t))
	third := mustLoad(t, changed(t, map[string]func(string) string{
		"pack.toml": swap("version = 1\n", "version = 3\n"),
		"rules.toml": func(s string) string {
			return s + "\n[[flag]]\nid = \"odd\"\nforms = [\"visit\"]\nwhen = \"true\"\nwords = { zh = \"甲\", en = \"A\", mn = \"A\" }\n"
		},
		"forms/visit/settings.csv": swap("visit,入户走访,1,", "visit,入户走访,3,"),
		"entities.toml":            swap("grid = { type = \"text\", rule = \"ask\", ref = \"admin_area\" }\n", ""),
		"i18n/zh.toml":             swap("grid = \"网格\"\n", ""),
		"i18n/en.toml":             swap("grid = \"Grid\"\n", ""),
		"i18n/mn.toml":             swap("grid = \"Сүлжээ\"\n", ""),
	}))
	s := pack.NewShelf(one)
	if s.Current() != one || len(s.Published()) != 0 {
		t.Fatal("a shelf begins with the pack that the program came with")
	}
	s.Put(third)
	s.Put(two) // an older one that comes late changes nothing of what is current
	if s.Current() != third || len(s.Published()) != 2 {
		t.Fatalf("current is version %d of %d", s.Current().Version, len(s.Published()))
	}
	for version := range uint32(3) {
		f, err := s.Form("visit", version+1)
		if err != nil || f.Version != version+1 {
			t.Errorf("visit version %d: %v", version+1, err)
		}
	}
	if f, _ := s.Latest("visit"); f.Version != 3 {
		t.Errorf("new visits go by version %d", f.Version)
	}
	var look *form.LookupError
	if _, err := s.Form("visit", 4); !errors.As(err, &look) || look.Code != form.FormNewer {
		t.Errorf("a version that nobody published: %v", err)
	}
	if s.RulesFor("visit", 1) != one.Rules || s.RulesFor("visit", 2) != two.Rules || s.RulesFor("visit", 3) != third.Rules || s.RulesFor("sos", 1) != third.Rules {
		t.Error("records are judged by the rules of the newest version that has their form")
	}
	for _, field := range []string{"grid", "wind", "phone"} { // of versions 1 and 2, 2, all
		if name, rule, ok := s.Type("household").Register(field); !ok || name != field {
			t.Errorf("%s is kept as %s by rule %s, known: %v", field, name, rule, ok)
		}
	}
	if name, _, _ := s.Type("household").Register("moved_at"); name != "assignment" {
		t.Errorf("a group is gone: %s", name)
	}
	if _, ok := third.Entity("household"); !ok {
		t.Error("the version's own types are changed")
	} else if e, _ := third.Entity("household"); len(e.Fields) == len(mustEntity(t, two).Fields) {
		t.Error("what was remembered went into the version itself")
	}
}

func mustEntity(t testing.TB, p *pack.Pack) pack.Entity {
	t.Helper()
	e, ok := p.Entity("household")
	if !ok {
		t.Fatal("no household")
	}
	return e
}

func FuzzOpenEdition(f *testing.F) {
	key := hubKey(f, 1)
	e, _, err := pack.Publish(changed(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	signed, err := e.Sign(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte{0x82, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := pack.OpenEdition(b, key.Public())
		if err == nil && !bytes.Equal(b, signed) {
			t.Errorf("the hub never signed this: %+v", e)
		}
	})
}

func FuzzOpenZip(f *testing.F) {
	b, err := pack.Zip(changed(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir, err := pack.OpenZip(b)
		if err != nil {
			if len(pack.Faults(err)) == 0 {
				t.Errorf("no fault: %v", err)
			}
			return
		}
		if _, err := pack.Load(dir); err != nil && len(pack.Faults(err)) == 0 {
			t.Errorf("no fault: %v", err)
		}
	})
}
