package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/rules"
	"otor/internal/webui"
)

// table shows what waits to the console's pages.
type table struct {
	o      *Office
	domain reconcile.Domain // nil: no entities, and no items
}

// worded is what a domain may say of its types, fields and values; "" where it says nothing.
type worded interface {
	FieldWords(typ, field, lang string) string
	ValueWords(typ, field, value, lang string) string
	TypeWords(typ, lang string) string
	FormWords(id, lang string) string
	// NamePath is the path to what an entity of a type is called.
	NamePath(typ string) string
	// UserType is the type of entity that users of devices are.
	UserType() string
	// Mask says how a field is shown to those who need not read it; "" is whole.
	Mask(typ, field string) string
}

// Bounds of a page of the queue: items shown, and looked at for whoever does not see all.
const (
	itemsAtOnce = 100
	mostItems   = 3000
)

// The shelf of packs says all of it: without, nothing would be masked.
var _ worded = (*pack.Shelf)(nil)

// Items implements console.Queue.
func (t table) Items(ctx context.Context, kind, after, lang string) (out console.ItemPage, err error) {
	q := store.ItemQuery{State: store.Open, Kind: kind, Limit: itemsAtOnce}
	if q.After, err = readItemPlace(after); err != nil {
		return out, err
	}
	for looked := 0; looked < mostItems; {
		rows, err := t.o.store.Items(ctx, q)
		if err != nil {
			return out, err
		}
		sight := t.o.sight(ctx)
		for i, row := range rows {
			looked, q.After = looked+1, row.Place()
			seen, _, err := sight.entity(ctx, row.Entity)
			if err != nil {
				return out, err
			}
			if !seen {
				continue
			}
			it, err := t.item(ctx, t.o.itemLine(row), lang)
			if err != nil {
				return out, err
			}
			if out.Items = append(out.Items, it); len(out.Items) == itemsAtOnce && (i < len(rows)-1 || len(rows) == q.Limit) {
				out.Next = itemPlace(q.After)
				return out, nil
			}
		}
		if len(rows) < q.Limit {
			return out, nil
		}
	}
	out.Next = itemPlace(q.After)
	return out, nil
}

// Counts implements console.Queue.
func (t table) Counts(ctx context.Context) (map[string]uint64, error) {
	kinds, err := t.o.store.OpenKinds(ctx)
	sight, out := t.o.sight(ctx), make(map[string]uint64)
	for _, k := range kinds {
		if sight.covers(k.Scopes) {
			out[k.Kind] += k.N
		}
	}
	return out, err
}

