package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/form"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/webui"
)

// naming puts entities and values into the words of a language, for one page. It is
// used by one goroutine.
type naming struct {
	o     *Office
	sight *sight // of whoever asks; nil until something is read
	lang  string
	words *webui.Words
	says  worded // nil: things are called by their ids, and nothing is masked
	names map[entry.Ref]string
}

func (o *Office) naming(lang string) *naming {
	n := &naming{o: o, lang: lang, words: console.Words(lang), names: make(map[entry.Ref]string)}
	n.says, _ = o.domain.(worded)
	return n
}

// naming puts what is seen into words.
func (s *sight) naming(lang string) *naming {
	n := s.o.naming(lang)
	n.sight = s
	return n
}

// mostSteps bounds how far a name lies from what is called so.
const mostSteps = 4

// ahead reads at once what naming some entities takes.
func (n *naming) ahead(ctx context.Context, refs []entry.Ref) error {
	for range mostSteps {
		refs = slices.DeleteFunc(slices.Clone(refs), func(r entry.Ref) bool {
			_, known := n.names[r]
			return known || n.says == nil || n.says.NamePath(r.Type) == ""
		})
		if len(refs) == 0 {
			return nil
		}
		read := n.seen(ctx).read
		if err := read.ahead(ctx, refs); err != nil {
			return err
		}
		var onward []entry.Ref
		for _, ref := range refs {
			step, _, more := strings.Cut(n.says.NamePath(ref.Type), ".")
			row := read.entities[ref]
			if !more || row == nil || !n.sight.covers(row.Scopes) {
				continue
			}
			state, err := row.decoded()
			if err != nil {
				return err
			}
			if id, _ := reconcile.Shown(state, n.o.domain.Type(ref.Type))[step].(string); id != "" {
				onward = append(onward, entry.Ref{Type: n.o.domain.Names(ref.Type, step), ID: id})
			}
		}
		refs = onward
	}
	return nil
}

// users are the users of devices by that name.
func (n *naming) users(ids ...string) (out []entry.Ref) {
	if n.says == nil {
		return nil
	}
	for _, id := range ids {
		out = append(out, entry.Ref{Type: n.says.UserType(), ID: id})
	}
	return out
}

// seen is what whoever asks sees.
func (n *naming) seen(ctx context.Context) *sight {
	if n.sight == nil {
		n.sight = n.o.sight(ctx)
	}
	return n.sight
}

// mask is how a field is shown.
func (n *naming) mask(typ, field string) string {
	if n.says == nil {
		return ""
	}
	return n.says.Mask(typ, field)
}

// field is what a field is called.
func (n *naming) field(typ, field string) string {
	if n.says != nil {
		if w := n.says.FieldWords(typ, field, n.lang); w != "" {
			return w
		}
		if of, member, ok := strings.Cut(field, "/"); ok { // one of a set, or a row
			if w := n.says.FieldWords(typ, of, n.lang); w != "" {
				if said := n.says.ValueWords(typ, of, member, n.lang); said != "" {
					member = said
				}
				return w + " / " + member
			}
		}
	}
	return field
}

func (n *naming) typ(typ string) string {
	if n.says != nil {
		if w := n.says.TypeWords(typ, n.lang); w != "" {
			return w
		}
	}
	return typ
}

// value puts a value of a field into words; masked says that it is not all of it.
func (n *naming) value(typ, field string, v any) (text string, masked bool) {
	whole := n.whole(typ, field, v)
	text = n.said(typ, field, v, func(typ, field, s string) string { return shown(s, n.mask(typ, field)) })
	return text, text != whole
}

// whole is a value with nothing masked.
func (n *naming) whole(typ, field string, v any) string {
	return n.said(typ, field, v, func(_, _, s string) string { return s })
}

