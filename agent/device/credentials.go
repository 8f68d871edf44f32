package device

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"otor/agent/enrol"
	"otor/agent/link"
	"otor/internal/wire"
)

// wallet keeps the device's credentials: the newest ones, and the file that
// they are in. Only the process that has the store open has one.
type wallet struct {
	dir string

	mu sync.Mutex
	id *enrol.Identity // with the newest credentials; the rest of it never changes
}

func (w *wallet) current() *enrol.Identity {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id
}

// holding says in a hello what there is.
func (w *wallet) holding() *wire.Holding { return w.current().Holding() }

// take stores new credentials; they are used only after it returned.
func (w *wallet) take(c wire.Credentials) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.id.Take(w.dir, c)
	if err == nil {
		w.id = next
	}
	return err
}

// knock asks for credentials by the door, and stores them. It is a [link.Knock].
func (w *wallet) knock(ctx context.Context, ask func(context.Context, []byte) ([]byte, error)) (wire.Credentials, error) {
	c, err := w.current().Knock(ctx, ask)
	if refusal, ok := errors.AsType[*wire.Refusal](err); ok {
		return c, fmt.Errorf("%w: %w", link.ErrRefused, refusal)
	}
	if err != nil {
		return c, fmt.Errorf("ask for new credentials: %w", err)
	}
	return c, w.take(c)
}

// renewed takes the credentials that a hello's answer brought, if any. The link
// learns of them once they are stored. Without them the contact goes on all the
// same: the old ones still hold, and the next hello asks again.
func (d *Device) renewed(c *wire.Credentials) {
	if c == nil {
		return
	}
	if err := d.wallet.take(*c); err != nil {
		d.cfg.Log.Error("new credentials were not stored, the old ones stay in use", "err", err)
		return
	}
	d.link.Renew(*c)
	d.cfg.Log.Info("credentials renewed", "until", d.wallet.current().Span().Expires)
}

// How often a link that stands is looked at for a hello about credentials, and
// into how many parts their life is divided for asking again.
const (
	renewalCheck = time.Hour
	renewalParts = 32
	renewalPause = time.Second // at least, between two askings
)

// renewals has the device say hello again over a link that stands, when half of
// its credentials' life is over. A link that comes and goes says hello anyway.
func (d *Device) renewals(ctx context.Context) error {
	for {
		span := d.wallet.current().Span()
		wait := renewalCheck
		if left := span.Half().Sub(d.hubTime()); !span.Expires.IsZero() && left > 0 {
			wait = min(wait, max(left, renewalPause))
		} else if !span.Expires.IsZero() {
			if d.link.State().Phase == link.Online {
				d.uplink.Again()
			}
			wait = min(wait, max(span.Expires.Sub(span.Issued)/renewalParts, renewalPause))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// hubTime is the hub's clock, as well as this device knows it.
func (d *Device) hubTime() time.Time {
	return d.cfg.Now().Add(time.Duration(d.store.Contact().HubOffsetMillis) * time.Millisecond)
}

// expiredWords says for a person that the credentials ran out, when the hub
// refused them or this device's clock has it so, before why there is no link.
func (d *Device) expiredWords(st link.State, why string) string {
	id := d.wallet.current()
	span := id.Span()
	if !st.Expired && (span.Expires.IsZero() || d.hubTime().Before(span.Expires)) {
		return why
	}
	said := "this device was away for longer than its credentials last"
	if !span.Expires.IsZero() {
		said += " (until " + span.Expires.In(d.cfg.Zone).Format(time.DateOnly) + ")"
	}
	if id.Door == "" {
		said += "; ask the hub's operator for a new code"
	} else {
		said += "; it gets new ones by itself at the next contact"
	}
	said += "; every record stays safe here"
	if why != "" {
		said += ". " + why
	}
	return said
}
