package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"

	"otor/hub/ingest"
	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/webui"
)

// kindStatement is that a statement was signed and handed out.
const kindStatement = "statement"

// statementFact says which: its content can be drawn again, its digest not.
type statementFact struct {
	Terms  reconcile.Terms `json:"terms"`
	Digest string          `json:"digest"` // SHA-256 of what was signed
}

// Statement draws a statement for its terms and signs it; that it was is
// recorded first. A team's devices are those that are granted the scope
// team:NAME. Refusals: bad_terms, unknown_form.
func (o *Office) Statement(ctx context.Context, t reconcile.Terms) (reconcile.Signed, error) {
	if err := o.mayState(ctx, t); err != nil {
		return reconcile.Signed{}, err
	}
	if t.Subject == reconcile.OfTeam && len(t.Devices) == 0 {
		var err error
		if t.Devices, err = o.teamOf(ctx, t.Name); err != nil {
			return reconcile.Signed{}, err
		}
	}
	if t.Subject == reconcile.OfDevice {
		if _, err := o.store.Device(ctx, dot.Device(t.Name)); err != nil {
			return reconcile.Signed{}, fmt.Errorf("statement of %s: %w", t.Name, err)
		}
	}
	if t.Subject == reconcile.OfForm && t.Name != "" {
		if err := o.knowsForm(ctx, t.Name); err != nil {
			return reconcile.Signed{}, err
		}
	}
	t.From, t.Until = t.From.In(o.zone), t.Until.In(o.zone)
	books, err := o.books(ctx, t)
	if err != nil {
		return reconcile.Signed{}, err
	}
	st, err := reconcile.Draw(t, books)
	if errors.Is(err, reconcile.ErrTerms) {
		return reconcile.Signed{}, &webui.Refusal{Code: "bad_terms", What: err.Error(), Do: "correct the subject or the period"}
	}
	if err != nil {
		return reconcile.Signed{}, err
	}
	if !st.Adds() {
		return reconcile.Signed{}, fmt.Errorf("the counts of the statement do not add up: %+v", st.Counts)
	}
	st.Epoch, st.MadeAt, st.MadeBy = o.epochs.Epoch().String(), o.now().In(o.zone), actor(ctx)
	signed, err := reconcile.Sign(st, o.key)
	if err != nil {
		return reconcile.Signed{}, err
	}
	_, err = o.ledger.Record(ctx, ledger.Act{
		By: actor(ctx), Kind: kindStatement, Subject: string(t.Subject) + " " + t.Name, Body: statementFact{t, signed.Digest()},
	}, nil)
	if err != nil {
		return reconcile.Signed{}, err
	}
	return signed, nil
}

// knowsForm refuses a form that is in no pack here, and of which there is no entry: a
// mistyped name would give an account of nothing. Refusal: unknown_form.
func (o *Office) knowsForm(ctx context.Context, id string) error {
	if book, ok := o.forms.(ingest.FormBook); ok {
		if _, ok := book.Latest(id); ok {
			return nil
		}
	}
	some, err := o.store.Find(ctx, store.FoundQuery{Words: ingest.WordsAbout("", id, ""), Limit: 1, Look: 1})
	if err == nil && len(some.Hits) == 0 {
		err = &webui.Refusal{Code: "unknown_form", What: "there is no such form, and no record by it", Which: id, Do: "choose a form of the pack by its name, such as visit"}
	}
	return err
}

// mayState refuses a statement on what whoever asks does not see all of: on a
// device, or a device of a team, that has other scopes as well or none at all, or on
// devices named one by one.
func (o *Office) mayState(ctx context.Context, t reconcile.Terms) error {
	sight := o.sight(ctx)
	seen := sight.all
	switch {
	case seen:
		return nil
	case t.Subject == reconcile.OfTeam && len(t.Devices) == 0:
		devices, err := o.devicesOf(ctx, t.Name)
		if err != nil {
			return err
		}
		seen = sight.covers([]string{teamScope + t.Name}) && !slices.ContainsFunc(devices, func(d store.Device) bool { return !sight.wholly(d) })
	case t.Subject == reconcile.OfDevice:
		d, err := o.store.Device(ctx, dot.Device(t.Name))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		seen = err == nil && sight.wholly(d)
	}
	if !seen {
		return &webui.Refusal{Code: "not_allowed", What: "your scopes do not cover all that this statement is about", Which: string(t.Subject) + " " + t.Name, Do: "ask an operator with wider scopes"}
	}
	return nil
}

