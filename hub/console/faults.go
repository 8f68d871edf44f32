package console

import (
	"regexp"
	"strconv"

	"otor/internal/webui"
)

// faultShapes are the frequent faults of a form pack, by the words that package pack has
// for them; what is in brackets goes into the translation as {1}, {2} and so on.
var faultShapes = []struct {
	key   string
	words *regexp.Regexp
}{
	{"no_field", regexp.MustCompile(`^(.+) has no field ("[^"]*")`)},
	{"no_form", regexp.MustCompile(`there is no form ("[^"]*")`)},
	{"no_value", regexp.MustCompile(`there is no value ("[^"]*")`)},
	{"no_list", regexp.MustCompile(`^list ("[^"]*") is not in choices\.csv`)},
	{"no_words", regexp.MustCompile(`^(.+) has no words in (.+): write them`)},
	{"unknown_key", regexp.MustCompile(`^unknown key ("[^"]*")`)},
	{"unknown_file", regexp.MustCompile(`^unknown file: `)},
	{"unknown_type", regexp.MustCompile(`^unknown type ("[^"]*"): write (?:one of )?(.+)$`)},
	{"unknown_entity", regexp.MustCompile(`unknown entity type ("[^"]*")`)},
	{"missing", regexp.MustCompile(`^is missing: `)},
	{"empty", regexp.MustCompile(`^(.*) ?is empty: write the words`)},
	{"not_toml", regexp.MustCompile(`^not valid TOML: (.+)$`)},
	{"not_csv", regexp.MustCompile(`^not valid CSV: ([^;]+)`)},
	{"not_utf8", regexp.MustCompile(`^is not UTF-8 text`)},
	{"too_large", regexp.MustCompile(`^is larger than (\d+) MiB`)},
	{"twice", regexp.MustCompile(`^(.+) stands (?:twice|on line \d+ already|in .+ already): `)},
	{"form_version", regexp.MustCompile(`^the form is another than in version (\d+) of the pack .+: write version (\d+)`)},
}

// faultPlace is where a fault is: a file, and a line of it.
var faultPlace = regexp.MustCompile(`^([^\s:]+(?::\d+)?): (.+)$`)

// faultWords says one fault of a pack in the reader's language; one that has no words
// there comes in the hub's own.
func faultWords(w *webui.Words, fault string) string {
	m := faultPlace.FindStringSubmatch(fault)
	if w.Lang == "en" || m == nil {
		return fault
	}
	where, what := m[1], m[2]
	for _, shape := range faultShapes {
		found := shape.words.FindStringSubmatch(what)
		if found == nil {
			continue
		}
		var args []any
		for i, x := range found[1:] {
			args = append(args, strconv.Itoa(i+1), x)
		}
		return w.T("fault.at", "where", where, "words", w.T("fault."+shape.key, args...))
	}
	return w.T("fault.at", "where", where, "words", w.T("fault.other", "words", what))
}
