package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"otor/internal/durable"
)

const fuzzRow = "fuzz"

// fuzzHead is the heading of the log's part about fuzzing.
const fuzzHead = "## Fuzzing"

// fuzzed says how much each target was fuzzed so far.
type fuzzed struct {
	Spent map[string]time.Duration `json:"spent"`
	Execs map[string]int64         `json:"execs"`
	Bad   map[string]string        `json:"bad"`
}

// slot is how long a target is fuzzed before the next has its turn: long enough that
// building and linking it anew for each slot does not matter.
const slot = 5 * time.Minute

// slotFor is the time by the wall after which workers have spent what is left of a
// processor's time. They never get all of it, so it is a little more.
func slotFor(left time.Duration, workers int) time.Duration {
	by := (left + left/50) / time.Duration(workers)
	// Not below a second, or a rest would never end.
	return max(min(by, slot), time.Second).Round(time.Second)
}

// fuzz fuzzes every target for p.each in all, a slot each in turns, so that a
// campaign that is stopped has fuzzed all of them alike. What the log has of p.since
// and later counts.
func fuzz(ctx context.Context, p plan, out io.Writer) error {
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	f := fuzzed{map[string]time.Duration{}, map[string]int64{}, map[string]string{}}
	text, err := os.ReadFile(statePath(p))
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the state of the campaign: %w", err)
	}
	before, err := logged(p)
	if err != nil {
		return err
	}
	begun := time.Now()
	for todo := !p.finish; todo; {
		todo = false
		for _, target := range targets {
			left := p.each - before[target] - f.Spent[target]
			if left <= 0 || ctx.Err() != nil || p.most > 0 && time.Since(begun) > p.most {
				continue
			}
			todo = true
			if err := f.one(ctx, target, slotFor(left, p.workers), p.workers, out); err != nil {
				return err
			}
			if text, err = json.MarshalIndent(f, "", "  "); err == nil {
				err = durable.WriteFile(statePath(p), text, 0o600)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, target := range targets {
		if before[target]+f.Spent[target] < p.each && !p.finish {
			_, err := fmt.Fprintln(out, "not done yet: the same command goes on")
			return err
		}
	}
	return f.log(p, targets)
}

// logged is how long the log says that each target was fuzzed, on p.since and later.
func logged(p plan) (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	if p.since == "" {
		return out, nil
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		return nil, fmt.Errorf("read the campaigns' log: %w", err)
	}
	_, after, found := strings.Cut(string(text), fuzzHead)
	if !found {
		return nil, fmt.Errorf("%s has no part %q", p.log, fuzzHead)
	}
	for line := range strings.Lines(after) {
		// | date | package | decoder | time | executions | failures |
		cells := strings.Split(line, "|")
		if len(cells) != 8 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		day, err := time.Parse(time.DateOnly, cells[1])
		spent, bad := time.ParseDuration(cells[4])
		if err == nil && bad == nil && day.Format(time.DateOnly) >= p.since {
			out["otor/"+cells[2]+" "+cells[3]] += spent
		}
	}
	return out, nil
}

// fuzzTargets lists the fuzz targets as "package Name".
func fuzzTargets(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", "./agent/...", "./hub/...", "./internal/...")
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the fuzz targets: %w", err)
	}
	var out, names []string
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "Fuzz"):
			names = append(names, fields[0])
		case len(fields) >= 2 && fields[0] == "ok":
			for _, n := range names {
				out = append(out, fields[1]+" "+n)
			}
			names = nil
		}
	}
	if len(out) == 0 {
		return nil, errors.New("there are no fuzz targets")
	}
	return out, nil
}

var execsOf = regexp.MustCompile(`execs: (\d+)`)

// one fuzzes a target for a while.
func (f *fuzzed) one(ctx context.Context, target string, most time.Duration, workers int, out io.Writer) error {
	pkg, name, _ := strings.Cut(target, " ")
	//nolint:gosec // the names are those that go test listed
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+name+"$", "-fuzztime", most.String(), "-fuzzminimizetime", "20x", "-parallel", strconv.Itoa(workers), pkg)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if cmd.ProcessState == nil {
		return fmt.Errorf("run go test: %w", err)
	}
	all := execsOf.FindAllStringSubmatch(said.String(), -1)
	var execs int64
	if len(all) > 0 {
		execs, _ = strconv.ParseInt(all[len(all)-1][1], 10, 64)
	}
	// What counts is the processor's time: the campaign may run beside other programs.
	f.Spent[target] += min(most*time.Duration(workers), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	f.Execs[target] += execs
	// The fuzzer may report its own deadline as a failure when a worker is busy at
	// the end (golang.org/issue/48591); a real one writes its input.
	deadline := strings.Contains(said.String(), "context deadline exceeded") && !strings.Contains(said.String(), "Failing input written")
	if err != nil && !deadline {
		f.Bad[target] = err.Error()
		_, _ = fmt.Fprintf(out, "FAILED %s\n%s\n", target, said.String())
	}
	_, err = fmt.Fprintf(out, "%-60s %s, %d executions\n", target, f.Spent[target], f.Execs[target])
	return err
}

// log puts a line for each target into the log.
func (f *fuzzed) log(p plan, targets []string) error {
	for _, target := range targets {
		if f.Spent[target] == 0 {
			continue
		}
		result := "0"
		if f.Bad[target] != "" {
			result = "1"
		}
		pkg, name, _ := strings.Cut(target, " ")
		line := fmt.Sprintf("| %s | %s | %s | %s | %d | %s |", time.Now().Format(time.DateOnly), strings.TrimPrefix(pkg, "otor/"), name, f.Spent[target], f.Execs[target], result)
		if err := insertLine(p.log, fuzzHead, line); err != nil {
			return err
		}
	}
	if err := os.Remove(statePath(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(f.Bad) > 0 {
		return fmt.Errorf("%d fuzz targets failed: their inputs are in testdata/fuzz", len(f.Bad))
	}
	return nil
}
