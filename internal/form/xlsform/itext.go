package xlsform

import (
	"fmt"
	"slices"
	"strings"
)

// defaultLang is the language of columns that name none, in a form that does
// not say which one that is.
const defaultLang = "default"

// phrase is one entry of the translations: its words by language and form ("",
// "image", "guidance" ...).
type phrase struct {
	id    string
	from  *node
	words []medium
}

// phrases holds the translations in the order of the form.
type phrases struct {
	list  []*phrase
	langs []string
}

// translated reports whether words need the translations: they name a
// language.
func translated(w wording) bool {
	return slices.ContainsFunc(w, func(x struct{ lang, words string }) bool { return x.lang != "" })
}

// say adds words under an id, and gives the reference to them.
func (f *form) say(id, form string, w wording, from *node) string {
	i := slices.IndexFunc(f.texts.list, func(p *phrase) bool { return p.id == id })
	if i < 0 {
		f.texts.list = append(f.texts.list, &phrase{id: id, from: from})
		i = len(f.texts.list) - 1
	}
	p := f.texts.list[i]
	p.words = append(p.words, medium{form, w})
	for _, x := range w {
		if lang := f.language(x.lang); !slices.Contains(f.texts.langs, lang) {
			f.texts.langs = append(f.texts.langs, lang)
		}
	}
	return fmt.Sprintf("jr:itext('%s')", id)
}

// language names the language of a column.
func (f *form) language(lang string) string {
	if lang == "" {
		return f.set.defaultLanguage
	}
	return lang
}

// in picks the words for a language; a column that names it goes before one
// that names none.
func (f *form) in(w wording, lang string) (string, bool) {
	found, ok := "", false
	for _, x := range w {
		if x.lang == lang {
			return x.words, true
		}
		if x.lang == "" && f.set.defaultLanguage == lang {
			found, ok = x.words, true
		}
	}
	return found, ok
}

// choiceTexts adds the labels of the lists that are worded.
func (f *form) choiceTexts() {
	for _, l := range f.listOrder {
		if !l.worded {
			continue
		}
		for i, c := range l.choices {
			id := choiceID(l, i)
			if len(c.label) > 0 {
				f.say(id, "", c.label, nil)
			}
			for _, m := range c.media {
				f.say(id, m.form, m.words, nil)
			}
		}
	}
}

// itext writes the translations. nil: the form needs none.
func (f *form) itext() *element {
	if len(f.texts.list) == 0 {
		return nil
	}
	langs := f.texts.langs
	root := el("itext")
	for _, lang := range langs {
		t := el("translation", "lang", lang)
		if lang == f.set.defaultLanguage {
			t.set("default", "true()")
		}
		for _, p := range f.texts.list {
			t.add(f.phrase(p, lang))
		}
		root.add(t)
	}
	return root
}

// phrase writes one entry in one language. Words that other languages have
// and this one lacks show as "-", so that nobody takes them for the question.
func (f *form) phrase(p *phrase, lang string) *element {
	text := el("text", "id", p.id)
	for _, m := range p.words {
		words, ok := f.in(m.words, lang)
		switch {
		case ok:
			v := el("value", "form", m.form)
			text.add(v.add(f.inline(words, p.from)...))
		case m.form == "" || m.form == "guidance":
			text.add(el("value", "form", m.form).add("-"))
		}
	}
	if len(text.kids) == 0 {
		text.add(el("value").add("-"))
	}
	return text
}

// languageWarnings names languages without a code, and columns that one
// language has and another lacks.
func (f *form) languageWarnings(survey, choices *table) {
	var bad []string
	for _, lang := range f.texts.langs {
		if lang != defaultLang && !coded(lang) {
			bad = append(bad, lang)
		}
	}
	if len(bad) > 0 {
		f.warn(0, "The following language declarations do not contain valid machine-readable codes: %s. Learn more: http://xlsform.org#multiple-language-support", clip(strings.Join(bad, ", ")))
	}
	f.missingColumns(survey, choices)
}

// coded reports whether a language ends with a code of ISO 639 or BCP 47 in
// brackets, as in "中文 (zh)" and "ᠮᠣᠩᠭᠣᠯ (mn-Mong)".
func coded(lang string) bool {
	open := strings.LastIndexByte(lang, '(')
	if open < 0 || !strings.HasSuffix(lang, ")") {
		return false
	}
	return knownLanguage(strings.TrimSpace(lang[open+1 : len(lang)-1]))
}
