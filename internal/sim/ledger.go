package sim

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// moment is when the hub is to crash.
type moment uint8

const (
	never moment = iota
	beforeCommit
	afterCommit
	afterNote    // of a hello
	afterReceipt // sent, and the stream not told
)

var (
	errDead = errors.New("this hub has crashed")
	errAway = errors.New("the database is away")
)

// ledger stands between the hub's rooms and its database. It crashes when it
// was told to, and keeps the world's account of what is committed.
type ledger struct {
	*sqlite.Store
	w    *world
	path string // the database's folder

	mu    sync.Mutex // held while writing, so that an image is of one moment
	dead  bool
	away  bool
	armed moment
	image string // what the crash left
	wrote bool   // since the last look at the whole of it
	err   error  // of making the image
}

// alive reports whether the hub still runs.
func (l *ledger) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.dead
}

// arm says when to crash; never clears it.
func (l *ledger) arm(m moment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = m
}

func (l *ledger) setAway(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

// crash ends the hub here and now.
func (l *ledger) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.die()
}

// crashAt ends the hub if it was armed for this moment.
func (l *ledger) crashAt(m moment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.armed == m {
		l.die()
	}
}

// die takes the image; l.mu is held.
func (l *ledger) die() {
	if l.dead {
		return
	}
	l.dead = true
	l.image = filepath.Join(l.w.cfg.Dir, fmt.Sprintf("hub-%d", l.w.hub.lives))
	l.err = copyDatabase(l.image, l.path)
	l.w.did("hub", func(w *Work) { w.HubCrashes++ }, "crash")
}

// changed reports whether anything was written since the last time it was asked.
func (l *ledger) changed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.wrote
	l.wrote = false
	return was
}

// write runs a write unless the hub is dead or its database away.
func (l *ledger) write(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.dead:
		return errDead
	case l.away:
		return errAway
	}
	l.wrote = true // an error may come after it
	if err := do(); err != nil {
		return err
	}
	if l.dead {
		return errDead
	}
	return nil
}

// Ingest implements ingest.Store.
func (l *ledger) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	return l.write(func() error {
		err := l.Store.Ingest(ctx, func(tx store.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			if l.armed == beforeCommit {
				l.die()
				return errDead
			}
			return nil
		})
		if err != nil {
			return err
		}
		l.account(ctx)
		if l.armed == afterCommit {
			l.die()
		}
		return nil
	})
}

// NoteContact implements contact.Store.
func (l *ledger) NoteContact(ctx context.Context, d dot.Device, c store.Contact, declared []store.Lane) error {
	return l.write(func() error {
		err := l.Store.NoteContact(ctx, d, c, declared)
		if err == nil && l.armed == afterNote {
			l.die()
		}
		return err
	})
}

// Claim implements ingest.Store and contact.Store.
func (l *ledger) Claim(ctx context.Context, c store.Life) (known store.Life, taken bool, err error) {
	err = l.write(func() error {
		known, taken, err = l.Store.Claim(ctx, c)
		return err
	})
	return known, taken, err
}

// Speak implements contact.Store.
func (l *ledger) Speak(ctx context.Context, d dot.Device, i dot.Incarnation, at int64) (twins []store.Life, err error) {
	err = l.write(func() error {
		twins, err = l.Store.Speak(ctx, d, i, at)
		return err
	})
	return twins, err
}

// EndDeclared implements contact.Store.
func (l *ledger) EndDeclared(ctx context.Context, c dot.Chain, last dot.Seq, head entry.Hash) error {
	return l.write(func() error { return l.Store.EndDeclared(ctx, c, last, head) })
}

// SetFinding implements ingest.Store and contact.Store.
func (l *ledger) SetFinding(ctx context.Context, f store.Finding) error {
	return l.write(func() error { return l.Store.SetFinding(ctx, f) })
}

// ClearFinding implements contact.Store.
func (l *ledger) ClearFinding(ctx context.Context, d dot.Device, code string, at int64) error {
	return l.write(func() error { return l.Store.ClearFinding(ctx, d, code, at) })
}

// Succeed implements contact.EpochStore.
func (l *ledger) Succeed(ctx context.Context, was receipt.Epoch, child receipt.EpochCertificate, losses []store.Loss) (now receipt.EpochCertificate, minted bool, err error) {
	err = l.write(func() error {
		if now, minted, err = l.Store.Succeed(ctx, was, child, losses); err == nil {
			l.w.speak(now.Epoch)
			l.w.did("hub", func(w *Work) { w.Epochs++ }, "epoch %d", now.Lineage)
		}
		return err
	})
	return now, minted, err
}

// NoteLosses implements contact.EpochStore.
func (l *ledger) NoteLosses(ctx context.Context, losses []store.Loss) error {
	return l.write(func() error { return l.Store.NoteLosses(ctx, losses) })
}

// PutUnattributed implements ingest.Store.
func (l *ledger) PutUnattributed(ctx context.Context, u store.Unattributed) (isNew bool, err error) {
	err = l.write(func() error {
		isNew, err = l.Store.PutUnattributed(ctx, u)
		return err
	})
	return isNew, err
}

// Archive shadows the database's own: the hub's keeper of backups calls it.
func (l *ledger) Archive(ctx context.Context, marks []store.Watermark) error {
	return l.write(func() error { return l.Store.Archive(ctx, marks) })
}

// account brings the world's account up to date: what the hub holds only grows.
func (l *ledger) account(ctx context.Context) {
	lanes, err := l.Lanes(ctx)
	if err != nil {
		l.w.violate("the hub's lanes cannot be read: %v", err)
		return
	}
	l.w.commit(lanes)
}

// commit takes the hub's lanes into the account.
func (w *world) commit(lanes []store.Lane) {
	var shrunk []string
	w.mu.Lock()
	seen := make(map[dot.Chain]bool, len(lanes))
	for _, n := range lanes {
		seen[n.Chain] = true
		if old := w.committed[n.Chain]; !within(old, n.Received) {
			shrunk = append(shrunk, fmt.Sprintf("%s went from %s to %s", n.Chain, old, n.Received))
		}
		w.committed[n.Chain] = append(lane.Set(nil), n.Received...)
	}
	for c, old := range w.committed {
		if !seen[c] && len(old) > 0 {
			shrunk = append(shrunk, fmt.Sprintf("%s was %s and is gone", c, old))
		}
	}
	w.mu.Unlock()
	for _, s := range shrunk {
		w.violate("I1: the hub forgot what it had committed: %s", s)
	}
}
