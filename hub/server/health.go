package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"otor/docs"
)

// readyWithin is how long a hub may take to read its database and count as ready.
const readyWithin = 5 * time.Second

// health answers whoever watches the hub, without asking who that is: it tells
// nothing but whether the hub works.
//
//   - /healthz is 200 while the program answers at all: start it again when it is not.
//   - /readyz is 200 while the database can be read and takes in what arrives,
//     503 while what arrives cannot be taken in; the hub's log says why. This server
//     listens once devices are served, so that it answers says that much.
func (s *Server) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerPlainly(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
		defer cancel()
		if err := s.unready(ctx); err != nil {
			s.cfg.Log.Warn("the hub is not ready", "err", err)
			answerPlainly(w, http.StatusServiceUnavailable, "not ready; the hub's log says why")
			return
		}
		answerPlainly(w, http.StatusOK, "ready")
	})
}

// unready says why the hub is of no use now; nil when it works.
func (s *Server) unready(ctx context.Context) error {
	if s.troubled.Load() {
		return errors.New("what arrives cannot be taken in")
	}
	if _, err := s.store.Totals(ctx); err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	return nil
}

func answerPlainly(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, words+"\n") // the asker is gone if this fails
}

// describedAt is where the description of the API is, which is no secret.
const describedAt = "/api/v1/openapi.json"

func described(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(docs.OpenAPI) // the asker is gone if this fails
}
