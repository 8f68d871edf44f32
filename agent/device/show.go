package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
)

// Show shows an entity, named by type and id or by its id alone.
func (d *Device) Show(ctx context.Context, name string) (web.EntityView, error) {
	ref, err := d.named(ctx, name)
	if err != nil {
		return web.EntityView{}, err
	}
	shown, err := d.store.Shown(ref)
	if err != nil {
		return web.EntityView{}, err
	}
	if !shown.InBase && len(shown.Own) == 0 {
		return web.EntityView{}, notHere(name)
	}
	v := shown.State.View(d.typeOf(ref.Type))
	out := web.EntityView{
		Type: ref.Type, ID: ref.ID, Deleted: v.Deleted, Conflicts: append([]string{}, v.Conflicts()...),
		Fields: []web.FieldView{}, Scope: shown.Base.Scope, Own: shown.Own,
	}
	if at := d.store.Feed(shown.Base.Scope).AsOf; shown.InBase && !at.IsZero() {
		out.AsOf = &at
	}
	for _, f := range v.Fields {
		if !f.Known && !f.Conflict {
			continue
		}
		field := web.FieldView{Name: f.Name, Rule: f.Rule.String(), Conflict: f.Conflict}
		if f.Known {
			field.Value = d.masked(ref.Type, f.Name, f.Value)
		}
		for _, side := range f.Values {
			if f.Conflict {
				field.Sides = append(field.Sides, d.masked(ref.Type, f.Name, side.Get()))
			}
		}
		out.Fields = append(out.Fields, field)
	}
	return out, nil
}

func notHere(name string) error {
	return &web.Refusal{Code: "not_here", What: "this device knows of no such entity", Which: name, Do: "check the id, or look for it with find; it may be in a scope that the device is not granted"}
}

// named finds the entity that a person means.
func (d *Device) named(ctx context.Context, name string) (entry.Ref, error) {
	if ref, ok := feed.RefOf(name); ok && d.typeOf(ref.Type) != nil {
		return ref, nil
	}
	if err := d.finder.fresh(ctx, d); err != nil {
		return entry.Ref{}, err
	}
	hits := d.finder.exact(name)
	switch len(hits) {
	case 0:
		return entry.Ref{}, notHere(name)
	case 1:
		return hits[0], nil
	}
	var names []string
	for _, h := range hits {
		names = append(names, h.String())
	}
	return entry.Ref{}, &web.Refusal{Code: "ambiguous", What: "several entities have this id", Which: strings.Join(names, ", "), Do: "say which one, with its type"}
}

func (d *Device) typeOf(name string) *merge.Type {
	if d.cfg.Types == nil {
		return nil
	}
	return d.cfg.Types(name)
}

// mask says how a field is kept from those who need not read it; "" not at all.
func (d *Device) mask(typ, field string) string {
	if d.cfg.Mask == nil {
		return ""
	}
	return d.cfg.Mask(typ, field)
}

// masked is a value as it is shown: of a telephone or an account the last four
// characters, of the rest that is masked nothing.
func (d *Device) masked(typ, field string, v any) any {
	how := d.mask(typ, field)
	if how == "" || v == nil {
		return v
	}
	text, ok := v.(string)
	if r := []rune(text); ok && len(r) > 8 && (how == "last4" || how == "id") {
		return "****" + string(r[len(r)-4:])
	}
	return "****"
}

// Find lists entities that hold all of the words, those whose id is one of them first.
func (d *Device) Find(ctx context.Context, words string, limit int) ([]web.Found, error) {
	parts := strings.Fields(strings.ToLower(words))
	if len(parts) == 0 {
		return nil, &web.Refusal{Code: "no_words", What: "there is nothing to look for", Do: "give a name, an id, or a part of one"}
	}
	if err := d.finder.fresh(ctx, d); err != nil {
		return nil, err
	}
	return d.finder.look(parts, limit), nil
}

// finder looks through entities in memory, so that nothing of them stands
// readable on the disk. It is read from the store when it was never, and again
// after the store changed what the hub sent.
type finder struct {
	mu    sync.Mutex
	made  string // of which state of the feeds; "" never
	lines []foundLine
	index map[string][]entry.Ref // by id in lower case
}

type foundLine struct {
	ref  entry.Ref
	text string // id and values in lower case, separated by newlines
	show string
}

// feedState names what the feeds have brought so far.
func feedState(s *store.Store) string {
	var b strings.Builder
	for _, f := range s.Feeds() {
		fmt.Fprintf(&b, "%s %d %v %d\n", f.Scope, f.Position().N, f.Loading, f.Rows)
	}
	return b.String() + "."
}

// fresh reads the entities unless they are as they were.
func (f *finder) fresh(ctx context.Context, d *Device) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := feedState(d.store)
	if f.made == now {
		return nil
	}
	f.lines, f.index, f.made = f.lines[:0], make(map[string][]entry.Ref), ""
	for b, err := range d.store.Bases(ctx, "") {
		if err != nil {
			return err
		}
		ref, ok := feed.RefOf(b.Key)
		s, err := merge.Decode(b.Body)
		if !ok || err != nil {
			continue // damage is a finding of the store's
		}
		f.add(d, ref, s)
	}
	own, err := d.store.Overlay(ctx)
	if err != nil {
		return err
	}
	for _, w := range own { // what nobody but this device knows
		if slices.Contains(f.index[strings.ToLower(w.Ref.ID)], w.Ref) {
			continue
		}
		if shown, err := d.store.Shown(w.Ref); err == nil {
			f.add(d, w.Ref, shown.State)
		} else if errors.Is(err, store.ErrClosed) {
			return err
		}
	}
	f.made = now
	return nil
}

// maxShownText bounds the values of an entity that are looked through, in bytes.
const maxShownText = 512

func (f *finder) add(d *Device, ref entry.Ref, s *merge.State) {
	var show, hidden strings.Builder // hidden values are found and not shown
	for _, name := range s.Registers() {
		for _, v := range s.Values(name) {
			text, ok := v.Get().(string)
			if !ok || text == "" || show.Len()+len(text) > maxShownText {
				continue
			}
			if d.mask(ref.Type, name) != "" {
				hidden.WriteString("\n" + text)
				continue
			}
			if show.Len() > 0 {
				show.WriteString(" · ")
			}
			show.WriteString(text)
		}
	}
	id := strings.ToLower(ref.ID)
	f.lines = append(f.lines, foundLine{ref: ref, text: id + "\n" + strings.ToLower(show.String()+hidden.String()), show: show.String()})
	f.index[id] = append(f.index[id], ref)
}

func (f *finder) exact(id string) []entry.Ref {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.index[strings.ToLower(id)])
}

func (f *finder) look(words []string, limit int) []web.Found {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, rest := []web.Found{}, []web.Found{}
	for _, l := range f.lines {
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l.text, w) }) {
			continue
		}
		hit := web.Found{Type: l.ref.Type, ID: l.ref.ID, Words: l.show}
		switch {
		case slices.Contains(words, strings.ToLower(l.ref.ID)):
			first = append(first, hit)
		case len(rest) < limit:
			rest = append(rest, hit)
		}
	}
	all := append(first, rest...)
	return all[:min(limit, len(all))]
}
