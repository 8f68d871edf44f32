package server

import (
	"context"

	"otor/hub/broker"
	"otor/hub/store"
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
