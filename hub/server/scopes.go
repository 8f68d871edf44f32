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
	out := Regranted{Device: d}
	_, err := o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindGranted, Subject: string(d)}, func(tx store.Tx, a *ledger.Act) error {
		// The fact holds the whole list, so it is made of what stands now: of two who
		// change it at once neither undoes the other.
		known, err := tx.Device(d)
		if errors.Is(err, store.ErrNotFound) {
			return &webui.Refusal{Code: "unknown_device", What: "this hub does not know the device", Which: string(d), Do: "see hub device list"}
		}
		if err != nil {
			return err
		}
		if out.Scopes, err = regranted(d, known.Scopes, add, remove); err != nil {
			return err
		}
		if slices.Equal(out.Scopes, known.Scopes) {
			return errNothing
		}
		a.Body = grantedFact{Device: d, Scopes: out.Scopes}
		return store.Grant(tx, o.now().UnixMilli(), d, out.Scopes)
	})
	if err != nil && !errors.Is(err, errNothing) {
		return Regranted{}, fmt.Errorf("grant scopes to %s: %w", d, err)
	}
	return out, nil
}

// regranted is what a device has of scopes once some were added and some taken.
func regranted(d dot.Device, has, add, remove []string) ([]string, error) {
	scopes := slices.Clone(has)
	for _, s := range add {
		if !broker.ValidScope(s) || feed.Reserved(s) {
			return nil, &webui.Refusal{
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
			return nil, &webui.Refusal{Code: "not_granted", What: "the device does not have this scope", Which: s, Do: "see hub device list"}
		}
		scopes = slices.DeleteFunc(scopes, func(have string) bool { return have == s })
	}
	if len(scopes) > maxGranted {
		return nil, &webui.Refusal{Code: "too_many", What: fmt.Sprintf("a device has at most %d scopes", maxGranted), Which: string(d), Do: "remove some"}
	}
	return scopes, nil
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
