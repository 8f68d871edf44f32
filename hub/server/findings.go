package server

import (
	"context"
	"slices"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/contact"
	"otor/internal/dot"
	"otor/internal/webui"
)

// findingsDesk shows the console's pages what the hub noticed.
type findingsDesk struct {
	o    *Office
	bell *webui.Bell
}

// Noticed implements console.Findings.
func (f findingsDesk) Noticed(ctx context.Context, most int) (n console.Noticed, err error) {
	sight := f.o.sight(ctx)
	if sight.all {
		n.Warnings = f.warnings()
	}
	doubts, err := f.o.store.Doubts(ctx, "")
	if err != nil {
		return n, err
	}
	for _, d := range doubts {
		seen, err := sight.device(ctx, d.Device)
		if err != nil {
			return n, err
		}
		if seen {
			n.Doubts = append(n.Doubts, console.DoubtRow{Device: string(d.Device), Why: d.Why, Since: f.o.at(d.Since)})
		}
	}
	found, err := f.o.Findings(ctx, false)
	if err != nil {
		return n, err
	}
	for _, x := range found {
		row := console.FindingRow{Device: string(x.Device), Code: x.Code, Words: x.Words, Value: x.Value, Since: x.OpenedAt}
		if x.Code == contact.TwinsFinding {
			if row.Twins, err = f.twins(ctx, x.Device); err != nil {
				return n, err
			}
		}
		n.Findings = append(n.Findings, row)
	}
	if most > 0 && allowed(asker(ctx), access.Audit) {
		err = f.frames(ctx, &n, most)
	}
	return n, err
}

// warnings are about the hub itself. Devices in doubt are told one by one.
func (f findingsDesk) warnings() []console.Warning {
	switch w, err := f.o.journalWarning(); {
	case err != nil:
		return []console.Warning{{Code: "journal_unread", Which: err.Error()}}
	case w != "":
		return []console.Warning{{Code: "journal_same_disk", Which: f.o.ledger.Dir()}}
	}
	return nil
}

// twins lists the lives of a device that wait to be confirmed.
func (f findingsDesk) twins(ctx context.Context, d dot.Device) (out []uint32, err error) {
	lives, err := f.o.store.Lives(ctx, d)
	for _, l := range lives {
		if l.UplinkOnly() {
			out = append(out, uint32(l.Incarnation))
		}
	}
	return out, err
}

func (f findingsDesk) frames(ctx context.Context, n *console.Noticed, most int) error {
	us, err := f.o.Unattributed(ctx)
	if err != nil {
		return err
	}
	n.Total = len(us)
	slices.Reverse(us)
	for _, u := range us[:min(len(us), most)] {
		n.Frames = append(n.Frames, console.FrameRow{Via: string(u.Via), Claims: string(u.Claims), Code: u.Code, Words: u.Words, At: u.ReceivedAt, Size: u.Size})
	}
	return nil
}

// Confirm implements console.Findings.
func (f findingsDesk) Confirm(ctx context.Context, devices []string) error {
	var ds []dot.Device
	for _, d := range devices {
		ds = append(ds, dot.Device(d))
	}
	if len(ds) == 0 {
		return nil // the office would take it for all of them
	}
	_, err := f.o.Confirm(ctx, ds)
	f.bell.Ring()
	return asPageRefusal(err)
}

// ConfirmLife implements console.Findings.
func (f findingsDesk) ConfirmLife(ctx context.Context, device string, life uint32) error {
	err := f.o.ConfirmLife(ctx, dot.Device(device), dot.Incarnation(life))
	f.bell.Ring()
	return asPageRefusal(err)
}
