package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"otor/internal/dot"
	"otor/internal/webui"
)

const (
	defaultRows = 100
	mostRows    = 1000
)

func (s *site) apiStatus(w http.ResponseWriter, r *http.Request) {
	st, err := s.Device.Status(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, st)
}

// logAnswer is a page of the log; Next goes into ?after= for the older ones
// and is empty at the end.
type logAnswer struct {
	Entries []EntryRow `json:"entries"`
	Next    string     `json:"next"`
}

func (s *site) apiLog(w http.ResponseWriter, r *http.Request) {
	q, refusal := parseLogQuery(r)
	if refusal != nil {
		webui.WriteRefusal(w, http.StatusBadRequest, refusal)
		return
	}
	rows, next, err := s.rows(r, q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, logAnswer{Entries: rows, Next: next})
}

// rows asks for one entry more than wanted, to know whether there are older ones.
func (s *site) rows(r *http.Request, q LogQuery) (rows []EntryRow, next string, err error) {
	want := q.Limit
	q.Limit++
	rows, err = s.Device.Log(r.Context(), q)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > want {
		rows = rows[:want]
		next = rows[want-1].Dot.String()
	}
	if rows == nil {
		rows = []EntryRow{}
	}
	return rows, next, nil
}

func parseLogQuery(r *http.Request) (LogQuery, *Refusal) {
	form := r.URL.Query()
	q := LogQuery{Limit: defaultRows}
	if v := form.Get("after"); v != "" {
		d, err := dot.Parse(v)
		if err != nil {
			return q, &Refusal{Code: "bad_query", What: err.Error(), Which: "after", Do: "give a dot as an earlier answer's next names it"}
		}
		q.After = d
	}
	if v := form.Get("lane"); v != "" {
		l, err := dot.ParseLane(v)
		if err != nil {
			return q, &Refusal{Code: "bad_query", What: err.Error(), Which: "lane", Do: "give alert or record, or leave it out"}
		}
		q.Lane = l
	}
	if v := form.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > mostRows {
			return q, &Refusal{Code: "bad_query", What: "the limit is not a number from 1 to " + strconv.Itoa(mostRows), Which: "limit", Do: "give such a number or leave it out"}
		}
		q.Limit = n
	}
	return q, nil
}

// apiPut reads NDJSON and answers in NDJSON as the lines become durable. The
// status is 200 as soon as the stream is taken; each line has its own outcome.
// If the store fails, the last line is {"error":...} without a line number.
func (s *site) apiPut(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	defaults := PutRequest{Form: form.Get("form"), Entity: form.Get("entity"), User: form.Get("user")}
	if at := form.Get("at"); at != "" {
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			webui.WriteRefusal(w, http.StatusBadRequest, &Refusal{Code: "bad_time", What: "the time is not an RFC 3339 time", Which: "at", Do: "write it as 2025-09-18T09:12:00+08:00"})
			return
		}
		defaults.At = t
	}
	rc := http.NewResponseController(w)
	// Answers go out while lines still come in. HTTP/2 does so anyway.
	if err := rc.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out := flushWriter{w, rc}
	_, _, err := PutLines(r.Context(), s.Device, r.Body, out, out, defaults)
	if err != nil {
		s.Log.Error("put stream ended early", "err", err)
		b, _ := json.Marshal(map[string]*Refusal{"error": asRefusal(err)}) // strings only
		_, _ = out.Write(append(b, '\n'))                                  // the client is gone if this fails
	}
}

// flushWriter sends on at once what is written to it.
type flushWriter struct {
	io.Writer
	rc *http.ResponseController
}

func (f flushWriter) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		if err = f.rc.Flush(); errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	return n, err
}

func (s *site) apiSync(w http.ResponseWriter, r *http.Request) {
	res, err := s.contact(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, res)
}

var errBusy = &Refusal{Code: "busy", What: "a contact with the hub is already under way", Do: "wait until it has ended"}

// contact makes one contact; a second one at the same time is turned down.
func (s *site) contact(r *http.Request) (SyncResult, error) {
	if !s.syncing.TryLock() {
		return SyncResult{}, errBusy
	}
	defer s.syncing.Unlock()
	return s.Device.Sync(r.Context())
}

// fail answers with what went wrong: 409 for what a person can mend, else 500.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		webui.WriteRefusal(w, http.StatusConflict, refusal)
		return
	}
	s.Log.Error("request failed", "path", r.URL.Path, "err", err)
	webui.WriteRefusal(w, http.StatusInternalServerError, asRefusal(err))
}

func asRefusal(err error) *Refusal {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	return &Refusal{Code: "internal", What: err.Error(), Do: "run `agent doctor`; what was already saved is not touched"}
}
