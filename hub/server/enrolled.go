package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"otor/hub/enrol"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/webui"
)

// Invited is the answer to adding a device.
type Invited struct {
	Device    dot.Device `json:"device"`
	Code      string     `json:"code"`
	ExpiresAt time.Time  `json:"expires_at"`
	QRText    string     `json:"qr_text"`
}

// Invite adds a device and opens a one-time code for it.
func (o *Office) Invite(ctx context.Context, d dot.Device, scopes []string, ttl time.Duration, again bool) (Invited, error) {
	code, expires, err := enrol.Invite(ctx, registry{o.store, o.ledger}, enrol.Invitation{
		Device: d, Scopes: scopes, TTL: ttl, Again: again, Pin: o.pin,
	}, o.now(), rand.Reader)
	if err != nil {
		return Invited{}, err
	}
	return Invited{Device: d, Code: code.String(), ExpiresAt: expires.In(o.zone), QRText: code.QRText(o.address())}, nil
}

// Revoke ends a device's credentials for good and cuts its connections. What
// it still sends is set aside, not thrown away.
func (o *Office) Revoke(ctx context.Context, d dot.Device) error {
	known, err := o.store.Device(ctx, d)
	if err == nil && known.RevokedAt == 0 {
		_, err = o.ledger.Record(ctx, ledger.Act{
			By: actor(ctx), Kind: kindRevoked, Subject: string(d), Body: revokedFact{Device: d, At: o.now().UnixMilli()},
		}, nil)
	} else if err == nil {
		err = o.cutOff(ctx, d) // once more, should the server not have been told
	}
	if err != nil {
		return fmt.Errorf("revoke %s: %w", d, err)
	}
	return nil
}

// Confirm says that devices were not revoked in what the hub forgot; without
// names that is all which are in doubt. It returns those.
func (o *Office) Confirm(ctx context.Context, devices []dot.Device) ([]dot.Device, error) {
	done := []dot.Device{}
	if len(devices) == 0 {
		all, err := o.store.Doubts(ctx, "")
		if err != nil {
			return done, err
		}
		for _, d := range all {
			devices = append(devices, d.Device)
		}
	}
	for _, d := range devices {
		_, err := o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindConfirmed, Subject: string(d), Body: confirmedFact{Device: d}}, nil)
		if errors.Is(err, store.ErrNotFound) {
			err = &webui.Refusal{Code: "not_in_doubt", What: fmt.Sprintf("device %s is not in doubt", d), Which: string(d), Do: "see who is: hub device list"}
		}
		if err != nil {
			return done, err
		}
		done = append(done, d)
	}
	return done, nil
}

// Enrolled is a line of the list of devices.
type Enrolled struct {
	Device        dot.Device      `json:"device"`
	Scopes        []string        `json:"scopes"`
	State         string          `json:"state"` // invited, enrolled, revoked
	Incarnation   dot.Incarnation `json:"incarnation"`
	AddedAt       time.Time       `json:"added_at"`
	EnrolledAt    *time.Time      `json:"enrolled_at"`
	RevokedAt     *time.Time      `json:"revoked_at"`
	CodeExpiresAt *time.Time      `json:"code_expires_at"`
	LastSeen      *time.Time      `json:"last_seen"`
	// InDoubt says why the device may send and is told nothing until an operator
	// confirms that it was not revoked.
	InDoubt string `json:"in_doubt,omitempty"`
}

// Devices lists the devices by name.
func (o *Office) Devices(ctx context.Context) ([]Enrolled, error) {
	ds, err := o.devicesSeen(ctx)
	if err != nil {
		return nil, err
	}
	doubts, err := o.store.Doubts(ctx, "")
	if err != nil {
		return nil, err
	}
	why := make(map[dot.Device]string, len(doubts))
	for _, d := range doubts {
		why[d.Device] = d.Why
	}
	out := make([]Enrolled, 0, len(ds))
	for _, d := range ds {
		e := Enrolled{
			Device: d.ID, Scopes: d.Scopes, State: "invited", Incarnation: d.Incarnation, AddedAt: o.at(d.AddedAt),
			EnrolledAt: o.maybe(d.EnrolledAt), RevokedAt: o.maybe(d.RevokedAt),
			CodeExpiresAt: o.maybe(d.CodeExpiresAt), LastSeen: o.maybe(d.Contact.At),
			InDoubt: why[d.ID],
		}
		switch {
		case d.RevokedAt != 0:
			e.State = "revoked"
		case d.EnrolledAt != 0:
			e.State = "enrolled"
		}
		out = append(out, e)
	}
	return out, nil
}

// devicesSeen lists the devices that whoever asks sees.
func (o *Office) devicesSeen(ctx context.Context) ([]store.Device, error) {
	ds, err := o.store.Devices(ctx)
	if err != nil {
		return nil, err
	}
	sight := o.sight(ctx)
	return slices.DeleteFunc(ds, func(d store.Device) bool { return !sight.covers(d.Scopes) }), nil
}
