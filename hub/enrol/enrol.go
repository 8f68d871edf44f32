// Package enrol lets devices in.
//
// An operator invites a device: the hub draws a one-time code, keeps its hash
// and shows the code as text and as a QR picture. The device makes its keys
// itself, proves that it holds them, and trades the code, once, for its name,
// its incarnation and NATS credentials of at most 30 days. Nothing secret of the
// device ever reaches the hub.
//
// A code that was redeemed is spent. But links are bad, and a device whose
// answer got lost asks again with the same keys: it then gets the same answer,
// for [RepeatWithin], since it proves that it is the one that spent the code.
//
//   - [Invite] opens a code, [QR] draws it for a terminal.
//   - [Handler] answers [wire.EnrolPath].
package enrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
)

// Lives of a code.
const (
	MaxCodeTTL = 24 * time.Hour
	// RepeatWithin is how long a device may fetch its answer again.
	RepeatWithin = time.Hour
)

// Inviter is what [Invite] needs of the hub's database.
type Inviter interface {
	Invite(ctx context.Context, in store.Invitation, again bool) error
}

// Invitation says whom to invite.
type Invitation struct {
	Device dot.Device
	Scopes []string
	TTL    time.Duration // of the code; MaxCodeTTL when 0, and at most
	Again  bool          // also when the device is enrolled already: it gets a new life
	Pin    identity.Pin  // of the hub's CA
}

// Invite opens a one-time code and returns it with the time of its end. The
// code itself is kept nowhere. It wraps [store.ErrExists] when the device is
// enrolled and Again is false.
func Invite(ctx context.Context, s Inviter, in Invitation, now time.Time, random io.Reader) (identity.Code, time.Time, error) {
	if _, err := dot.ParseDevice(string(in.Device)); err != nil {
		return identity.Code{}, time.Time{}, err
	}
	if in.Device == dot.Hub {
		return identity.Code{}, time.Time{}, fmt.Errorf("device name %s: it is the hub's own, choose another", in.Device)
	}
	if in.TTL == 0 {
		in.TTL = MaxCodeTTL
	}
	if in.TTL < 0 || in.TTL > MaxCodeTTL {
		return identity.Code{}, time.Time{}, fmt.Errorf("code for %s: it may last up to %s, not %s", in.Device, MaxCodeTTL, in.TTL)
	}
	code, err := identity.NewCode(random, in.Pin)
	if err != nil {
		return identity.Code{}, time.Time{}, err
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(in.Scopes)))
	expires := now.Add(in.TTL)
	err = s.Invite(ctx, store.Invitation{
		Device: in.Device, Scopes: scopes, CodeHash: code.Secret.Hash(),
		AddedAt: now.UnixMilli(), ExpiresAt: expires.UnixMilli(),
	}, in.Again)
	if errors.Is(err, store.ErrExists) {
		return identity.Code{}, time.Time{}, fmt.Errorf("invite %s: it is enrolled already: %w", in.Device, err)
	}
	if err != nil {
		return identity.Code{}, time.Time{}, fmt.Errorf("invite %s: %w", in.Device, err)
	}
	return code, expires, nil
}

// quietZone is the margin that a QR code needs, in modules (ISO/IEC 18004).
const quietZone = 4

// QR draws text as a QR code for a terminal: one character for two modules
// above one another, with the margin. Colours are set by escape codes, dark on
// light, since on a dark terminal plain blocks would come out inverted and many
// phones do not read that.
func QR(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	const dark, normal = "\x1b[30;107m", "\x1b[0m"
	var b strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		b.WriteString(dark)
		for x := -quietZone; x < code.Size+quietZone; x++ {
			// Black answers false outside of the code.
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString(normal + "\n")
	}
	return b.String(), nil
}

// QRPath draws a QR code for a page: its width in modules with the quiet zone, and
// the dark modules as an SVG path.
func QRPath(text string) (size int, path string, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return 0, "", fmt.Errorf("draw a QR code: %w", err)
	}
	var b strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+quietZone, y+quietZone)
			}
		}
	}
	return code.Size + 2*quietZone, b.String(), nil
}
