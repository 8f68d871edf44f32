package server_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"otor/hub/broker"
	"otor/hub/ledger"
	"otor/hub/ledger/journal"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
)

// openIn opens a hub in dir, with its journal where asked.
func openIn(t *testing.T, dir, asked string) (*server.Server, error) {
	t.Helper()
	return server.Open(t.Context(), server.Config{
		Dir: dir, Journal: asked, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Forms: notes(t), MaxStore: 16 << 20, Log: slog.New(slog.DiscardHandler),
	})
}

func mustOpen(t *testing.T, dir, asked string) *server.Server {
	t.Helper()
	s, err := openIn(t, dir, asked)
	check(t, err)
	return s
}

// admit invites and enrols a device, by the same ways as over the network.
func admit(t *testing.T, s *server.Server, d dot.Device, again bool) (natsKey string) {
	t.Helper()
	invited, err := s.Office().Invite(t.Context(), d, []string{"team:T1"}, 0, again)
	check(t, err)
	code, err := identity.ParseCode(invited.Code)
	check(t, err)
	pair, err := nkeys.CreateUser()
	check(t, err)
	natsKey, err = pair.PublicKey()
	check(t, err)
	_, err = s.Redeem(t.Context(), store.Enrolment{CodeHash: code.Secret.Hash(), NatsKey: natsKey, At: time.Now().UnixMilli()})
	check(t, err)
	return natsKey
}

func states(t *testing.T, s *server.Server) map[dot.Device]string {
	t.Helper()
	ds, err := s.Office().Devices(t.Context())
	check(t, err)
	out := make(map[dot.Device]string)
	for _, d := range ds {
		out[d.Device] = d.State
		why, err := s.UplinkOnly(t.Context(), d.Device)
		check(t, err)
		if why != "" {
			out[d.Device] += ", in doubt"
		}
		if (why != "") != (d.InDoubt != "") {
			t.Errorf("%s: %q and %q", d.Device, why, d.InDoubt)
		}
	}
	return out
}

