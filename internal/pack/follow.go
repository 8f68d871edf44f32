package pack

import (
	"bytes"
	"encoding/csv"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"otor/internal/form"
)

// Follow checks that a pack can be put beside the versions of before: devices come
// back with those, and their entries are merged and judged together. Its error
// joins a [*Fault] for each thing that cannot be.
func (p *Pack) Follow(before []*Pack) error {
	l := &loader{pack: p}
	var highest uint32
	for _, old := range before {
		if old.ID != p.ID {
			l.fault(manifestFile, p.manifestLines["id"], "id %q: this hub works with the pack %s: give its next version that id", p.ID, old.ID)
			return l.err()
		}
		highest = max(highest, old.Version)
	}
	if p.Version <= highest {
		l.fault(manifestFile, p.manifestLines["version"], "version %d: version %d is there already, and devices may have it: write %d", p.Version, highest, highest+1)
	}
	told := map[string]bool{} // each thing once, though several versions have it
	for _, old := range slices.Backward(before) {
		l.entitiesFollow(old, told)
		l.formsFollow(old, told)
	}
	return l.err()
}

// entitiesFollow: what was written under the old types stays.
func (l *loader) entitiesFollow(old *Pack, told map[string]bool) {
	for i := range old.Entities {
		was := &old.Entities[i]
		now, ok := l.pack.Entity(was.Type)
		if !ok {
			continue
		}
		for _, w := range was.Fields {
			n, ok := now.Field(w.Name)
			key := was.Type + ".fields." + w.Name
			if !ok || told[key] {
				continue
			}
			line := cmpLine(l.pack.entityLines, key, l.pack.entityLines[was.Type])
			adds := func(rule string) bool { return rule == "count" || rule == "set" }
			told[key] = true
			switch {
			case n.Type != w.Type:
				l.fault(entitiesFile, line, "field %s of %s: type %q, and it is %q since version %d: keep that, or add a field with another name",
					w.Name, was.Type, n.Type, w.Type, old.Version)
			case n.Rule != w.Rule && (adds(n.Rule) || adds(w.Rule)):
				l.fault(entitiesFile, line, "field %s of %s: rule %q, and it is %q since version %d: what was added up cannot be read otherwise; keep that, or add a field with another name",
					w.Name, was.Type, n.Rule, w.Rule, old.Version)
			case group(&now, w.Name) != group(was, w.Name):
				l.fault(entitiesFile, line, "field %s of %s: it is in the group %q, and was in %q in version %d: keep that, or add a field with another name",
					w.Name, was.Type, group(&now, w.Name), group(was, w.Name), old.Version)
			default:
				delete(told, key)
			}
		}
	}
}

func group(e *Entity, field string) string {
	for _, g := range sortedKeys(e.Groups) {
		if slices.Contains(e.Groups[g], field) {
			return g
		}
	}
	return ""
}

// formsFollow: a form that changed has another version.
func (l *loader) formsFollow(old *Pack, told map[string]bool) {
	for _, was := range old.Forms.All() {
		now, ok := l.pack.Forms.Latest(was.ID)
		if !ok {
			continue
		}
		settings := path.Join(formsDir, was.ID, "settings.csv")
		switch {
		case told[settings]:
		case now.Version < was.Version:
			told[settings] = true
			l.fault(settings, 2, "version %d: version %d of the pack has version %d of this form: write a higher one", now.Version, old.Version, was.Version)
		case now.Version == was.Version && !maps.EqualFunc(now.Sheets, was.Sheets, bytes.Equal):
			told[settings] = true
			l.fault(settings, 2, "the form is another than in version %d of the pack and says that it is version %d: write version %d", old.Version, was.Version, was.Version+1)
		}
		l.answersFollow(now, was, told)
	}
}

// answersFollow: rules and reports read the answers of all versions.
func (l *loader) answersFollow(now, was *form.Form, told map[string]bool) {
	survey := path.Join(formsDir, was.ID, "survey.csv")
	var walk func(now, was []form.Field)
	walk = func(now, was []form.Field) {
		for i := range was {
			at := slices.IndexFunc(now, func(f form.Field) bool { return f.Name == was[i].Name })
			if at < 0 || told[survey+was[i].Name] {
				continue
			}
			if now[at].Kind != was[i].Kind || now[at].Many != was[i].Many {
				told[survey+was[i].Name] = true
				l.fault(survey, questionLine(l.pack, survey, was[i].Name), "question %s: it is another type than in version before: %s, not %s; keep that, or ask under another name",
					was[i].Name, was[i].Kind, now[at].Kind)
				continue
			}
			walk(now[at].Fields, was[i].Fields)
		}
	}
	walk(now.Fields, was.Fields)
}

// questionLine finds a question in a survey; 0 when it is not there.
func questionLine(p *Pack, survey, name string) int {
	f, ok := p.Forms.Latest(path.Base(path.Dir(survey)))
	if !ok {
		return 0
	}
	r := csv.NewReader(bytes.NewReader(f.Sheets["survey"]))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	at := slices.Index(header, "name")
	if err != nil || at < 0 {
		return 0
	}
	for {
		cells, err := r.Read()
		if err != nil {
			return 0
		}
		if at < len(cells) && strings.TrimSpace(cells[at]) == name {
			line, _ := r.FieldPos(at)
			return line
		}
	}
}

// Faults takes the faults out of an error of [Load], [OpenZip] or [Pack.Follow]; nil
// when it is about something else.
func Faults(err error) []*Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // it is taken apart here
			var out []*Fault
			for _, e := range joined.Unwrap() {
				out = append(out, Faults(e)...)
			}
			return out
		}
		return []*Fault{f}
	}
	return nil
}

// Words are an error's faults, one a line.
func Words(faults []*Fault) string {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Same reports whether both are the same version with the same content.
func (e Edition) Same(o Edition) bool {
	return e.ID == o.ID && e.Version == o.Version && slices.EqualFunc(e.Parts, o.Parts, func(a, b Parcel) bool {
		return a.Name == b.Name && slices.Equal(a.Pieces, b.Pieces)
	})
}
