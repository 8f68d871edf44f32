package e2e

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"otor/internal/cli"
)

// Dialogue is a put that is talked to: lines go into In, answers come out of Out.
type Dialogue struct {
	In  io.WriteCloser
	Out io.Reader

	cmd *exec.Cmd
	err strings.Builder // its stderr
}

// Talk starts a put on this folder.
func (a *Agent) Talk(t testing.TB, flags ...string) *Dialogue {
	t.Helper()
	p := &Dialogue{cmd: command(context.WithoutCancel(t.Context()), "agent", append([]string{"put", "--data", a.Dir}, flags...)...)}
	p.cmd.Stderr = &p.err
	var err error
	if p.In, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.Out, err = p.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A put that hangs would hang the test: reading its answers has no end of its own.
	stop := time.AfterFunc(Patience, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() {
		stop.Stop()
		p.Kill()
		if t.Failed() {
			t.Logf("stderr of put: %s", p.err.String())
		}
	})
	return p
}

// Close ends the input, waits for the end, and returns the exit code.
func (p *Dialogue) Close(t testing.TB) cli.Exit {
	t.Helper()
	_ = p.In.Close()
	_, _ = io.Copy(io.Discard, p.Out)
	err := p.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return cli.Exit(p.cmd.ProcessState.ExitCode())
}

// Kill ends it as a crash would.
func (p *Dialogue) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
