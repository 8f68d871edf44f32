// Package scratch runs a PostgreSQL server for the tests of a process.
//
// The first [Database] of a process starts it: a server of its own in a folder of
// its own, on a socket in that folder, without syncing. It ends with the process,
// however that ends, or with [Stop]. Where PostgreSQL is not installed tests are
// skipped; they fail when OTOR_REQUIRE, a comma list, names postgres.
package scratch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"otor/internal/durable"
)

// Server is a running PostgreSQL server.
type Server struct {
	dir  string
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{} // closed once it has ended

	mu   sync.Mutex // owner of made
	made int
}

// startWithin bounds the making and starting of a server.
const startWithin = 2 * time.Minute

var (
	once    sync.Once
	shared  *Server
	failure error
)

// errMissing says that PostgreSQL is not installed.
var errMissing = errors.New("PostgreSQL is not installed")

// Database gives the address of a new, empty database on the process's server.
// template, which may be empty, is the address of a database to begin as a copy of.
func Database(t testing.TB, template string) string {
	t.Helper()
	address, err := Shared(t).Make(t.Context(), template)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Shared is the server of this process.
func Shared(t testing.TB) *Server {
	t.Helper()
	once.Do(func() {
		dir, err := os.MkdirTemp(memory(), "otor-postgres-")
		if err == nil {
			shared, err = Start(dir)
		}
		failure = err
	})
	need(t, failure)
	return shared
}

// New starts a server that the test may end and start again, see [Start]; it ends
// with the test.
func New(t testing.TB) (s *Server, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp(memory(), "otor-postgres-")
	if err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		s, err = Start(dir)
	}
	need(t, err)
	t.Cleanup(func() { s.Kill() })
	return s, dir
}

// need skips or fails a test without a server.
func need(t testing.TB, failure error) {
	t.Helper()
	switch {
	case errors.Is(failure, errMissing) && !slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), "postgres"):
		t.Skip(failure, "(apt install postgresql)")
	case failure != nil:
		t.Fatal(failure)
	}
}

// memory is a folder that is kept in memory, if there is one with room: making a
// database writes a thousand files, and nothing here must outlive a test.
func memory() string {
	const folder, room = "/dev/shm", 512 << 20
	if free, err := durable.Free(folder); err != nil || free < room {
		return ""
	}
	return folder
}

// Stop ends the process's server, if it was started, and removes its folder. A
// TestMain calls it.
func Stop() {
	if shared != nil {
		shared.Kill()
		_ = os.RemoveAll(shared.dir)
	}
}

// Start makes a cluster in dir, unless there is one, and runs a server on it.
func Start(dir string) (*Server, error) {
	s := &Server{dir: dir, done: make(chan struct{})}
	cluster := filepath.Join(dir, "cluster")
	if _, err := os.Stat(cluster); err != nil {
		if err := s.make(cluster); err != nil {
			return nil, err
		}
	}
	cmd, err := s.program("postgres", "-D", cluster, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
		"-c", "autovacuum=off", "-c", "max_connections=60", "-c", "shared_buffers=32MB", "-c", "log_min_messages=warning")
	if err != nil {
		return nil, err
	}
	s.cmd = cmd
	started := make(chan error, 1)
	go s.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for {
		c, err := pgconn.Connect(ctx, s.address("postgres"))
		if err == nil {
			return s, c.Close(ctx)
		}
		select {
		case <-s.done:
			return nil, fmt.Errorf("postgres ended: %w\n%s", err, s.log.String())
		case <-ctx.Done():
			s.Kill()
			return nil, fmt.Errorf("postgres does not answer: %w\n%s", err, s.log.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// make makes a cluster that its owner alone gets into.
func (s *Server) make(cluster string) error {
	cmd, err := s.program("initdb", "-D", cluster, "-U", "otor", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// program is a program of PostgreSQL's, to be run by somebody other than root, to
// whom the folder is given.
func (s *Server) program(name string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // its only error is a bad pattern
		if len(found) == 0 {
			return nil, errMissing
		}
		path = slices.Max(found)
	}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // it runs as long as the tests do
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if os.Getuid() != 0 {
		return cmd, endWithParent(cmd, nil)
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(who.Gid)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(s.dir, uid, gid); err != nil {
		return nil, err
	}
	return cmd, endWithParent(cmd, []int{uid, gid})
}

// Make makes a database and returns its address.
func (s *Server) Make(ctx context.Context, template string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	name := fmt.Sprintf("d%d", s.made)
	sql := "CREATE DATABASE " + name
	if template != "" {
		u, err := url.Parse(template)
		if err != nil {
			return "", err
		}
		sql += " TEMPLATE " + strings.TrimPrefix(u.Path, "/")
	}
	return s.address(name), s.Exec(ctx, "postgres", sql)
}

// Exec runs SQL in one of the server's databases.
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	c, err := pgconn.Connect(ctx, s.address(database))
	if err != nil {
		return err
	}
	return errors.Join(c.Exec(ctx, sql).Close(), c.Close(ctx))
}

// address is that of a database, by the socket.
func (s *Server) address(database string) string {
	return "postgres://otor@/" + database + "?host=" + url.QueryEscape(s.dir)
}

// Kill ends the server, and what runs in it. Once more does nothing.
func (s *Server) Kill() {
	_ = s.cmd.Process.Signal(os.Interrupt) // fast shutdown: disconnects everybody
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}
