package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/internal/dot"
	"otor/internal/e2e"
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
	saved atomic.Int64
}

// join starts a device that saves n records, one now and then, and drains.
func (t *T) join(a *e2e.Agent, seed uint64, n int, pause time.Duration, change func(*device.Config)) *member {
	t.Helper()
	d, err := t.Site.Open(a.Dir, change)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	m := &member{agent: a, device: d, stop: stop}
	m.group.Go(func() {
		if err := d.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("%s ended: %v", d.ID(), err)
		}
	})
	m.group.Go(func() {
		src := t.Site.source(seed)
		for range n {
			r := src.Next()
			_, err := d.Capture(ctx, capture.Request{Form: r.Form.ID, EntityType: r.Form.Entity, Entity: r.Entity, Actor: r.Actor, Fields: r.Fields})
			if err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", d.ID(), err)
				return
			}
			m.saved.Add(1)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
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

// drained waits until the hub has confirmed all n records.
func (m *member) drained(t *T, n int) {
	t.Helper()
	e2e.Eventually(t, fmt.Sprintf("%s to be drained", m.device.ID()), func() bool {
		left := 0
		for _, st := range m.device.Store().Chains() {
			for _, r := range st.Waiting() {
				left += int(r.Len()) //nolint:gosec // a count
			}
		}
		return left == 0 && m.saved.Load() >= int64(n)
	})
}

// flaps has two devices save and drain over lines that come and go, are cut,
// carry nothing, or lose their other end unnoticed.
func flaps(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	if t.Control == noDedup {
		h.Stop(t)
		t.dropUnique(h.Dir)
		h.Program, h.Env = e2e.Control(t, "hub"), []string{"OTOR_CONTROL=no-dedup"}
		h.Start(t)
	}
	const n = 120
	var members []*member
	var lines []*line
	for i := range 2 {
		l := newLine(t.Seed+uint64(i), faster) //nolint:gosec // 0 or 1
		lines = append(lines, l)
		members = append(members, t.join(h.Enrol(t, fmt.Sprintf("D-%d", 101+i)), t.Seed+uint64(i), n, 40*time.Millisecond, func(c *device.Config) { //nolint:gosec // 0 or 1
			c.Dialer, c.MinPause, c.MaxPause = l, time.Duration(float64(time.Second)/faster), time.Duration(float64(30*time.Second)/faster)
		}))
	}
	for range flapsIn {
		t.scaled(1, 20)
		downs := []mode{refusing, refusing, black, halfOpen}
		for _, l := range lines {
			l.set(downs[t.R.IntN(len(downs))])
		}
		t.scaled(1, 60)
		for _, l := range lines {
			l.set(up)
		}
		t.Faults++
	}
	printed := make(map[dot.Dot]bool)
	var fleet []*e2e.Agent
	for i, m := range members {
		m.drained(t, n)
		m.dots(printed)
		m.leave(t)
		fleet = append(fleet, m.agent)
		t.Logf("%s: %d connections, %d cut", m.agent.Dir, lines[i].dials, lines[i].cut)
	}
	if t.Control == noDedup {
		resendAll(t, fleet)
		time.Sleep(time.Second)
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
// and drift: nothing but times may differ.
func clocks(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	if t.Control == noDedup {
		h.Stop(t)
		t.dropUnique(h.Dir)
		h.Program, h.Env = e2e.Control(t, "hub"), []string{"OTOR_CONTROL=no-dedup"}
		h.Start(t)
	}
	const n = 60
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
		members = append(members, t.join(h.Enrol(t, fmt.Sprintf("D-%d", 101+i)), t.Seed+uint64(i), n, 20*time.Millisecond, func(c *device.Config) { //nolint:gosec // 0 or 1
			c.Now, c.MinPause, c.MaxPause = now, 50*time.Millisecond, time.Second
		}))
	}
	for range clocksIn {
		time.Sleep(time.Duration(50+t.R.IntN(300)) * time.Millisecond)
		i := t.R.IntN(len(off))
		off[i].Store(int64(t.R.Float64()*2*float64(years)) - int64(years))
		members[i].device.Link().Kick()
		t.Faults++
	}
	printed := make(map[dot.Dot]bool)
	var fleet []*e2e.Agent
	for _, m := range members {
		m.drained(t, n)
		m.dots(printed)
		m.leave(t)
		fleet = append(fleet, m.agent)
	}
	if t.Control == noDedup {
		resendAll(t, fleet)
		time.Sleep(time.Second)
	}
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Error(p)
	}
	for _, a := range fleet { // the logical time rises whatever the clock did
		log := a.Log(t)
		last := make(map[dot.Chain]dot.Seq)
		for _, e := range log {
			if s, ok := last[e.Dot.Chain]; ok && e.Dot.Seq >= s {
				t.Errorf("%s stands behind %d in the log, which is newest first", e.Dot, s)
			}
			last[e.Dot.Chain] = e.Dot.Seq
		}
	}
}