func sameStates(t *testing.T, when string, s *server.Server, want map[dot.Device]string) {
	t.Helper()
	got := states(t, s)
	for d, w := range want {
		if got[d] != w {
			t.Errorf("%s: %s is %q, want %q", when, d, got[d], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: devices %v, want %v", when, got, want)
	}
}

// A hub that is restored from a backup of before knows by its journal whom it
// has enrolled and revoked since; its server refuses the revoked key at once,
// also when the keys folder is as old as the backup. Without the journal nobody
// who is enrolled is told anything until an operator confirms it.
func TestRestoreReplaysTheJournal(t *testing.T) {
	dir, backups, story := filepath.Join(t.TempDir(), "hub"), t.TempDir(), filepath.Join(t.TempDir(), "journal")
	s := mustOpen(t, dir, story)
	admit(t, s, "D-1", false)
	lost := admit(t, s, "D-2", false)
	made, err := s.Office().Backup(t.Context(), backups, 2)
	check(t, err)
	check(t, s.Office().Revoke(t.Context(), "D-2"))
	admit(t, s, "D-3", false)
	admit(t, s, "D-1", true)
	check(t, s.Close())

	// With the journal, in another folder.
	with := filepath.Join(t.TempDir(), "hub")
	r, err := server.Restore(t.Context(), made.Path, server.Config{Dir: with, Journal: story, Log: slog.New(slog.DiscardHandler)}, false)
	check(t, err)
	if r.Journal != story || r.Replayed["revoked"] != 1 || r.Replayed["enrolled"] != 2 || r.Replayed["invited"] != 2 || len(r.InDoubt) != 0 {
		t.Errorf("restored: %+v", r)
	}
	s = mustOpen(t, with, "") // it remembers where its journal is
	sameStates(t, "with the journal", s, map[dot.Device]string{"D-1": "enrolled", "D-2": "revoked", "D-3": "enrolled"})
	d, err := s.Store().Device(t.Context(), "D-1")
	check(t, err)
	if d.Incarnation != 2 {
		t.Errorf("D-1 is in its life %d: its number would be given out twice", d.Incarnation)
	}
	if _, err := s.Issue("D-2", lost); err == nil {
		t.Error("the revoked key gets credentials again")
	}
	if c, err := s.Office().CheckLedger(t.Context()); err != nil || c.Facts != c.Journal {
		t.Errorf("ledger: %+v, %v", c, err)
	}
	check(t, s.Close())

	// Without it.
	without := filepath.Join(t.TempDir(), "hub")
	r, err = server.Restore(t.Context(), made.Path, server.Config{Dir: without, Journal: "", Log: slog.New(slog.DiscardHandler)}, false)
	check(t, err)
	if len(r.Replayed) != 0 || len(r.InDoubt) != 2 {
		t.Errorf("restored without the journal: %+v", r)
	}
	s = mustOpen(t, without, "")
	sameStates(t, "without the journal", s, map[dot.Device]string{"D-1": "enrolled, in doubt", "D-2": "enrolled, in doubt"})
	check(t, s.Office().Revoke(t.Context(), "D-2"))
	admit(t, s, "D-4", false)
	done, err := s.Office().Confirm(t.Context(), nil)
	if err != nil || len(done) != 1 || done[0] != "D-1" {
		t.Errorf("confirmed %v, %v", done, err)
	}
	if _, err := s.Office().Confirm(t.Context(), []dot.Device{"D-1"}); err == nil {
		t.Error("D-1 was confirmed twice")
	}
	check(t, s.Close())
	s = mustOpen(t, without, "")
	sameStates(t, "confirmed", s, map[dot.Device]string{"D-1": "enrolled", "D-2": "revoked", "D-4": "enrolled"})
	check(t, s.Close())

	// The journal of the other life does not go with this one any more.
	if _, err := openIn(t, without, story); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("with the journal that it was restored without: %v", err)
	}
	if _, err := server.Restore(t.Context(), made.Path, server.Config{Dir: filepath.Join(t.TempDir(), "x"), Journal: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, false); !errors.Is(err, journal.ErrMissing) {
		t.Errorf("restore with a journal that is not there: %v", err)
	}
}

// A journal's disk that is not mounted looks like an empty folder.
func TestAMissingJournalIsNotReplaced(t *testing.T) {
	dir, story := filepath.Join(t.TempDir(), "hub"), filepath.Join(t.TempDir(), "journal")
	s := mustOpen(t, dir, story)
	admit(t, s, "D-1", false)
	check(t, s.Close())
	aside := story + ".aside"
	check(t, os.Rename(story, aside))
	check(t, os.Mkdir(story, 0o700))
	if _, err := openIn(t, dir, ""); !errors.Is(err, journal.ErrMissing) {
		t.Errorf("with the journal gone: %v", err)
	}
	// It is lost for good: another folder is filled from the database.
	s = mustOpen(t, dir, filepath.Join(t.TempDir(), "new"))
	c, err := s.Office().CheckLedger(t.Context())
	if err != nil || c.Facts != 2 || c.Journal != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	check(t, s.Close())
	// Another hub does not take this one's.
	if _, err := openIn(t, filepath.Join(t.TempDir(), "other"), aside); !errors.Is(err, ledger.ErrForeign) {
		t.Errorf("another hub's journal: %v", err)
	}
}

// A damaged note is named, and what it held can be named again by its flag; the hub takes
// no other journal instead by itself.
func TestADamagedNoteSaysSo(t *testing.T) {
	dir, story := filepath.Join(t.TempDir(), "hub"), filepath.Join(t.TempDir(), "journal")
	s := mustOpen(t, dir, story)
	admit(t, s, "D-1", false)
	check(t, s.Close())
	note := filepath.Join(dir, "journal.json")
	check(t, os.WriteFile(note, []byte(`{"dir": "/`), 0o600))
	if _, err := openIn(t, dir, ""); !errors.Is(err, server.ErrNote) || !strings.Contains(err.Error(), note) {
		t.Fatalf("with a damaged note: %v", err)
	}
	s = mustOpen(t, dir, story)
	if c, err := s.Office().CheckLedger(t.Context()); err != nil || c.Journal < 2 {
		t.Errorf("%+v, %v", c, err)
	}
	check(t, s.Close())
	check(t, mustOpen(t, dir, "").Close()) // the note is whole again
}

func TestDamagedPagesAreReported(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	s := mustOpen(t, dir, "")
	x := enrol(t, s, "D-101", 60, 1_774_000_000_000)
	s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 60)})
	check(t, s.Close())
	f, err := os.OpenFile(filepath.Join(dir, "hub.db"), os.O_RDWR, 0)
	check(t, err)
	fi, err := f.Stat()
	check(t, err)
	_, err = f.WriteAt(make([]byte, 8<<10), fi.Size()-8<<10) // the last page
	check(t, errors.Join(err, f.Close()))
	s = mustOpen(t, dir, "")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for !found(findings(t, s.Store(), false), "database_damaged") {
		if t.Context().Err() != nil {
			t.Fatal("the damage is not reported")
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	check(t, <-ended)
	check(t, s.Close())
}

func found(fs []store.Finding, code string) bool {
	for _, f := range fs {
		if f.Code == code {
			return true
		}
	}
	return false
}
