package ingest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
)

// Fixture is the reference data of one entity: what fields shall say.
type Fixture struct {
	Ref    entry.Ref
	Fields map[string]any
}

// maxFixtures is how many entities one entry of reference data is about, at most;
// fewer when they are large.
const maxFixtures = 100

// Import brings reference data into the hub, as entries of its own: they are in the
// ledger, devices get them by their feeds like anything else, and what a device
// writes later knows what it replaced. Values that stand already are not written
// again, so importing a list twice changes nothing. Of a count the number is the
// first movement of an entity that had none; later lists do not move stock. An
// error wraps [ErrNotApplied] when the data cannot be taken in; what was imported
// before it stays.
func (a *Author) Import(ctx context.Context, actor string, all []Fixture) error {
	for some := range slices.Chunk(all, maxFixtures) {
		if err := a.importSome(ctx, actor, some); err != nil {
			return fmt.Errorf("import reference data: %w", err)
		}
	}
	return nil
}

func (a *Author) importSome(ctx context.Context, actor string, some []Fixture) error {
	now := a.cfg.Now()
	pub := entry.Public{Wall: now.UnixMilli(), Zone: zoneMinutes(now.In(a.cfg.Zone)), Actor: actor, System: FixturesKind}
	var private entry.Private
	if _, err := io.ReadFull(a.random, private.Salt[:]); err != nil {
		return fmt.Errorf("draw a salt: %w", err)
	}
	c := dot.Chain{Device: dot.Hub, Incarnation: a.incarnation, Lane: dot.Record}
	split := false
	err := a.record(ctx, func(tx store.Tx) (*store.Entry, error) {
		saved, err := a.fixtureValues(tx, some)
		if err != nil {
			return nil, err
		}
		desk := merge.Desk{Type: a.cfg.typeOf, Displayed: func(ref entry.Ref) (*merge.State, error) { return displayed(tx, Note{}, ref) }}
		if err := desk.Fill(&pub, &private, saved); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotApplied, err)
		}
		if len(private.Writes) == 0 {
			return nil, nil
		}
		priv, err := private.Encode()
		if err != nil {
			return nil, err
		}
		if size := len(priv) + 64*len(pub.Refs); size > entry.MaxFor(dot.Record)/2 && len(some) > 1 {
			split = true
			return nil, nil
		}
		e, err := a.mint(tx, c, pub, priv)
		return &e, err
	})
	if err != nil || !split {
		return err
	}
	half := len(some) / 2
	if err := a.importSome(ctx, actor, some[:half]); err != nil {
		return err
	}
	return a.importSome(ctx, actor, some[half:])
}

// fixtureValues lists the values in a fixed order, without counts that have moved already.
func (a *Author) fixtureValues(tx store.Tx, some []Fixture) ([]form.Saved, error) {
	var out []form.Saved
	for _, x := range some {
		t := a.cfg.typeOf(x.Ref.Type)
		var state *merge.State
		for _, name := range slices.Sorted(maps.Keys(x.Fields)) {
			if _, rule, _ := t.Register(name); rule == merge.Count {
				if state == nil {
					var err error
					if state, err = displayed(tx, Note{}, x.Ref); err != nil {
						return nil, err
					}
				}
				if state.Show(t, name).Known {
					continue
				}
			}
			out = append(out, form.Saved{Type: x.Ref.Type, ID: x.Ref.ID, Property: name, Value: x.Fields[name]})
		}
	}
	return out, nil
}
