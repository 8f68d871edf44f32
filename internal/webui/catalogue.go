package webui

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed text
var sharedTexts embed.FS

// langs are the languages of every catalogue, in the order of the switch.
var langs = []string{"zh", "mn", "en"}

// Langs lists the languages of every catalogue, in the order of the switch.
func Langs() []string { return slices.Clone(langs) }

// text is one entry of a catalogue: either one wording or one per plural form.
type text struct {
	one, other string
	plural     bool
}

type catalogueFile struct {
	// NeedsReader says that a native reader has to check the file before it is relied on.
	NeedsReader bool           `toml:"needs_native_reader"`
	Text        map[string]any `toml:"text"`
}

// Catalogues hold every string of a program in every language.
type Catalogues struct{ byLang map[string]*Words }

// LoadCatalogues reads LANG.toml of each language from the "text" folder of each
// file system, after this package's own. It reports every key that is missing
// in a language, stands twice, or has other slots or plural forms than
// in the first language, because a page must not fall silent in one language.
func LoadCatalogues(from ...fs.FS) (*Catalogues, error) {
	c := &Catalogues{byLang: make(map[string]*Words)}
	var errs []error
	for _, lang := range langs {
		tag := language.MustParse(lang)
		w := &Words{Lang: lang, tag: tag, texts: make(map[string]text), printer: message.NewPrinter(tag)}
		for _, f := range append([]fs.FS{sharedTexts}, from...) {
			if err := w.read(f, "text/"+lang+".toml"); err != nil {
				errs = append(errs, err)
			}
		}
		c.byLang[lang] = w
	}
	errs = append(errs, c.readTall(from)...)
	if err := errors.Join(append(errs, c.compare())...); err != nil {
		return nil, err
	}
	return c, nil
}

// MustLoadCatalogues is LoadCatalogues for embedded files.
func MustLoadCatalogues(from ...fs.FS) *Catalogues {
	c, err := LoadCatalogues(from...)
	if err != nil {
		panic("webui: embedded catalogues: " + err.Error())
	}
	return c
}

// Shared holds this package's own strings only.
var Shared = sync.OnceValue(func() *Catalogues { return MustLoadCatalogues() })

// tallOf is the language whose labels stand in a second script as well, and tall
// the catalogue with these. It says some keys only.
const (
	tallOf = "mn"
	tall   = "mn-Mong"
)

// readTall reads the labels in the second script, where there are some.
func (c *Catalogues) readTall(from []fs.FS) (errs []error) {
	w := &Words{Lang: tall, texts: make(map[string]text)}
	for _, f := range from {
		if err := w.read(f, "text/"+tall+".toml"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for key := range w.texts {
		if !c.byLang[tallOf].Has(key) {
			errs = append(errs, fmt.Errorf("catalogue %s: %q stands in no other catalogue", tall, key))
		}
	}
	c.byLang[tallOf].tall = w.texts
	return errs
}

func (w *Words) read(from fs.FS, name string) error {
	b, err := fs.ReadFile(from, name)
	if err != nil {
		return fmt.Errorf("catalogue: %w", err)
	}
	var f catalogueFile
	if err := toml.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("catalogue %s: %w", name, err)
	}
	w.NeedsReader = w.NeedsReader || f.NeedsReader
	var errs []error
	for key, v := range f.Text {
		t, err := parseText(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("catalogue %s, %q: %w", name, key, err))
			continue
		}
		if _, twice := w.texts[key]; twice {
			errs = append(errs, fmt.Errorf("catalogue %s, %q: stands twice", name, key))
		}
		w.texts[key] = t
	}
	return errors.Join(errs...)
}

func parseText(v any) (text, error) {
	switch v := v.(type) {
	case string:
		if strings.TrimSpace(v) == "" {
			return text{}, errors.New("empty")
		}
		return text{other: v}, nil
	case map[string]any:
		one, _ := v["one"].(string)
		other, _ := v["other"].(string)
		if one == "" || other == "" || len(v) != 2 {
			return text{}, errors.New("a plural needs exactly one = and other =")
		}
		return text{one: one, other: other, plural: true}, nil
	default:
		return text{}, fmt.Errorf("is %T, want a string or { one, other }", v)
	}
}

var slot = regexp.MustCompile(`\{[a-z_]+\}`)

// compare checks that all languages say the same things with the same values.
func (c *Catalogues) compare() error {
	all := make(map[string]bool)
	for _, w := range c.byLang {
		for k := range w.texts {
			all[k] = true
		}
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(all)) {
		want := ""
		for i, lang := range langs {
			t, ok := c.byLang[lang].texts[key]
			if !ok {
				errs = append(errs, fmt.Errorf("catalogue %s: %q is missing", lang, key))
				continue
			}
			got := slots(t.other)
			if i == 0 {
				want = got
			} else if got != want {
				errs = append(errs, fmt.Errorf("catalogue %s: %q takes [%s], in %s it takes [%s]", lang, key, got, langs[0], want))
			}
		}
	}
	return errors.Join(errs...)
}

func slots(s string) string {
	found := slot.FindAllString(s, -1)
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " ")
}

// Keys lists every key, sorted.
func (c *Catalogues) Keys() []string {
	return slices.Sorted(maps.Keys(c.byLang[langs[0]].texts))
}

// Words returns one language's strings; an unknown language gives Chinese.
func (c *Catalogues) Words(lang string) *Words {
	if w, ok := c.byLang[lang]; ok {
		return w
	}
	return c.byLang[langs[0]]
}

// Pick chooses the reader's language: what they chose by the switch, else
// defaultLang, else what their browser asks for.
func (c *Catalogues) Pick(r *http.Request, defaultLang string) *Words {
	if k, err := r.Cookie(langCookie); err == nil {
		if w, ok := c.byLang[k.Value]; ok {
			return w
		}
	}
	if w, ok := c.byLang[defaultLang]; ok {
		return w
	}
	_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return c.byLang[langs[i]]
}

var matcher = language.NewMatcher([]language.Tag{
	language.MustParse("zh"), language.MustParse("mn"), language.MustParse("en"),
})

// pluralForm says which wording n takes, by CLDR's cardinal rules.
func pluralForm(tag language.Tag, n uint64) plural.Form {
	return plural.Cardinal.MatchPlural(tag, int(n%1_000_000), 0, 0, 0, 0)
}
