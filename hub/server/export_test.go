package server

import (
	"context"
	"net/http"
	"time"

	"otor/hub/access"
	"otor/hub/broker"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/webui"
	"otor/internal/wire"
)

// Wrap puts something between the hub and its database.
func (s *Server) Wrap(f func(store.Store) store.Store) error {
	s.store = f(s.store)
	return s.wire()
}

// Take ingests deliveries as the streams' consumers do.
func (s *Server) Take(ctx context.Context, ds []broker.Delivery) []broker.Disposition {
	return s.take(ctx, ds)
}

// Hello answers a hello as the broker has it answered.
func (s *Server) Hello(ctx context.Context, d dot.Device, data []byte) []byte {
	return s.hello(ctx, d, data)
}

// Record records a fact.
func (s *Server) Record(ctx context.Context, a ledger.Act) error {
	_, err := s.ledger.Record(ctx, a, nil)
	return err
}

// Pause puts something in place of the waits between attempts.
func (s *Server) Pause(f func(ctx context.Context, d time.Duration) bool) { s.pause = f }

// Glance looks through the database as a hub does that starts.
func (s *Server) Glance(ctx context.Context) { s.glance(ctx) }

// Redeem trades a code as the enrolment does.
func (s *Server) Redeem(ctx context.Context, e store.Enrolment) (store.Key, error) {
	return registry{s.store, s.ledger}.Redeem(ctx, e)
}

// Issue gives credentials as the enrolment does.
func (s *Server) Issue(d dot.Device, natsKey string) (wire.Credentials, error) {
	return s.broker.Issue(d, natsKey, nil)
}

// CallBy has devices called by publish.
func (s *Server) CallBy(publish func(subject string, b []byte) error) { s.callBy(publish) }

// OfficeActs and SiteActs say what each route takes.
func OfficeActs() map[string]access.Act { return officeActs }

// SiteActs says what each route of the pages takes.
func (s *Server) SiteActs() map[string]access.Act {
	_, acts := s.site()
	return acts
}

// Guarded puts the gate before routes.
func (s *Server) Guarded(mux *http.ServeMux, acts map[string]access.Act) http.Handler {
	guard := &webui.Guard{Behind: true}
	pages := &webui.Refuser{Texts: webui.Shared(), DefaultLang: "en"}
	return guard.Wrap((&gate{desk: s.operators, token: s.token, guard: guard, pages: pages, log: s.cfg.Log}).wrap(mux, acts))
}

// Health is what tells whether the hub works.
func (s *Server) Health() http.Handler {
	mux := http.NewServeMux()
	s.health(mux)
	return mux
}

// Bodies of requests, for the description of the API.
type (
	Invitation   = invitation
	Confirmation = confirmation
	Regrant      = regrant
	BackupOrder  = backupOrder
	Order        = order
	RosterStep   = rosterStep
)

// Whole reports whether an act reaches beyond any scope.
func Whole(a access.Act) bool { return whole[a] }