// Beside implements console.Queue.
func (t table) Beside(ctx context.Context, id int64) (next, previous int64, err error) {
	it, err := t.o.store.Item(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	sight := t.o.sight(ctx)
	first := func(q store.ItemQuery) (int64, error) {
		q.State, q.Kind, q.Limit = store.Open, it.Kind, itemsAtOnce
		rows, err := t.o.store.Items(ctx, q)
		for _, row := range rows {
			if seen, _, err := sight.entity(ctx, row.Entity); err != nil || seen {
				return row.ID, err
			}
		}
		return 0, err
	}
	if next, err = first(store.ItemQuery{After: it.Place()}); err == nil {
		previous, err = first(store.ItemQuery{Before: it.Place()})
	}
	return next, previous, err
}

func itemPlace(p store.ItemPlace) string { return fmt.Sprintf("%d.%d", p.OpenedAt, p.ID) }

func readItemPlace(s string) (p store.ItemPlace, err error) {
	if s == "" {
		return p, nil
	}
	at, id, _ := strings.Cut(s, ".")
	p.OpenedAt, err = strconv.ParseInt(at, 10, 64)
	if err == nil {
		p.ID, err = strconv.ParseInt(id, 10, 64)
	}
	if err != nil {
		return store.ItemPlace{}, &webui.Refusal{Code: "bad_cursor", What: "this is no place in the list", Which: s, Do: "begin at the first page"}
	}
	return p, nil
}

// Item implements console.Queue.
func (t table) Item(ctx context.Context, id int64, lang string) (console.Item, error) {
	row, err := t.o.store.Item(ctx, id)
	if err == nil {
		if seen, _, look := t.o.sight(ctx).entity(ctx, row.Entity); look != nil || !seen {
			err = errors.Join(look, store.ErrNotFound)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return console.Item{}, &webui.Refusal{Code: "not_found", What: "there is no such item", Which: strconv.FormatInt(id, 10)}
	}
	if err != nil {
		return console.Item{}, err
	}
	it, err := t.item(ctx, t.o.itemLine(row), lang)
	if err != nil || row.Kind != store.Conflicts || row.State != store.Open {
		return it, err
	}
	return it, t.effects(ctx, row, &it, lang)
}

// item puts an item into words.
func (t table) item(ctx context.Context, l ItemLine, lang string) (console.Item, error) {
	typ, _, _ := strings.Cut(l.Entity, "/")
	say := t.o.naming(lang)
	it := console.Item{
		ID: l.ID, Kind: l.Kind, Entity: l.Entity, About: l.Entity, Field: say.field(typ, l.Field), Owner: l.Owner, Open: l.State == store.Open,
		OpenedAt: l.OpenedAt, DecidedBy: l.DecidedBy, Reason: l.Reason, Times: l.Times,
	}
	if typ, id, ok := strings.Cut(l.Entity, "/"); ok {
		it.About = say.about(ctx, entry.Ref{Type: typ, ID: id})
	}
	if l.ClosedAt != nil {
		it.ClosedAt = *l.ClosedAt
	}
	it.Reason = find.Hide(it.Reason)
	for _, d := range l.Entries {
		it.Entries = append(it.Entries, d.String())
	}
	if l.Kind != store.Conflicts {
		var n reconcile.Notice
		if err := json.Unmarshal(l.Evidence, &n); err != nil {
			return it, fmt.Errorf("evidence of item %d: %w", l.ID, err)
		}
		it.Code, it.Field, it.Notice = n.Rule, say.field(typ, n.Rule), find.Hide(n.Words)
		if d, ok := t.domain.(reconcile.Noticing); ok && d.RuleWords(n.Rule, lang) != "" {
			it.Notice, it.Field = d.RuleWords(n.Rule, lang), ""
		}
		if n.Keeps != nil {
			it.Keeps = n.Keeps.String()
		}
		it.Seen, it.Offers = l.Entries, reconcile.Choices(l.Kind)
		it.Decidable = len(it.Offers) > 0
		it.Undo = l.State == store.Decided && t.o.now().Sub(it.ClosedAt) < reconcile.UndoWithin
		return it, nil
	}
	var e reconcile.Dispute
	if err := json.Unmarshal(l.Evidence, &e); err != nil {
		return it, fmt.Errorf("evidence of item %d: %w", l.ID, err)
	}
	show := func(v any) string {
		text, _ := say.value(typ, l.Field, v)
		return text
	}
	it.Base, it.BaseKnown, it.Seen, it.Decidable = show(e.Base), e.BaseKnown, e.Displayed, true
	it.Undo = l.State == store.Decided && len(e.Former) > 1 && t.o.now().Sub(it.ClosedAt) < reconcile.UndoWithin
	if e.Asked != nil {
		it.Asked, it.AskedBy = e.Asked.Words, e.Asked.By
	}
	for i, s := range e.Sides {
		side := console.Side{
			Letter: reconcile.Letter(i), Value: show(s.Value), Dot: s.Dot.String(), Form: say.form(s.Form), Actor: say.user(ctx, s.Actor), Via: s.Via,
			DeviceAt: t.time(s.DeviceTime), HubAt: t.time(s.CorrectedTime), ReceivedAt: t.time(s.ReceivedAt), Own: s.Dot.Device == dot.Hub,
		}
		switch s.Value.(type) { // others are too long to type
		case string, float64, bool:
			it.OtherValue = l.Field != merge.Deleted
		}
		if s.PriorKnown {
			side.Prior = show(s.Prior)
		}
		it.Sides = append(it.Sides, side)
	}
	return it, nil
}

func (t table) time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return t.o.at(ms)
}

// masked shows of a text what a mask lets be seen: "" all of it, "all" nothing,
// others its last four characters.
func masked(v, mask string) string {
	r := []rune(v)
	shown := min(len(r), 4)
	switch mask {
	case "":
		return v
	case "all":
		shown = 0
	}
	return strings.Repeat("•", max(len(r)-shown, 4)) + string(r[len(r)-shown:])
}

// veil masks the values in an item's evidence. Who reads the hub's folder could read
// them there.
func (o *Office) veil(ctx context.Context, l *ItemLine) error {
	typ, _, _ := strings.Cut(l.Entity, "/")
	w, ok := o.domain.(worded)
	if !ok || l.Kind != store.Conflicts || asker(ctx).By == "machine" {
		return nil
	}
	mask := func(v any) any { return maskedValue(w, typ, l.Field, v) }
	var e reconcile.Dispute
	if err := json.Unmarshal(l.Evidence, &e); err != nil {
		return fmt.Errorf("evidence of item %d: %w", l.ID, err)
	}
	e.Base, e.Former = mask(e.Base), nil
	for i := range e.Sides {
		e.Sides[i].Value, e.Sides[i].Prior = mask(e.Sides[i].Value), mask(e.Sides[i].Prior)
	}
	var err error
	l.Evidence, err = json.Marshal(e)
	return err
}

// maskedValue masks the texts in a value of a field.
func maskedValue(w worded, typ, field string, v any) any {
	switch v := v.(type) {
	case string:
		return shown(v, w.Mask(typ, field))
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[name] = maskedValue(w, typ, name, x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = maskedValue(w, typ, field, x)
		}
		return out
	}
	return v
}

// Decide implements console.Queue.
func (t table) Decide(ctx context.Context, id int64, c console.Choice) error {
	ru := Ruling{Choice: c.Choice, Reason: c.Reason, Seen: c.Seen}
	if c.Choice == reconcile.ChooseOther && strings.TrimSpace(c.Value) != "" {
		ru.Value = json.RawMessage(c.Value)
		if !json.Valid(ru.Value) || !strings.HasPrefix(strings.TrimSpace(c.Value), "{") { // text as it was typed
			b, err := json.Marshal(strings.TrimSpace(c.Value))
			if err != nil {
				return err
			}
			ru.Value = b
		}
	}
	_, err := t.o.Decide(ctx, id, ru)
	return asPageRefusal(err)
}

func asPageRefusal(err error) error {
	if err == nil {
		return nil
	}
	if r, ok := asRefusal(err); ok {
		return r
	}
	return err
}

// Gaps implements console.Holes.
func (t table) Gaps(ctx context.Context) ([]console.Gap, error) {
	gaps, err := t.o.store.Gaps(ctx, false)
	if err == nil {
		gaps, err = t.o.gapsSeen(ctx, gaps)
	}
	if err != nil {
		return nil, err
	}
	held, err := t.o.store.HeldCounts(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]console.Gap, 0, len(gaps))
	for _, g := range gaps {
		out = append(out, console.Gap{Chain: g.Chain, Run: g.Run, OpenedAt: t.o.at(g.OpenedAt), Held: uint64(held[g.Chain])}) //nolint:gosec // a count
	}
	return out, nil
}

