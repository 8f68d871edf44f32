package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"otor/hub/console"
	"otor/hub/land"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/hub/watch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/pack"
)

// openLand makes the room that works out what entities amount to.
func (s *Server) openLand() {
	s.land = land.New(land.Config{
		Entities: s.store, Pack: s.inForce, Fields: s.fieldsOf, Log: s.cfg.Log, Done: s.bell.Ring,
		Now: func() time.Time { return s.cfg.Now().In(s.cfg.Zone) },
	})
	s.closers = append(s.closers, s.land.Close)
}

// inForce is the pack by which pages tell of entities; nil: none.
func (s *Server) inForce() *pack.Pack {
	if s.cfg.Packs != nil {
		return s.cfg.Packs.Current()
	}
	return s.cfg.Pack
}

// fieldsOf are an entity's fields as people see it; nil: it was deleted.
func (s *Server) fieldsOf(row store.Entity) (map[string]any, error) {
	if s.cfg.Domain == nil {
		return nil, nil
	}
	state, err := merge.Decode(row.State)
	if err != nil {
		return nil, fmt.Errorf("entity %s: %w: %w", row.Ref, store.ErrDamaged, err)
	}
	t := s.cfg.Domain.Type(row.Ref.Type)
	if state.View(t).Deleted {
		return nil, nil
	}
	return reconcile.Shown(state, t), nil
}

// outlook shows the console's charts what the hub knows.
type outlook struct {
	o    *Office
	land *land.Room
	pack func() *pack.Pack
	// fields are those of an entity.
	fields func(store.Entity) (map[string]any, error)
}

// Trend implements console.Outlook.
func (v outlook) Trend(ctx context.Context, from time.Time, fine bool) ([]console.Point, bool, error) {
	if !v.o.sight(ctx).all {
		return nil, false, nil
	}
	step := watch.Steps[1].Each
	if fine {
		step = watch.Steps[0].Each
	}
	rows, err := v.o.store.Samples(ctx, step.Milliseconds(), from.UnixMilli())
	if err != nil {
		return nil, false, err
	}
	out := make([]console.Point, 0, len(rows))
	for _, x := range rows {
		out = append(out, console.Point{
			At: v.o.at(x.At), Waiting: uint64(max(x.Waiting, 0)), Missing: uint64(max(x.Missing, 0)), Contacts: uint64(max(x.Contacts, 0)), Received: uint64(max(x.Entries, 0)),
		})
	}
	return out, true, nil
}

// Amounts implements console.Outlook.
func (v outlook) Amounts(ctx context.Context, lang string) (*console.Amounts, error) {
	s, err := v.land.Survey()
	if errors.Is(err, land.ErrTooMany) {
		return nil, err
	}
	if s == nil {
		return nil, nil // the next look may have it
	}
	view := s.Of(v.o.sight(ctx).covers)
	out := &console.Amounts{AsOf: view.AsOf}
	for _, d := range view.Due {
		out.Checks = append(out.Checks, checkOf(s.Pack, d, lang))
	}
	if vis := s.Pack.Pages; vis != nil && vis.Visited != nil && vis.Visited.Balance != nil {
		out.Balance = v.balanceOf(ctx, s.Pack, view, lang)
	}
	return out, nil
}

// Tones of what is counted.
const (
	toneOK     = "ok"
	toneWait   = "wait"
	toneDanger = "danger"
)

// checkOf puts what a rule comes to into the order of its urgency: what the rule lists
// first, in its order.
func checkOf(p *pack.Pack, d land.Due, lang string) console.Check {
	c := console.Check{Label: p.In(d.Rule.Label, lang)}
	order := slices.Clone(d.Rule.Buckets)
	if d.Rule.Bucket == "" {
		order = []string{land.BucketDue}
	}
	listed := len(order)
	var rest []string
	for b := range d.Buckets {
		if !slices.Contains(order, b) {
			rest = append(rest, b)
		}
	}
	slices.Sort(rest)
	for i, b := range append(order, rest...) {
		x := console.Share{Tone: toneOK, N: uint64(d.Buckets[b])} //nolint:gosec // a count
		switch {
		case i == 0:
			x.Tone = toneDanger
		case i < listed:
			x.Tone = toneWait
		}
		if d.Rule.Bucket != "" {
			x.Label = cmp.Or(p.ValueLabel(d.Rule.Type, d.Rule.Bucket, b, lang), b)
		}
		c.Buckets = append(c.Buckets, x)
	}
	return c
}

// balanceOf tells who has how much more than is allowed.
func (v outlook) balanceOf(ctx context.Context, p *pack.Pack, view land.View, lang string) *console.Balance {
	vis := p.Pages.Visited
	b := vis.Balance
	out := &console.Balance{Label: p.In(b.Label, lang), Unit: p.In(b.Unit, lang)}
	tone := func(status string) string {
		switch status {
		case b.Over:
			return toneDanger
		case b.Watch:
			return toneWait
		}
		return toneOK
	}
	var rest []string
	for s := range view.Status {
		if s != b.Over && s != b.Watch {
			rest = append(rest, s)
		}
	}
	slices.Sort(rest)
	for _, s := range append([]string{b.Over, b.Watch}, rest...) {
		out.Status = append(out.Status, console.Share{Label: cmp.Or(p.In(b.Words[s], lang), s), Tone: tone(s), N: uint64(view.Status[s])}) //nolint:gosec // a count
	}
	tell := v.telling(ctx, v.o.sight(ctx), p, lang)
	for _, l := range view.Loads {
		out.Heaviest = append(out.Heaviest, console.Load{
			Name: tell.Name(vis.Type, l.ID), ID: l.ID, Counted: l.Counted, Allowed: l.Allowed, Over: l.Share, Tone: tone(l.Status),
		})
	}
	return out
}

// telling puts entities that whoever asks sees into words. Those that they must not see
// are not read.
func (v outlook) telling(ctx context.Context, sight *sight, p *pack.Pack, lang string) pack.Telling {
	return pack.Telling{Pack: p, Lang: lang, Now: v.o.now().In(v.o.zone), Read: func(typ, id string) (map[string]any, bool) {
		row, err := sight.read.entity(ctx, entry.Ref{Type: typ, ID: id})
		if err != nil || row == nil || !sight.covers(row.Scopes) {
			return nil, false
		}
		fields, err := v.fields(row.Entity)
		if err != nil || fields == nil {
			return nil, false
		}
		for name, value := range fields {
			if text, ok := value.(string); ok {
				if w, ok := v.o.domain.(worded); ok && w.Mask(typ, name) != "" {
					fields[name] = masked(text, w.Mask(typ, name))
				}
			}
		}
		return fields, true
	}}
}

// mostTeams is how many devices the map of the route looks for, those that were heard
// from last; whereLately how long ago at most, and lookedAt how many of their newest
// entries are asked where they were.
const (
	mostTeams   = 200
	whereLately = 48 * time.Hour
	lookedAt    = 12
)

// lastly gives the devices that somebody sees and that were heard from lately.
func (v outlook) lastly(ctx context.Context) ([]store.Device, error) {
	ds, err := v.o.devicesSeen(ctx)
	if err != nil {
		return nil, err
	}
	since := v.o.now().Add(-whereLately).UnixMilli()
	ds = slices.DeleteFunc(ds, func(d store.Device) bool { return d.RevokedAt != 0 || d.Contact.At < since || d.ID == dot.Hub })
	slices.SortStableFunc(ds, func(a, b store.Device) int { return int(min(max(b.Contact.At-a.Contact.At, -1), 1)) })
	return ds[:min(len(ds), mostTeams)], nil
}
