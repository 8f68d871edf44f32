package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
	"otor/internal/pack"
)

// stateOf reads an entity; ok is false for one that was deleted.
func (o *Office) stateOf(e store.Entity) (s *merge.State, fields map[string]any, ok bool, err error) {
	s, err = merge.Decode(e.State)
	if err != nil {
		return nil, nil, false, fmt.Errorf("entity %s: %w: %w", e.Ref, store.ErrDamaged, err)
	}
	if s.IsDeleted() {
		return nil, nil, false, nil
	}
	return s, reconcile.Shown(s, o.domain.Type(e.Ref.Type)), true, nil
}

// knownPersons reads the persons that a kind of list is compared with, and others, whom
// nobody entered as what the list is of.
func (o *Office) knownPersons(ctx context.Context, k pack.Roster) (out, others []reconcile.Known, err error) {
	expected, err := o.expected(ctx, k)
	if err != nil {
		return nil, nil, err
	}
	read := o.pathsBy(o.stored(ctx))
	for e, err := range o.store.EntitiesOf(ctx, k.Type) {
		if err != nil {
			return nil, nil, err
		}
		checks, ok := expected[e.Ref.ID]
		s, fields, there, err := o.stateOf(e)
		if err != nil {
			return nil, nil, err
		}
		if !there {
			continue
		}
		p := reconcile.Known{Ref: e.Ref.ID, Seen: checks}
		if k.Of == "" && k.Checks != "" {
			p.Seen = o.checksOf(s, k.Checks, k.Months)
		}
		for name, path := range k.Fields {
			v, err := read.follow(k.Type, fields, path)
			if err != nil {
				return nil, nil, err
			}
			setKnown(&p, reconcile.Field(name), v)
		}
		if k.Of != "" && !ok {
			others = append(others, p)
			continue
		}
		out = append(out, p)
	}
	return out, others, nil
}

func setKnown(p *reconcile.Known, f reconcile.Field, v any) {
	text, _ := v.(string)
	switch f {
	case reconcile.FieldName:
		p.Name = text
	case reconcile.FieldID:
		p.ID = form.StoredResidentID(text)
	case reconcile.FieldBirth:
		p.Birth, _ = form.ParseDate(text)
	case reconcile.FieldPhone:
		p.Phone = text
	case reconcile.FieldPlace:
		p.Place = text
	}
}

// expected lists the persons who are expected on a list, with when they were checked;
// nil when all are.
func (o *Office) expected(ctx context.Context, k pack.Roster) (map[string][]reconcile.Evidence, error) {
	if k.Of == "" {
		return nil, nil
	}
	out := make(map[string][]reconcile.Evidence)
	for e, err := range o.store.EntitiesOf(ctx, k.Of) {
		if err != nil {
			return nil, err
		}
		s, fields, there, err := o.stateOf(e)
		if err != nil {
			return nil, err
		}
		person, _ := fields[k.By].(string)
		if !there || person == "" {
			continue
		}
		out[person] = append(out[person], o.checksOf(s, k.Checks, k.Months)...)
	}
	return out, nil
}

// checksOf lists the days on which somebody was seen, as far as they count today.
func (o *Office) checksOf(s *merge.State, field string, months int) (out []reconcile.Evidence) {
	if field == "" {
		return nil
	}
	today := o.now().In(o.zone)
	since := today.AddDate(0, -months, 0).Format(time.DateOnly)
	days, _ := s.Show(o.domain.Type(s.Ref.Type), field).Value.([]any)
	for _, d := range days {
		day, _ := d.(string)
		at, err := time.ParseInLocation(time.DateOnly, day, o.zone)
		if err != nil || day < since {
			continue
		}
		e := reconcile.Evidence{At: at.UnixMilli(), What: day}
		if dots := s.Show(nil, field+"/"+day).Dots; len(dots) > 0 {
			e.Dot = dots[len(dots)-1].String()
		}
		out = append(out, e)
	}
	return out
}

// paths follows fields that name entities, for one comparison. It keeps what it read:
// there are fewer households than persons.
type paths struct {
	o     *Office
	get   getEntity
	types map[string]map[string]map[string]any // type, id, fields
}

// getEntity reads an entity, now or as it is in a transaction; [store.ErrNotFound].
type getEntity func(entry.Ref) (store.Entity, error)

func (o *Office) stored(ctx context.Context) getEntity {
	return func(ref entry.Ref) (store.Entity, error) { return o.store.Entity(ctx, ref) }
}

func (o *Office) pathsBy(get getEntity) *paths {
	return &paths{o: o, get: get, types: map[string]map[string]map[string]any{}}
}

func (p *paths) follow(typ string, fields map[string]any, path string) (any, error) {
	step, rest, more := strings.Cut(path, ".")
	if !more {
		return fields[step], nil
	}
	id, _ := fields[step].(string)
	to := p.o.domain.Names(typ, step)
	if id == "" || to == "" {
		return nil, nil
	}
	next, ok := p.types[to][id]
	if !ok {
		row, err := p.get(entry.Ref{Type: to, ID: id})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			if _, next, _, err = p.o.stateOf(row); err != nil {
				return nil, err
			}
		}
		if p.types[to] == nil {
			p.types[to] = make(map[string]map[string]any)
		}
		p.types[to][id] = next
	}
	return p.follow(to, next, rest)
}

