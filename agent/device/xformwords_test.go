package device

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"otor/internal/pack"
)

// TestXFormsSpeakTheCataloguesLanguages: the page asks in a language that only a catalogue
// of the pack has words in; what that lacks is asked in the form's own.
func TestXFormsSpeakTheCataloguesLanguages(t *testing.T) {
	src, err := pack.TranshumanceFS()
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{"i18n/bo.toml": {Data: []byte("[form.pension_auth]\nmethod = \"words of the form\"\n[questions]\n" +
		"photo = \"words of all forms\"\n[choices.pension_method]\nvideo = \"words of a choice\"\n[messages.pension_auth]\nid_last4 = \"words of a message\"\n")}}
	err = fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(src, name)
		dir[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pack.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var x xforms
	translation := func(id string) string {
		f, _ := p.Forms.Latest(id)
		got, err := x.of(f, func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		_, words, _ := strings.Cut(string(got), `<translation lang="bo"`)
		words, _, _ = strings.Cut(words, "</translation>")
		return words
	}
	got := translation("pension_auth")
	for _, words := range []string{"words of the form", "words of all forms", "words of a choice", "words of a message", "本人健在"} {
		if !strings.Contains(got, words) {
			t.Errorf("pension_auth does not say %q:\n%s", words, got)
		}
	}
	if strings.Contains(got, "<value>-</value>") {
		t.Errorf("pension_auth lacks words:\n%s", got)
	}
	if got := translation("hazard_mark"); !strings.Contains(got, "words of all forms") {
		t.Errorf("hazard_mark: %s", got)
	}
	if got := translation("reassign"); got != "" { // the catalogue says nothing about it
		t.Errorf("reassign: %s", got)
	}
}