// Seal implements console.Holes.
func (t table) Seal(ctx context.Context, g console.Gap, reason string) error {
	return asPageRefusal(t.o.Seal(ctx, g.Chain, g.Run, reason))
}

// effects says what derived values become with each side: of the entity itself,
// and of those that it names. Only what differs between the sides is said.
func (t table) effects(ctx context.Context, row store.Item, it *console.Item, lang string) error {
	n, ok := t.domain.(reconcile.Noticing)
	if !ok || n.Rules() == nil || row.Field == merge.Deleted {
		return nil
	}
	var e reconcile.Dispute
	if err := json.Unmarshal(row.Evidence, &e); err != nil {
		return fmt.Errorf("evidence of item %d: %w", row.ID, err)
	}
	read := &reading{ctx: ctx, t: t, lists: make(map[string]map[string]map[string]any)}
	say := t.o.naming(lang)
	today := t.o.now().In(t.o.zone).Format(time.DateOnly)
	about := []entry.Ref{row.Entity}
	own, _ := read.Entity(row.Entity.Type, row.Entity.ID)
	for _, field := range slices.Sorted(maps.Keys(own)) {
		if typ := t.domain.Names(row.Entity.Type, field); typ != "" {
			if id, ok := own[field].(string); ok && id != "" {
				about = append(about, entry.Ref{Type: typ, ID: id})
			}
		}
	}
	for _, ref := range about {
		values := make([]map[string]any, len(e.Sides))
		for i, s := range e.Sides {
			read.put(row.Entity, row.Field, s.Value)
			values[i], _ = n.Rules().Derive(read, today, ref.Type, ref.ID) // what cannot be worked out is nil
			maps.DeleteFunc(values[i], func(_ string, v any) bool {        // nor what is divided by nothing
				x, ok := v.(float64)
				return ok && x-x != 0
			})
		}
		if read.err != nil {
			return read.err
		}
		for _, field := range n.Rules().Derived(ref.Type) {
			same := !slices.ContainsFunc(values, func(v map[string]any) bool { return !reflect.DeepEqual(v[field], values[0][field]) })
			for i := range values {
				if !same && values[i][field] != nil && i < len(it.Sides) {
					text, _ := say.value(ref.Type, field, values[i][field])
					it.Sides[i].Effects = append(it.Sides[i].Effects, console.Effect{About: say.about(ctx, ref), Field: say.field(ref.Type, field), Value: text})
				}
			}
		}
	}
	return nil
}

