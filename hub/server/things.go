package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/webui"
)

// mostThings bounds the entities that are looked at for one page, thingsAtOnce those that
// are read together for whoever does not see all.
const (
	mostThings   = 2000
	thingsAtOnce = 500
)

// Things implements console.Things.
func (o *Office) Things(ctx context.Context, q console.ThingQuery) (console.ThingList, error) {
	out := console.ThingList{Things: []console.ThingRow{}}
	d, ok := o.domain.(reconcile.Finding)
	if !ok {
		return out, nil
	}
	var err error
	if out.Indexing, err = o.indexing(ctx); err != nil {
		return out, err
	}
	var after int64
	if q.After != "" {
		if after, err = strconv.ParseInt(q.After, 10, 64); err != nil {
			return out, &webui.Refusal{Code: "bad_cursor", What: "this is no place in the list", Which: q.After, Do: "begin at the first page"}
		}
	}
	text := find.Read(q.Text)
	id := strings.TrimSpace(q.Text)
	if _, name, isRef := strings.Cut(id, "/"); isRef {
		id = name
	}
	byID := []string{reconcile.WordOfID(id)}
	words := text.Words()
	words = words[:min(len(words), store.MostWords-1)]
	if q.Type != "" {
		words, byID = append(words, reconcile.WordOfKind(q.Type)), append(byID, reconcile.WordOfKind(q.Type))
	}
	sight := o.sight(ctx)
	l := lookup{o: o, d: d, sight: sight, naming: sight.naming(q.Lang), text: text, id: id, ask: q, limit: min(cmp.Or(max(q.Limit, 0), usualRecords), mostRecords)}
	if id != "" && after == 0 {
		if err := l.page(ctx, byID, 0, &out); err != nil {
			return out, err
		}
	}
	switch {
	case len(text.Numbers) > 0 && !asker(ctx).Role.May(access.Reveal):
		if len(out.Things) > 0 { // it is somebody's id
			return out, nil
		}
		return out, &webui.Refusal{Code: "hidden_number", What: "numbers of persons are found by those alone who may reveal them", Do: "search by a name, or ask a reconciler"}
	case len(words) == 0 && len(text.Short) > 0 && len(out.Things) == 0:
		return out, &webui.Refusal{Code: "short_word", What: "nothing is found by a single letter", Which: q.Text, Do: "type two letters or more"}
	case len(words) == 0 || q.Type != "" && len(words) == 1 && id != "":
		return out, nil
	}
	return out, l.page(ctx, words, after, &out)
}

// lookup is a running search for entities.
type lookup struct {
	o      *Office
	d      reconcile.Finding
	sight  *sight
	naming *naming
	text   find.Query
	id     string
	ask    console.ThingQuery
	limit  int
}

// page adds the entities that have words, from after on, until the page is full.
func (l *lookup) page(ctx context.Context, words []string, after int64, out *console.ThingList) error {
	atOnce := l.limit
	if !l.sight.all {
		atOnce = max(l.limit, thingsAtOnce)
	}
	for looked := 0; looked < mostThings && len(out.Things) < l.limit; {
		hits, err := l.o.store.FindEntities(ctx, words, after, atOnce)
		if err != nil {
			return err
		}
		refs := make([]entry.Ref, 0, len(hits))
		for _, h := range hits {
			if l.sight.covers(h.Entity.Scopes) {
				refs = append(refs, h.Entity.Ref)
			}
		}
		if err := l.naming.ahead(ctx, refs); err != nil {
			return err
		}
		for _, h := range hits {
			looked, after = looked+1, h.Number
			ok, err := l.meant(h.Entity)
			if err != nil {
				return err
			}
			if !ok || !l.sight.covers(h.Entity.Scopes) {
				continue
			}
			row, err := l.naming.thing(ctx, h.Entity.Ref)
			if err != nil {
				return err
			}
			if !slices.Contains(out.Things, row) {
				out.Things = append(out.Things, row)
			}
			if len(out.Things) == l.limit {
				out.Next = strconv.FormatInt(after, 10)
				return nil
			}
		}
		if len(hits) < atOnce {
			return nil
		}
	}
	out.Next = strconv.FormatInt(after, 10)
	return nil
}

