package server_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nkeys"

	"otor/hub/broker"
	"otor/hub/server"
	"otor/hub/store"
	"otor/hub/store/postgres/scratch"
	"otor/internal/identity"
	"otor/internal/pack"
	"otor/internal/webui"
)

func TestMain(m *testing.M) {
	code := m.Run()
	scratch.Stop()
	os.Exit(code)
}

// worker is one of several hubs on a database, which runs until stop.
type worker struct {
	*server.Server
	stop func()
}

func startWorker(t *testing.T, dir, address string) worker {
	t.Helper()
	base, err := pack.Transhumance()
	check(t, err)
	s, err := server.Open(t.Context(), server.Config{
		Dir: dir, Database: address, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Packs: pack.NewShelf(base), MaxStore: 16 << 20, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	w := worker{s, func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}}
	t.Cleanup(w.stop)
	return w
}

// soon waits for what another hub learns by itself.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// newerPack is the built-in pack as its next version.
func newerPack(t *testing.T) []byte {
	t.Helper()
	src, err := pack.TranshumanceFS()
	check(t, err)
	all := fstest.MapFS{}
	check(t, fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(src, name)
		if name == "pack.toml" {
			b = bytes.Replace(b, []byte("version = 1\n"), []byte("version = 2\n"), 1)
		}
		all[name] = &fstest.MapFile{Data: b}
		return err
	}))
	zip, err := pack.Zip(all)
	check(t, err)
	return zip
}

// TestWorkersLearn: what one hub decides the other goes by, and one of them leads.
func TestWorkersLearn(t *testing.T) {
	address := scratch.Database(t, "")
	dirs := []string{filepath.Join(t.TempDir(), "hub1"), filepath.Join(t.TempDir(), "hub2")}
	_, err := broker.HubKey(dirs[0], time.Now())
	check(t, err)
	check(t, os.CopyFS(filepath.Join(dirs[1], "keys"), os.DirFS(filepath.Join(dirs[0], "keys"))))
	a := startWorker(t, dirs[0], address)
	soon(t, "the first to lead", a.Leads)
	b := startWorker(t, dirs[1], address)

	invited, err := a.Office().Invite(t.Context(), "D-101", nil, 0, false)
	check(t, err)
	code, err := identity.ParseCode(invited.Code)
	check(t, err)
	user, err := nkeys.CreateUser()
	check(t, err)
	pub, err := user.PublicKey()
	check(t, err)
	_, err = b.Redeem(t.Context(), store.Enrolment{CodeHash: code.Secret.Hash(), NatsKey: pub, At: time.Now().UnixMilli()})
	check(t, err)
	_, err = b.Issue("D-101", pub)
	check(t, err)
	check(t, a.Office().Revoke(t.Context(), "D-101"))
	soon(t, "the other hub to give a revoked key nothing any more", func() bool { _, err := b.Issue("D-101", pub); return err != nil })

	_, err = a.Office().PublishPack(t.Context(), newerPack(t))
	check(t, err)
	soon(t, "the other hub to work by the pack", func() bool {
		lines, err := b.Office().Packs(t.Context())
		check(t, err)
		for _, l := range lines {
			if l.Version == 2 && l.Current {
				return true
			}
		}
		return false
	})
	if b.Leads() {
		t.Error("both hubs lead")
	}
	a.stop()
	soon(t, "the other hub to lead", b.Leads)
	for _, h := range []worker{b, startWorker(t, dirs[0], "")} { // the folder knows where the database is
		checked, err := h.Office().CheckLedger(t.Context())
		if err != nil || checked.Facts < 4 {
			t.Errorf("%+v, %v", checked, err)
		}
	}
	if _, err := server.Open(t.Context(), server.Config{Dir: t.TempDir(), Database: address, Log: slog.New(slog.DiscardHandler)}); !isRefusal(err, "keys_missing") {
		t.Errorf("a folder without the hub's keys: %v", err)
	}
}

func isRefusal(err error, code string) bool {
	r, ok := errors.AsType[*webui.Refusal](err)
	return ok && r.Code == code && strings.Contains(r.Do, "keys")
}
