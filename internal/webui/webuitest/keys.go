package webuitest

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"otor/internal/webui"
)

var keyUse = regexp.MustCompile(`\bT\(?\s*"([a-z_.]+)"`)

// quoted are strings that look like keys of a catalogue: "strip.waiting".
var quoted = regexp.MustCompile(`"([a-z_]+\.[a-z_.]+)"`)

// CheckKeys reads the .go and .html files of the folder and fails for every key
// that is used but not in the catalogues, and for every key of own that nothing
// uses. A key that is put together at run time, as "state." + word, counts as
// used when a file quotes its beginning.
func CheckKeys(t testing.TB, folder string, all *webui.Catalogues, own []string) {
	t.Helper()
	have := make(map[string]bool)
	for _, k := range all.Keys() {
		have[k] = true
	}
	used, begun := make(map[string]bool), make(map[string]bool)
	beginning := regexp.MustCompile(`"([a-z_]+\.)"\s*\+`)
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		if !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".html") {
			return nil
		}
		b, err := fs.ReadFile(os.DirFS(folder), name)
		if err != nil {
			return err
		}
		for _, m := range keyUse.FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
			if !have[m[1]] && !strings.HasSuffix(m[1], ".") {
				t.Errorf("%s uses %q, which no catalogue has", name, m[1])
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
		}
		for _, m := range beginning.FindAllStringSubmatch(string(b), -1) {
			begun[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range own {
		first, _, _ := strings.Cut(k, ".")
		if !used[k] && !begun[first+"."] {
			t.Errorf("catalogue key %q is used nowhere", k)
		}
	}
}