// meant compares an entity with what was asked for.
func (l *lookup) meant(e store.Entity) (bool, error) {
	if l.ask.Type != "" && e.Ref.Type != l.ask.Type {
		return false, nil
	}
	if l.id == "" || strings.EqualFold(e.Ref.ID, l.id) {
		return true, nil
	}
	state, err := merge.Decode(e.State)
	if err != nil {
		return false, fmt.Errorf("entity %s: %w: %w", e.Ref, store.ErrDamaged, err)
	}
	texts, numbers := reconcile.NamesOf(l.d, l.o.domain.Type(e.Ref.Type), e.Ref.Type, state)
	return !l.text.IsZero() && l.text.Matches(texts, numbers), nil
}

// thing is an entity as it is listed.
func (n *naming) thing(ctx context.Context, ref entry.Ref) (console.ThingRow, error) {
	name, err := n.name(ctx, ref)
	return console.ThingRow{Ref: ref.String(), Type: n.typ(ref.Type), Name: name}, err
}

// mostEvents bounds the records of one page of an entity's history.
const mostEvents = 50

// Thing implements console.Things.
func (o *Office) Thing(ctx context.Context, name, before, lang string) (console.Thing, error) {
	typ, id, _ := strings.Cut(name, "/")
	ref := entry.Ref{Type: typ, ID: id}
	row, state, err := o.entityState(ctx, ref)
	if err != nil {
		return console.Thing{}, err
	}
	n := o.naming(lang)
	out := console.Thing{Rev: row.Rev, Scopes: row.Scopes, Deleted: state.IsDeleted()}
	if out.ThingRow, err = n.thing(ctx, ref); err != nil {
		return out, err
	}
	if out.Fields, err = o.thingFields(ctx, n, ref, state); err != nil {
		return out, err
	}
	return out, o.thingHistory(ctx, n, ref, state, before, &out)
}

// thingFields says of each field what is shown, and what stands behind it.
func (o *Office) thingFields(ctx context.Context, n *naming, ref entry.Ref, state *merge.State) ([]console.ThingField, error) {
	items, err := o.itemsOf(ctx, ref)
	if err != nil {
		return nil, err
	}
	out := []console.ThingField{}
	for _, f := range state.View(o.domain.Type(ref.Type)).Fields {
		if !f.Known && len(f.Values) == 0 {
			continue
		}
		line := console.ThingField{Name: f.Name, Label: n.field(ref.Type, f.Name), Rule: f.Rule.String(), Known: f.Known, Conflict: f.Conflict, Item: items[f.Name]}
		line.Value, line.Masked = n.value(ref.Type, f.Name, f.Value)
		if id, ok := f.Value.(string); ok && id != "" {
			if typ := o.domain.Names(ref.Type, f.Name); typ != "" {
				line.Names = entry.Ref{Type: typ, ID: id}.String()
			}
		}
		for _, v := range f.Values {
			stands, hidden, err := o.standing(ctx, n, ref, f.Name, v)
			if err != nil {
				return nil, err
			}
			line.Masked = line.Masked || hidden
			line.Values = append(line.Values, stands)
		}
		out = append(out, line)
	}
	return out, nil
}

// itemsOf are the conflicts of an entity, by register.
func (o *Office) itemsOf(ctx context.Context, ref entry.Ref) (map[string]int64, error) {
	items, err := o.store.Items(ctx, store.ItemQuery{Kind: store.Conflicts, Entity: ref})
	out := make(map[string]int64, len(items))
	for _, it := range items {
		out[it.Field] = it.ID
	}
	return out, err
}

