package pack

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"otor/internal/form"
)

const (
	manifestFile = "pack.toml"
	entitiesFile = "entities.toml"
)

// manifest is pack.toml as it is written.
type manifest struct {
	ID         string            `toml:"id"`
	Version    int64             `toml:"version"`
	Title      map[string]string `toml:"title"`
	Languages  []string          `toml:"languages"`
	ApprovedBy string            `toml:"approved_by"`
	Scopes     []struct {
		ID    string            `toml:"id"`
		Label map[string]string `toml:"label"`
	} `toml:"scopes"`
}

var (
	idPattern   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	langPattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
)

// idRule is how ids of packs, forms, questions and entity types are spelled.
const idRule = "write 1 to 64 of a-z, 0-9 and _, a letter first"

// manifest reads pack.toml.
func (l *loader) manifest() {
	src := l.read(manifestFile)
	if src == nil {
		return
	}
	var m manifest
	if !l.toml(manifestFile, src, &m) {
		return
	}
	at := func(key string) int { return keyLine(src, key) }
	l.pack.manifestLines = map[string]int{"id": at("id"), "version": at("version")}
	if !idPattern.MatchString(m.ID) {
		l.fault(manifestFile, at("id"), "id %q: %s", clip(m.ID), idRule)
	}
	if m.Version < 1 || m.Version > 1<<31 {
		l.fault(manifestFile, at("version"), "version %d: write a whole number from 1", m.Version)
	}
	if strings.TrimSpace(m.ApprovedBy) == "" {
		l.fault(manifestFile, at("approved_by"), "approved_by is empty: write who answers for the forms")
	}
	l.pack.ID, l.pack.Version, l.pack.ApprovedBy = m.ID, uint32(m.Version), m.ApprovedBy
	l.languages(m.Languages, at("languages"))
	l.pack.Title = l.label(manifestFile, at("title"), "title", "title", m.Title)
	seen := map[string]bool{}
	if len(m.Scopes) == 0 {
		l.fault(manifestFile, 0, `no scopes: write [[scopes]] with id = "team" and its label`)
	}
	for i, s := range m.Scopes {
		line := tableLine(src, "[[scopes]]", i)
		switch {
		case !idPattern.MatchString(s.ID):
			l.fault(manifestFile, line, "scope id %q: %s", clip(s.ID), idRule)
		case seen[s.ID]:
			l.fault(manifestFile, line, "scope %s stands twice: keep one", s.ID)
		}
		seen[s.ID] = true
		l.pack.Scopes = append(l.pack.Scopes, Scope{ID: s.ID, Label: l.label(manifestFile, line, "scope "+clip(s.ID), "scopes."+s.ID, s.Label)})
	}
}

func (l *loader) languages(langs []string, line int) {
	if len(langs) == 0 {
		l.fault(manifestFile, line, `no languages: write languages = ["zh", "en"]`)
	}
	for _, lang := range langs {
		switch {
		case !langPattern.MatchString(lang):
			l.fault(manifestFile, line, "language %q: write a code such as zh, en or mn-Mong", clip(lang))
		case slices.Contains(l.pack.Languages, lang):
			l.fault(manifestFile, line, "language %s stands twice: keep one", lang)
		default:
			l.pack.Languages = append(l.pack.Languages, lang)
		}
	}
}

// label checks words that stand in a TOML table by language.
func (l *loader) label(file string, line int, what, key string, words map[string]string) form.Labels {
	for _, lang := range sortedKeys(words) {
		if !l.language(lang) {
			l.fault(file, line, "%s has words in %q, which is not among the languages of %s: add it there", what, clip(lang), manifestFile)
		}
	}
	said := l.say(words, key)
	l.labelled(file, line, what, said)
	return said
}

// toml decodes src strictly and reports what is wrong with it.
func (l *loader) toml(file string, src []byte, into any) bool {
	d := toml.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		return true
	}
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		for _, e := range strict.Errors {
			line, _ := e.Position()
			l.fault(file, line, "unknown key %q: remove it or correct its spelling", clip(strings.Join(e.Key(), ".")))
		}
		return false
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := bad.Position()
		l.fault(file, line, "not valid TOML: %s", clip(strings.TrimPrefix(bad.Error(), "toml: ")))
		return false
	}
	l.fault(file, 0, "not valid TOML: %s", clip(err.Error()))
	return false
}

// keyLine finds the line of a top-level key; 0 when it is not there.
func keyLine(src []byte, key string) int {
	n := 0
	for line := range strings.Lines(string(src)) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			return 0
		}
		if rest, ok := strings.CutPrefix(line, key); ok && strings.HasPrefix(strings.TrimSpace(rest), "=") {
			return n
		}
	}
	return 0
}

// tableLine finds the line of the nth table with a header; 0 when it is not there.
func tableLine(src []byte, header string, nth int) int {
	n := 0
	for line := range strings.Lines(string(src)) {
		n++
		if strings.HasPrefix(strings.TrimSpace(line), header) {
			if nth == 0 {
				return n
			}
			nth--
		}
	}
	return 0
}
