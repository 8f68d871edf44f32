package pack

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const wordsDir = "i18n"

// catalogues reads i18n/<language>.toml: under [fields.<type>] the words for an
// entity type's fields, written and derived.
func (l *loader) catalogues() {
	files, err := fs.ReadDir(l.dir, wordsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.fault(wordsDir, 0, "cannot be read: %v", err)
		return
	}
	l.pack.Words = map[string]map[string]string{}
	for _, f := range files {
		name := path.Join(wordsDir, f.Name())
		lang, ok := strings.CutSuffix(f.Name(), ".toml")
		if !ok || f.IsDir() || !langPattern.MatchString(lang) {
			l.fault(name, 0, "unknown file: write one <language>.toml for each language")
			continue
		}
		l.catalogue(name, lang)
	}
	if len(l.pack.Words) == 0 {
		return
	}
	for _, lang := range l.pack.Languages {
		for i := range l.pack.Entities {
			e := &l.pack.Entities[i]
			for _, field := range l.fieldsOf(e) {
				if l.pack.Words[lang][e.Type+"."+field] == "" {
					l.fault(path.Join(wordsDir, lang+".toml"), 0, "%s of %s has no words: write %s = \"...\" under [fields.%s]", field, e.Type, field, e.Type)
				}
			}
		}
	}
}

// fieldsOf lists the written and derived fields of a type.
func (l *loader) fieldsOf(e *Entity) []string {
	var out []string
	for _, f := range e.Fields {
		out = append(out, f.Name)
	}
	for _, d := range l.pack.Derived {
		if d.Entity == e.Type {
			out = append(out, d.Field)
		}
	}
	return out
}

func (l *loader) catalogue(name, lang string) {
	src := l.read(name)
	if src == nil {
		return
	}
	var m struct {
		Fields map[string]map[string]string `toml:"fields"`
	}
	if !l.toml(name, src, &m) {
		return
	}
	lines := tomlLines(src)
	words := map[string]string{}
	for _, typ := range sortedKeys(m.Fields) {
		e, ok := l.pack.Entity(typ)
		if !ok {
			l.known(name, lines["fields."+typ], typ)
			continue
		}
		has := l.fieldsOf(&e)
		for _, field := range sortedKeys(m.Fields[typ]) {
			line := lines["fields."+typ+"."+field]
			if !slices.Contains(has, field) {
				l.fault(name, line, "%s has no field %q: correct the name or remove the words", typ, clip(field))
			}
			words[typ+"."+field] = m.Fields[typ][field]
		}
	}
	l.pack.Words[lang] = words
}

// FieldLabel is what a field of an entity type is called, by language; its name
// when no catalogue has it.
func (p *Pack) FieldLabel(typ, field, lang string) string {
	for _, l := range append([]string{lang}, p.Languages...) {
		if w := p.Words[l][typ+"."+field]; w != "" {
			return w
		}
	}
	return field
}