// standing is a value that stands, with the entry and the decision behind it.
func (o *Office) standing(ctx context.Context, n *naming, ref entry.Ref, field string, v merge.Value) (out console.ThingValue, hidden bool, err error) {
	out = console.ThingValue{Dot: v.Dots[0], Beside: v.Add}
	out.Value, hidden = n.value(ref.Type, field, v.Get())
	for _, d := range v.Dots {
		es, err := o.store.EntriesOf(ctx, d.Chain, lane.Run(d.Seq, d.Seq), 1)
		if err != nil {
			return out, hidden, err
		}
		if len(es) == 0 || es[0].Judgement.Code == "linked" {
			continue // another form of it is here
		}
		out.Dot, out.Actor, out.HubAt = d, es[0].Actor, o.at(es[0].CorrectedTime)
		row, err := o.recordRow(ctx, n, &es[0])
		out.Form, out.Who, out.Choice, out.Reason = row.Title, row.Who, "", ""
		if es[0].Form == "system:"+ingest.DecisionKind {
			out.Choice, out.Reason = decided(es[0])
		}
		return out, hidden, err
	}
	return out, hidden, nil
}

// decided reads what a decision of the hub's own says of itself.
func decided(e store.Entry) (choice, reason string) {
	if e.Raw.Erased() {
		return "", ""
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	if err != nil {
		return "", ""
	}
	choice, _ = priv.Fields["choice"].(string)
	reason, _ = priv.Fields["reason"].(string)
	return choice, find.Hide(reason)
}

// thingHistory lists the records that name an entity, and what each wrote.
func (o *Office) thingHistory(ctx context.Context, n *naming, ref entry.Ref, state *merge.State, before string, out *console.Thing) error {
	out.History = []console.ThingEvent{}
	at, err := readCursor(before)
	if err != nil {
		return err
	}
	stands := make(map[dot.Dot][]string)
	for _, name := range state.Registers() {
		for _, v := range state.Values(name) {
			for _, d := range v.Dots {
				stands[d] = append(stands[d], n.field(ref.Type, name))
			}
		}
	}
	for read := 0; read < mostRead; {
		f, err := o.store.Find(ctx, store.FoundQuery{Words: ingest.WordsAbout("", "", ref.ID), Before: at, Limit: mostEvents, Look: mostEvents})
		if err != nil {
			return err
		}
		for _, h := range f.Hits {
			at, read = h.Place, read+1
			ev, ok, err := o.event(ctx, n, ref, h.Dot)
			if err != nil {
				return err
			}
			if ok {
				ev.Stands = stands[h.Dot]
				out.History = append(out.History, ev)
			}
			if len(out.History) == mostEvents {
				out.Next = cursor(at)
				return nil
			}
		}
		if f.Next == (store.Place{}) {
			return nil
		}
		at = f.Next
	}
	out.Next = cursor(at)
	return nil
}

// event is a record in the history of an entity; ok is false when it names another one.
func (o *Office) event(ctx context.Context, n *naming, ref entry.Ref, d dot.Dot) (ev console.ThingEvent, ok bool, err error) {
	es, err := o.store.EntriesOf(ctx, d.Chain, lane.Run(d.Seq, d.Seq), 1)
	if err != nil || len(es) == 0 {
		return ev, false, err
	}
	e := &es[0]
	if seen, err := o.sight(ctx).entry(ctx, d.Device, entry.Ref{Type: e.EntityType, ID: e.Entity}); err != nil || !seen {
		return ev, false, err
	}
	pub, err := entry.DecodePublic(e.Raw.Public)
	if err != nil || !slices.Contains(pub.Refs, ref) {
		return ev, false, nil //nolint:nilerr // it names nothing
	}
	if ev.RecordRow, err = o.recordRow(ctx, n, e); err != nil {
		return ev, false, err
	}
	if e.Form == "system:"+ingest.DecisionKind {
		ev.Choice, ev.Reason = decided(*e)
	}
	if e.Raw.Erased() {
		return ev, true, nil
	}
	if priv, err := entry.DecodePrivate(e.Raw.Private); err == nil {
		ev.Writes = n.writes(pub, priv, ref)
	}
	return ev, true, nil
}
