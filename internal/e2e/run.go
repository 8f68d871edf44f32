package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/internal/cli"
)

// Patience bounds every wait; nothing is expected to take nearly that long.
const Patience = 90 * time.Second

// programs is where Build put them.
var programs string

// Build builds both programs and runs the tests; for TestMain.
func Build(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "otor-e2e-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = BuildIn(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	return m.Run()
}

// BuildIn builds both programs into dir, for a program that is no test.
func BuildIn(dir string) error {
	programs = dir
	for _, name := range []string{"agent", "hub"} {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", program(name), "otor/"+name)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return nil
}

func program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(programs, name)
}

// Result is what a command left behind.
type Result struct {
	Args []string
	Exit cli.Exit
	Out  string
	Err  string
}

func (r Result) String() string {
	return fmt.Sprintf("%s: exit %d\nstdout: %s\nstderr: %s", strings.Join(r.Args, " "), r.Exit, r.Out, r.Err)
}

// Run runs a program to its end.
func Run(t testing.TB, stdin io.Reader, name string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	var out, errOut bytes.Buffer
	cmd := command(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errOut
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%s %v: %v\n%s", name, args, err, errOut.String())
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %v did not end\nstdout: %s\nstderr: %s", name, args, out.String(), errOut.String())
	}
	return Result{
		Args: append([]string{name}, args...), Exit: cli.Exit(cmd.ProcessState.ExitCode()), Out: out.String(), Err: errOut.String(),
	}
}

// command prepares a program in an environment without settings of its own.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program(name), args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "OTOR_") })
	return cmd
}

// Want fails the test when the exit code is another.
func (r Result) Want(t testing.TB, exit cli.Exit) Result {
	t.Helper()
	if r.Exit != exit {
		t.Fatalf("want exit %d, got %s", exit, r)
	}
	return r
}

// Words fails the test when stderr does not contain each of words.
func (r Result) Words(t testing.TB, words ...string) Result {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(r.Err, w) {
			t.Errorf("stderr does not say %q: %s", w, r)
		}
	}
	return r
}

// Trouble reads {"error":{...}} from the last line of stderr.
func (r Result) Trouble(t testing.TB) cli.Error {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.Err), "\n")
	var e struct {
		Error *cli.Error `json:"error"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &e); err != nil || e.Error == nil {
		t.Fatalf("stderr does not end in an error as JSON (%v): %s", err, r)
	}
	return *e.Error
}

// Decode reads stdout as one JSON value.
func Decode[T any](t testing.TB, r Result) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.Out), &v); err != nil {
		t.Fatalf("stdout is not the JSON that was expected (%v): %s", err, r)
	}
	return v
}

// Lines reads a text of one JSON value a line.
func Lines[T any](t testing.TB, text string) []T {
	t.Helper()
	out := []T{}
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		var v T
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("line %d is not the JSON that was expected: %v\n%s", len(out)+1, err, text)
		}
		out = append(out, v)
	}
}

// Eventually waits until ok, asking again every now and then.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: waiting for %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("waiting for %s: %v", what, t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Need skips the test with a notice when have is false, and fails it when the
// environment's OTOR_REQUIRE (a comma list) names the thing.
func Need(t testing.TB, thing string, have bool, why string) {
	t.Helper()
	switch {
	case have:
	case slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), thing):
		t.Fatalf("%s is required here and missing: %s", thing, why)
	default:
		t.Skipf("skipped, %s is missing: %s", thing, why)
	}
}
