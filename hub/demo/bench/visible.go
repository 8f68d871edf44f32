package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/internal/corpus"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/gauge"
)

// What P9 measures: so many captures, one after the other and at most one a household,
// and how long one may take.
const (
	visibleCaptures = 400
	visibleLimit    = 30 * time.Second
)

// goalP9 and goalFind are the goals themselves: there is nothing to compare with.
const (
	goalP9   = 50 * time.Millisecond
	goalFind = 50 * time.Millisecond
)

// settled is a hub with the population and its device that has loaded it.
func (b *bench) settled(ctx context.Context, dir string, adjust func(*device.Config)) (_ *pair, err error) {
	p, err := openPair(ctx, dir, b.pack, b.Log, adjust)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := newPopulation(10).settle(ctx, p.hub.Author(), b.Households); err != nil {
		return nil, err
	}
	if _, err := p.hub.Office().Regrant(ctx, p.id, []string{bannerScope}, nil); err != nil {
		return nil, err
	}
	_, err = b.contact(ctx, p)
	return p, err
}

// online runs a device until stop.
func online(ctx context.Context, d *device.Device) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return func() error {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

// visible measures P9: two devices are connected; one captures, and the other
// shows what came of it.
func (b *bench) visible(ctx context.Context) (f gauge.Figure, err error) {
	dir, drop, err := b.folder("visible")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	p, err := b.settled(ctx, dir, nil)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	cfg, err := p.enrolled(ctx, "D-102", bannerScope, filepath.Join(dir, "other"), b.pack, b.Log)
	if err != nil {
		return f, err
	}
	other, err := device.Open(cfg)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	if _, err := other.Contact(ctx); err != nil {
		return f, err
	}
	stopOther, stopDevice := online(ctx, other), online(ctx, p.dev)
	defer func() { err = errors.Join(err, stopOther(), stopDevice()) }()
	var took []float64
	err = b.profiles.Run("P9", func() (err error) { took, err = b.watch(ctx, p, other); return err })
	if err != nil {
		return f, err
	}
	return latency("P9", fmt.Sprintf("capture to visible on another device that is online, 99th percentile of %d, %d entities in the scope", len(took), entitiesEach*b.Households),
		took, goalP9), nil
}

// watch captures on one device and waits until the other shows it, in ms.
func (b *bench) watch(ctx context.Context, p *pair, other *device.Device) (took []float64, err error) {
	changed, stop := other.Store().Watch()
	defer stop()
	source := corpus.New(12, b.forms, dot.Record, p.clock.now())
	for i := 0; len(took) < min(visibleCaptures, b.Households)+1; i++ {
		r := source.Next()
		for r.Form.ID != "household_edit" {
			r = source.Next()
		}
		p.clock.set(r.Wall)
		ref := entry.Ref{Type: "household", ID: householdID(i % b.Households)}
		began := time.Now()
		saved, err := p.dev.Capture(ctx, capture.Request{
			Form: r.Form.ID, Version: r.Form.Version, EntityType: ref.Type, Entity: ref.ID, Actor: r.Actor, At: &r.Wall, Fields: r.Fields, Position: r.Position,
		})
		if err != nil {
			return nil, err
		}
		late := time.After(visibleLimit)
		for {
			shown, err := other.Store().Shown(ref)
			if err != nil {
				return nil, err
			}
			if shown.State.Seen.Covers(saved.Dot) {
				break
			}
			select {
			case <-changed:
			case <-late:
				return nil, fmt.Errorf("%s is not shown after %s", saved.Dot, visibleLimit)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		took = append(took, float64(time.Since(began).Microseconds())/1e3)
	}
	return took[1:], nil // the first one waited for the connections
}

// latency is a figure of times in ms, by their 99th percentile.
func latency(id, what string, took []float64, goal time.Duration) gauge.Figure {
	sorted := slices.Sorted(slices.Values(took))
	ours, most := []float64{sorted[(len(sorted)*99-1)/100]}, []float64{float64(goal.Milliseconds())}
	f := gauge.New(id, what, "ms", ours)
	f.Against = []gauge.Against{gauge.AtMost("the goal itself", 1, ours, most)}
	f.Parts = []gauge.Part{{What: "median", Value: gauge.Median(sorted)}, {What: "most", Value: sorted[len(sorted)-1]}}
	return f
}
