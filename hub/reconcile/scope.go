package reconcile

import (
	"slices"
	"strings"

	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/form"
	"otor/internal/merge"
)

// everyone is the template of a scope that every device has.
const everyone = "everyone"

// part is a part of a scope's template: text, or the fields to follow.
type part struct {
	text   string
	follow []string
}

// partsOf takes a template apart, once in a round.
func (o *Round) partsOf(template string) (out []part) {
	if got, ok := o.scoped[template]; ok {
		return got
	}
	left := template
	for {
		text, rest, ok := strings.Cut(left, "{")
		field, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			out = append(out, part{text: left})
			break
		}
		out = append(out, part{text: text}, part{follow: strings.Split(field, ".")})
		left = after
	}
	o.scoped[template] = out
	return out
}

// scopes works out where an entity is shown, and on which others that depends.
// One that is deleted is shown nowhere.
func (o *Round) scopes(h *held) (scopes []string, parents []entry.Ref, err error) {
	domain := o.r.cfg.Domain
	if h.state.IsDeleted() {
		return nil, nil, nil
	}
	for _, template := range domain.Lives(h.row.Ref.Type) {
		if template == everyone {
			scopes = append(scopes, feed.Everybody)
			continue
		}
		whole := true
		var scope strings.Builder
		for _, p := range o.partsOf(template) {
			if p.follow == nil {
				scope.WriteString(p.text)
				continue
			}
			value, through, err := o.follows(h, p.follow)
			if err != nil {
				return nil, nil, err
			}
			scope.WriteString(value)
			parents = append(parents, through...)
			whole = whole && value != ""
		}
		if whole && validScope(scope.String()) {
			scopes = append(scopes, scope.String())
		}
	}
	slices.Sort(scopes)
	slices.SortFunc(parents, compareRefs)
	return slices.Compact(scopes), slices.Compact(parents), nil
}

// follows reads a field, of the entity or of what it names.
func (o *Round) follows(h *held, steps []string) (value string, through []entry.Ref, err error) {
	domain := o.r.cfg.Domain
	for i, field := range steps {
		value = o.text(h, field)
		if i == len(steps)-1 || value == "" {
			break
		}
		ref := entry.Ref{Type: domain.Names(h.row.Ref.Type, field), ID: value}
		if ref.Type == "" || !form.ValidEntityID(value) {
			return "", through, nil
		}
		through = append(through, ref)
		if err := o.need(ref); err != nil {
			return "", nil, err
		}
		h = o.entities[ref]
	}
	return value, through, nil
}

// text is a field's value as shown, when it is a text.
func (o *Round) text(h *held, field string) string {
	t := o.r.cfg.Domain.Type(h.row.Ref.Type)
	v, _ := shownField(h.state, t, field)
	s, _ := v.(string)
	return s
}

// shownField reads one field without showing the whole entity.
func shownField(s *merge.State, t *merge.Type, field string) (any, bool) {
	register, _, _ := t.Register(field)
	return merge.View{Fields: []merge.Shown{s.Show(t, register)}}.Field(field)
}

// validScope keeps values that cannot be part of a scope's name from being one.
func validScope(s string) bool {
	return s != "" && len(s) <= 64 && !feed.Reserved(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != ':'
	})
}

// deciding reads the fields of an entity on which others' scopes depend.
func (o *Round) deciding(h *held) map[string]any {
	fields := o.r.cfg.Domain.Decides(h.row.Ref.Type)
	if len(fields) == 0 {
		return nil
	}
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		out[f] = o.text(h, f)
	}
	return out
}

// follow takes in hand the entities whose scopes depend on one that changed.
func (o *Round) follow(h *held) error {
	changed := false
	for f, v := range o.deciding(h) {
		changed = changed || h.before[f] != v
	}
	if !changed {
		return nil
	}
	refs, err := o.tx.Dependents(h.row.Ref)
	if err != nil {
		return err
	}
	if err := o.need(refs...); err != nil {
		return err
	}
	for _, ref := range refs {
		o.queue(o.entities[ref])
	}
	return nil
}
