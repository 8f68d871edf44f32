package server

import (
	"context"
	"time"

	"otor/hub/store"
)

// hasty is the negative control of a hub that confirms what it has not committed:
// Ingest returns once all was written, and the commit comes a moment later, unless
// the hub is killed before.
type hasty struct {
	database
	delay time.Duration
}

// hastyLeader is one whose database other hubs work on too.
type hastyLeader struct {
	hasty
	leader
}

func (h hasty) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	written := make(chan error, 1)
	go func() {
		err := h.database.Ingest(context.WithoutCancel(ctx), func(tx store.Tx) error {
			err := fn(tx)
			if written <- err; err == nil {
				time.Sleep(h.delay)
			}
			return err
		})
		select {
		case written <- err: // it failed before fn was called
		default:
		}
	}()
	return <-written
}

// hurried gives the control of a database, if that is what was asked for.
func hurried(db database) database {
	delay := control().Hasty
	if delay == 0 {
		return db
	}
	if l, ok := db.(leader); ok {
		return hastyLeader{hasty{db, delay}, l}
	}
	return hasty{db, delay}
}
