package xlsform

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// params are a question's parameters, in order.
type params []attr

func (p params) get(key string) string {
	for _, a := range p {
		if a.name == key {
			return a.value
		}
	}
	return ""
}

var (
	paramSplit = regexp.MustCompile(`[\s,;]+`)
	paramPair  = regexp.MustCompile(`^([A-Za-z][\w\-]*)=([^=]+)$`)
)

// parseParams reads "key1=value1 key2=value2"; commas and semicolons part
// them as well.
func parseParams(cell string) (params, bool) {
	var out params
	for _, part := range paramSplit.Split(strings.TrimSpace(cell), -1) {
		if part == "" {
			continue
		}
		m := paramPair.FindStringSubmatch(part)
		if m == nil {
			return nil, false
		}
		out = append(out, attr{strings.ToLower(m[1]), m[2]})
	}
	return out, true
}

// params reads and checks a question's parameters.
func (f *form) params(n *node) params {
	const column = "parameters"
	cell := n.rec.get(column)
	if cell == "" && n.kind != "range" {
		return nil
	}
	p, ok := parseParams(cell)
	if !ok {
		f.at(surveySheet, n.row, column, "Parameters must be in the form of 'key1=value1 key2=value2'.")
		return nil
	}
	if allowed := n.kindOf().params; allowed != nil {
		var wrong []string
		for _, a := range p {
			if !slices.Contains(allowed, a.name) {
				wrong = append(wrong, a.name)
			}
		}
		if len(wrong) > 0 {
			slices.Sort(wrong)
			sorted := slices.Sorted(slices.Values(allowed))
			f.at(surveySheet, n.row, column, "The accepted parameter keys for this question type are '%s'. The following are invalid parameter key(s): '%s'.",
				strings.Join(sorted, ", "), clip(strings.Join(wrong, ", ")))
			return nil
		}
	}
	f.checkParams(n, p)
	return p
}

var (
	wholeNumber = regexp.MustCompile(`^-?\d+$`)
	packageName = regexp.MustCompile(`^[a-zA-Z]\w*(\.[a-zA-Z]\w*)+$`)
)

// checkParams checks the values that each type of question understands.
func (f *form) checkParams(n *node, p params) {
	const column = "parameters"
	for _, a := range p {
		switch a.name {
		case "rows", "max-pixels":
			if (n.kind == "text" || n.kind == "image") && !wholeNumber.MatchString(a.value) {
				f.plain(surveySheet, n.row, column, "Parameter %s must have an integer value.", a.name)
			}
		case "quality":
			if n.kindOf().params != nil && !slices.Contains([]string{"voice-only", "low", "normal", "external"}, a.value) {
				f.plain(surveySheet, n.row, column, "Invalid value for quality. Write voice-only, low, normal or external.")
			}
		case "allow-mock-accuracy", "incremental":
			if n.kindOf().params != nil && a.value != "true" && a.value != "false" && (a.name != "incremental" || strings.HasPrefix(n.kind, "geo")) {
				f.at(surveySheet, n.row, column, "The '%s' parameter must be either 'true' or 'false'.", a.name)
			}
		case "capture-accuracy", "warning-accuracy":
			if _, err := strconv.ParseFloat(a.value, 64); err != nil {
				f.at(surveySheet, n.row, column, "The '%s' parameter must have a numeric value.", a.name)
			}
		case "value", "label":
			if fromFile(n.kind) && !elementName.MatchString(a.value) {
				f.at(surveySheet, n.row, "parameters ("+a.name+")", "%s", nameRule)
			}
		case "app":
			f.app(n, a.value)
		}
	}
	if n.kindOf().selects {
		f.randomize(n, p)
	}
}

// app checks the program that is to take a photo.
func (f *form) app(n *node, value string) {
	if n.kind != "image" || !takesApp(n) {
		return
	}
	const start = "Parameter 'app' has an invalid Android package name - "
	switch {
	case !strings.Contains(value, "."):
		f.plain(surveySheet, n.row, "parameters", start+"the package name must have at least one '.' separator.")
	case !packageName.MatchString(value):
		f.plain(surveySheet, n.row, "parameters", start+"each part must begin with a letter and hold letters, digits and underscores alone.")
	}
}

// takesApp reports whether a photo's appearance lets another program take it.
func takesApp(n *node) bool {
	a := n.rec.get("appearance")
	return a == "" || a == "annotate"
}

// randomize checks the order of choices that is drawn by lot.
func (f *form) randomize(n *node, p params) {
	const column = "parameters"
	r, seed := p.get("randomize"), p.get("seed")
	switch {
	case r != "" && !strings.EqualFold(r, "true") && !strings.EqualFold(r, "false"):
		f.plain(surveySheet, n.row, column, "randomize must be set to true or false: '%s' is an invalid value", clip(r))
	case seed == "":
	case !strings.EqualFold(r, "true"):
		f.plain(surveySheet, n.row, column, "Parameters must include randomize=true to use a seed.")
	case !wholeRef.MatchString(seed):
		if _, err := strconv.ParseFloat(seed, 64); err != nil {
			f.plain(surveySheet, n.row, column, "seed value must be a number or a reference to another field.")
		}
	}
}
