package server

import (
	"context"
	"errors"

	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/entry"
)

// kindAuthored is the fact that the hub made an entry of its own: what an operator
// recorded, or reference data.
const kindAuthored = "authored"

type authoredFact struct {
	Entry decisionEntry `json:"entry"`
}

// errNothing ends an act that came to nothing: there is no fact of it.
var errNothing = errors.New("nothing was to be done")

// authored records the entries that the hub makes: devices do not have them, so
// nobody else brings them back (L14).
func (s *Server) authored(ctx context.Context, act func(tx store.Tx) (*store.Entry, error)) error {
	_, err := s.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindAuthored}, func(tx store.Tx, a *ledger.Act) error {
		e, err := act(tx)
		if err != nil {
			return err
		}
		if e == nil {
			return errNothing
		}
		a.Subject = e.Dot.String()
		a.Body = authoredFact{decisionEntry{e.Dot, e.Raw.Public, e.Raw.Private}}
		return nil
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// authorAgain brings back an entry of the hub's own.
func (s *Server) authorAgain(tx store.Tx, _ ledger.Fact, b authoredFact) error {
	return s.taker().Restore(tx, []entry.Raw{entry.NewRaw(b.Entry.Public, b.Entry.Private)})
}
