package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/internal/cli"
	"otor/internal/dot"
)

// controls is held while a control is built.
var controls sync.Mutex

// Control builds a program with the tag otorcontrol, under which OTOR_CONTROL
// can make it break a promise. It is made once a run.
func Control(t testing.TB, name string) string {
	t.Helper()
	controls.Lock() // trials run side by side
	defer controls.Unlock()
	file := filepath.Join(programs, "control-"+name)
	if _, err := os.Stat(file); err == nil {
		return file
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "otorcontrol", "-o", file, "otor/"+name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s as a control: %v\n%s", name, err, out)
	}
	return file
}

// Stream is a put whose input is given at once and whose dots are noted as they come.
type Stream struct {
	run *process
	err strings.Builder // its stderr

	mu      sync.Mutex
	printed []dot.Dot
}

// StartPut starts put on a folder. file and env are as in [Hub].
func StartPut(t testing.TB, file string, env []string, dir, lines string, flags ...string) *Stream {
	t.Helper()
	return startStream(t, file, env, lines, append([]string{"put", "--data", dir}, flags...)...)
}

// StartCommand starts a command of the agent that may be killed. file and env are
// as in [Hub].
func StartCommand(t testing.TB, file string, env []string, args ...string) *Stream {
	t.Helper()
	return startStream(t, file, env, "", args...)
}

func startStream(t testing.TB, file string, env []string, lines string, args ...string) *Stream {
	t.Helper()
	p := &Stream{run: &process{ended: make(chan struct{})}}
	cmd := command(context.WithoutCancel(t.Context()), "agent", args...)
	if file != "" {
		cmd.Path = file
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(lines), &p.err
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.run.cmd = cmd
	go func() {
		defer close(p.run.ended)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				break // what has no end was not printed
			}
			var s Saved
			if json.Unmarshal(line, &s) == nil {
				p.mu.Lock()
				p.printed = append(p.printed, s.Dot)
				p.mu.Unlock()
			}
		}
		_ = cmd.Wait() // it was killed
		p.run.mu.Lock()
		p.run.note()
		p.run.mu.Unlock()
	}()
	t.Cleanup(func() {
		p.Kill()
		if s := p.err.String(); t.Failed() && s != "" {
			t.Logf("stderr of a command: %s", s[max(0, len(s)-2<<10):])
		}
	})
	return p
}

// Await waits until at least n dots were printed.
func (p *Stream) Await(t testing.TB, n int) {
	t.Helper()
	for deadline := time.Now().Add(Patience); len(p.Printed()) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("put printed %d dots, in vain waited for %d", len(p.Printed()), n)
		}
	}
}

// Printed lists the dots so far.
func (p *Stream) Printed() []dot.Dot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]dot.Dot(nil), p.printed...)
}

// Process is the command's process.
func (p *Stream) Process() *os.Process { return p.run.cmd.Process }

// Kill ends put as a crash would, and waits until all that it printed was read.
func (p *Stream) Kill() { p.run.kill() }

// Ended waits until the command has ended by itself, and all that it printed was read.
func (p *Stream) Ended(t testing.TB) {
	t.Helper()
	select {
	case <-p.run.ended:
	case <-time.After(Patience):
		t.Fatal("put did not end")
	}
}

// HasEnded reports whether the command has ended, and all that it printed was read.
func (p *Stream) HasEnded() bool {
	select {
	case <-p.run.ended:
		return true
	default:
		return false
	}
}

// Died reports whether the command was killed, and had not ended by itself before.
func (p *Stream) Died() bool { return p.run.died() }

// Exit is the exit code of a command that has ended; -1 when a signal ended it.
func (p *Stream) Exit() cli.Exit { return p.run.exitCode() }
