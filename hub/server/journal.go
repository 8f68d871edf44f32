package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"otor/hub/ingest"
	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/durable"
	"otor/internal/identity"
	"otor/internal/rules"
)

// The files of the hub's folder about its journal. Both are missing in a backup.
const (
	journalNote = "journal.json"  // where the journal is
	restoreNote = "restored.json" // a backup was put here, and no hub has started since
)

// note is what journal.json holds.
type note struct {
	Dir string `json:"dir"`
}

// restoration is what restored.json holds.
type restoration struct {
	ID     store.FactID `json:"id"`
	Backup string       `json:"backup"`
	Made   string       `json:"made"`
}

// ErrNote is for a file of the hub's folder that says where something is, and cannot be read.
var ErrNote = errors.New("a file that says where something of this hub is cannot be read")

func readNote(path string, into any) (found bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrNote, path, err)
	}
	return true, nil
}

func writeNote(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(b, '\n'), 0o600)
}

// journalFolder says where the journal of the hub in dir is: where it was asked
// for, else where it was, else beside dir. known reports that this hub has used
// it before: it must be there.
func journalFolder(dir, asked string) (folder string, known bool, err error) {
	var last note
	if _, err := readNote(filepath.Join(dir, journalNote), &last); err != nil && (asked == "" || !errors.Is(err, ErrNote)) {
		return "", false, err
	}
	switch {
	case asked != "":
		if folder, err = filepath.Abs(asked); err != nil {
			return "", false, err
		}
	case last.Dir != "":
		folder = last.Dir
	default:
		if folder, err = filepath.Abs(dir); err != nil {
			return "", false, err
		}
		folder += "-journal"
	}
	return folder, folder == last.Dir, nil
}

// JournalFolder is where the hub in dir keeps its journal, or would, when it is
// asked to keep it there; asked may be empty.
func JournalFolder(dir, asked string) (string, error) {
	folder, _, err := journalFolder(dir, asked)
	return folder, err
}

// openLedger opens the ledger and its journal, and writes down what was found:
// that the hub was restored, that facts were replayed, that an epoch began.
func (s *Server) openLedger(ctx context.Context, key identity.SigningKey) error {
	s.key = key
	if s.cfg.Domain != nil {
		s.reconciler = reconcile.New(reconcile.Config{
			Domain: s.cfg.Domain, Log: s.cfg.Log,
			Noted: func(e store.Entry) *rules.Record { return ingest.Noted(e, s.ingestConfig()) },
		})
	}
	dir, known, err := journalFolder(s.cfg.Dir, s.cfg.Journal)
	if err != nil {
		return fmt.Errorf("find the hub's journal: %w", err)
	}
	l, err := ledger.Open(ctx, ledger.Config{
		Store: s.store, Key: key, Kinds: s.kinds(), Dir: dir, Shared: s.shared(), Make: !known, Now: s.cfg.Now, Random: rand.Reader, Log: s.cfg.Log,
	})
	if err != nil {
		return err
	}
	s.ledger = l
	s.closers = append(s.closers, l.Close)
	if !known {
		if err := writeNote(filepath.Join(s.cfg.Dir, journalNote), note{Dir: dir}); err != nil {
			return fmt.Errorf("note where the journal is: %w", err)
		}
	}
	return s.noteReplay(ctx)
}

// noteReplay records what the journal brought back, and what a restored hub
// cannot know.
func (s *Server) noteReplay(ctx context.Context) error {
	o := s.ledger.Opened()
	path := filepath.Join(s.cfg.Dir, restoreNote)
	var r restoration
	restored, err := readNote(path, &r)
	if err != nil {
		return err
	}
	if !restored {
		// What one crash leaves behind is a single fact. The start of a hub and a
		// backup are recorded after copies of the database were made, not before.
		if o.Caught() < 2 && o.Replayed[kindOpened]+o.Replayed[kindBackedUp] == 0 {
			return nil
		}
		_, err = s.ledger.Record(ctx, ledger.Act{By: byHub, Kind: kindReplayed, Body: replayedFact{Facts: o.Caught()}}, nil)
		return err
	}
	_, err = s.ledger.Record(ctx, ledger.Act{ID: r.ID, By: actor(ctx), Kind: kindRestored, Body: restoredFact{
		Backup: r.Backup, Made: r.Made, Replayed: o.Caught(), Doubt: o.Caught() == 0,
	}}, nil)
	if err != nil && !errors.Is(err, store.ErrExists) { // a crash came before the note was removed
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return durable.SyncDir(s.cfg.Dir)
}

// journalWarning says what is wrong with where the journal lies; "" for nothing.
func (o *Office) journalWarning() (string, error) {
	same, err := durable.SameDisk(o.dir, o.ledger.Dir())
	if err != nil {
		return "", fmt.Errorf("look where the journal lies: %w", err)
	}
	if !same {
		return "", nil
	}
	return fmt.Sprintf("the journal in %s lies on the same disk as the database, and one broken disk takes both; name a folder on another disk: hub serve --journal DIR", o.ledger.Dir()), nil
}

// warnings are what an operator should know about the hub itself.
func (o *Office) warnings(ctx context.Context) (out []string, err error) {
	w, err := o.journalWarning()
	if err != nil {
		w = err.Error() // the disk may be gone: the rest can be told all the same
	}
	if w != "" {
		out = append(out, w)
	}
	doubts, err := o.store.Doubts(ctx, "")
	if err != nil {
		return nil, err
	}
	if len(doubts) > 0 {
		out = append(out, fmt.Sprintf("%d devices may send and are told nothing, since %s; see hub device list, revoke those that were revoked, then: hub device confirm",
			len(doubts), doubts[0].Why))
	}
	return out, nil
}
