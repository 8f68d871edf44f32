package server

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"otor/hub/access"
	"otor/hub/store"
	"otor/hub/watch"
	"otor/internal/webui"
)

// metricsPath is where a monitoring system scrapes.
const metricsPath = "/metrics"

// openWatch makes the room that counts.
func (s *Server) openWatch() {
	backups := &newestBackup{office: s.office}
	s.watch = watch.New(watch.Config{
		Ledger: s.store, Now: s.cfg.Now, Log: s.cfg.Log, Version: s.cfg.Version, Troubled: s.troubled.Load,
		Connections: s.broker.Connections, Backup: backups.find,
		Streams: func(ctx context.Context) ([]watch.Stream, error) {
			states, err := s.broker.Streams(ctx)
			out := make([]watch.Stream, 0, len(states))
			for _, x := range states {
				out = append(out, watch.Stream(x))
			}
			return out, err
		},
		Certificates: func() map[string]time.Time {
			server, authority := s.broker.Ends()
			return map[string]time.Time{"server": server, "authority": authority}
		},
		Disks: func() map[string]string { return map[string]string{"data": s.cfg.Dir, "journal": s.ledger.Dir()} },
	})
}

// newestBackup finds the ledger's last fact about a backup. It remembers how far it has looked.
type newestBackup struct {
	office *Office

	mu    sync.Mutex // guards what follows
	after uint64
	at    int64
	dir   string
}

func (n *newestBackup) find(ctx context.Context) (at int64, dir string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f, err := range n.office.Facts(ctx, store.FactQuery{Kind: kindBackedUp, After: n.after}, false) {
		if err != nil {
			return n.at, n.dir, err
		}
		n.after, n.at = f.Number, f.At.UnixMilli()
		var b backedUpFact
		if json.Unmarshal(f.Body, &b) == nil {
			n.dir = filepath.Dir(b.Path)
		}
	}
	return n.at, n.dir, nil
}

// metrics serves them to whoever is on this machine, and to whoever brings a token
// that sees everything.
func (s *Server) metrics(mux *http.ServeMux, guard *webui.Guard, g *gate) {
	told := s.watch.Handler()
	local := guard.Wrap(told)
	mux.HandleFunc("GET "+metricsPath, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "":
			who, err := g.who(r)
			if err != nil {
				g.stranger(w, r, nil, err) // as isAPI has it: no page is looked for
				return
			}
			if !allowed(who, access.View) || !access.Covers(who.Scopes, access.Everywhere) {
				webui.WriteRefusal(w, http.StatusForbidden, &webui.Refusal{
					Code: "not_allowed", What: "metrics are about the whole hub", Which: who.Name, Do: "use a token whose scopes cover everything",
				})
				return
			}
			told.ServeHTTP(w, r)
		case webui.FromHere(r):
			local.ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="otor"`)
			webui.WriteRefusal(w, http.StatusUnauthorized, &webui.Refusal{
				Code: "not_signed_in", What: "metrics are told on this machine, and elsewhere by a token", Do: "send Authorization: Bearer and a token of an operator",
			})
		}
	})
}
