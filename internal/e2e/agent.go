package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/agent/enrol"
	"otor/agent/web"
	"otor/internal/cli"
	"otor/internal/dot"
)

// Agent is a device's folder with the program that may run on it.
type Agent struct {
	Dir   string
	Page  string   // of the running agent, with its secret
	HTTP  string   // of the running agent, host:port
	Flags []string // further flags of run
	Env   []string // of run, as "NAME=value"
	// Program is the file of the program that runs; empty: the one that Build made.
	Program string

	logs string
	run  *process
}

// NewAgent names a folder for a device; dir may be empty for a new one.
func NewAgent(t testing.TB, dir string) *Agent {
	t.Helper()
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "agent")
	}
	return &Agent{Dir: dir, logs: t.TempDir()}
}

// Start runs the agent until Stop or Kill.
func (a *Agent) Start(t testing.TB) {
	t.Helper()
	args := append([]string{"run", "--json", "--data", a.Dir, "--http", "127.0.0.1:0"}, a.Flags...)
	run, line, err := start(t, launch{a.logs, "agent", a.Program, a.Env}, args...)
	if err != nil {
		t.Fatal(err)
	}
	a.run = run
	var said struct{ Page, HTTP string }
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatalf("agent run said %q: %v", line, err)
	}
	a.Page, a.HTTP = said.Page, said.HTTP
}

// Kill ends the agent as a crash would.
func (a *Agent) Kill() { a.run.kill() }

// Stop ends the agent in order and returns its exit code.
func (a *Agent) Stop(t testing.TB) cli.Exit {
	t.Helper()
	return a.run.stop(t)
}

// Do runs an agent command on this folder.
func (a *Agent) Do(t testing.TB, args ...string) Result {
	t.Helper()
	return Run(t, nil, "agent", append(args, "--data", a.Dir)...)
}

// Saved is a line that put answers with.
type Saved struct {
	Line    int       `json:"line"`
	Dot     dot.Dot   `json:"dot"`
	SavedAt time.Time `json:"saved_at"`
}

// Refused is a line that put turned down.
type Refused struct {
	Line  int         `json:"line"`
	Error web.Refusal `json:"error"`
}

// Put saves lines and returns what put answered, whatever its exit code.
func (a *Agent) Put(t testing.TB, lines string, flags ...string) (Result, []Saved) {
	t.Helper()
	r := Run(t, strings.NewReader(lines), "agent", append([]string{"put", "--data", a.Dir}, flags...)...)
	return r, Lines[Saved](t, r.Out)
}

// MustPut saves lines, all of them.
func (a *Agent) MustPut(t testing.TB, lines string, flags ...string) []Saved {
	t.Helper()
	r, saved := a.Put(t, lines, flags...)
	r.Want(t, cli.OK)
	return saved
}

// Status is what the device knows about itself.
func (a *Agent) Status(t testing.TB) web.Status {
	t.Helper()
	return Decode[web.Status](t, a.Do(t, "status", "--json").Want(t, cli.OK))
}

// Sync makes one contact, which must come about.
func (a *Agent) Sync(t testing.TB) web.SyncResult {
	t.Helper()
	return Decode[web.SyncResult](t, a.Do(t, "sync", "--json").Want(t, cli.OK))
}

// Log lists all entries of the device, newest first.
func (a *Agent) Log(t testing.TB) []web.EntryRow {
	t.Helper()
	return Lines[web.EntryRow](t, a.Do(t, "log", "--limit", "0", "--json").Want(t, cli.OK).Out)
}

// PutAndKill puts lines in and kills the command with -9 once it has printed
// at least so many dots. It returns the dots that were printed, whole lines only.
func (a *Agent) PutAndKill(t testing.TB, lines string, after int, flags ...string) []dot.Dot {
	t.Helper()
	p := StartPut(t, "", nil, a.Dir, lines, flags...)
	p.Await(t, after)
	p.Kill()
	return p.Printed()
}

// NATS is where the agent looks for its hub, host:port.
func (a *Agent) NATS(t testing.TB) string {
	t.Helper()
	id, err := enrol.Load(a.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(id.NatsURLs[0], "tls://")
}
