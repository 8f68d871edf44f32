package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"otor/internal/cli"
)

// process is a program that keeps running on a folder.
type process struct {
	cmd   *exec.Cmd
	log   string        // file of its stderr
	ended chan struct{} // closed when it has ended

	mu     sync.Mutex
	exit   cli.Exit // once ended
	killed bool     // once ended: as kill -9 ends it
}

// killedCode is the exit code of a process that was killed. Windows has no signals:
// there killing is ending with this code.
func killedCode() int {
	if runtime.GOOS == "windows" {
		return 1
	}
	return -1
}

// launch says what to start: where its log goes, its name, its file when that
// is not the one Build made, and what is added to its environment.
type launch struct {
	logs, name, file string
	env              []string
}

// start runs a program until its first line of stdout, which it returns. An
// error says that it ended before; exit then tells how.
func start(t testing.TB, l launch, args ...string) (p *process, first []byte, err error) {
	t.Helper()
	name := l.name
	log, err := os.CreateTemp(l.logs, name+"-*.log")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = log.Close() }()
	// The test ends it by name of its own, not by the context: a kill there
	// would look like a crash in the middle of the cleanup.
	p = &process{cmd: command(context.WithoutCancel(t.Context()), name, args...), log: log.Name(), ended: make(chan struct{})}
	if l.file != "" {
		p.cmd.Path = l.file
	}
	p.cmd.Env = append(p.cmd.Env, l.env...)
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, nil, err
	}
	lines := make(chan []byte, 1)
	go func() {
		r := bufio.NewReader(out)
		if line, err := r.ReadBytes('\n'); err == nil {
			lines <- line
		}
		_, _ = io.Copy(io.Discard, r)
		_ = p.cmd.Wait()
		p.mu.Lock()
		p.note()
		p.mu.Unlock()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			b, _ := os.ReadFile(p.log)
			t.Logf("log of %s %v:\n%s", name, args, b[max(0, len(b)-4<<10):])
		}
	})
	select {
	case first = <-lines:
		return p, first, nil
	case <-p.ended:
	case <-time.After(Patience):
		p.kill()
	}
	select {
	case first = <-lines: // it said its line and ended at once
	default:
	}
	b, _ := os.ReadFile(p.log)
	return p, first, fmt.Errorf("%s %v ended with exit %d before it was ready: %s", name, args, p.exitCode(), b)
}

// note keeps how it ended; p.mu is held.
func (p *process) note() {
	code := p.cmd.ProcessState.ExitCode()
	p.exit, p.killed = cli.Exit(code), code == killedCode()
}

// died reports whether it has ended as kill -9 ends it, and not by itself.
func (p *process) died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed
}

func (p *process) exitCode() cli.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// kill ends the process as a crash would, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop asks the process to end, and returns its exit code.
func (p *process) stop(t testing.TB) cli.Exit {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("stop %s: %v", p.cmd.Path, err)
	}
	select {
	case <-p.ended:
	case <-time.After(Patience):
		p.kill()
		t.Fatalf("%s did not end when asked to", p.cmd.Path)
	}
	return p.exitCode()
}

// RunFile is DIR/run.json.
type RunFile struct {
	PID  int    `json:"pid"`
	HTTP string `json:"http"`
	NATS string `json:"nats"`
}

// ReadRunFile reads DIR/run.json; ok is false when there is none.
func ReadRunFile(t testing.TB, dir string) (f RunFile, ok bool) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if errors.Is(err, os.ErrNotExist) {
		return f, false
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f, true
}
