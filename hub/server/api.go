package server

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"os"
	"strconv"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/runfile"
	"otor/internal/webui"
)

const officePath = "/api/v1/office/"

// ownToken is the API token of the hub's folder.
func ownToken(dir string) (string, error) { return runfile.Token(dir) }

func (s *Server) writeRunFile() error {
	return runfile.Write(s.cfg.Dir, runfile.Info{PID: os.Getpid(), HTTP: s.HTTPAddr(), NATS: s.NatsAddr()})
}

func (s *Server) removeRunFile() { runfile.Remove(s.cfg.Dir) }

// invitation is the body of POST devices.
type invitation struct {
	Device string   `json:"device"`
	Scopes []string `json:"scopes"`
	TTL    string   `json:"ttl,omitempty"` // such as "2h"
	Again  bool     `json:"again,omitempty"`
}

// confirmation is the body of POST confirm.
type confirmation struct {
	Devices []dot.Device `json:"devices"` // none: all that are in doubt
}

// Handler serves the office under /api/v1/office/. It does not check what
// who asks may do, see [gate], and shows of the data what they see.
func (o *Office) Handler(bell *webui.Bell) *http.ServeMux {
	mux := http.NewServeMux()
	get := func(name string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc("GET "+officePath+name, func(w http.ResponseWriter, r *http.Request) {
			v, err := f(r)
			answer(w, v, err)
		})
	}
	get("devices", func(r *http.Request) (any, error) { return o.Devices(r.Context()) })
	get("fleet", func(r *http.Request) (any, error) { return o.Fleet(r.Context()) })
	get("gaps", func(r *http.Request) (any, error) { return o.Gaps(r.Context(), r.FormValue("all") == "true") })
	get("items", func(r *http.Request) (any, error) { return o.Items(r.Context(), r.FormValue("all") == "true") })
	get("unattributed", func(r *http.Request) (any, error) { return o.Unattributed(r.Context()) })
	get("findings", func(r *http.Request) (any, error) { return o.Findings(r.Context(), r.FormValue("all") == "true") })
	mux.HandleFunc("GET "+officePath+"entries", o.serveEntries)
	mux.HandleFunc("POST "+officePath+"devices", func(w http.ResponseWriter, r *http.Request) {
		var in invitation
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of an invitation", Which: err.Error()})
			return
		}
		v, err := o.inviteBy(r, in)
		bell.Ring()
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"devices/{device}/revoke", func(w http.ResponseWriter, r *http.Request) {
		err := o.Revoke(r.Context(), dot.Device(r.PathValue("device")))
		bell.Ring()
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST "+officePath+"confirm", func(w http.ResponseWriter, r *http.Request) {
		var in confirmation
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of a confirmation", Which: err.Error()})
			return
		}
		v, err := o.Confirm(r.Context(), in.Devices)
		bell.Ring()
		answer(w, v, err)
	})
	o.decisions(mux, bell)
	o.rulings(mux, bell)
	o.asides(mux, bell)
	o.files(mux, bell)
	o.photos(mux)
	o.records(mux, bell)
	o.packages(mux, bell)
	o.people(mux)
	get("ledger/check", func(r *http.Request) (any, error) { return o.CheckLedger(r.Context()) })
	mux.HandleFunc("GET "+officePath+"ledger", o.serveFacts)
	mux.HandleFunc("POST "+officePath+"devices/{device}/scopes", func(w http.ResponseWriter, r *http.Request) {
		var in regrant
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of a grant", Which: err.Error()})
			return
		}
		v, err := o.Regrant(r.Context(), dot.Device(r.PathValue("device")), in.Add, in.Remove)
		bell.Ring()
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"backup", func(w http.ResponseWriter, r *http.Request) {
		var in backupOrder
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of an order for a backup", Which: err.Error()})
			return
		}
		v, err := o.Backup(r.Context(), in.Dir, in.Keep)
		bell.Ring()
		answer(w, v, err)
	})
	return mux
}

func (o *Office) inviteBy(r *http.Request, in invitation) (Invited, error) {
	var ttl time.Duration
	if in.TTL != "" {
		var err error
		if ttl, err = time.ParseDuration(in.TTL); err != nil {
			return Invited{}, &webui.Refusal{Code: "bad_request", What: "the code's life is not a duration", Which: in.TTL, Do: "write it like 2h or 30m"}
		}
	}
	return o.Invite(r.Context(), dot.Device(in.Device), in.Scopes, ttl, in.Again)
}

func answer(w http.ResponseWriter, v any, err error) {
	if err == nil {
		webui.WriteJSON(w, http.StatusOK, v)
		return
	}
	if r, ok := asRefusal(err); ok {
		webui.WriteRefusal(w, http.StatusUnprocessableEntity, r)
		return
	}
	webui.WriteRefusal(w, http.StatusInternalServerError, &webui.Refusal{
		Code: "internal", What: err.Error(), Do: "look into the hub's log",
	})
}

// serveEntries streams the ledger as NDJSON.
func (o *Office) serveEntries(w http.ResponseWriter, r *http.Request) {
	q, err := entryQuery(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	streamLines(w, o.Entries(r.Context(), q))
}

// streamLines answers with one JSON object a line.
func streamLines[T any](w http.ResponseWriter, lines iter.Seq2[T, error]) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	for line, err := range lines {
		if err != nil {
			// The status is out already: the client sees the stream end without its last line.
			panic(http.ErrAbortHandler)
		}
		if enc.Encode(line) != nil {
			return // the client went away
		}
	}
}

func entryQuery(r *http.Request) (store.EntryQuery, error) {
	q := store.EntryQuery{Device: dot.Device(r.FormValue("device")), Verdict: store.Verdict(r.FormValue("verdict"))}
	if l := r.FormValue("lane"); l != "" {
		var err error
		if q.Lane, err = dot.ParseLane(l); err != nil {
			return q, &webui.Refusal{Code: "bad_request", What: err.Error()}
		}
	}
	for name, set := range map[string]func(int64){
		"after": func(n int64) { q.After = n },
		"limit": func(n int64) { q.Limit = int(min(n, 1<<30)) },
	} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return q, &webui.Refusal{Code: "bad_request", What: fmt.Sprintf("%s must be a number of 0 or more", name), Which: v}
		}
		set(n)
	}
	return q, nil
}