func (n *naming) said(typ, field string, v any, show func(typ, field, s string) string) string {
	switch v := v.(type) {
	case nil:
		return "—"
	case string:
		return n.choice(typ, field, v, show)
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, name := range sortedKeys(v) {
			parts = append(parts, n.words.T("amount.pair", "name", n.field(typ, name), "value", n.said(typ, name, v[name], show)))
		}
		return strings.Join(parts, n.words.T("say.comma"))
	case []any:
		parts := make([]string, 0, len(v))
		for _, x := range v {
			parts = append(parts, n.said(typ, field, x, show))
		}
		return strings.Join(parts, n.words.T("say.comma"))
	case float64:
		return n.choice(typ, field, strconv.FormatFloat(v, 'f', -1, 64), n.numeral(v, show))
	case int64:
		return n.choice(typ, field, strconv.FormatInt(v, 10), n.numeral(float64(v), show))
	case bool:
		return n.choice(typ, field, strconv.FormatBool(v), func(string, string, string) string { return n.truth(v) })
	default:
		return n.choice(typ, field, fmt.Sprint(v), show)
	}
}

// numeral shows a number as one is written; where its field is masked, as show does.
func (n *naming) numeral(v float64, show func(typ, field, s string) string) func(typ, field, s string) string {
	return func(typ, field, s string) string {
		if n.mask(typ, field) != "" {
			return show(typ, field, s)
		}
		return n.number(typ, field, v, s)
	}
}

// choice is what a value is called, shown as it is when nothing is said of it.
func (n *naming) choice(typ, field, v string, show func(typ, field, s string) string) string {
	if n.says != nil {
		if w := n.says.ValueWords(typ, field, v, n.lang); w != "" {
			return w
		}
	}
	return show(typ, field, v)
}

// form is a form's title.
func (n *naming) form(id string) string {
	if n.says != nil {
		if title := n.says.FormWords(id, n.lang); title != "" {
			return title
		}
	}
	return id
}

// user is a user of a device by name, with the id; the id alone where no name can be read.
func (n *naming) user(ctx context.Context, id string) string {
	if n.says == nil || id == "" {
		return id
	}
	if name, err := n.name(ctx, entry.Ref{Type: n.says.UserType(), ID: id}); err == nil && name != "" {
		return name + " (" + id + ")"
	}
	return id
}

// about is an entity by its type, its name and its id: "Household Batu · H-NB-07".
func (n *naming) about(ctx context.Context, ref entry.Ref) string {
	if n.says == nil || n.says.TypeWords(ref.Type, n.lang) == "" {
		return ref.String()
	}
	what := n.typ(ref.Type)
	if name, err := n.name(ctx, ref); err == nil && name != "" {
		what += " " + name
	}
	return what + " · " + ref.ID
}

// shown masks a text: as its field's mask says, and without one the numbers of persons
// that may be in it.
func shown(s, mask string) string {
	if mask == "" {
		return find.Hide(s)
	}
	return masked(s, mask)
}

// name is what an entity is called, "" when nobody says.
func (n *naming) name(ctx context.Context, ref entry.Ref) (string, error) {
	if name, known := n.names[ref]; known {
		return name, nil
	}
	n.names[ref] = "" // also for a circle of names
	if n.says == nil || n.says.NamePath(ref.Type) == "" {
		return "", nil
	}
	row, err := n.seen(ctx).read.entity(ctx, ref)
	if err != nil || row == nil || !n.sight.covers(row.Scopes) {
		return "", err // it goes by its id
	}
	state, err := row.decoded()
	if err != nil {
		return "", err
	}
	name, err := n.called(ctx, ref.Type, state)
	if err == nil {
		n.names[ref] = name
	}
	return name, err
}

// called is what an entity is called, by its state.
func (n *naming) called(ctx context.Context, typ string, state *merge.State) (string, error) {
	if n.says == nil {
		return "", nil
	}
	step, rest, onward := strings.Cut(n.says.NamePath(typ), ".")
	if step == "" {
		return "", nil
	}
	fields := reconcile.Shown(state, n.o.domain.Type(typ))
	if onward {
		id, _ := fields[step].(string)
		next := entry.Ref{Type: n.o.domain.Names(typ, step), ID: id}
		if id == "" || next.Type == "" || rest == "" {
			return "", nil
		}
		return n.name(ctx, next)
	}
	for _, field := range pack.NameFields(step, n.lang) {
		if v, ok := fields[field].(string); ok && v != "" {
			text, _ := n.value(typ, field, v)
			return text, nil
		}
	}
	return "", nil
}

