package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// T is one trial. It is a [testing.TB], so that the tools of package e2e work
// with it outside of go test as well.
type T struct {
	testing.TB // nil: it is there for its unexported method alone

	Site    *Site
	Seed    uint64
	R       *rand.Rand
	Control string // what is broken on purpose; empty: nothing

	Faults  int // harm done
	Checked int // acknowledged entries that were looked for after it

	ctx context.Context
	end context.CancelFunc

	mu       sync.Mutex // guards what follows
	problems []string
	notes    []string
	met      map[string]int
	cleanups []func()
	dirs     int
}

// maxProblems bounds what a trial reports.
const maxProblems = 20

// Helper implements testing.TB.
func (t *T) Helper() {}

// Name implements testing.TB.
func (t *T) Name() string { return fmt.Sprintf("seed-%d", t.Seed) }

// Context implements testing.TB.
func (t *T) Context() context.Context { return t.ctx }

// Error implements testing.TB.
func (t *T) Error(args ...any) { t.problem(fmt.Sprintln(args...)) }

// Errorf implements testing.TB.
func (t *T) Errorf(format string, args ...any) { t.problem(fmt.Sprintf(format, args...)) }

// Fatal implements testing.TB.
func (t *T) Fatal(args ...any) {
	t.problem(fmt.Sprintln(args...))
	runtime.Goexit()
}

// Fatalf implements testing.TB.
func (t *T) Fatalf(format string, args ...any) {
	t.problem(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// Log implements testing.TB.
func (t *T) Log(args ...any) { t.note(fmt.Sprintln(args...)) }

// Logf implements testing.TB.
func (t *T) Logf(format string, args ...any) { t.note(fmt.Sprintf(format, args...)) }

// Failed implements testing.TB.
func (t *T) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.problems) > 0
}

// Skip implements testing.TB: a trial that cannot be made did not hold.
func (t *T) Skip(args ...any) { t.Fatal(args...) }

// Skipf implements testing.TB.
func (t *T) Skipf(format string, args ...any) { t.Fatalf(format, args...) }

// FailNow implements testing.TB.
func (t *T) FailNow() { t.Fatal("failed") }

// Fail implements testing.TB.
func (t *T) Fail() { t.problem("failed") }

// Cleanup implements testing.TB.
func (t *T) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// TempDir implements testing.TB: below the trial's own folder.
func (t *T) TempDir() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirs++
	dir := filepath.Join(t.root(), fmt.Sprint(t.dirs))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		panic(err) // caught by Run
	}
	return dir
}

func (t *T) root() string { return filepath.Join(t.Site.Dir, t.label()) }

func (t *T) label() string { return fmt.Sprintf("t%d-%s-%p", t.Seed, t.Control, t) }

func (t *T) problem(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.problems) < maxProblems {
		t.problems = append(t.problems, strings.TrimSpace(text))
	}
}

func (t *T) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.notes) < maxProblems {
		t.notes = append(t.notes, strings.TrimSpace(text))
	}
}

// Met counts something that a trial is to come to, such as a failpoint.
func (t *T) Met(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.met == nil {
		t.met = make(map[string]int)
	}
	t.met[what] += n
}

// Outcome is what came of a trial.
type Outcome struct {
	Seed            uint64
	Faults, Checked int
	Met             map[string]int
	Problems        []string // empty: it held
	Notes           []string
}

// Run runs one trial of a row. With a control, the promise is broken.
func Run(ctx context.Context, site *Site, row Row, seed uint64, control string) Outcome {
	t := &T{Site: site, Seed: seed, R: rand.New(rand.NewPCG(seed, 0xc4a05)), Control: control}
	t.ctx, t.end = context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // so that Fatal can end the trial and nothing else
		defer close(done)
		defer t.over()
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		row.Trial(t)
	}()
	<-done
	if len(t.problems) == 0 && t.Faults < row.Least {
		t.Errorf("only %d faults, at least %d are wanted: the trial says nothing", t.Faults, row.Least)
	}
	return Outcome{seed, t.Faults, t.Checked, t.met, t.problems, t.notes}
}

// over runs the cleanups, last one first, as go test does.
func (t *T) over() {
	t.end()
	for {
		t.mu.Lock()
		n := len(t.cleanups)
		var f func()
		if n > 0 {
			f, t.cleanups = t.cleanups[n-1], t.cleanups[:n-1]
		}
		t.mu.Unlock()
		if f == nil {
			break
		}
		f()
	}
	if err := os.RemoveAll(t.root()); err != nil {
		t.Error(err)
	}
}

// ErrBlind says that a control was not found out.
var ErrBlind = errors.New("a control was not found out")

// proofs is how many trials a broken promise may take to be found out.
const proofs = 20

// Prove breaks each promise that the row's controls name; one that is not found
// out is an error: the row would say nothing. It returns how each was found out.
func Prove(ctx context.Context, site *Site, row Row) ([]string, error) {
	var how []string
	for _, c := range row.Controls {
		found, other := "", ""
		for seed := uint64(1); seed <= proofs && found == ""; seed++ {
			o := Run(ctx, site, row, seed, c.Name)
			if p, ok := c.found(o.Problems); ok {
				found = p
			} else if len(o.Problems) > 0 {
				other = "; one said instead: " + o.Problems[0]
			}
		}
		if found == "" {
			return how, fmt.Errorf("%w: %s %s: none of %d trials said %q%s", ErrBlind, row.Name, c.Name, proofs, c.Words, other)
		}
		how = append(how, c.Name+": "+firstLine(found))
	}
	return how, nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s[:min(len(s), 160)]
}

// Find gives the row of that name.
func Find(name string) (Row, bool) {
	rows := Rows()
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Name == name })
	if i < 0 {
		return Row{}, false
	}
	return rows[i], true
}
