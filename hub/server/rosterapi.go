package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"otor/hub/store"
	"otor/internal/sheet"
	"otor/internal/webui"
)

// rosterStep is a line of the answer to a list that is uploaded: how far it is, or what
// it came to.
type rosterStep struct {
	Stage  string          `json:"stage,omitempty"`
	Rows   int             `json:"rows,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *webui.Refusal  `json:"error,omitempty"`
}

// rosterRoutes serves what is done with official lists.
func (o *Office) rosterRoutes(mux *http.ServeMux, bell *webui.Bell) {
	mux.HandleFunc("GET "+officePath+"rosters", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.Rosters(r.Context())
		answer(w, v, err)
	})
	mux.HandleFunc("GET "+officePath+"rosters/{kind}", o.serveRoster)
	mux.HandleFunc("POST "+officePath+"rosters/{kind}", func(w http.ResponseWriter, r *http.Request) {
		o.uploadRoster(w, r)
		bell.Ring()
	})
	mux.HandleFunc("POST "+officePath+"rosters/{kind}/decide", func(w http.ResponseWriter, r *http.Request) {
		var in RosterChoice
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of a decision", Which: err.Error()})
			return
		}
		v, err := o.RuleRoster(r.Context(), r.PathValue("kind"), in)
		bell.Ring()
		answer(w, v, err)
	})
}

// serveRoster streams the lines of a list.
func (o *Office) serveRoster(w http.ResponseWriter, r *http.Request) {
	q := store.RosterQuery{Kind: r.PathValue("kind"), Standing: r.FormValue("standing"), Open: r.FormValue("open") == "true", AfterLine: -1, AfterKey: r.FormValue("after_key")}
	for name, into := range map[string]*int{"after": &q.AfterLine, "limit": &q.Limit} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < -1 {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: name + " must be a number", Which: v})
			return
		}
		*into = n
	}
	if _, err := o.rosterKind(q.Kind); err != nil {
		answer(w, nil, err)
		return
	}
	streamLines(w, o.RosterLines(r.Context(), q))
}

// uploadRoster takes a list as the body, checks it, or imports it when that is asked
// for, and answers with a line of JSON for each step and one for the result.
func (o *Office) uploadRoster(w http.ResponseWriter, r *http.Request) {
	select {
	case o.rosters.uploads <- struct{}{}:
		defer func() { <-o.rosters.uploads }()
	case <-r.Context().Done():
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, sheet.Usual.File+1))
	if err != nil {
		answer(w, nil, &webui.Refusal{Code: "roster_too_large", What: fmt.Sprintf("the list could not be read, or has more than %d MB", sheet.Usual.File>>20), Which: err.Error(), Do: "split the list"})
		return
	}
	u := RosterUpload{Kind: r.PathValue("kind"), File: r.FormValue("file"), Sheet: r.FormValue("sheet"), Body: body}
	if c := r.FormValue("columns"); c != "" {
		if err := json.Unmarshal([]byte(c), &u.Columns); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the columns are not the JSON of a choice", Which: err.Error()})
			return
		}
	}
	if _, err := o.rosterKind(u.Kind); err != nil {
		answer(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	var mu sync.Mutex // the answer's owner: steps come from wherever the work is done
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	say := func(s rosterStep) {
		mu.Lock()
		defer mu.Unlock()
		if enc.Encode(s) == nil {
			_ = flush.Flush() // whoever waits sees it later
		}
	}
	last := time.Time{}
	u.Progress = func(stage string, rows int) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond {
			last = now
			say(rosterStep{Stage: stage, Rows: rows})
		}
	}
	var v any
	if r.FormValue("check") == "true" {
		v, err = o.CheckRoster(r.Context(), u)
	} else {
		v, err = o.ImportRoster(r.Context(), u)
	}
	if err != nil {
		no, ok := asRefusal(err)
		if !ok {
			no = &webui.Refusal{Code: "internal", What: err.Error(), Do: "look into the hub's log"}
		}
		say(rosterStep{Error: no})
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(http.ErrAbortHandler) // the client sees the stream end without its last line
	}
	say(rosterStep{Result: b})
}

// Rosters does what [Office.Rosters] does.
func (c *Client) Rosters(ctx context.Context) ([]RosterSummary, error) {
	return ask[[]RosterSummary](ctx, c, http.MethodGet, "rosters", nil, nil)
}

// RosterLines does what [Office.RosterLines] does.
func (c *Client) RosterLines(ctx context.Context, q store.RosterQuery) iter.Seq2[RosterLine, error] {
	return askLines[RosterLine](ctx, c, "rosters/"+url.PathEscape(q.Kind), url.Values{
		"standing": {q.Standing}, "open": {strconv.FormatBool(q.Open)}, "limit": {strconv.Itoa(q.Limit)}, "after": {strconv.Itoa(q.AfterLine)}, "after_key": {q.AfterKey},
	})
}

// RuleRoster does what [Office.RuleRoster] does.
func (c *Client) RuleRoster(ctx context.Context, kind string, in RosterChoice) (RosterLine, error) {
	return ask[RosterLine](ctx, c, http.MethodPost, "rosters/"+url.PathEscape(kind)+"/decide", nil, in)
}

// CheckRoster does what [Office.CheckRoster] does.
func (c *Client) CheckRoster(ctx context.Context, u RosterUpload) (RosterPreview, error) {
	return uploadRoster[RosterPreview](ctx, c, u, true)
}

// ImportRoster does what [Office.ImportRoster] does.
func (c *Client) ImportRoster(ctx context.Context, u RosterUpload) (RosterImported, error) {
	return uploadRoster[RosterImported](ctx, c, u, false)
}

func uploadRoster[T any](ctx context.Context, c *Client, u RosterUpload, check bool) (v T, err error) {
	q := url.Values{"file": {u.File}, "sheet": {u.Sheet}, "check": {strconv.FormatBool(check)}}
	if u.Columns != nil {
		b, err := json.Marshal(u.Columns)
		if err != nil {
			return v, err
		}
		q.Set("columns", string(b))
	}
	resp, err := c.send(ctx, http.MethodPost, "rosters/"+url.PathEscape(u.Kind), q, bytes.NewReader(u.Body))
	if err != nil {
		return v, err
	}
	defer func() { _ = resp.Body.Close() }()
	dec := json.NewDecoder(bufio.NewReader(resp.Body))
	for {
		var s rosterStep
		if err := dec.Decode(&s); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return v, fmt.Errorf("ask the running hub: %w", err)
		}
		switch {
		case s.Error != nil:
			return v, s.Error
		case len(s.Result) > 0:
			return v, json.Unmarshal(s.Result, &v)
		}
		u.tell(s.Stage, s.Rows)
	}
}
