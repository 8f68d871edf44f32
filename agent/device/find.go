package device

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"

	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
)

// Find lists entities that hold all of the words, those whose id is one of them first.
func (d *Device) Find(ctx context.Context, words string, limit int) ([]web.Found, error) {
	parts := strings.Fields(fold(words))
	if len(parts) == 0 {
		return nil, &web.Refusal{Code: "no_words", What: "there is nothing to look for", Do: "give a name, an id, or a part of one"}
	}
	if err := d.finder.fresh(ctx, d); err != nil {
		return nil, err
	}
	return d.finder.look(parts, limit), nil
}

// finder looks through entities in memory, so that nothing of them stands
// readable on the disk. It reads all of them once, and afterwards those that the
// store shows otherwise since.
type finder struct {
	mu    sync.Mutex
	seen  uint64 // how far the store's changes are in it; 0: it was never read
	lines []foundLine
	at    map[entry.Ref]int      // where its line is
	own   map[entry.Ref]bool     // own records are shown in it
	index map[string][]entry.Ref // by folded id
}

type foundLine struct {
	ref  entry.Ref
	text string // id and values, folded, separated by newlines; "" for one that is not shown any more
	show string
}

// fold makes texts equal that people take for the same: capitals, full-width and
// half-width forms, and other compatible ones (Unicode NFKC, UAX #15).
func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

// fresh brings the finder to what the store shows.
func (f *finder) fresh(ctx context.Context, d *Device) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	refs, now, all := d.store.Changed(f.seen)
	if all {
		if err := f.readAll(ctx, d); err != nil {
			return err
		}
		f.seen = now
		return nil
	}
	done := make(map[entry.Ref]bool)
	for _, ref := range refs {
		some := []entry.Ref{ref}
		if ref == (entry.Ref{}) {
			some = slices.Collect(maps.Keys(f.own))
		}
		for _, ref := range some {
			if done[ref] {
				continue
			}
			done[ref] = true
			if err := f.readOne(d, ref); err != nil {
				return err
			}
		}
	}
	f.seen = now
	return nil
}

// readAll reads every entity.
func (f *finder) readAll(ctx context.Context, d *Device) error {
	f.seen, f.lines = 0, f.lines[:0]
	f.at, f.own, f.index = make(map[entry.Ref]int), make(map[entry.Ref]bool), make(map[string][]entry.Ref)
	own, err := d.store.Overlay(ctx)
	if err != nil {
		return err
	}
	for _, w := range own {
		f.own[w.Ref] = true
	}
	for b, err := range d.store.Bases(ctx, "") {
		if err != nil {
			return err
		}
		ref, ok := feed.RefOf(b.Key)
		if !ok || f.own[ref] {
			continue
		}
		if s, err := merge.Decode(b.Body); err == nil { // damage is a finding of the store's
			f.put(d, ref, s)
		}
	}
	for ref := range f.own {
		if err := f.readOne(d, ref); err != nil {
			return err
		}
	}
	return nil
}

// readOne reads one entity, and takes it out when it is not shown.
func (f *finder) readOne(d *Device, ref entry.Ref) error {
	shown, err := d.store.Shown(ref)
	switch {
	case errors.Is(err, store.ErrClosed):
		return err
	case err != nil:
		return nil //nolint:nilerr // damage is a finding of the store's
	}
	if len(shown.Own) > 0 {
		f.own[ref] = true
	} else {
		delete(f.own, ref)
	}
	if shown.InBase || len(shown.Own) > 0 {
		f.put(d, ref, shown.State)
		return nil
	}
	if i, ok := f.at[ref]; ok {
		f.lines[i].text, f.lines[i].show = "", ""
		id := fold(ref.ID)
		f.index[id] = slices.DeleteFunc(f.index[id], func(r entry.Ref) bool { return r == ref })
	}
	return nil
}

// maxShownText bounds the values of an entity that are looked through, in bytes.
const maxShownText = 512

func (f *finder) put(d *Device, ref entry.Ref, s *merge.State) {
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
	id := fold(ref.ID)
	line := foundLine{ref: ref, text: id + "\n" + fold(show.String()+hidden.String()), show: show.String()}
	i, known := f.at[ref]
	if known {
		f.lines[i] = line
	} else {
		f.at[ref] = len(f.lines)
		f.lines = append(f.lines, line)
	}
	if !slices.Contains(f.index[id], ref) {
		f.index[id] = append(f.index[id], ref)
	}
}

func (f *finder) exact(id string) []entry.Ref {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.index[fold(id)])
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
		case slices.Contains(words, fold(l.ref.ID)):
			first = append(first, hit)
		case len(rest) < limit:
			rest = append(rest, hit)
		}
	}
	all := append(first, rest...)
	return all[:min(limit, len(all))]
}
