package server

import (
	"context"
	"strings"
	"time"

	"otor/hub/console"
	"otor/hub/store"
	"otor/internal/lane"
	"otor/internal/webui"
)

// Fleet is the account of all devices.
func (o *Office) Fleet(ctx context.Context) (console.Fleet, error) {
	f := console.Fleet{AsOf: o.now().In(o.zone), Epoch: o.epochs.Epoch().String(), Devices: []console.DeviceRow{}}
	devices, err := o.devicesSeen(ctx)
	if err != nil {
		return f, err
	}
	lanes, err := o.store.Lanes(ctx)
	if err != nil {
		return f, err
	}
	held, err := o.store.HeldCounts(ctx)
	if err != nil {
		return f, err
	}
	verdicts, err := o.store.VerdictCounts(ctx)
	if err != nil {
		return f, err
	}
	plans, err := o.plans(ctx)
	if err != nil {
		return f, err
	}
	if o.sight(ctx).all {
		if f.Warnings, err = o.warnings(ctx); err != nil {
			return f, err
		}
		totals, err := o.store.Totals(ctx)
		if err != nil {
			return f, err
		}
		f.Unattributed, f.TransportDuplicates = uint64(totals.Unattributed), uint64(totals.Duplicates)
	}
	for _, d := range devices {
		row := console.DeviceRow{Device: d.ID, SetAside: uint64(verdicts[d.ID][store.Quarantined]), LastSeen: o.maybe(d.Contact.At), Version: d.Contact.Version, Team: teamIn(d.Scopes), Revoked: d.RevokedAt != 0, Plan: plans[d.ID]}
		row.Expect(f.AsOf)
		if d.Contact.At != 0 {
			row.Skew = console.Skew{Ahead: time.Duration(d.Contact.Skew) * time.Millisecond, Known: true}
			if row.DiskFree = d.Contact.DiskFree; d.Contact.Battery >= 0 {
				row.Battery = &d.Contact.Battery
			}
		}
		for _, l := range lanes {
			if l.Chain.Device == d.ID {
				addLane(&row, l, held[l.Chain])
			}
		}
		f.Devices = append(f.Devices, row)
	}
	return f, nil
}

// teamIn is the team among a device's scopes; "" where there is none.
func teamIn(scopes []string) string {
	for _, s := range scopes {
		if team, ok := strings.CutPrefix(s, "team:"); ok {
			return team
		}
	}
	return ""
}

// addLane adds a lane to its device's account.
func addLane(d *console.DeviceRow, l store.Lane, held int64) {
	row := console.LaneRow{
		Incarnation: l.Chain.Incarnation, Lane: l.Chain.Lane, Declared: l.Declared, Received: l.Received.Through(),
		Held: uint64(held), Missing: l.Received.Gaps(), Head: l.Head,
	}
	var waiting []lane.Range
	row.Missing, waiting = l.Lacking()
	for _, r := range waiting {
		row.Waiting += r.Len()
	}
	for _, r := range row.Missing {
		d.GapsOpen += r.Len()
	}
	d.Lanes = append(d.Lanes, row)
	d.Declared += uint64(l.Declared)
	d.Received += l.Received.Len()
	d.Waiting += row.Waiting
	d.Held += row.Held
}

// fleetSource shows the office to the console.
type fleetSource struct {
	office *Office
	bell   *webui.Bell
}

// Fleet implements console.Source.
func (f *fleetSource) Fleet(ctx context.Context) (console.Fleet, error) { return f.office.Fleet(ctx) }

// Changes implements console.Source.
func (f *fleetSource) Changes() (<-chan struct{}, func()) { return f.bell.Listen() }
