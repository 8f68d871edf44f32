package xlsform

import (
	"slices"
	"strings"
)

// column is one headed column: "label::中文 (zh)" has base label and language
// "中文 (zh)"; "bind::orx:max" has base bind and name "orx:max".
type column struct {
	head string // as written
	base string // "" for a column that is passed over
	lang string
	name string // of an attribute, after bind::, body:: or instance::
}

// aliases are other headings of the same column.
var aliases = map[string]string{
	"caption": "label", "command": "type", "tag": "name", "value": "name",
	"relevance": "relevant", "calculate": "calculation", "constraining_message": "constraint_message",
	"constraint message": "constraint_message", "read_only": "readonly", "count": "repeat_count", "jr:count": "repeat_count",
	"requiredmsg": "required_message", "noapperrorstring": "no_app_error_string", "choice filter": "choice_filter",
	"big_image": "big-image", "media": "media", "control": "body",
}

// choiceAliases and entityAliases are those of the other sheets.
var (
	choiceAliases   = map[string]string{"caption": "label", "value": "name", "list": "list_name", "big_image": "big-image"}
	entityAliases   = map[string]string{"dataset": "list_name"}
	settingsAliases = map[string]string{
		"id_string": "id_string", "set_form_id": "id_string", "set form id": "id_string", "set form title": "form_title",
		"set_form_title": "form_title", "title": "form_title", "read_only": "readonly", "default_lang": "default_language",
	}
)

// worded are the columns that may have a language.
var worded = []string{
	"label", "hint", "guidance_hint", "image", "audio", "video", "big-image", "constraint_message", "required_message",
	"no_app_error_string",
}

// attributed are the columns whose second part is an attribute's name.
var attributed = []string{"bind", "body", "instance"}

// parseHead reads a heading. keepCase leaves an unknown heading as it is
// written, as the names of a choice's own columns must be.
func parseHead(head string, aliases map[string]string, keepCase bool) column {
	head = strings.TrimSpace(head)
	c := column{head: head}
	if head == "" || strings.HasPrefix(strings.ToLower(head), "otor:") {
		return c
	}
	parts := strings.Split(head, "::")
	if len(parts) == 1 && !strings.HasPrefix(strings.ToLower(head), "jr:") {
		// The old way: one colon, before a language or a medium.
		if base, rest, ok := strings.Cut(head, ":"); ok && (slices.Contains(worded, snake(base)) || snake(base) == "media" || slices.Contains(attributed, snake(base))) {
			parts = append([]string{base}, strings.Split(rest, ":")...)
		}
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	base := snake(parts[0])
	if a, ok := aliases[base]; ok {
		base = a
	}
	rest := parts[1:]
	if base == "media" && len(rest) > 0 {
		base, rest = strings.ToLower(rest[0]), rest[1:]
	}
	switch {
	case slices.Contains(attributed, base) && len(rest) > 0:
		return attribute(c, base, rest)
	case slices.Contains(worded, base) && len(rest) > 0:
		c.lang = rest[0]
	case keepCase && !slices.Contains([]string{"list_name", "name", "label", "image", "audio", "video", "big-image"}, base):
		base = head
	}
	c.base = base
	return c
}

// attribute reads bind::x, body::x and instance::x; those that have a column
// of their own are that column.
func attribute(c column, base string, rest []string) column {
	name := strings.Join(rest, ":")
	own := map[string]string{
		"relevant": "relevant", "required": "required", "constraint": "constraint", "calculate": "calculation", "readonly": "readonly",
		"jr:constraintmsg": "constraint_message", "jr:requiredmsg": "required_message", "jr:noapperrorstring": "no_app_error_string",
		"appearance": "appearance", "jr:count": "repeat_count", "autoplay": "autoplay", "rows": "rows", "entities:saveto": "save_to",
	}
	if col, ok := own[strings.ToLower(name)]; ok && base != "instance" {
		c.base = col
		return c
	}
	if len(rest) > 1 && own[strings.ToLower(strings.Join(rest[:len(rest)-1], ":"))] != "" && base == "bind" {
		c.base, c.lang = own[strings.ToLower(strings.Join(rest[:len(rest)-1], ":"))], rest[len(rest)-1]
		return c
	}
	c.base, c.name = base, name
	return c
}

// snake writes a heading as columns are called: "Constraint Message" is
// constraint_message.
func snake(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(s)), "_")
}
