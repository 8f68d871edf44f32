package device

import (
	"context"
	"errors"
	"time"

	"otor/agent/link"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/agent/web"
	"otor/internal/wire"
)

// keepTraffic makes a day's traffic outlive the program.
func (d *Device) keepTraffic(t link.Traffic) error {
	return d.store.SetTraffic(context.Background(), store.Traffic(t))
}

// left is what the budget allows, for whoever sends or pulls.
func (d *Device) left() (bytes uint64, bounded bool) {
	l := d.link.Budget().Left()
	return l.Bytes, l.Bounded
}

// SetLimits changes what the link may move, at once.
func (d *Device) SetLimits(l link.Limits) error {
	if err := d.link.Budget().SetLimits(l); err != nil {
		return &web.Refusal{Code: "bad_budget", What: err.Error(), Do: "give more, or 0 for no bound"}
	}
	d.uplink.Wake()
	d.down.Wake()
	d.sender.Wake()
	d.bell.Ring()
	return nil
}

// clockOff is from when on a clock's error is told of; the hub's finding is the same.
const clockOff = 5 * time.Minute

// linkStatus says how the link is, with so many entries waiting.
func (d *Device) linkStatus(waiting uint64) web.Link {
	st := d.link.State()
	l := web.Link{Since: st.Since.In(d.cfg.Zone), Words: st.LastError, Code: st.Code}
	switch st.Phase {
	case link.Online:
		l.State, l.Doing = web.Online, web.Connected
	case link.Connecting:
		l.State, l.Doing = web.Connecting, web.Connects
	case link.Refused:
		l.State, l.Doing = web.Refused, web.HubRefuses
	case link.Offline:
		l.State, l.Doing = web.Offline, web.NoSignal
		if st.Reason == link.HubAway || st.Reason == link.NotTheHub {
			l.Doing = web.HubAway
		}
	}
	if l.State == web.Offline || l.State == web.Connecting {
		l.Words = d.expiredWords(st, l.Words)
	}
	if off := time.Duration(d.store.Contact().HubOffsetMillis) * time.Millisecond; off.Abs() >= clockOff {
		l.ClockOff = int64(-off / time.Second)
	}
	today := d.link.Budget().Today()
	l.Today = today.In + today.Out
	d.progress(&l, waiting)
	return l
}

// progress says how far a standing link has got.
func (d *Device) progress(l *web.Link, waiting uint64) {
	budget := d.link.Budget().Left()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case waiting == 0:
		d.due = 0
	case l.State != web.Online:
		d.due = waiting // counted anew with the next connection
	default:
		d.due = max(d.due, waiting)
	}
	if l.State != web.Online {
		return
	}
	if waiting > 0 {
		l.Doing, l.Done, l.Of = web.Sending, d.due-waiting, d.due
	}
	if waiting > 0 && d.uplink.Held() {
		l.Doing = web.ContactSpent
		if budget.Daily {
			l.Doing = web.DaySpent
		}
	}
	if d.lastSync == nil {
		return
	}
	l.Words = d.lastSync.Error()
	if refusal, ok := errors.AsType[*wire.Refusal](d.lastSync); ok && errors.Is(d.lastSync, uplink.ErrRefused) {
		l.State, l.Doing, l.Code = web.Refused, web.HubRefuses, refusal.Code
	} else if errors.Is(d.lastSync, link.ErrNotTaken) || errors.Is(d.lastSync, context.DeadlineExceeded) {
		l.Doing = web.HubAway // its NATS server answers, and nobody behind it
	}
}
