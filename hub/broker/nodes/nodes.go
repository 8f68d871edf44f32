// Package nodes runs NATS servers elsewhere, as processes of their own, for tests.
//
// A test binary is the server's program too: its TestMain calls [Main] first.
package nodes

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"otor/hub/broker"
)

// asServer is the environment variable by which this program is told to be a server.
const asServer = "OTOR_TEST_NATS_SERVER"

// Main is the NATS server's program where this process was started as one, and
// does not return then.
func Main() {
	config := os.Getenv(asServer)
	if config == "" {
		return
	}
	opts, err := server.ProcessConfigFile(config)
	if err == nil {
		var s *server.Server
		if s, err = server.NewServer(opts); err == nil {
			s.ConfigureLogger()
			if err = server.Run(s); err == nil {
				s.WaitForShutdown()
				os.Exit(0)
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Server is one of a cluster's servers.
type Server struct {
	Addr string // host:port for devices and hubs
	dir  string
	cmd  *exec.Cmd
	log  *bytes.Buffer
}

// Cluster starts n servers that are configured for the hub whose keys are in
// hubDir, and ends them with the test.
func Cluster(t testing.TB, hubDir string, n int) []*Server {
	t.Helper()
	out, listen := make([]*Server, n), free(t, 2*n)
	dir := t.TempDir()
	for i := range out {
		s := &Server{Addr: listen[i], dir: filepath.Join(dir, fmt.Sprintf("n%d", i+1)), log: new(bytes.Buffer)}
		node := broker.Node{Name: fmt.Sprintf("n%d", i+1), Listen: listen[i], Store: 256 << 20}
		if n > 1 {
			node.Cluster, node.Routes = listen[n+i], listen[n:]
		}
		if err := broker.WriteNode(hubDir, s.dir, node, time.Now()); err != nil {
			t.Fatal(err)
		}
		s.Start(t)
		t.Cleanup(func() {
			s.Kill()
			if t.Failed() {
				t.Logf("%s: %s", node.Name, tail(s.log.Bytes(), 1000))
			}
		})
		out[i] = s
	}
	for _, s := range out {
		s.await(t)
	}
	return out
}

// await waits until the server takes connections.
func (s *Server) await(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", s.Addr) //nolint:noctx // a port of this machine
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a NATS server does not start: %v\n%s", err, tail(s.log.Bytes(), 2000))
		}
	}
}

// Addrs are the addresses of servers.
func Addrs(all []*Server) (out []string) {
	for _, s := range all {
		out = append(out, s.Addr)
	}
	return out
}

// Start runs the server, on what it has on its disk.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(program) //nolint:gosec,noctx // it runs until it is ended
	s.cmd.Dir, s.cmd.Env = s.dir, append(os.Environ(), asServer+"=nats.conf")
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // that it was killed is no news
}

// free gives addresses that nobody listens on.
func free(t testing.TB, n int) (out []string) {
	t.Helper()
	var all []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
		if err != nil {
			t.Fatal(err)
		}
		all, out = append(all, l), append(out, l.Addr().String())
	}
	for _, l := range all {
		_ = l.Close()
	}
	return out
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
