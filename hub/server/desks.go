package server

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"otor/hub/broker"
	"otor/hub/console"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/webui"
)

// fleetDesk lets the console's pages let devices in and out.
type fleetDesk struct{ o *Office }

// List implements console.Devices.
func (f fleetDesk) List(ctx context.Context) ([]console.DeviceLine, error) {
	all, err := f.o.Devices(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]console.DeviceLine, 0, len(all))
	for _, d := range all {
		line := console.DeviceLine{Device: string(d.Device), State: d.State, InDoubt: d.InDoubt, Scopes: d.Scopes}
		if d.LastSeen != nil {
			line.LastSeen = *d.LastSeen
		}
		out = append(out, line)
	}
	return out, nil
}

// Invite implements console.Devices.
func (f fleetDesk) Invite(ctx context.Context, device string, scopes []string, again bool) (console.Invitation, error) {
	d, err := dot.ParseDevice(device)
	if err != nil || d == dot.Hub {
		return console.Invitation{}, &webui.Refusal{Code: "bad_device", What: "this is no name of a device", Which: device}
	}
	bad := slices.IndexFunc(scopes, func(s string) bool { return !broker.ValidScope(s) || feed.Reserved(s) })
	if bad >= 0 || len(scopes) == 0 && !again || len(scopes) > maxGranted {
		return console.Invitation{}, &webui.Refusal{Code: "bad_scope", What: "no scope can be granted under this name", Which: strings.Join(scopes, " ")}
	}
	inv, err := f.o.Invite(ctx, d, scopes, 0, again)
	if err != nil {
		return console.Invitation{}, asPageRefusal(err)
	}
	out := console.Invitation{Device: string(inv.Device), Code: inv.Code, QR: inv.QRText, Ends: inv.ExpiresAt}
	if _, query, ok := strings.Cut(inv.QRText, "?"); ok {
		if q, err := url.ParseQuery(query); err == nil {
			out.Address = q.Get("hub")
		}
	}
	return out, nil
}

// Revoke implements console.Devices.
func (f fleetDesk) Revoke(ctx context.Context, device string) error {
	return asPageRefusal(f.o.Revoke(ctx, dot.Device(device)))
}