// reading lets rules read the hub's entities with one field as if it had a value.
type reading struct {
	ctx    context.Context //nolint:containedctx // rules take none; it lives for one page
	t      table
	lists  map[string]map[string]map[string]any // type, id, fields
	base   entry.Ref
	fields map[string]any
	err    error
}

var _ rules.Reader = (*reading)(nil)

// put gives a register of an entity a value.
func (r *reading) put(ref entry.Ref, register string, v any) {
	r.base, r.fields = ref, map[string]any{register: v}
	if members, ok := v.(map[string]any); ok {
		r.fields = members
	}
}

// Entity implements rules.Reader.
func (r *reading) Entity(typ, id string) (map[string]any, bool) {
	row, err := r.t.o.store.Entity(r.ctx, entry.Ref{Type: typ, ID: id})
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			r.err = err
		}
		return nil, false
	}
	f, err := r.shown(row)
	if err != nil {
		r.err = err
		return nil, false
	}
	return r.over(row.Ref, f), true
}

func (r *reading) shown(row store.Entity) (map[string]any, error) {
	s, err := merge.Decode(row.State)
	if err != nil {
		return nil, fmt.Errorf("entity %s: %w: %w", row.Ref, store.ErrDamaged, err)
	}
	return reconcile.Shown(s, r.t.domain.Type(row.Ref.Type)), nil
}

func (r *reading) over(ref entry.Ref, f map[string]any) map[string]any {
	if ref != r.base {
		return f
	}
	f = maps.Clone(f)
	maps.Copy(f, r.fields)
	return f
}

// All implements rules.Reader.
func (r *reading) All(typ string) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		list := r.lists[typ]
		if list == nil {
			list = make(map[string]map[string]any)
			for row, err := range r.t.o.store.EntitiesOf(r.ctx, typ) {
				var f map[string]any
				if err == nil {
					f, err = r.shown(row)
				}
				if err != nil {
					r.err = err
					return
				}
				list[row.Ref.ID] = f
			}
			r.lists[typ] = list
		}
		for _, id := range slices.Sorted(maps.Keys(list)) {
			if !yield(id, r.over(entry.Ref{Type: typ, ID: id}, list[id])) {
				return
			}
		}
	}
}

// Where implements rules.Reader.
func (r *reading) Where(typ, field string, value any) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for id, f := range r.All(typ) {
			if alike(f[field], value) && !yield(id, f) {
				return
			}
		}
	}
}

func alike(a, b any) bool {
	if n, ok := a.(int64); ok {
		a = float64(n)
	}
	if n, ok := b.(int64); ok {
		b = float64(n)
	}
	return reflect.DeepEqual(a, b)
}
