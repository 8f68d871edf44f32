package xlsform

import "strings"

// settings are the form's own row.
type settings struct {
	id, title, version, style     string
	defaultLanguage, instanceName string
	instanceID                    string
	omitInstanceID, duplicates    bool
	clientEditable                bool
	submission                    []attr
	prefix, delimiter             string // of an SMS submission, kept for forms that have them
	namespaces, attributes        []attr
}

// settingsOf reads the settings sheet.
func (f *form) settings(t *table) {
	f.set = settings{defaultLanguage: defaultLang}
	if t == nil || len(t.rows) == 0 {
		return
	}
	r := t.rows[0]
	if t.has("form_id") && t.has("id_string") {
		f.warn(0, "The form_id and id_string column headers are both specified in the settings sheet provided. This may cause errors during conversion. In future, its best to avoid specifying both column headers in the settings sheet.")
	}
	s := &f.set
	s.id = r.get("form_id")
	if s.id == "" {
		s.id = r.get("id_string")
	}
	s.title, s.version, s.style = r.get("form_title"), r.get("version"), r.get("style")
	s.instanceName, s.instanceID = r.get("instance_name"), r.get("instance_id")
	if l := r.get("default_language"); l != "" {
		s.defaultLanguage = l
	}
	s.omitInstanceID, s.duplicates, s.clientEditable = yes(r.get("omit_instanceid")), yes(r.get("allow_choice_duplicates")), yes(r.get("client_editable"))
	for _, a := range []struct{ col, name string }{
		{"submission_url", "action"}, {"public_key", "base64RsaPublicKey"}, {"auto_send", "orx:auto-send"}, {"auto_delete", "orx:auto-delete"},
	} {
		if v := r.get(a.col); v != "" {
			s.submission = append(s.submission, attr{a.name, v})
		}
	}
	if r.get("submission_url") != "" {
		s.submission = append(s.submission, attr{"method", "post"})
	}
	if s.clientEditable {
		s.submission = append(s.submission, attr{"odk:client-editable", "true"})
	}
	s.prefix, s.delimiter = r.get("prefix"), r.get("delimiter")
	s.namespaces = namespaces(r.get("namespaces"))
	for i, c := range r.cols {
		if (c.base == "attribute" || strings.HasPrefix(strings.ToLower(c.head), "attribute::")) && i < len(r.cells) && r.cells[i] != "" {
			name := c.name
			if name == "" {
				_, name, _ = strings.Cut(c.head, "::")
			}
			s.attributes = append(s.attributes, attr{strings.TrimSpace(name), r.cells[i]})
		}
	}
	if n := r.get("name"); n != "" {
		if elementName.MatchString(n) {
			f.root.name = n
		} else {
			f.at("settings", r.row, "name", "%s", nameRule)
		}
	}
}

// namespaces reads esri="http://..." pairs.
func namespaces(cell string) []attr {
	var out []attr
	for p := range strings.FieldsSeq(cell) {
		name, uri, ok := strings.Cut(p, "=")
		if uri = strings.Trim(uri, `"'`); ok && elementName.MatchString(name) && uri != "" {
			out = append(out, attr{"xmlns:" + name, uri})
		}
	}
	return out
}

// yes reads what people write for yes.
func yes(s string) bool {
	switch strings.ToLower(s) {
	case "yes", "true", "true()":
		return true
	}
	return false
}

// conditional turns yes and no into XPath, and leaves expressions alone.
func conditional(s string) string {
	switch strings.ToLower(s) {
	case "yes", "true", "true()":
		return "true()"
	case "no", "false", "false()":
		return "false()"
	}
	return s
}
