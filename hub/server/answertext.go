package server

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"otor/internal/form"
)

// answerText is an answer in words: choices by their labels, lists one after the other,
// rows of a table by their questions.
func answerText(x *form.Field, v any, lang string) string {
	m := marksOf(lang)
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		parts := make([]string, 0, len(v))
		for _, one := range v {
			text := answerText(x, one, lang)
			if _, row := one.(map[string]any); row {
				text = m.open + text + m.end
			}
			parts = append(parts, text)
		}
		return strings.Join(parts, m.list)
	case map[string]any:
		return rowText(x, v, lang)
	}
	text := textOf(v)
	for _, c := range x.Choices {
		if x.Kind.Selects() && c.Name == text && c.Label.In(lang) != "" {
			return c.Label.In(lang)
		}
	}
	return text
}

// rowText is a row of a table, or another answer that has parts: those that the form
// asks for in its order, by their labels, and what else there is by its name.
func rowText(x *form.Field, row map[string]any, lang string) string {
	m := marksOf(lang)
	var parts []string
	told := make(map[string]bool, len(row))
	for i := range x.Fields {
		inner := &x.Fields[i]
		told[inner.Name] = true
		v := row[inner.Name]
		if v == nil || inner.Kind == form.Hidden || inner.Kind == form.Note {
			continue
		}
		label := inner.Label.In(lang)
		if label == "" {
			label = inner.Name
		}
		text := answerText(inner, v, lang)
		if _, group := v.(map[string]any); group {
			text = m.open + text + m.end
		}
		parts = append(parts, label+m.is+text)
	}
	for _, name := range sortedKeys(row) {
		if !told[name] && row[name] != nil {
			parts = append(parts, name+m.is+answerText(&form.Field{}, row[name], lang))
		}
	}
	return strings.Join(parts, m.part)
}

// marks stand between the parts of an answer.
type marks struct{ list, part, is, open, end string }

func marksOf(lang string) marks {
	if lang == "zh" {
		return marks{"、", "；", "：", "（", "）"}
	}
	return marks{", ", "; ", ": ", "(", ")"}
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case map[string]any, []any:
		b, _ := json.Marshal(v) // texts and numbers
		return string(b)
	}
	return fmt.Sprint(v)
}
