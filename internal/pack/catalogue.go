package pack

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"otor/internal/form"
)

const wordsDir = "i18n"

// catalogue is one i18n/<language>.toml.
type catalogue struct {
	file    string
	says    map[string]*saying // by key, such as choices.species.camel
	missing map[string]bool    // keys without words
	fields  bool               // it has words for fields, and so must have all of them
}

// saying is one line of a catalogue.
type saying struct {
	words string
	line  int
	used  bool
}

// catalogues reads i18n/<language>.toml: what the pack says, in languages in which its
// sheets and tables do not say it.
func (l *loader) catalogues() {
	files, err := fs.ReadDir(l.dir, wordsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.fault(wordsDir, 0, "cannot be read: %v", err)
		return
	}
	l.words = map[string]*catalogue{}
	for _, f := range files {
		name := path.Join(wordsDir, f.Name())
		lang, ok := strings.CutSuffix(f.Name(), ".toml")
		if !ok || f.IsDir() || !langPattern.MatchString(lang) {
			l.fault(name, 0, "unknown file: write one <language>.toml for each language")
			continue
		}
		if c := l.catalogue(name); c != nil {
			l.words[lang] = c
		}
	}
}

func (l *loader) catalogue(name string) *catalogue {
	src := l.read(name)
	if src == nil {
		return nil
	}
	var m struct {
		Title     string                       `toml:"title"`
		Scopes    map[string]string            `toml:"scopes"`
		Types     map[string]string            `toml:"types"`
		Rules     map[string]string            `toml:"rules"`
		Titles    map[string]string            `toml:"titles"`
		Questions map[string]string            `toml:"questions"`
		Form      map[string]map[string]string `toml:"form"`
		Hints     map[string]map[string]string `toml:"hints"`
		Messages  map[string]map[string]string `toml:"messages"`
		Required  map[string]map[string]string `toml:"required"`
		Choices   map[string]map[string]string `toml:"choices"`
		Fields    map[string]map[string]string `toml:"fields"`
	}
	if !l.toml(name, src, &m) {
		return nil
	}
	c := &catalogue{file: name, says: map[string]*saying{}, missing: map[string]bool{}, fields: m.Fields != nil}
	lines := tomlLines(src)
	put := func(key, words string) {
		if strings.TrimSpace(words) == "" {
			l.fault(name, lines[key], "%s is empty: write the words or remove the line", clip(key))
		}
		c.says[key] = &saying{words: words, line: lines[key]}
	}
	if m.Title != "" {
		put("title", m.Title)
	}
	for table, of := range map[string]map[string]string{"scopes": m.Scopes, "types": m.Types, "rules": m.Rules, "titles": m.Titles, "questions": m.Questions} {
		for id, words := range of {
			put(table+"."+id, words)
		}
	}
	for table, of := range map[string]map[string]map[string]string{"form": m.Form, "hints": m.Hints, "messages": m.Messages, "required": m.Required, "choices": m.Choices, "fields": m.Fields} {
		for group, ids := range of {
			for id, words := range ids {
				put(table+"."+group+"."+id, words)
			}
		}
	}
	for _, typ := range sortedKeys(m.Fields) {
		c.says["fields."+typ] = &saying{line: lines["fields."+typ]} // a table may be empty, and its type is checked
	}
	return c
}

// say adds the words of the catalogues to a label, in languages that it lacks. The first
// key that a catalogue has counts; what none has is missing under the last.
func (l *loader) say(label form.Labels, keys ...string) form.Labels {
	for lang, c := range l.words {
		found := label[lang] != ""
		for _, k := range keys {
			s := c.says[k]
			if s == nil {
				continue
			}
			s.used = true
			if !found {
				if label == nil {
					label = form.Labels{}
				}
				label[lang], found = s.words, true
			}
		}
		if !found && len(label) > 0 {
			c.missing[keys[len(keys)-1]] = true
		}
	}
	return label
}

// said finishes the catalogues once the whole pack is read: the words of fields, what
// is missing, and what belongs to nothing.
func (l *loader) said() {
	clean := len(l.faults) == 0 // otherwise what was not read seems to be unknown
	for _, lang := range sortedKeys(l.words) {
		c := l.words[lang]
		l.fieldWords(lang, c)
		for _, key := range sortedKeys(c.says) {
			if s := c.says[key]; clean && !s.used {
				l.fault(c.file, s.line, "the pack has no %s: correct the name or remove the words", clip(key))
			}
		}
		if len(c.missing) > 0 {
			if l.pack.Missing == nil {
				l.pack.Missing = map[string][]string{}
			}
			l.pack.Missing[lang] = sortedKeys(c.missing)
		}
	}
}

// fieldWords takes the words for entity fields, written and derived, out of a catalogue.
func (l *loader) fieldWords(lang string, c *catalogue) {
	if !c.fields {
		return
	}
	words := map[string]string{}
	for i := range l.pack.Entities {
		e := &l.pack.Entities[i]
		if s := c.says["fields."+e.Type]; s != nil {
			s.used = true
		}
		for _, field := range l.spoken(e) {
			key := "fields." + e.Type + "." + field
			s := c.says[key]
			switch {
			case s != nil:
				s.used, words[e.Type+"."+field] = true, s.words
			case l.pack.speech.fields[e.Type+"."+field][lang] != "": // a page or a question says it
			default:
				c.missing[key] = true
			}
		}
	}
	for _, key := range sortedKeys(c.says) {
		rest, ok := strings.CutPrefix(key, "fields.")
		s := c.says[key]
		if !ok || s.used {
			continue
		}
		s.used = true
		typ, field, _ := strings.Cut(rest, ".")
		if l.types != nil && !l.types[typ] {
			if field == "" {
				l.known(c.file, s.line, typ)
			}
			continue
		}
		l.fault(c.file, s.line, "%s has no field %q: correct the name or remove the words", typ, clip(field))
	}
	if l.pack.Words == nil {
		l.pack.Words = map[string]map[string]string{}
	}
	l.pack.Words[lang] = words
}

// spoken lists the fields and groups of a type, all of which need words.
func (l *loader) spoken(e *Entity) []string {
	return append(l.fieldsOf(e), sortedKeys(e.Groups)...)
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