// answers are a record's answers in words, in the order of its form; those of a group
// are named "group.question". What is masked where it is saved is masked here.
func (n *naming) answers(f *form.Form, fields map[string]any) []console.Answer {
	return n.answersIn(f, f.Fields, "", fields)
}

func (n *naming) answersIn(f *form.Form, asked []form.Field, prefix string, fields map[string]any) (out []console.Answer) {
	for i := range asked {
		x := &asked[i]
		v, answered := fields[x.Name]
		a := console.Answer{Name: prefix + x.Name, Label: x.Label.In(n.lang)}
		if a.Label == "" {
			a.Label = x.Name
		}
		switch x.Kind {
		case form.Group:
			if inner, ok := v.(map[string]any); ok {
				out = append(out, n.answersIn(f, x.Fields, a.Name+".", inner)...)
			}
			continue
		case form.Text, form.Integer, form.Decimal, form.Range, form.SelectOne, form.DateOnly, form.Time, form.DateTime, form.Barcode, form.Acknowledge:
			a.Open, a.Choices = true, n.choices(x)
		case form.Hidden, form.Calculate, form.Note:
			continue
		default: // lists, places and files are corrected by their author
		}
		if !answered {
			continue
		}
		mask := find.MaskOf(f, x, n.mask)
		a.Value = n.answer(f, x, v, mask, true)
		a.Masked = a.Value != n.answer(f, x, v, mask, false)
		out = append(out, a)
	}
	return out
}

// choices are the answers that a question takes, where these are few; nil: it is typed.
func (n *naming) choices(x *form.Field) (out []console.Named) {
	switch {
	case x.Kind == form.SelectOne && !x.Open:
		for _, c := range x.Choices {
			out = append(out, console.Named{ID: c.Name, Words: cmp.Or(c.Label.In(n.lang), c.Name)})
		}
	case x.Kind == form.Acknowledge:
		for _, yes := range []string{"true", "false"} {
			out = append(out, console.Named{ID: yes, Words: n.words.T("value." + yes)})
		}
	}
	return out
}

// answer puts an answer into words; hide masks what is not everybody's.
func (n *naming) answer(f *form.Form, x *form.Field, v any, mask string, hide bool) string {
	text := func(s string) string {
		for _, c := range x.Choices {
			if c.Name == s && c.Label.In(n.lang) != "" {
				return c.Label.In(n.lang)
			}
		}
		if !hide {
			return s
		}
		return shown(s, mask)
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return text(v)
	case bool, int64, float64:
		return text(textOf(v))
	case []any:
		parts := make([]string, 0, len(v))
		for _, row := range v {
			inner, isRow := row.(map[string]any)
			if !isRow {
				parts = append(parts, n.answer(f, x, row, mask, hide))
				continue
			}
			parts = append(parts, "("+n.row(f, x, inner, hide)+")")
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		switch {
		case !hide:
			return string(b)
		case mask != "":
			return masked(string(b), "all")
		}
		return find.Hide(string(b))
	}
	return fmt.Sprint(v)
}

// row is a row of a repeat.
func (n *naming) row(f *form.Form, x *form.Field, row map[string]any, hide bool) string {
	parts := make([]string, 0, len(row))
	for i := range x.Fields {
		inner := &x.Fields[i]
		if v, ok := row[inner.Name]; ok && v != nil {
			label := inner.Label.In(n.lang)
			if label == "" {
				label = inner.Name
			}
			if group, ok := v.(map[string]any); ok && inner.Kind == form.Group {
				parts = append(parts, label+": ("+n.row(f, inner, group, hide)+")")
				continue
			}
			parts = append(parts, label+": "+n.answer(f, inner, v, find.MaskOf(f, inner, n.mask), hide))
		}
	}
	return strings.Join(parts, "; ")
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
