package server

import (
	"context"

	"otor/hub/broker"
	"otor/hub/store"
	"otor/internal/dot"
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

// Redeem trades a code as the enrolment does.
func (s *Server) Redeem(ctx context.Context, e store.Enrolment) (store.Key, error) {
	return registry{s.store, s.ledger}.Redeem(ctx, e)
}

// Issue gives credentials as the enrolment does.
func (s *Server) Issue(d dot.Device, natsKey string) (wire.Credentials, error) {
	return s.broker.Issue(d, natsKey, nil)
}
