package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/entry"
	"otor/internal/hlc"
)

const (
	flapsIn = 10   // ups and downs of one trial
	faster  = 20.0 // how many times faster than life a line runs
)

// member is a device that saves and drains in this process.
type member struct {
	agent  *e2e.Agent
	device *device.Device

	stop  context.CancelFunc
	group sync.WaitGroup
	// enough, called, ends the saving; saved is closed when it has ended.
	enough context.CancelFunc
	saved  chan struct{}
}

// join starts a device that saves n records, one now and then, or fewer when it is
// enough, and drains.
func (t *T) join(a *e2e.Agent, seed uint64, n int, pause time.Duration, change func(*device.Config)) *member {
	t.Helper()
	d, err := t.Site.Open(a.Dir, change)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	saving, enough := context.WithCancel(ctx)
	m := &member{agent: a, device: d, stop: stop, enough: enough, saved: make(chan struct{})}
	m.group.Go(func() {
		if err := d.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("%s ended: %v", d.ID(), err)
		}
	})
	m.group.Go(func() {
		defer close(m.saved)
		src := t.Site.source(seed)
		for range n {
			r := src.Next()
			_, err := d.Capture(ctx, capture.Request{Form: r.Form.ID, EntityType: r.Form.Entity, Entity: r.Entity, Actor: r.Actor, Fields: r.Fields})
			if err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", d.ID(), err)
				return
			}
			select {
			case <-time.After(pause):
			case <-saving.Done():
				return
			}
		}
	})
	t.Cleanup(func() { m.leave(t) })
	return m
}

// leave ends it. It may be called again.
func (m *member) leave(t *T) {
	m.stop()
	m.group.Wait()
	if m.device != nil {
		if err := m.device.Close(); err != nil {
			t.Error(err)
		}
		m.device = nil
	}
}

// dots lists what it saved.
func (m *member) dots(into map[dot.Dot]bool) {
	for _, st := range m.device.Store().Chains() {
		for seq := dot.Seq(1); seq <= st.Last; seq++ {
			into[st.Chain.At(seq)] = true
		}
	}
}

// drained waits until the hub has confirmed all that it saves.
func (m *member) drained(t *T) {
	t.Helper()
	e2e.Eventually(t, fmt.Sprintf("%s to be drained", m.device.ID()), func() bool {
		select {
		case <-m.saved:
			return m.waits() == 0
		default:
			return false
		}
	})
}

// waits counts its entries that the hub has not confirmed.
func (m *member) waits() (n uint64) {
	for _, st := range m.device.Store().Chains() {
		for _, r := range st.Waiting() {
			n += r.Len()
		}
	}
	return n
}

// wait counts the entries of all that the hub has not confirmed.
func wait(members []*member) (n uint64) {
	for _, m := range members {
		n += m.waits()
	}
	return n
}

// most of a member's records; it is told when it is enough.
const many = 10_000

// flaps has two devices save and drain over lines that come and go, are cut,
// carry nothing, or lose their other end unnoticed. An outage in which nothing waited
// met nobody.
func flaps(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	t.forgetful(h)
	var members []*member
	var lines []*line
	for i := range 2 {
		l := newLine(t.Seed+uint64(i), faster) //nolint:gosec // 0 or 1
		lines = append(lines, l)
		members = append(members, t.join(h.Enrol(t, fmt.Sprintf("D-%d", 101+i)), t.Seed+uint64(i), many, 80*time.Millisecond, func(c *device.Config) { //nolint:gosec // 0 or 1
			c.Dialer, c.MinPause, c.MaxPause = l, time.Duration(float64(time.Second)/faster), time.Duration(float64(30*time.Second)/faster)
		}))
	}
	for tries := 0; t.Faults < flapsIn && tries < 3*flapsIn; tries++ {
		t.scaled(1, 20)
		downs := []mode{refusing, refusing, black, halfOpen}
		for _, l := range lines {
			l.set(downs[t.R.IntN(len(downs))])
		}
		t.scaled(1, 60)
		if wait(members) > 0 {
			t.Faults++
		}
		for _, l := range lines {
			l.set(up)
		}
	}
	printed := make(map[dot.Dot]bool)
	var fleet []*e2e.Agent
	for i, m := range members {
		m.enough()
		m.drained(t)
		t.Logf("%s: %d connections, %d cut", m.agent.Dir, lines[i].dials, lines[i].cut)
	}
	t.Met(copies, int(h.Status(t).TransportDuplicates)) //nolint:gosec // a count
	for _, m := range members {
		t.resend(h, m.device)
		m.dots(printed)
		m.leave(t)
		fleet = append(fleet, m.agent)
	}
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Error(p)
	}
}

// scaled waits some seconds of the line's world.
func (t *T) scaled(least, most int) {
	s := float64(least) + t.R.Float64()*float64(most-least)
	time.Sleep(time.Duration(s / faster * float64(time.Second)))
}

const clocksIn = 6 // jumps of one trial

// clocks has devices save and drain whose clocks are up to ten years off, jump,
// and drift: nothing but times may differ, and the logical time of each chain rises.
func clocks(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	t.forgetful(h)
	const years = 10 * 365 * 24 * time.Hour
	began := time.Now()
	var members []*member
	var off [2]atomic.Int64
	for i := range off {
		drift := 1 + (t.R.Float64()-0.5)/50
		off[i].Store(int64(t.R.Float64()*2*float64(years)) - int64(years))
		now := func() time.Time {
			real := time.Now()
			return began.Add(time.Duration(float64(real.Sub(began))*drift) + time.Duration(off[i].Load()))
		}
		members = append(members, t.join(h.Enrol(t, fmt.Sprintf("D-%d", 101+i)), t.Seed+uint64(i), many, 20*time.Millisecond, func(c *device.Config) { //nolint:gosec // 0 or 1
			c.Now, c.MinPause, c.MaxPause = now, 50*time.Millisecond, time.Second
		}))
	}
	for range clocksIn {
		time.Sleep(time.Duration(50+t.R.IntN(300)) * time.Millisecond)
		i := t.R.IntN(len(off))
		off[i].Store(int64(t.R.Float64()*2*float64(years)) - int64(years))
		members[i].device.Link().Kick() // it goes on saving
		t.Faults++
	}
	printed := make(map[dot.Dot]bool)
	var fleet []*e2e.Agent
	for _, m := range members {
		m.enough()
		m.drained(t)
		t.resend(h, m.device)
		m.dots(printed)
		t.rises(m.device.Store())
		m.leave(t)
		fleet = append(fleet, m.agent)
	}
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Error(p)
	}
}

// walls is a control: the wall clock is taken for the logical one.
const walls = "walls"

// rises wants the logical time of each chain to rise from entry to entry, whatever
// the clock did. Heads are equal, so the hub has the same times.
func (t *T) rises(s *store.Store) {
	t.Helper()
	for _, st := range s.Chains() {
		var before hlc.Time
		for seq := st.Pruned.Highest() + 1; seq <= st.Last; seq++ {
			it, err := s.Get(st.Chain.At(seq))
			if err != nil {
				t.Fatal(err)
			}
			p, err := entry.DecodePublic(it.Raw.Public)
			if err != nil {
				t.Fatal(err)
			}
			now := p.HLC
			if t.Control == walls {
				now = hlc.Time{Millis: p.Wall}
			}
			if !before.IsZero() && now.Compare(before) <= 0 {
				t.Errorf("%s: its logical time %s does not rise over %s", p.Dot, now, before)
				return
			}
			before = now
		}
	}
}
