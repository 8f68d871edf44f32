package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"otor/hub/console"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/find"
	"otor/internal/webui"
)

// The kinds of facts about absences of devices.
const (
	kindPlanned   = "planned"   // an operator said when a device will be out of reach
	kindUnplanned = "unplanned" // an operator took that back
)

type plannedFact struct {
	Device dot.Device `json:"device"`
	From   int64      `json:"from"`
	Until  int64      `json:"until"`
	Words  string     `json:"words,omitempty"`
	At     int64      `json:"at"`
}

type unplannedFact struct {
	Device dot.Device `json:"device"`
}

func planKinds() []ledger.Kind {
	return []ledger.Kind{
		kind(kindPlanned, func(tx store.Tx, f ledger.Fact, b plannedFact) error {
			return tx.Plan(store.Absence{Device: b.Device, From: b.From, Until: b.Until, Words: b.Words, PlannedBy: f.By, PlannedAt: b.At})
		}),
		kind(kindUnplanned, func(tx store.Tx, _ ledger.Fact, b unplannedFact) error { return tx.Unplan(b.Device) }),
	}
}

// What a plan holds at most: absences to come of one device, the length of one, and the
// characters of its words.
const (
	mostAbsences   = 8
	longestAbsence = 92 * 24 * time.Hour
	mostPlanWords  = 120
)

// Plan says that a device is expected to be out of reach, in place of its absence that
// starts at the same moment. A zero From is now.
func (o *Office) Plan(ctx context.Context, d dot.Device, in PlanOrder) (console.Absence, error) {
	now := o.now()
	if in.From.IsZero() {
		in.From = now
	}
	in.Words = strings.TrimSpace(in.Words)
	a := console.Absence{From: o.at(in.From.UnixMilli()), Until: o.at(in.Until.UnixMilli()), Words: in.Words, By: actor(ctx), PlannedAt: o.at(now.UnixMilli())}
	switch {
	case !in.Until.After(in.From), !in.Until.After(now), in.Until.Sub(in.From) > longestAbsence:
		return a, &webui.Refusal{Code: "bad_window", What: "an absence ends after it starts, in the future, and lasts 92 days at most", Which: in.Until.Format(time.RFC3339), Do: "give another time"}
	case utf8.RuneCountInString(in.Words) > mostPlanWords, strings.ContainsFunc(in.Words, unicode.IsControl):
		return a, &webui.Refusal{Code: "plan_words", What: fmt.Sprintf("the words are more than one line or %d characters", mostPlanWords), Do: "say it shorter"}
	}
	if _, err := o.planned(ctx, d); err != nil {
		return a, err
	}
	to := store.Absence{Device: d, From: a.From.UnixMilli(), Until: a.Until.UnixMilli(), Words: a.Words, PlannedBy: a.By, PlannedAt: a.PlannedAt.UnixMilli()}
	_, err := o.ledger.Record(ctx, ledger.Act{By: a.By, Kind: kindPlanned, Subject: string(d), Body: plannedFact{
		Device: d, From: to.From, Until: to.Until, Words: to.Words, At: to.PlannedAt,
	}}, func(tx store.Tx, _ *ledger.Act) error {
		if err := plannable(tx, to); err != nil {
			return err
		}
		return tx.Plan(to)
	})
	if err != nil {
		return a, fmt.Errorf("plan an absence of %s: %w", d, err)
	}
	return a, nil
}

// plannable reports whether one more absence can be planned, as things stand within the act.
func plannable(tx store.Tx, a store.Absence) error {
	d := a.Device
	known, err := tx.Device(d)
	if err != nil {
		return err
	}
	if known.RevokedAt != 0 {
		return &webui.Refusal{Code: "plan_revoked", What: "the device was revoked: nothing is expected of it", Which: string(d), Do: "see hub device list"}
	}
	all, err := tx.Absences(d)
	if err != nil {
		return err
	}
	n := 0
	for _, is := range all {
		if is.Until > a.PlannedAt && is.From != a.From {
			n++
		}
	}
	if n >= mostAbsences {
		return &webui.Refusal{Code: "plan_full", What: fmt.Sprintf("%d absences are planned for the device, and no more can be", n), Which: string(d), Do: "take its plan back first: hub device plan NAME --clear"}
	}
	return nil
}

