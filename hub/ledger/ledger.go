package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"sync"
	"time"

	"otor/hub/ledger/journal"
	"otor/hub/store"
	"otor/internal/failpoint"
	"otor/internal/identity"
)

// Store is what the ledger needs of the hub's database.
type Store interface {
	Ingest(ctx context.Context, fn func(store.Tx) error) error
	Facts(ctx context.Context, q store.FactQuery) iter.Seq2[store.Fact, error]
}

// Kind is a kind of fact.
type Kind struct {
	Name string
	// Apply brings a fact's effect about, in the transaction that adds the fact.
	// It gets nothing but the fact and what the database holds after all facts
	// before it, and must come to the same each time.
	Apply func(tx store.Tx, f Fact) error
	// After, which may be nil, carries the effect outside of the database, once it
	// was committed. It is not called for what Open catches up with: whoever
	// starts the hub brings the outside in line with the database.
	After func(ctx context.Context, f Fact) error
	// Heard, which may be nil, does that where another hub recorded the fact.
	Heard func(ctx context.Context, f Fact) error
}

// Config says how to open a Ledger.
type Config struct {
	Store Store
	Key   identity.SigningKey // the hub's
	Kinds []Kind
	Dir   string // the journal's folder
	// Shared says that other hubs record in the same database.
	Shared bool
	// Make lets the journal be made when there is none; else that is [journal.ErrMissing].
	Make   bool
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
}

// Errors that callers tell apart; those of package journal come besides.
var (
	ErrPending = errors.New("decided, and not in effect yet")
	ErrForked  = errors.New("journal and database tell different stories")
	ErrForeign = errors.New("the journal of another hub")
	ErrJournal = errors.New("the act could not be written to the journal")
)

// Ledger records facts. Its methods are safe for concurrent use, but there must
// be one for a database, unless it is shared.
type Ledger struct {
	cfg     Config
	kinds   map[string]Kind
	journal *journal.Journal
	opened  Opened

	mu     sync.Mutex // one act at a time
	tail   tail       // the journal's last record
	behind bool       // the journal has facts that the database lacks
	// What follows is kept where the database is shared.
	heard uint64          // effects up to this fact were carried out here
	own   map[uint64]bool // facts above heard that were recorded here
	// owes says that facts were taken out of the journal, whose numbers were taken, and are
	// to be recorded once more.
	owes bool
}

// Record records an act. effect brings it about; it may complete the act with
// what it came to. Without an effect the kind's Apply does it. Errors of the
// effect are returned as they are, and nothing has happened then. [ErrPending]
// says that the act is decided and comes into effect by itself later.
func (l *Ledger) Record(ctx context.Context, a Act, effect func(tx store.Tx, a *Act) error) (Fact, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind, ok := l.kinds[a.Kind]
	if !ok {
		return Fact{}, fmt.Errorf("record %s: no such kind of fact is known", a.Kind)
	}
	if err := ctx.Err(); err != nil {
		return Fact{}, err
	}
	// From here on it is done or not, whether somebody waits for it or not.
	ctx = context.WithoutCancel(ctx)
	if l.behind {
		if err := l.settle(ctx, true); err != nil {
			return Fact{}, fmt.Errorf("record %s: what was decided before it is not in effect yet: %w", a.Kind, err)
		}
	}
	if a.ID == (store.FactID{}) {
		if _, err := io.ReadFull(l.cfg.Random, a.ID[:]); err != nil {
			return Fact{}, fmt.Errorf("record %s: %w", a.Kind, err)
		}
	}
	f, err := l.commit(ctx, kind, a, effect)
	if err != nil {
		return Fact{}, err
	}
	return f, l.after(ctx, kind, f)
}

func (l *Ledger) after(ctx context.Context, k Kind, f Fact) error {
	if k.After == nil {
		return nil
	}
	if err := k.After(ctx, f); err != nil {
		return fmt.Errorf("%s %s is recorded: %w", f.Kind, f.Subject, err)
	}
	return nil
}

// commit does it in one transaction, the journal last before its end.
func (l *Ledger) commit(ctx context.Context, kind Kind, a Act, effect func(store.Tx, *Act) error) (f Fact, err error) {
	var written bool
	var journalled error
	err = l.cfg.Store.Ingest(ctx, func(tx store.Tx) error {
		last, err := tx.LastFact()
		if err != nil {
			return err
		}
		if l.cfg.Shared && last.Number > l.tail.number { // nobody records meanwhile: the ledger is locked
			if err := l.learn(ctx); err != nil {
				return err
			}
		}
		if last.Number != l.tail.number || last.Number > 0 && last.Hash != l.tail.hash {
			return fmt.Errorf("%w: the database ends at fact %d, the journal at %d; start the hub again", ErrForked, last.Number, l.tail.number)
		}
		if effect != nil {
			if err := effect(tx, &a); err != nil {
				return err
			}
		}
		if f, err = l.seal(a); err != nil {
			return err
		}
		if effect == nil {
			if err := kind.Apply(tx, f); err != nil {
				return err
			}
		}
		if err := tx.AddFact(f.Fact); err != nil {
			return err
		}
		// The record is on the journal's disk BEFORE the database commits.
		if journalled = l.journal.Append(f.Signed); journalled != nil {
			return errRefused
		}
		written = true
		l.tail = tail{f.Number, f.Hash}
		failpoint.At(failpoint.Journalled)
		return nil
	})
	switch {
	case err == nil:
		failpoint.At(failpoint.Recorded)
		if l.cfg.Shared {
			l.own[f.Number] = true
		}
		return f, nil
	case journalled != nil:
		return Fact{}, fmt.Errorf("%w, so it was not done: %w", ErrJournal, journalled)
	case written:
		l.behind = true
		return Fact{}, fmt.Errorf("%s %s is %w; it comes into effect by itself, do not repeat it: %w", a.Kind, f.Subject, ErrPending, err)
	}
	return Fact{}, err
}

// errRefused ends a transaction whose fact could not be journalled. The reason
// does not go through the database, which would take it for its own.
var errRefused = errors.New("not journalled")

// seal makes the next fact of an act.
func (l *Ledger) seal(a Act) (Fact, error) {
	body, err := json.Marshal(a.Body)
	if err != nil {
		return Fact{}, fmt.Errorf("record %s: %w", a.Kind, err)
	}
	f := Fact{
		Fact: store.Fact{
			Number: l.tail.number + 1, ID: a.ID, At: l.cfg.Now().UnixMilli(), By: a.By, Kind: a.Kind, Subject: a.Subject,
		},
		Before: l.tail.hash, Body: body,
	}
	if err := seal(&f, l.cfg.Key); err != nil {
		return Fact{}, fmt.Errorf("record %s: %w", a.Kind, err)
	}
	return f, nil
}

// Dir is the journal's folder.
func (l *Ledger) Dir() string { return l.journal.Dir() }

// Opened says what was found when the ledger was opened.
func (l *Ledger) Opened() Opened { return l.opened }

// Last is the number of the last fact.
func (l *Ledger) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail.number
}

// Close lets go of the journal.
func (l *Ledger) Close() error { return l.journal.Close() }
