package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"otor/hub/console"
	"otor/internal/dot"
	"otor/internal/webui"
)

// records serves what is found and shown of records and entities, and decisions on
// several of them.
func (o *Office) records(mux *http.ServeMux, bell *webui.Bell) {
	o.things(mux)
	o.alike(mux, bell)
	mux.HandleFunc("GET "+officePath+"records", func(w http.ResponseWriter, r *http.Request) {
		q, err := o.recordQuery(r)
		if err != nil {
			answer(w, nil, err)
			return
		}
		v, err := o.Records(r.Context(), q)
		answer(w, v, err)
	})
	mux.HandleFunc("GET "+officePath+"record", func(w http.ResponseWriter, r *http.Request) {
		d, err := recordDot(r.FormValue("dot"))
		if err != nil {
			answer(w, nil, err)
			return
		}
		v, err := o.Record(r.Context(), d, r.FormValue("lang"))
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"reveal", func(w http.ResponseWriter, r *http.Request) {
		var in console.Reveal
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request does not name a masked field", Which: err.Error()})
			return
		}
		v, err := o.Reveal(r.Context(), in)
		bell.Ring()
		w.Header().Set("Cache-Control", "no-store")
		answer(w, v, err)
	})
}

// recordQuery reads a query of the address.
func (o *Office) recordQuery(r *http.Request) (q console.RecordQuery, err error) {
	q = console.RecordQuery{
		Device: r.FormValue("device"), Team: r.FormValue("team"), Form: r.FormValue("form"), Verdict: r.FormValue("verdict"),
		Entity: r.FormValue("entity"), Text: r.FormValue("text"), After: r.FormValue("after"), Lang: r.FormValue("lang"),
	}
	if q.From, err = o.dayIn(r.FormValue("from")); err != nil {
		return q, err
	}
	if q.Until, err = o.dayIn(r.FormValue("until")); err != nil {
		return q, err
	}
	if !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1)
	}
	if s := r.FormValue("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 0 {
			return q, &webui.Refusal{Code: "bad_request", What: "limit must be a number of 0 or more", Which: s}
		}
	}
	return q, nil
}

// lastDay is the last day of a period that its end is not in.
func lastDay(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return until.Add(-time.Nanosecond).Format(time.DateOnly)
}

// Records does what [Office.Records] does.
func (c *Client) Records(ctx context.Context, q console.RecordQuery) (console.RecordList, error) {
	v := url.Values{
		"device": {q.Device}, "team": {q.Team}, "form": {q.Form}, "verdict": {q.Verdict}, "entity": {q.Entity}, "text": {q.Text},
		"after": {q.After}, "lang": {q.Lang}, "limit": {strconv.Itoa(q.Limit)}, "until": {lastDay(q.Until)},
	}
	if !q.From.IsZero() {
		v.Set("from", q.From.Format(time.DateOnly))
	}
	return ask[console.RecordList](ctx, c, http.MethodGet, "records", v, nil)
}

// Record does what [Office.Record] does.
func (c *Client) Record(ctx context.Context, d dot.Dot, lang string) (console.Record, error) {
	return ask[console.Record](ctx, c, http.MethodGet, "record", url.Values{"dot": {d.String()}, "lang": {lang}}, nil)
}

// Reveal does what [Office.Reveal] does.
func (c *Client) Reveal(ctx context.Context, r console.Reveal) (console.Revealed, error) {
	return ask[console.Revealed](ctx, c, http.MethodPost, "reveal", nil, r)
}
