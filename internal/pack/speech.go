package pack

import (
	"maps"
	"slices"
	"strings"

	"otor/internal/form"
)

// speech is what a pack calls its types, fields and values, by language: what its
// catalogues and pages say, and where they say nothing, the questions and choices that
// are saved there.
type speech struct {
	languages []string               // where a language has no words, the first of these that has some
	users     string                 // the type of those who use devices
	names     map[string]string      // the path to an entity's name, by its type
	types     map[string]form.Labels // by type
	fields    map[string]form.Labels // by "type.field", written and derived, and groups
	values    map[string]form.Labels // by "type.field.value"
}

func newSpeech(languages []string) *speech {
	return &speech{languages: languages, names: map[string]string{}, types: map[string]form.Labels{}, fields: map[string]form.Labels{}, values: map[string]form.Labels{}}
}

// put adds words for a key, in languages that it has none in.
func put(to map[string]form.Labels, key string, words form.Labels) {
	if len(words) == 0 {
		return
	}
	all := maps.Clone(words)
	maps.Copy(all, to[key]) // what came first counts
	to[key] = all
}

// add adds another pack's words where this one has none.
func (s *speech) add(old *speech) {
	if old == nil {
		return
	}
	if s.users == "" {
		s.users = old.users
	}
	for typ, path := range old.names {
		if s.names[typ] == "" {
			s.names[typ] = path
		}
	}
	for _, m := range [][2]map[string]form.Labels{{s.types, old.types}, {s.fields, old.fields}, {s.values, old.values}} {
		for key, words := range m[1] {
			put(m[0], key, words)
		}
	}
}

func (s *speech) in(words form.Labels, lang string) string {
	if w := words[lang]; w != "" {
		return w
	}
	for _, l := range s.languages {
		if w := words[l]; w != "" {
			return w
		}
	}
	return ""
}

// questions takes up what the forms' questions and choices say of the fields that they
// are saved into.
func (s *speech) questions(f *form.Form, fields []form.Field) {
	for i := range fields {
		x := &fields[i]
		if x.Kind.Nests() {
			s.questions(f, x.Fields)
			continue
		}
		if x.SaveTo == "" {
			continue
		}
		offered := x.Choices
		if m := carried.FindStringSubmatch(x.Calculation); m != nil { // what another question answers is saved as it is
			offered = choicesOf(fields, m[1])
			if offered == nil {
				offered = choicesOf(f.Fields, m[1])
			}
		}
		types, property := []string{f.Entity}, x.SaveTo
		if typ, name, split := strings.Cut(x.SaveTo, "#"); split {
			types, property = []string{typ}, name
		}
		for _, save := range f.Saves {
			types = append(types, save.Type)
		}
		for _, typ := range types {
			put(s.fields, typ+"."+property, x.Label)
			for _, c := range offered {
				put(s.values, typ+"."+property+"."+c.Name, c.Label)
			}
		}
	}
}

// speak makes what the pack says of types, fields and values, after catalogues, pages
// and forms were read.
func (l *loader) speak(forms []*form.Form) {
	s := newSpeech(l.pack.Languages)
	for _, e := range l.pack.Entities {
		put(s.types, e.Type, e.Label)
	}
	for lang, words := range l.pack.Words {
		for key, w := range words {
			put(s.fields, key, form.Labels{lang: w})
		}
	}
	for key, label := range l.facts {
		put(s.fields, key, label)
	}
	if p := l.pack.Pages; p != nil {
		maps.Copy(s.names, p.Names)
		maps.Copy(s.values, p.Says)
		if p.Users != nil {
			s.users = p.Users.Type
		}
	}
	for _, f := range forms {
		if f != nil {
			s.questions(f, f.Fields)
		}
	}
	l.pack.speech = s
}

// FieldLabel is what a field of an entity type is called, by language; its name
// where the pack has no words for it.
func (p *Pack) FieldLabel(typ, field, lang string) string {
	if w := p.In(p.speech.fields[typ+"."+field], lang); w != "" {
		return w
	}
	return field
}

// ValueLabel is what a value of an entity's field is called, by language; "" when
// neither a form's choices nor pages.toml have words for it.
func (p *Pack) ValueLabel(typ, field, value, lang string) string {
	return p.In(p.speech.values[typ+"."+field+"."+value], lang)
}

// FieldWords is what a field, written or derived, or a group of fields is called in a
// language; "" when the pack says nothing of it.
func (d *Domain) FieldWords(typ, field, lang string) string {
	return d.speech.in(d.speech.fields[typ+"."+field], lang)
}

// ValueWords is what a value of a field is called in a language; "" when the pack says
// nothing of it.
func (d *Domain) ValueWords(typ, field, value, lang string) string {
	return d.speech.in(d.speech.values[typ+"."+field+"."+value], lang)
}

// TypeWords is what a type of entity is called in a language; "" for an unknown one.
func (d *Domain) TypeWords(typ, lang string) string {
	return d.speech.in(d.speech.types[typ], lang)
}

// FormWords is what the newest version of a form is called in a language; "" for an
// unknown one.
func (d *Domain) FormWords(id, lang string) string {
	newest, ok := d.forms.(interface {
		Latest(id string) (*form.Form, bool)
	})
	if !ok {
		return ""
	}
	f, ok := newest.Latest(id)
	if !ok {
		return ""
	}
	return d.speech.in(f.Title, lang)
}

// NamePath is the path to what an entity of a type is called, such as "head.name" for
// "the name of its head"; "" when nothing names it. NAME_LANG is tried before NAME.
func (d *Domain) NamePath(typ string) string { return d.speech.names[typ] }

// UserType is the type of entity that users of devices are, "" when the pack says nothing of it.
func (d *Domain) UserType() string { return d.speech.users }

// NameFields are the fields that may hold a name, the reader's language first.
func NameFields(field, lang string) []string {
	out := []string{field + "_" + lang}
	if lang != "zh" {
		out = append(out, field+"_latin", field+"_en")
	}
	return slices.Concat(out, []string{field, field + "_zh"})
}
