package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/link"
	"otor/hub/ingest"
	"otor/internal/batch"
	"otor/internal/corpus"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/hlc"
	"otor/internal/identity"
	"otor/internal/lane"
)

// player lets the day happen.
type player struct {
	*world
	events []event
	dots   map[string]dot.Dot // record id to what it became
	alone  map[dot.Dot]bool   // entries that will be replayed
	// replayedCopies counts the copies that the planned replays made.
	replayedCopies int64
	replays        map[string]bool // records that will be replayed
	done           int
	at             time.Time
	what           string
	morning        *Picture // after what the office knew before the day
}

func newPlayer(w *world) *player {
	p := &player{
		world: w, events: w.scenario.events(), dots: make(map[string]dot.Dot), alone: make(map[dot.Dot]bool),
		replays: make(map[string]bool),
	}
	for _, r := range w.scenario.Replays {
		p.replays[r.Record] = true
	}
	for i := range w.references {
		r := &w.references[i]
		p.events = append(p.events, event{at: r.At, step: stepReference, device: dot.Hub, office: r})
	}
	inOrder(p.events)
	return p
}

// play goes through the day. pace waits until the day reaches t; step is told
// after each step.
func (p *player) play(ctx context.Context, pace func(ctx context.Context, t time.Time) error, step func()) error {
	for i := 0; i < len(p.events); {
		e := p.events[i]
		if p.morning == nil && e.step != stepReference {
			var err error
			if p.morning, err = p.picture(ctx); err != nil {
				return err
			}
		}
		if err := pace(ctx, e.at); err != nil {
			return err
		}
		p.clock.set(e.at)
		n := 1
		if e.step == stepDeliver {
			for i+n < len(p.events) && p.events[i+n].step == stepDeliver && p.events[i+n].at.Equal(e.at) && p.events[i+n].device == e.device {
				n++
			}
		}
		if err := p.one(ctx, p.events[i:i+n]); err != nil {
			return fmt.Errorf("%s, %s: %w", e.at.Format("15:04"), p.what, err)
		}
		select {
		case err := <-p.failed:
			return err
		default:
		}
		i += n
		p.done, p.at = i, e.at
		step()
	}
	return nil
}

// one lets one thing happen and waits until it has settled.
func (p *player) one(ctx context.Context, es []event) error {
	e := es[0]
	switch e.step {
	case stepReference:
		return p.bringIn(ctx, e.office)
	case stepLinkUp:
		return p.linkUp(ctx, e.device)
	case stepLinkDown:
		return p.linkDown(ctx, e.device)
	case stepCapture:
		return p.captureRecord(ctx, e.record)
	case stepOperator:
		return p.operator(ctx, e.record)
	case stepForeign:
		return p.foreign(ctx, e.foreign)
	case stepDeliver:
		return p.deliver(ctx, es)
	case stepReplay:
		return p.replay(ctx, e.replay)
	default:
		return fmt.Errorf("step %d is not known", e.step)
	}
}

func (p *player) linkUp(ctx context.Context, d dot.Device) error {
	p.what = string(d) + " finds signal"
	m := p.members[d]
	said := m.Contacts()
	m.line.raise()
	m.Link().Kick()
	err := until(ctx, "the hub has answered a hello", func() (bool, error) {
		m.Link().Kick() // an attempt that began without signal is still failing
		return m.Contacts() > said, nil
	})
	if err != nil {
		return err
	}
	return until(ctx, "its feeds are applied", func() (bool, error) { return p.caughtUp(ctx, d) })
}

func (p *player) linkDown(ctx context.Context, d dot.Device) error {
	p.what = string(d) + " loses signal"
	m := p.members[d]
	m.line.cut()
	return until(ctx, "the device has noticed", func() (bool, error) {
		return m.Link().State().Phase != link.Online, nil
	})
}