// planned gives a device that whoever asks may plan for.
func (o *Office) planned(ctx context.Context, d dot.Device) (store.Device, error) {
	known, err := o.store.Device(ctx, d)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return known, err
	}
	if err != nil || !o.sight(ctx).covers(known.Scopes) {
		return known, &webui.Refusal{Code: "unknown_device", What: "this hub does not know the device", Which: string(d), Do: "see hub device list"}
	}
	return known, nil
}

// Unplan takes back all that is planned for a device.
func (o *Office) Unplan(ctx context.Context, d dot.Device) error {
	if _, err := o.planned(ctx, d); err != nil {
		return err
	}
	_, err := o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindUnplanned, Subject: string(d), Body: unplannedFact{d}}, nil)
	if err != nil {
		return fmt.Errorf("clear the plan of %s: %w", d, err)
	}
	return nil
}

// plans gives what is planned, by device.
func (o *Office) plans(ctx context.Context) (map[dot.Device][]console.Absence, error) {
	all, err := o.store.Absences(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[dot.Device][]console.Absence)
	for _, a := range all {
		out[a.Device] = append(out[a.Device], console.Absence{From: o.at(a.From), Until: o.at(a.Until), Words: find.Hide(a.Words), By: a.PlannedBy, PlannedAt: o.at(a.PlannedAt)})
	}
	return out, nil
}

// PlanOrder is the body of POST devices/{device}/plan.
type PlanOrder struct {
	From  time.Time `json:"from,omitzero"` // left out: now
	Until time.Time `json:"until"`
	Words string    `json:"words,omitempty"`
}

// planning serves what operators plan.
func (o *Office) planning(mux *http.ServeMux, bell *webui.Bell) {
	mux.HandleFunc("POST "+officePath+"devices/{device}/plan", func(w http.ResponseWriter, r *http.Request) {
		var in PlanOrder
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of an absence", Which: err.Error()})
			return
		}
		v, err := o.Plan(r.Context(), dot.Device(r.PathValue("device")), in)
		bell.Ring()
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"devices/{device}/plan/clear", func(w http.ResponseWriter, r *http.Request) {
		err := o.Unplan(r.Context(), dot.Device(r.PathValue("device")))
		bell.Ring()
		answer(w, struct{}{}, err)
	})
}

// Plan does what [Office.Plan] does.
func (c *Client) Plan(ctx context.Context, d dot.Device, in PlanOrder) (console.Absence, error) {
	return ask[console.Absence](ctx, c, http.MethodPost, "devices/"+url.PathEscape(string(d))+"/plan", nil, in)
}

// Unplan does what [Office.Unplan] does.
func (c *Client) Unplan(ctx context.Context, d dot.Device) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, "devices/"+url.PathEscape(string(d))+"/plan/clear", nil, nil)
	return err
}

// planDesk lets the console's pages plan.
type planDesk struct {
	o    *Office
	bell *webui.Bell
}

// Plan implements console.Plans.
func (p planDesk) Plan(ctx context.Context, device string, a console.Absence) error {
	_, err := p.o.Plan(ctx, dot.Device(device), PlanOrder{From: a.From, Until: a.Until, Words: a.Words})
	p.bell.Ring()
	return asPageRefusal(err)
}

// Unplan implements console.Plans.
func (p planDesk) Unplan(ctx context.Context, device string) error {
	err := p.o.Unplan(ctx, dot.Device(device))
	p.bell.Ring()
	return asPageRefusal(err)
}
