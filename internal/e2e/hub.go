package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/hub/console"
	"otor/hub/server"
	"otor/internal/cli"
)

// Hub is a hub's folder with the program that may run on it.
type Hub struct {
	Dir   string
	URL   string   // at which devices enrol, once it was started
	Flags []string // further flags of serve
	Env   []string // of serve, as "NAME=value"
	// Program is the program's file; empty: the one that Build made.
	Program string

	http, nats string // where it listened first
	logs       string
	run        *process
}

// NewHub makes a hub in dir, not started yet; dir may be empty for a new one.
func NewHub(t testing.TB, dir string, flags ...string) *Hub {
	t.Helper()
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "hub")
	}
	return &Hub{Dir: dir, Flags: flags, http: "127.0.0.1:0", nats: "127.0.0.1:0", logs: t.TempDir()}
}

// StartHub makes a hub and starts it.
func StartHub(t testing.TB, flags ...string) *Hub {
	t.Helper()
	h := NewHub(t, "", flags...)
	h.Start(t)
	return h
}

// Start serves until Stop or Kill, at the addresses of the first time.
func (h *Hub) Start(t testing.TB) {
	t.Helper()
	args := append([]string{"serve", "--json", "--data", h.Dir, "--http", h.http, "--nats-listen", h.nats}, h.Flags...)
	var line []byte
	Eventually(t, "the hub's ports to be free", func() (ok bool) {
		var err error
		if h.run, line, err = start(t, launch{h.logs, "hub", h.Program, h.Env}, args...); err == nil {
			return true
		}
		// Meanwhile somebody else may have been given a port that the hub had.
		if h.run == nil || h.run.exitCode() != cli.Usage || !strings.Contains(err.Error(), "address_in_use") {
			t.Fatal(err)
		}
		return false
	})
	var said struct{ HTTP, NATS, Enrol string }
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatalf("hub serve said %q: %v", line, err)
	}
	h.http, h.nats, h.URL = said.HTTP, said.NATS, said.Enrol
}

// NATS is where devices connect, host:port.
func (h *Hub) NATS() string { return h.nats }

// Kill ends the hub as a crash would.
func (h *Hub) Kill() { h.run.kill() }

// Died reports whether the hub was killed: one that had ended by itself before was not.
func (h *Hub) Died() bool { return h.run.died() }

// Stop ends the hub in order and returns its exit code.
func (h *Hub) Stop(t testing.TB) cli.Exit {
	t.Helper()
	return h.run.stop(t)
}

// Do runs a hub command on this folder.
func (h *Hub) Do(t testing.TB, args ...string) Result {
	t.Helper()
	return Run(t, nil, "hub", append(args, "--data", h.Dir)...)
}

// Invite adds a device and returns its one-time code.
func (h *Hub) Invite(t testing.TB, device string, flags ...string) server.Invited {
	t.Helper()
	args := append([]string{"device", "add", device, "--scope", "team:" + strings.ToLower(device), "--json"}, flags...)
	return Decode[server.Invited](t, h.Do(t, args...).Want(t, cli.OK))
}

// Enrol makes a new device.
func (h *Hub) Enrol(t testing.TB, device string) *Agent {
	t.Helper()
	a := NewAgent(t, "")
	a.Do(t, "enrol", h.Invite(t, device).Code, "--hub", h.URL).Want(t, cli.OK)
	return a
}

// Entries lists the ledger.
func (h *Hub) Entries(t testing.TB, flags ...string) []server.EntryLine {
	t.Helper()
	return Lines[server.EntryLine](t, h.Do(t, append([]string{"entries"}, flags...)...).Want(t, cli.OK).Out)
}

// Status is the account of all devices.
func (h *Hub) Status(t testing.TB) console.Fleet {
	t.Helper()
	return Decode[console.Fleet](t, h.Do(t, "status", "--json").Want(t, cli.OK))
}

// TryStart starts the hub once, and returns why it ended before it was ready.
func (h *Hub) TryStart(t testing.TB) (err error) {
	t.Helper()
	args := append([]string{"serve", "--json", "--data", h.Dir, "--http", h.http, "--nats-listen", h.nats}, h.Flags...)
	h.run, _, err = start(t, launch{h.logs, "hub", h.Program, h.Env}, args...)
	return err
}

// Ended waits so long for the hub to end by itself, and reports whether it did.
func (h *Hub) Ended(most time.Duration) bool {
	select {
	case <-h.run.ended:
		return true
	case <-time.After(most):
		return false
	}
}

// ListenLike makes a hub listen where devices know another one of the same keys.
func (h *Hub) ListenLike(nats string) { h.nats = nats }

// Log is what the hub said on stderr since it was started last.
func (h *Hub) Log(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(h.run.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// PID is the running hub's process.
func (h *Hub) PID() int { return h.run.cmd.Process.Pid }
