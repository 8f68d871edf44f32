package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"otor/hub/broker"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/webui"
)

// kindGranted is the fact that a device's scopes were changed.
const kindGranted = "granted"

type grantedFact struct {
	Device dot.Device `json:"device"`
	Scopes []string   `json:"scopes"` // all that it has from then on
}

func granted() ledger.Kind {
	return kind(kindGranted, func(tx store.Tx, f ledger.Fact, b grantedFact) error {
		return store.Grant(tx, f.At, b.Device, b.Scopes)
	})
}

// Regranted says what a device may see from now on.
type Regranted struct {
	Device dot.Device `json:"device"`
	Scopes []string   `json:"scopes"`
}

// maxGranted bounds the scopes of one device.
const maxGranted = 64

// Regrant gives a device scopes and takes some from it. The device hears of it
// at once if it is connected, else with its next contact; it then forgets what
// it holds of scopes that were taken, and keeps what it captured.
func (o *Office) Regrant(ctx context.Context, d dot.Device, add, remove []string) (Regranted, error) {
	known, err := o.store.Device(ctx, d)
	if errors.Is(err, store.ErrNotFound) {
		return Regranted{}, &webui.Refusal{Code: "unknown_device", What: "this hub does not know the device", Which: string(d), Do: "see hub device list"}
	}
	if err != nil {
		return Regranted{}, fmt.Errorf("grant scopes to %s: %w", d, err)
	}
	scopes := slices.Clone(known.Scopes)
	for _, s := range add {
		if !broker.ValidScope(s) || feed.Reserved(s) {
			return Regranted{}, &webui.Refusal{
				Code: "bad_scope", What: "no scope can be granted under this name", Which: s,
				Do: "use letters, digits, '-', '_' and ':', at most 64; not all, and not device:NAME, which every device has by itself",
			}
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	for _, s := range remove {
		if !slices.Contains(scopes, s) {
			return Regranted{}, &webui.Refusal{Code: "not_granted", What: "the device does not have this scope", Which: s, Do: "see hub device list"}
		}
		scopes = slices.DeleteFunc(scopes, func(have string) bool { return have == s })
	}
	if len(scopes) > maxGranted {
		return Regranted{}, &webui.Refusal{Code: "too_many", What: fmt.Sprintf("a device has at most %d scopes", maxGranted), Which: string(d), Do: "remove some"}
	}
	if !slices.Equal(scopes, known.Scopes) {
		_, err = o.ledger.Record(ctx, ledger.Act{
			By: actor(ctx), Kind: kindGranted, Subject: string(d), Body: grantedFact{Device: d, Scopes: scopes},
		}, nil)
		if err != nil {
			return Regranted{}, fmt.Errorf("grant scopes to %s: %w", d, err)
		}
	}
	return Regranted{Device: d, Scopes: scopes}, nil
}

// regrant is the body of POST devices/{device}/scopes.
type regrant struct {
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
}

// Regrant does what [Office.Regrant] does.
func (c *Client) Regrant(ctx context.Context, d dot.Device, add, remove []string) (Regranted, error) {
	return ask[Regranted](ctx, c, http.MethodPost, "devices/"+url.PathEscape(string(d))+"/scopes", nil, regrant{add, remove})
}
