package sim

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"otor/internal/batch"
	"otor/internal/dot"
)

// step lets some time pass and then something happen.
func (w *world) step(ctx context.Context) error {
	if !sleep(ctx, w.dice.about(1500*time.Millisecond)) {
		return ctx.Err()
	}
	synctest.Wait()
	if err := w.tend(ctx); err != nil {
		return err
	}
	d := w.devices[w.dice.IntN(len(w.devices))]
	next := w.dice.choose([]choice{
		{30, func() error { return d.captureSome(ctx, 1+w.dice.IntN(4)) }},
		{2, func() error { return d.captureSome(ctx, 20+w.dice.IntN(60)) }},
		{16, func() error { d.connect(ctx); return nil }},
		{6, func() error { d.hangUp(); return nil }},
		{4, func() error { d.net.blow(newWeather(w.dice), w.dice.is(0.25)); return nil }},
		{3, func() error { return w.jump(d) }},
		{4, func() error { return w.crashDevice(ctx, d) }},
		{3, func() error { return d.restart(ctx) }},
		{4, func() error { return w.troubleHub() }},
		{4, func() error { return w.carry(d) }},
		{5, func() error { return w.replay(d) }},
		{6, w.hostile.forge},
		{4, w.hostile.act},
		{2, func() error { return w.hostile.greet(ctx) }},
		{4, func() error { return w.hub.note(ctx) }},
		{1, func() error { return w.loseStream() }},
		{5, func() error { return w.backUp(ctx) }},
		{2, func() error { return w.putBack(w.dice.is(0.6)) }},
		{12, func() error { return w.hub.publish(ctx) }},
		{3, func() error { return w.hub.regrant(ctx, d.id) }},
		{1, func() error { return w.hub.collect(ctx) }},
		{10, d.look},
		{24, func() error { return d.write(ctx) }},
		{5, func() error { return w.hub.open(ctx) }},
		{4, func() error { return w.hub.decide(ctx) }},
		{2, func() error { return d.keepImage(ctx) }},
		{2, func() error { return w.putFolderBack(ctx, d) }},
		{1, func() error { return w.copyFolder(ctx, d) }},
		{1, func() error { return w.loseBook(ctx, d) }},
		{1, func() error { return w.hub.confirmTwins(ctx) }},
		{2, func() error { return w.hub.sealSome(ctx) }},
	})
	if err := next.do(); err != nil {
		return err
	}
	w.did("driver", func(n *Work) { n.Steps++ }, "step")
	synctest.Wait()
	return w.check(ctx)
}

// tend buries a hub that has crashed, and starts what has been down long enough.
func (w *world) tend(ctx context.Context) error {
	h := w.hub
	if h.life != nil && !h.life.ledger.alive() {
		whole := w.dice.is(0.6)
		if whole {
			w.unplug()
		}
		if err := h.bury(w.dice.about(10 * time.Second)); err != nil {
			return err
		}
	}
	if h.life == nil && time.Now().After(h.downUntil) {
		if err := h.start(ctx); err != nil {
			return err
		}
	}
	for _, d := range w.devices {
		if d.proc == nil && time.Now().After(d.downUntil) {
			if err := d.start(ctx); err != nil {
				return err
			}
		}
	}
	synctest.Wait() // they take up what is there before anything else happens
	if l := h.current(); l != nil {
		if _, err := l.releaseSome(ctx, w.dice); err != nil {
			return err
		}
	}
	return nil
}

// jump sets a device's clock, a little or by years.
func (w *world) jump(d *device) error {
	by := w.dice.within(-2*time.Hour, 2*time.Hour)
	if w.dice.is(0.3) {
		by = w.dice.within(-tenYears, tenYears)
	}
	d.clock.jump(by)
	w.did(d.name, func(n *Work) { n.Jumps++ }, "clock jumps by %s", by)
	return nil
}

func (w *world) crashDevice(ctx context.Context, d *device) error {
	if d.proc == nil {
		return nil
	}
	return d.crash(ctx, w.dice.is(0.6), w.dice.about(15*time.Second))
}

// restart ends a device's program in order and starts it again.
func (d *device) restart(ctx context.Context) error {
	if d.proc == nil {
		return nil
	}
	return errors.Join(d.stop(), d.start(ctx))
}

// troubleHub crashes the hub now or soon, or takes its database away for a while.
func (w *world) troubleHub() error {
	l := w.hub.life
	if l == nil {
		return nil
	}
	switch w.dice.IntN(6) {
	case 0:
		l.ledger.crash()
	case 1:
		l.ledger.setAway(true)
		w.later(w.dice.about(8*time.Second), func() { l.ledger.setAway(false) })
	case 2:
		l.ledger.arm(afterNote)
	case 3:
		l.ledger.arm(beforeCommit)
	case 4:
		l.ledger.arm(afterCommit)
	default:
		l.ledger.arm(afterReceipt)
	}
	return nil
}

// carry has another device bring what d has not sent: some of it, from
// anywhere in what is waiting.
func (w *world) carry(d *device) error {
	if d.proc == nil {
		return nil
	}
	carrier := w.devices[w.dice.IntN(len(w.devices))]
	for _, st := range d.proc.store.Chains() {
		waiting := st.Waiting()
		if len(waiting) == 0 || carrier == d {
			continue
		}
		r := waiting[w.dice.IntN(len(waiting))]
		from := r.First + dot.Seq(w.dice.Uint64N(r.Len()))
		run, err := d.proc.store.Read(st.Chain, from, 1+w.dice.IntN(12), batch.MaxRaw/2)
		if err != nil {
			return err
		}
		for len(run.Entries) > 0 {
			frame, h, err := batch.Seal(st.Chain, run.First, run.Before, run.Entries, d.key, batch.Small)
			if errors.Is(err, batch.ErrTooLarge) {
				run.Entries = run.Entries[:len(run.Entries)/2]
				continue
			}
			if err != nil {
				return err
			}
			w.did(carrier.name, func(n *Work) { n.Carried++ }, "carries %s %s", st.Chain, h.Run)
			w.later(w.dice.about(20*time.Second), func() {
				w.records.put(message{sender: carrier.id, relayed: true, frame: frame})
			})
			break
		}
	}
	return nil
}

// replay brings a late copy of a frame, by its device or by a carrier.
func (w *world) replay(carrier *device) error {
	t, ok := w.taped(w.dice)
	if !ok {
		return nil
	}
	m := message{sender: t.by, frame: t.frame}
	s := w.streamOf(t.lane)
	if w.dice.is(0.5) {
		m.sender, m.relayed, s = carrier.id, true, w.records
	}
	s.put(m)
	return nil
}

// loseStream loses everything in custody.
func (w *world) loseStream() error {
	n := w.alerts.lose() + w.records.lose()
	if n > 0 {
		w.did("driver", func(k *Work) { k.Lost++ }, "the stream lost %d frames", n)
	}
	return nil
}
