package server

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"otor/hub/console"
	"otor/internal/webui"
)

// things serves what is found and shown of entities.
func (o *Office) things(mux *http.ServeMux) {
	mux.HandleFunc("GET "+officePath+"entities", func(w http.ResponseWriter, r *http.Request) {
		q := console.ThingQuery{Text: r.FormValue("text"), Type: r.FormValue("type"), After: r.FormValue("after"), Lang: r.FormValue("lang")}
		if s := r.FormValue("limit"); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 {
				answer(w, nil, &webui.Refusal{Code: "bad_request", What: "limit must be a number of 0 or more", Which: s})
				return
			}
			q.Limit = n
		}
		v, err := o.Things(r.Context(), q)
		answer(w, v, err)
	})
	mux.HandleFunc("GET "+officePath+"entity", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.Thing(r.Context(), r.FormValue("entity"), r.FormValue("before"), r.FormValue("lang"))
		answer(w, v, err)
	})
}

// Things does what [Office.Things] does.
func (c *Client) Things(ctx context.Context, q console.ThingQuery) (console.ThingList, error) {
	return ask[console.ThingList](ctx, c, http.MethodGet, "entities", url.Values{
		"text": {q.Text}, "type": {q.Type}, "after": {q.After}, "lang": {q.Lang}, "limit": {strconv.Itoa(q.Limit)},
	}, nil)
}

// Thing does what [Office.Thing] does.
func (c *Client) Thing(ctx context.Context, ref, before, lang string) (console.Thing, error) {
	return ask[console.Thing](ctx, c, http.MethodGet, "entity", url.Values{"entity": {ref}, "before": {before}, "lang": {lang}}, nil)
}
