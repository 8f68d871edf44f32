package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"otor/hub/contact"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/webui"
)

// Seal gives up waiting for entries of a chain (L7). All of run must be missing
// below what arrived.
func (o *Office) Seal(ctx context.Context, c dot.Chain, run lane.Range, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return &webui.Refusal{Code: "reason_missing", What: "sealing needs a reason, which stays in the ledger", Do: "say why: --reason \"the phone drowned\""}
	}
	gaps, err := o.store.Gaps(ctx, false)
	if err == nil {
		gaps, err = o.gapsSeen(ctx, gaps)
	}
	if err != nil {
		return err
	}
	var missing lane.Set
	for _, g := range gaps {
		if g.Chain == c {
			missing = missing.Add(g.Run)
		}
	}
	inside := false
	for _, m := range missing {
		inside = inside || run.Valid() && m.First <= run.First && run.Last <= m.Last
	}
	if !inside {
		return &webui.Refusal{Code: "no_gap", What: fmt.Sprintf("not all of it is a hole: %s lacks %s", c, missing), Which: run.String(), Do: "see what is missing: hub gaps"}
	}
	_, err = o.ledger.Record(ctx, ledger.Act{
		By: actor(ctx), Kind: kindSealed, Subject: c.String() + " " + run.String(),
		Body: sealedFact{c.Device, c.Incarnation, c.Lane, run.First, run.Last, reason, o.now().UnixMilli()},
	}, nil)
	if err != nil {
		return fmt.Errorf("seal %s %s: %w", c, run, err)
	}
	return nil
}

// ConfirmLife lets a live copy of a device's folder have everything, and closes
// the finding when it was the last one.
func (o *Office) ConfirmLife(ctx context.Context, d dot.Device, i dot.Incarnation) error {
	at := o.now().UnixMilli()
	lives, err := o.store.Lives(ctx, d)
	if err != nil {
		return err
	}
	twin := slices.IndexFunc(lives, func(l store.Life) bool { return l.Incarnation == i && l.UplinkOnly() })
	if twin < 0 {
		return &webui.Refusal{Code: "no_twin", What: fmt.Sprintf("life %d of %s is no live copy that waits for it", i, d), Which: string(d), Do: "see the finding: hub findings"}
	}
	_, err = o.ledger.Record(ctx, ledger.Act{
		By: actor(ctx), Kind: kindTwin, Subject: fmt.Sprintf("%s/%d", d, i), Body: twinFact{d, i, at},
	}, nil)
	if err != nil {
		return fmt.Errorf("confirm life %s/%d: %w", d, i, err)
	}
	for n, l := range lives {
		if n != twin && l.UplinkOnly() {
			return nil
		}
	}
	return o.store.ClearFinding(ctx, d, contact.TwinsFinding, at)
}

// order is the body of POST gaps/seal and of POST devices/life.
type order struct {
	Device      dot.Device      `json:"device"`
	Incarnation dot.Incarnation `json:"incarnation"`
	Lane        dot.Lane        `json:"lane,omitempty"`
	First       dot.Seq         `json:"first,omitempty"`
	Last        dot.Seq         `json:"last,omitempty"`
	Reason      string          `json:"reason,omitempty"`
}

// decisions serves what operators decide about chains and lives.
func (o *Office) decisions(mux *http.ServeMux, bell *webui.Bell) {
	post := func(name string, decide func(ctx context.Context, in order) error) {
		mux.HandleFunc("POST "+officePath+name, func(w http.ResponseWriter, r *http.Request) {
			var in order
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
				answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of a decision", Which: err.Error()})
				return
			}
			err := decide(r.Context(), in)
			bell.Ring()
			answer(w, struct{}{}, err)
		})
	}
	post("gaps/seal", func(ctx context.Context, in order) error {
		return o.Seal(ctx, dot.Chain{Device: in.Device, Incarnation: in.Incarnation, Lane: in.Lane}, lane.Run(in.First, in.Last), in.Reason)
	})
	o.planning(mux, bell)
	post("devices/life", func(ctx context.Context, in order) error { return o.ConfirmLife(ctx, in.Device, in.Incarnation) })
}

// Seal does what [Office.Seal] does.
func (c *Client) Seal(ctx context.Context, chain dot.Chain, run lane.Range, reason string) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, "gaps/seal", url.Values{}, order{chain.Device, chain.Incarnation, chain.Lane, run.First, run.Last, reason})
	return err
}

// ConfirmLife does what [Office.ConfirmLife] does.
func (c *Client) ConfirmLife(ctx context.Context, d dot.Device, i dot.Incarnation) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, "devices/life", url.Values{}, order{Device: d, Incarnation: i})
	return err
}
