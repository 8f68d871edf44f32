package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/hub/store"
	"otor/internal/corpus"
	"otor/internal/feed"
	"otor/internal/gauge"
)

// away measures P10: the first load of a scope, and what a device gets that was
// away for a season.
func (b *bench) away(ctx context.Context) (_ []gauge.Figure, err error) {
	dir, drop, err := b.folder("away")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	p, err := openPair(ctx, dir, b.pack, b.Log, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if _, err := b.contact(ctx, p); err != nil {
		return nil, err
	}
	idle, err := b.contact(ctx, p)
	if err != nil {
		return nil, err
	}
	people := newPopulation(10)
	if err := people.settle(ctx, p.hub.Author(), b.Households); err != nil {
		return nil, err
	}
	if _, err := p.hub.Office().Regrant(ctx, p.id, []string{bannerScope}, nil); err != nil {
		return nil, err
	}
	var first gauge.Figure
	if err := b.profiles.Run("P10", func() (err error) { first, err = b.load(ctx, p, idle, 0, "first load of one scope"); return err }); err != nil {
		return nil, err
	}
	at, err := p.hub.Store().FeedHeads(ctx, []string{bannerScope})
	if err != nil {
		return nil, err
	}
	if err := b.season(ctx, p, filepath.Join(dir, "other")); err != nil {
		return nil, err
	}
	later, err := b.load(ctx, p, idle, at[0].N, "a season's changes of that scope")
	return []gauge.Figure{first, later}, err
}

// season changes entities as another device's records do that came in meanwhile:
// in a season every household is visited once.
func (b *bench) season(ctx context.Context, p *pair, dir string) (err error) {
	cfg, err := p.enrolled(ctx, "D-102", bannerScope, dir, b.pack, b.Log)
	if err != nil {
		return err
	}
	other, err := device.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	if _, err := other.Contact(ctx); err != nil { // what it changes, it has in view
		return err
	}
	source := corpus.New(11, b.forms, 0, p.clock.now())
	for i := range b.Households {
		r := source.Next()
		for r.Form.Entity != "household" {
			r = source.Next()
		}
		p.clock.set(r.Wall)
		_, err := other.Capture(ctx, capture.Request{
			Form: r.Form.ID, Version: r.Form.Version, EntityType: "household", Entity: householdID(i), Actor: r.Actor, At: &r.Wall, Fields: r.Fields, Position: r.Position,
		})
		if err != nil {
			return fmt.Errorf("%s of %s: %w", r.Form, householdID(i), err)
		}
	}
	r, err := other.Contact(ctx)
	if err == nil && r.Remaining > 0 {
		err = fmt.Errorf("%d entries remain after the contact", r.Remaining)
	}
	return err
}

// load makes one contact, and compares what it moved with the entities that it brought.
func (b *bench) load(ctx context.Context, p *pair, idle traffic, after uint64, what string) (f gauge.Figure, err error) {
	began := time.Now()
	moved, err := b.contact(ctx, p)
	if err != nil {
		return f, err
	}
	took := time.Since(began)
	doc, n, err := entitiesOf(ctx, p.hub.Store(), after)
	if err != nil {
		return f, err
	}
	if has := p.dev.Store().Feed(bannerScope); has.Loading || has.Rows == 0 || n == 0 {
		return f, fmt.Errorf("the device has %d rows, of %d", has.Rows, n)
	}
	packed, by, err := squeeze(ctx, doc)
	if err != nil {
		return f, err
	}
	ours, theirs := []float64{float64(moved.in + moved.out - idle.in - idle.out)}, []float64{float64(packed)}
	f = gauge.New("P10", fmt.Sprintf("%s, %d entities, both ways", what, n), "B", ours)
	f.Against = []gauge.Against{gauge.AtMost(by+" of the same states in one piece", 1.2, ours, theirs)}
	f.Parts = []gauge.Part{
		{What: "an entity", Value: ours[0] / float64(n)},
		{What: "an entity's state as it is kept", Value: float64(len(doc)) / float64(n)},
	}
	f.Notes = []string{fmt.Sprintf("it took %.2f s; each page is one commit with the cursor behind it", took.Seconds())}
	return f, nil
}

// entitiesOf are the keys and states that a device gets above a place in the
// feed, in its order.
func entitiesOf(ctx context.Context, st store.Store, after uint64) (doc []byte, n int, err error) {
	for {
		page, err := st.Feed(ctx, bannerScope, after, feed.MaxRaw)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range page.Rows {
			doc = append(append(doc, r.Key...), r.Body...)
			n, after = n+1, r.N
		}
		if !page.More {
			return doc, n, nil
		}
	}
}