// devicesOf lists the devices of a team.
func (o *Office) devicesOf(ctx context.Context, team string) ([]store.Device, error) {
	all, err := o.store.Devices(ctx)
	return slices.DeleteFunc(all, func(d store.Device) bool { return !slices.Contains(d.Scopes, teamScope+team) }), err
}

// teamOf names the devices of a team.
func (o *Office) teamOf(ctx context.Context, team string) ([]dot.Device, error) {
	ds, err := o.devicesOf(ctx, team)
	var out []dot.Device
	for _, d := range ds {
		out = append(out, d.ID)
	}
	return out, err
}

// books are what the statement is drawn from.
func (o *Office) books(ctx context.Context, t reconcile.Terms) (b reconcile.Books, err error) {
	if b.Lanes, err = o.store.Lanes(ctx); err != nil {
		return b, err
	}
	if b.Held, err = o.store.HeldCounts(ctx); err != nil {
		return b, err
	}
	if b.Findings, err = o.store.Findings(ctx, false); err != nil {
		return b, err
	}
	var q store.EntryQuery
	if t.Subject == reconcile.OfDevice {
		q.Device = dot.Device(t.Name)
	}
	b.Entries = o.store.Entries(ctx, q)
	b.Decisions = o.decided(ctx, t)
	return b, nil
}

// decided lists what operators decided about what a statement is about, out of the ledger.
func (o *Office) decided(ctx context.Context, t reconcile.Terms) iter.Seq2[reconcile.Decision, error] {
	return func(yield func(reconcile.Decision, error) bool) {
		for f, err := range o.store.Facts(ctx, store.FactQuery{}) {
			d := reconcile.Decision{Number: f.Number, At: time.UnixMilli(f.At).In(o.zone), By: f.By, Kind: f.Kind, Subject: f.Subject}
			concerns := err != nil
			if err == nil && t.Within(f.At) {
				concerns, err = o.concerns(ctx, t, f)
			}
			if err == nil && !concerns {
				continue
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// concerns reports whether a fact is a decision about what a statement is about: about its
// devices or their entries, about entries of its form, or any.
func (o *Office) concerns(ctx context.Context, t reconcile.Terms, f store.Fact) (bool, error) {
	var on struct {
		Device dot.Device `json:"device"`
		Dot    dot.Dot    `json:"dot"`
		decisionFact
	}
	switch f.Kind {
	case kindRoster, kindRosterRuling: // about persons
		return t.Subject == reconcile.OfAll, nil
	case kindDecision, kindAside, kindSealed, kindRevoked, kindConfirmed, kindTwin:
		if t.Subject == reconcile.OfAll {
			return true, nil
		}
	default:
		return false, nil
	}
	signed, err := ledger.Read(f.Signed, o.key.Public())
	if err == nil {
		err = json.Unmarshal(signed.Body, &on)
	}
	if err != nil {
		return false, fmt.Errorf("fact %d: %w: %w", f.Number, store.ErrDamaged, err)
	}
	about := on.About
	if !on.Dot.IsZero() {
		about = append(about, on.Dot)
	}
	if f.Kind == kindDecision {
		items, err := o.store.Items(ctx, store.ItemQuery{Entity: entry.Ref{Type: on.Type, ID: on.Entity}, Kind: on.Kind})
		if err != nil {
			return false, err
		}
		for _, it := range items {
			if it.Field == on.Field {
				about = append(about, it.Entries...)
			}
		}
	}
	if t.Subject != reconcile.OfForm {
		return on.Device != "" && t.Of(on.Device) || slices.ContainsFunc(about, func(d dot.Dot) bool { return t.Of(d.Device) }), nil
	}
	entries, err := o.store.EntriesNamed(ctx, about)
	for _, e := range entries {
		if e.Form == t.Name {
			return true, err
		}
	}
	return false, err
}

// statements serves POST statements.
func (o *Office) statements(mux *http.ServeMux) {
	mux.HandleFunc("POST "+officePath+"statements", func(w http.ResponseWriter, r *http.Request) {
		var t reconcile.Terms
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&t); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of a statement's terms", Which: err.Error()})
			return
		}
		v, err := o.Statement(r.Context(), t)
		answer(w, v, err)
	})
}

// Statement does what [Office.Statement] does.
func (c *Client) Statement(ctx context.Context, t reconcile.Terms) (reconcile.Signed, error) {
	return ask[reconcile.Signed](ctx, c, http.MethodPost, "statements", nil, t)
}