// rosterRulings reads what was decided about a list, by key.
func (o *Office) rosterRulings(ctx context.Context, kind string) (map[string]store.RosterRuling, error) {
	out := make(map[string]store.RosterRuling)
	for r, err := range o.store.RosterRulings(ctx, kind) {
		if err != nil {
			return nil, err
		}
		out[r.Key] = r
	}
	return out, nil
}

func ruledBy(keys []string, rulings map[string]store.RosterRuling) func(i int) reconcile.Ruled {
	return func(i int) reconcile.Ruled {
		r := rulings[keys[i]]
		return reconcile.Ruled{Same: r.Same, Not: r.Not}
	}
}

// matchRoster compares a list with the persons as they are now, and keeps what is new
// of that. A newer import has the last word.
func (o *Office) matchRoster(ctx context.Context, k pack.Roster) (map[reconcile.Standing]int, error) {
	o.rosters.matching.Lock()
	defer o.rosters.matching.Unlock()
	list, err := o.rosterOf(ctx, k.ID)
	if err != nil || list.Import == 0 {
		return nil, err
	}
	at := o.now().UnixMilli()
	var kept []store.RosterRow
	for r, err := range o.store.RosterRows(ctx, k.ID) {
		if err != nil {
			return nil, err
		}
		kept = append(kept, r)
	}
	slices.SortFunc(kept, func(a, b store.RosterRow) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key))
	})
	rows, keys := make([]reconcile.Listed, len(kept)), make([]string, len(kept))
	for i := range kept {
		if rows[i], err = reconcile.Read(kept[i]); err != nil {
			return nil, fmt.Errorf("row %d of roster %s: %w: %w", kept[i].Line, k.ID, store.ErrDamaged, err)
		}
		keys[i] = kept[i].Key
	}
	known, others, err := o.knownPersons(ctx, k)
	if err != nil {
		return nil, err
	}
	rulings, err := o.rosterRulings(ctx, k.ID)
	if err != nil {
		return nil, err
	}
	before := make(map[string]store.RosterMatch, len(rows))
	for m, err := range o.store.RosterMatches(ctx, k.ID) {
		if err != nil {
			return nil, err
		}
		before[m.Key] = m
	}
	counts := make(map[reconcile.Standing]int)
	var put []store.RosterMatch
	matches := reconcile.MatchRoster(rows, known, ruledBy(keys, rulings))
	reconcile.Elsewhere(matches, others, ruledBy(keys, rulings))
	for i, m := range matches {
		counts[m.Standing]++
		key := ""
		if i < len(keys) {
			key = keys[i]
		} else {
			key = reconcile.PersonKey(m.Person.Ref)
		}
		now := reconcile.KeptMatch(key, m, rulings[key])
		if was, ok := before[key]; !ok || !sameMatch(was, now) {
			put = append(put, now)
		}
		delete(before, key)
	}
	drop := make([]string, 0, len(before))
	for key := range before {
		drop = append(drop, key)
	}
	_, err = o.store.PutRosterMatches(ctx, k.ID, list.Import, at, put, drop)
	return counts, err
}

func sameMatch(a, b store.RosterMatch) bool {
	return a.Line == b.Line && a.Standing == b.Standing && a.Person == b.Person && a.Open == b.Open && a.Seen == b.Seen && string(a.Evidence) == string(b.Evidence)
}

// MatchRosters compares all lists with the persons as they are now.
func (o *Office) MatchRosters(ctx context.Context) error {
	d, ok := o.domain.(rosterer)
	if !ok {
		return nil
	}
	var errs []error
	for _, k := range d.Rosters() {
		if _, err := o.matchRoster(ctx, k); err != nil {
			errs = append(errs, fmt.Errorf("compare roster %s: %w", k.ID, err))
		}
	}
	return errors.Join(errs...)
}

const (
	// matchEvery is how often lists are compared again while entries come in.
	matchEvery = 2 * time.Minute
	// matchShare bounds the part of the time that comparing takes.
	matchShare = 20
)

// match compares lists when the hub starts, when something was decided about them, and
// from time to time when entries came in.
func (s *Server) match(ctx context.Context) {
	var seen int64 = -1
	tick := time.NewTicker(matchEvery)
	defer tick.Stop()
	for {
		totals, err := s.store.Totals(ctx)
		asked := false
		select {
		case <-s.office.rosters.stale:
			asked = true
		default:
		}
		if err == nil && (asked || s.leads.Load() && totals.Entries != seen) { // of several hubs one by itself
			began := time.Now()
			if err = s.office.MatchRosters(ctx); err == nil {
				seen = totals.Entries
				s.bell.Ring()
			}
			if !wait(ctx, matchShare*time.Since(began)) {
				return
			}
		}
		if err != nil && ctx.Err() == nil {
			seen = -1 // again with the next tick
			s.cfg.Log.Error("official lists are not compared with what came in", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.office.rosters.stale:
			s.office.matchSoon()
		}
	}
}

// wait waits; ok is false when ctx ended.
func wait(ctx context.Context, d time.Duration) (ok bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// matchSoon asks for a comparison.
func (o *Office) matchSoon() {
	select {
	case o.rosters.stale <- struct{}{}:
	default: // it is asked for already
	}
}
