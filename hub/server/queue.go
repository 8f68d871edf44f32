package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/pack"
	"otor/internal/rules"
	"otor/internal/webui"
)

// table shows what waits to the console's pages.
type table struct {
	o      *Office
	domain reconcile.Domain // nil: no entities, and no items
	view   outlook
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
	// Kind is what is written into a field, Unit the unit of a number, Members the fields
	// of a group.
	Kind(typ, field string) string
	Unit(typ, field string) string
	Members(typ, group string) []string
	// Mask says how a field is shown to those who need not read it; "" is whole.
	Mask(typ, field string) string
}

// Bounds of a page of the queue: items shown, and looked at for whoever does not see all.
const (
	itemsAtOnce = 100
	itemsLooked = 1000
	mostItems   = 3000
)

// The shelf of packs says all of it: without, nothing would be masked.
var _ worded = (*pack.Shelf)(nil)

// Items implements console.Queue.
func (t table) Items(ctx context.Context, ask console.ItemQuery) (out console.ItemPage, err error) {
	sight := t.o.sight(ctx)
	say := sight.naming(ask.Lang)
	q := store.ItemQuery{State: store.Open, Kind: ask.Kind, Limit: itemsAtOnce}
	if ask.Mine {
		q.Owner = actor(ctx)
	}
	if !sight.all {
		q.Limit = itemsLooked
	}
	if q.After, err = readItemPlace(ask.After); err != nil {
		return out, err
	}
	var rows []store.Item
	more := true
	for looked := 0; more && looked < mostItems && len(rows) < itemsAtOnce; {
		some, err := t.o.store.Items(ctx, q)
		if err != nil {
			return out, err
		}
		more = len(some) == q.Limit
		for i, row := range some {
			looked, q.After = looked+1, row.Place()
			if !sight.covers(row.Scopes) {
				continue
			}
			if rows = append(rows, row); len(rows) == itemsAtOnce {
				more = more || i < len(some)-1
				break
			}
		}
	}
	if err := t.aheadOf(ctx, say, rows); err != nil {
		return out, err
	}
	for _, row := range rows {
		it, err := t.item(ctx, t.o.itemLine(row), say)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, it)
	}
	if more {
		out.Next = itemPlace(q.After)
	}
	return out, nil
}

// aheadOf reads at once what items tell of.
func (t table) aheadOf(ctx context.Context, say *naming, rows []store.Item) error {
	var refs []entry.Ref
	for _, row := range rows {
		refs = append(refs, row.Entity)
		if row.Kind != store.Conflicts {
			continue
		}
		var e reconcile.Dispute
		if json.Unmarshal(row.Evidence, &e) == nil { // else telling it says so
			for _, s := range e.Sides {
				refs = append(refs, say.users(s.Actor)...)
			}
		}
	}
	return say.ahead(ctx, refs)
}

// Counts implements console.Queue.
func (t table) Counts(ctx context.Context) (map[string]console.Waiting, error) {
	sight, out := t.o.sight(ctx), make(map[string]console.Waiting)
	kinds, err := t.o.store.OpenKinds(ctx, !sight.all)
	for _, k := range kinds {
		if sight.covers(k.Scopes) {
			out[k.Kind] = out[k.Kind].With(k.N, t.o.at(k.Oldest))
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
			if sight.covers(row.Scopes) {
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
	row, err := t.o.itemSeen(ctx, id)
	if err != nil {
		return console.Item{}, err
	}
	it, err := t.item(ctx, t.o.itemLine(row), t.o.naming(lang))
	if err != nil || row.Kind != store.Conflicts || row.State != store.Open {
		return it, err
	}
	if err := t.places(ctx, &it, lang); err != nil {
		return it, err
	}
	return it, t.effects(ctx, row, &it, lang)
}

// item puts an item into words.
func (t table) item(ctx context.Context, l ItemLine, say *naming) (console.Item, error) {
	typ, _, _ := strings.Cut(l.Entity, "/")
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
	if l.Decision != nil {
		it.Decision = *l.Decision
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
		if d, ok := t.domain.(reconcile.Noticing); ok && d.RuleWords(n.Rule, say.lang) != "" {
			it.Notice, it.Field = d.RuleWords(n.Rule, say.lang), ""
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
		it.Asked, it.AskedBy = find.Hide(e.Asked.Words), e.Asked.By
	}
	values := make([]any, 0, len(e.Sides))
	for i, s := range e.Sides {
		side := console.Side{
			Letter: reconcile.Letter(i), Value: show(s.Value), Dot: s.Dot.String(), Device: string(s.Dot.Device), Form: say.form(s.Form), Actor: say.user(ctx, s.Actor), Via: s.Via,
			DeviceAt: t.time(s.DeviceTime), HubAt: t.time(s.CorrectedTime), ReceivedAt: t.time(s.ReceivedAt), Own: s.Dot.Device == dot.Hub,
		}
		values = append(values, s.Value)
		if s.PriorKnown {
			side.Prior = show(s.Prior)
		}
		it.Sides = append(it.Sides, side)
	}
	if it.Open {
		it.Other = say.otherParts(typ, l.Field, values)
	}
	return it, nil
}

func (t table) time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return t.o.at(ms)
}

// Decide implements console.Queue.
func (t table) Decide(ctx context.Context, id int64, c console.Choice) error {
	ru := Ruling{Choice: c.Choice, Reason: c.Reason, Seen: c.Seen, Decision: c.Decision, ClosedAt: c.ClosedAt}
	if c.Choice == reconcile.ChooseOther {
		var err error
		if ru.Value, err = otherValue(c.Other); err != nil {
			return err
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

var _ rules.Reader = (*reading)(nil)
