package broker

import (
	"context"
	"fmt"

	"otor/internal/wire"
)

// StreamState is how full a stream is.
type StreamState struct {
	Name                      string
	Messages, Bytes, MaxBytes uint64
}

// Streams says how full the streams are.
func (b *Broker) Streams(ctx context.Context) ([]StreamState, error) {
	var out []StreamState
	for _, name := range []string{wire.AlertStream, wire.UpStream} {
		s, err := b.js.Stream(ctx, name) // it asks the server
		if err != nil {
			return out, fmt.Errorf("look how full stream %s is: %w", name, err)
		}
		info := s.CachedInfo()
		out = append(out, StreamState{
			Name: name, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: uint64(max(info.Config.MaxBytes, 0)), //nolint:gosec // not negative
		})
	}
	return out, nil
}

// Connections counts connected devices.
func (b *Broker) Connections() int {
	if b.elsewhere != nil {
		return max(0, b.elsewhere.connections(public(b.keys.field))-1) // of several hubs the others' count too
	}
	acc, err := b.server.srv.LookupAccount(public(b.keys.field))
	if err != nil {
		return 0
	}
	return max(0, acc.NumConnections()-1) // one is the hub's own
}
