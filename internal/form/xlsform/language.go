package xlsform

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// knownLanguage reports whether a code is a registered language (BCP 47).
func knownLanguage(code string) bool {
	base, _, _ := strings.Cut(code, "-")
	if len(base) < 2 || len(base) > 3 {
		return false
	}
	_, err := language.Parse(code)
	if err != nil {
		return false
	}
	// The code in use: Bosnian is bs, although bos was one too.
	b, err := language.ParseBase(base)
	return err == nil && b.String() == strings.ToLower(base)
}

// missingColumns warns of columns that a form has in one language and lacks
// in another.
func (f *form) missingColumns(survey, choices *table) {
	seen := map[string]map[string][]string{surveySheet: {}, choicesSheet: {}}
	var langs []string
	for _, t := range []*table{survey, choices} {
		if t == nil {
			continue
		}
		for _, c := range t.cols {
			if c.base == "" || !slices.Contains(worded, c.base) || c.base == "no_app_error_string" {
				continue
			}
			lang := c.lang
			if lang == "" {
				lang = defaultLang
			}
			if !slices.Contains(langs, lang) {
				langs = append(langs, lang)
			}
			seen[t.name][lang] = append(seen[t.name][lang], c.base)
		}
	}
	anyNamed := slices.ContainsFunc(langs, func(l string) bool { return l != defaultLang })
	if !anyNamed {
		return
	}
	var lines []string
	for _, lang := range langs {
		for _, sheet := range []string{surveySheet, choicesSheet} {
			if line := lacking(sheet, lang, langs, seen[sheet]); line != "" {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) > 0 {
		slices.Sort(lines)
		f.warn(0, "%s", strings.Join(lines, "\n"))
	}
}

// lacking words what one language lacks in a sheet. A form whose columns all
// name a language has nothing in the default one, and lacks nothing there.
func lacking(sheet, lang string, langs []string, by map[string][]string) string {
	var missing []string
	for _, other := range langs {
		for _, col := range by[other] {
			if other != lang && !slices.Contains(by[lang], col) && !slices.Contains(missing, col) {
				missing = append(missing, col)
			}
		}
	}
	slices.Sort(missing)
	switch len(missing) {
	case 0:
		return ""
	case 1:
		return "Language '" + lang + "' is missing the " + sheet + " " + missing[0] + " column."
	default:
		return "Language '" + lang + "' is missing the " + sheet + " columns " + strings.Join(missing, ", ") + "."
	}
}
