package pack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"otor/internal/form"
)

// TestWordsOfFurtherLanguages: catalogues speak where the sheets do not, and what they do
// not say is listed.
func TestWordsOfFurtherLanguages(t *testing.T) {
	files := map[string]string{"entities.toml": herds, "rules.toml": someRules, "i18n/mn.toml": `title = "Багц"
[titles]
count = "Тоолох"
[questions]
species = "Төрөл"
[form.count]
species = "Малын төрөл"
[choices.species]
goat = "Ямаа"
[rules]
odd = "Хачин"
`}
	p, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := p.Forms.Latest("count")
	species, ok := f.Field("species")
	if !ok {
		t.Fatal("no question species")
	}
	got := []string{p.Title["mn"], p.FormTitle(f, "mn"), species.Label["mn"], species.Label["zh"], p.RuleWord("odd", "mn")}
	for _, c := range species.Choices {
		got = append(got, p.In(c.Label, "mn"))
	}
	// The form's own word counts, and what has none falls back to the pack's first language.
	if want := []string{"Багц", "Тоолох", "Малын төрөл", "畜种", "Хачин", "Ямаа", "骆驼"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, key := range []string{"choices.species.camel", "types.herd", "rules.twice"} {
		if !slices.Contains(p.Missing["mn"], key) {
			t.Errorf("%s is not among the missing: %q", key, p.Missing["mn"])
		}
	}
	for _, key := range []string{"choices.species.goat", "questions.species", "titles.count", "title"} {
		if slices.Contains(p.Missing["mn"], key) {
			t.Errorf("%s is among the missing", key)
		}
	}

	// A language of the pack's own must be complete, wherever its words stand.
	files["pack.toml"] = strings.Replace(base["pack.toml"], `["zh", "en"]`, `["zh", "en", "mn"]`, 1)
	if _, err := load(files); err == nil {
		t.Error("a language with words missing is taken")
	}
}

// TestTranshumanceSpeaksMongolian: nothing of the first pack falls back to another language.
func TestTranshumanceSpeaksMongolian(t *testing.T) {
	p := first(t)
	speaks := func(what string, l form.Labels) {
		for _, lang := range []string{"zh", "en", "mn"} {
			if len(l) > 0 && l[lang] == "" {
				t.Errorf("%s has no words in %s: %q", what, lang, l)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Pages.Says)) {
		speaks("pages.toml says "+key, p.Pages.Says[key])
	}
	var walk func(form string, fields []form.Field)
	n := 0
	walk = func(id string, fields []form.Field) {
		for _, f := range fields {
			n++
			speaks(id+"."+f.Name, f.Label)
			speaks(id+"."+f.Name+" hint", f.Hint)
			speaks(id+"."+f.Name+" message", f.ConstraintWords)
			for _, c := range f.Choices {
				speaks(id+"."+f.Name+"."+c.Name, c.Label)
			}
			walk(id, f.Fields)
		}
	}
	for _, f := range p.Forms.All() {
		speaks(f.ID, f.Title)
		walk(f.ID, f.Fields)
	}
	if n < 150 {
		t.Errorf("only %d questions were looked at", n)
	}
}
