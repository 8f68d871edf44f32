package device

import (
	"context"

	"otor/agent/link"
	"otor/agent/web"
)

var _ web.Prefs = (*Device)(nil)

// Preferences implements web.Prefs.
func (d *Device) Preferences() web.Preferences {
	p, l := d.store.Preferences(), d.link.Budget().Limits()
	return web.Preferences{User: p.User, Day: l.Day, Contact: l.Contact}
}

// SetPreferences implements web.Prefs. Bounds hold at once and outlive the program;
// those that stay as they are now may be of the command line, which is not kept.
func (d *Device) SetPreferences(ctx context.Context, p web.Preferences) error {
	now, kept := d.link.Budget().Limits(), d.store.Preferences()
	if err := d.SetLimits(link.Limits{Day: p.Day, Contact: p.Contact, Photos: now.Photos}); err != nil {
		return err
	}
	kept.User = p.User
	if p.Day != now.Day {
		kept.Day = p.Day
	}
	if p.Contact != now.Contact {
		kept.Contact = p.Contact
	}
	if err := d.store.SetPreferences(ctx, kept); err != nil {
		return refuse(err)
	}
	d.bell.Ring()
	return nil
}

// Scopes implements web.Prefs.
func (d *Device) Scopes() []web.ScopeAge {
	var out []web.ScopeAge
	for _, f := range d.store.Feeds() {
		s := web.ScopeAge{Scope: f.Scope, Rows: f.Rows, Loading: f.Loading}
		if !f.AsOf.IsZero() {
			at := f.AsOf.In(d.cfg.Zone)
			s.AsOf = &at
		}
		out = append(out, s)
	}
	return out
}

// Recheck implements web.Prefs.
func (d *Device) Recheck() {
	select {
	case d.recheck <- struct{}{}:
	default: // one is wished for already
	}
}