func (p *player) captureRecord(ctx context.Context, r *Record) error {
	p.what = fmt.Sprintf("%s captures %s", r.Device, r.Kind)
	m := p.members[r.Device]
	f, ok := p.forms.Latest(r.Kind)
	if !ok {
		return fmt.Errorf("%w: record %s: the pack has no form %q", ErrScenario, r.ID, r.Kind)
	}
	fields, problems, err := device.Fields(f, r.Payload)
	if err != nil {
		return fmt.Errorf("record %s: payload: %w", r.ID, err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: record %s: %w", ErrScenario, r.ID, problems[0])
	}
	req := capture.Request{
		Form: f.ID, Version: f.Version, EntityType: f.Entity, Entity: p.entityOf(r), Actor: r.User, Fields: fields, Position: position(r.GPS),
	}
	if shown := p.deviceClock(r.Device); shown.Sub(r.DeviceTime).Abs() >= time.Second {
		req.At = &r.DeviceTime // a clock that was set during the day
	}
	saved, err := m.Capture(ctx, req)
	if err != nil {
		return fmt.Errorf("record %s: %w", r.ID, err)
	}
	p.dots[r.ID] = saved.Dot
	if p.replays[r.ID] {
		p.alone[saved.Dot] = true
	}
	return nil
}

// newEntity is what the scenario calls an entity that a record makes; the page
// that asks the questions gives it an id of its own.
const newEntity = "NEW"

func (p *player) entityOf(r *Record) string {
	if r.Entity == newEntity {
		return rand.Text()
	}
	return r.Entity
}

// deviceClock is what a device's clock shows now.
func (p *player) deviceClock(d dot.Device) time.Time {
	for _, x := range p.scenario.Devices {
		if x.ID == d {
			return p.clock.Now().Add(time.Duration(x.ClockOffset) * time.Second)
		}
	}
	return p.clock.Now()
}

func position(g *GPS) *entry.Position {
	if g == nil {
		return nil
	}
	micro := func(deg float64) int32 { return int32(math.Round(deg * 1e6)) }
	return &entry.Position{Lon: micro(g.Lon), Lat: micro(g.Lat), Accuracy: uint32(math.Round(g.Accuracy * 10)), Source: entry.GNSS}
}

func (p *player) operator(ctx context.Context, r *Record) error {
	p.what = "an operator records " + r.Kind
	f, ok := p.forms.Latest(r.Kind)
	if !ok {
		return fmt.Errorf("%w: record %s: the pack has no form %q", ErrScenario, r.ID, r.Kind)
	}
	fields, problems, err := device.Fields(f, r.Payload)
	if err != nil || len(problems) > 0 {
		return fmt.Errorf("record %s: %v %w", r.ID, problems, err)
	}
	e, err := p.hub.Author().Add(ctx, ingest.Note{
		Form: f.ID, Entity: entry.Ref{Type: f.Entity, ID: p.entityOf(r)}, Actor: r.User, Fields: fields,
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", r.ID, err)
	}
	p.dots[r.ID] = e.Dot
	return nil
}

// deliver lets entries of one device through: over its own link, or, while it
// has no signal, in the hands of one that has.
func (p *player) deliver(ctx context.Context, es []event) error {
	d := es[0].device
	p.what = fmt.Sprintf("%s delivers %d", d, len(es))
	m := p.members[d]
	dots := make([]dot.Dot, len(es))
	for i, e := range es {
		dots[i] = p.dots[e.record.ID]
	}
	m.shim.letThrough(p.alone, dots)
	return p.bring(ctx, d, dots, es[0].at)
}

// bring waits until the hub has entries that were let through, and puts them
// into other hands when their device has no signal.
func (p *player) bring(ctx context.Context, d dot.Device, dots []dot.Dot, at time.Time) error {
	m := p.members[d]
	if m.line.isUp() {
		m.Wake()
		return until(ctx, "the hub has confirmed them", func() (bool, error) {
			for _, x := range dots {
				if c, ok := m.Store().Chain(x.Chain); !ok || !c.Received.Contains(x.Seq) {
					return false, nil
				}
			}
			return true, nil
		})
	}
	carrier, ok := p.scenario.Carrier(d, at)
	if !ok {
		return fmt.Errorf("%w: entry %s is to arrive, and no device has signal then", ErrScenario, dots[0])
	}
	p.what = fmt.Sprintf("%s carries %d of %s", carrier, len(dots), d)
	for _, x := range slices.SortedFunc(slices.Values(dots), dot.Dot.Compare) {
		frame, err := m.Frame(x.Chain, lane.Run(x.Seq, x.Seq))
		if err != nil {
			return err
		}
		m.shim.tap(x.Lane, frame)
		if err := p.carry(ctx, carrier, frame); err != nil {
			return err
		}
		m.MarkCustody(x.Chain, lane.Run(x.Seq, x.Seq))
		if err := until(ctx, "the hub has what was carried", func() (bool, error) { return p.hubHas(ctx, x) }); err != nil {
			return err
		}
	}
	return nil
}

// carry hands a frame to a device with signal.
func (p *player) carry(ctx context.Context, carrier dot.Device, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	return p.members[carrier].Carry(ctx, frame)
}

// hubHas reports whether the ledger holds an entry.
func (p *player) hubHas(ctx context.Context, x dot.Dot) (bool, error) {
	lanes, err := p.hub.Store().LanesOf(ctx, x.Device)
	for _, l := range lanes {
		if l.Chain == x.Chain {
			return l.Received.Contains(x.Seq), err
		}
	}
	return false, err
}

// replay sends the recorded frame of a record once more.
func (p *player) replay(ctx context.Context, r *Replay) error {
	p.what = "a copy of " + r.Record + " arrives"
	x := p.dots[r.Record]
	m := p.members[x.Device]
	if m == nil {
		return fmt.Errorf("record %s did not travel", r.Record)
	}
	frame, ok := m.shim.frame(x)
	if !ok {
		return fmt.Errorf("%w: record %s was not sent yet", ErrScenario, r.Record)
	}
	before, err := p.hub.Store().Totals(ctx)
	if err != nil {
		return err
	}
	if m.line.isUp() {
		sctx, cancel := context.WithTimeout(ctx, settleLimit)
		defer cancel()
		err = m.Resend(sctx, x.Lane, frame)
	} else if carrier, ok := p.scenario.Carrier(x.Device, r.Again); ok {
		err = p.carry(ctx, carrier, frame)
	} else {
		err = fmt.Errorf("%w: a copy of %s is to arrive, and no device has signal then", ErrScenario, r.Record)
	}
	if err != nil {
		return err
	}
	return until(ctx, "the copy is counted", func() (bool, error) {
		now, err := p.hub.Store().Totals(ctx)
		if now.Duplicates > before.Duplicates {
			p.replayedCopies += now.Duplicates - before.Duplicates
			return true, nil
		}
		return false, err
	})
}

// foreign brings in a record that is not the day's own.
func (p *player) foreign(ctx context.Context, f *Foreign) error {
	if m, ok := p.members[f.Claims]; ok {
		p.what = fmt.Sprintf("%s captures %s with form version %d", f.Claims, f.Kind, f.Schema)
		return p.newer(ctx, m, f)
	}
	p.what = "a stranger that calls itself " + string(f.Claims) + " sends"
	return p.stranger(ctx, f)
}

// newer lets a device capture with a form that the hub does not have yet.
func (p *player) newer(ctx context.Context, m *member, f *Foreign) error {
	saved, err := m.Capture(ctx, capture.Request{
		Form: f.Kind, Version: f.Schema, Fields: p.answersLike(f.Kind),
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", f.ID, err)
	}
	m.shim.letThrough(nil, []dot.Dot{saved.Dot})
	return p.bring(ctx, f.Claims, []dot.Dot{saved.Dot}, f.Received)
}

// answersLike gives the answers of some record of the same kind, or such as
// one could have.
func (p *player) answersLike(kind string) map[string]any {
	f, ok := p.forms.Latest(kind)
	if !ok {
		return nil
	}
	for i := range p.scenario.Records {
		if r := &p.scenario.Records[i]; r.Kind == kind {
			if fields, problems, err := device.Fields(f, r.Payload); err == nil && len(problems) == 0 {
				return fields
			}
		}
	}
	alone, err := form.NewRegistry(f)
	if err != nil {
		return nil
	}
	return corpus.New(1, alone, f.Lane, p.clock.Now()).Next().Fields
}

// stranger seals an entry with a key that nobody enrolled and lets a device
// with signal pass it on, as it passes on anything.
func (p *player) stranger(ctx context.Context, f *Foreign) error {
	key, err := identity.NewSigningKey(rand.Reader)
	if err != nil {
		return err
	}
	c := dot.Chain{Device: f.Claims, Incarnation: 1, Lane: dot.Record}
	now := p.clock.Now().UnixMilli()
	pub, err := entry.Public{
		Dot: c.At(1), HLC: hlc.Time{Millis: now}, Wall: now, Form: entry.FormRef{ID: f.Kind, Version: max(f.Schema, 1)},
		Origin: &entry.Origin{Reason: entry.Installed},
	}.Encode()
	if err != nil {
		return fmt.Errorf("record %s: %w", f.ID, err)
	}
	priv, err := entry.Private{Fields: p.answersLike(f.Kind)}.Encode()
	if err != nil {
		return fmt.Errorf("record %s: %w", f.ID, err)
	}
	frame, _, err := batch.Seal(c, 1, entry.Genesis(c), []entry.Raw{entry.NewRaw(pub, priv)}, key, batch.Small)
	if err != nil {
		return err
	}
	carrier, ok := p.scenario.Carrier(f.Claims, f.Received)
	if !ok {
		return fmt.Errorf("%w: record %s is to arrive, and no device has signal then", ErrScenario, f.ID)
	}
	before, err := p.hub.Store().Totals(ctx)
	if err != nil {
		return err
	}
	if err := p.carry(ctx, carrier, frame); err != nil {
		return err
	}
	return until(ctx, "it is set aside", func() (bool, error) {
		now, err := p.hub.Store().Totals(ctx)
		return now.Unattributed > before.Unattributed, err
	})
}
