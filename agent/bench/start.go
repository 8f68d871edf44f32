package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"otor/agent/web"
	"otor/internal/gauge"
)

// P7's device: of its entries this many are still waiting for the hub, as after
// some weeks without signal.
const (
	startEntries = 100_000
	startUnsent  = 2_000
)

// started is what one start of the program showed.
type started struct {
	page   time.Duration // from its start to the whole page
	anon   float64       // MiB of anonymous memory once every entry was checked
	peak   float64       // MiB, the most of it that was seen
	checks time.Duration // until every entry was checked
}

// starts measures P7: this very program is started in a folder with many
// entries, and in an empty one for comparison, with the files not in memory.
func (b *bench) starts(ctx context.Context) ([]gauge.Figure, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(self)
	if err != nil {
		return nil, err
	}
	full, err := b.makeDevice(ctx, "full", startEntries, startUnsent)
	if err != nil {
		return nil, err
	}
	empty, err := b.makeDevice(ctx, "empty", 0, 0)
	if err != nil {
		return nil, err
	}
	var page, bare, anon, peak, checks []float64
	for range b.Runs {
		e, err := startOnce(ctx, self, empty)
		if err != nil {
			return nil, err
		}
		f, err := startOnce(ctx, self, full)
		if err != nil {
			return nil, err
		}
		bare, page = append(bare, e.page.Seconds()), append(page, f.page.Seconds())
		anon, peak, checks = append(anon, f.anon), append(peak, f.peak), append(checks, f.checks.Seconds())
	}
	return startFigures(float64(fi.Size())/1e6, page, bare, anon, peak, checks), nil
}

func startFigures(binary float64, page, bare, anon, peak, checks []float64) []gauge.Figure {
	goal := func(v float64, runs []float64) gauge.Against {
		same := make([]float64, len(runs))
		for i := range same {
			same[i] = v
		}
		return gauge.AtMost("the goal itself", 1, runs, same)
	}
	start := gauge.New("P7", fmt.Sprintf("cold start to the whole page, %d entries of which %d wait", startEntries, startUnsent), "s", page)
	start.Against = []gauge.Against{goal(0.3, page)}
	start.Parts = []gauge.Part{
		{What: "s of these for a device without entries", Value: gauge.Median(bare)},
		{What: "s until every entry was checked, in the background", Value: gauge.Median(checks)},
	}
	memory := gauge.New("P7", "anonymous memory after that check", "MiB", anon)
	memory.Against = []gauge.Against{goal(64, anon)}
	memory.Parts = []gauge.Part{{What: "MiB at most, sampled every 20 ms", Value: gauge.Median(peak)}}
	size := gauge.New("P7", "the program's file", "MB", []float64{binary})
	size.Against = []gauge.Against{goal(40, []float64{binary})}
	return []gauge.Figure{start, memory, size}
}

// startOnce starts the agent in a folder, waits for its page and for its check of
// all entries, and ends it.
func startOnce(ctx context.Context, self, dir string) (s started, err error) {
	if err := forget(dir); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "run", "--json", "--data", dir, "--http", "127.0.0.1:0", "--log-level", "error")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return s, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return s, err
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was told to end
	}()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return s, fmt.Errorf("start the agent: %w", err)
	}
	var said struct{ Page, HTTP string }
	if err := json.Unmarshal(line, &said); err != nil {
		return s, fmt.Errorf("start the agent: %w", err)
	}
	jar := &http.Client{Jar: newJar()}
	if _, err := get(ctx, jar, said.Page, ""); err != nil {
		return s, err
	}
	s.page = time.Since(began)
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		return s, err
	}
	for {
		now := gauge.Anonymous(cmd.Process.Pid)
		s.peak, s.anon = max(s.peak, now), now
		b, err := get(ctx, http.DefaultClient, "http://"+said.HTTP+"/api/v1/status", strings.TrimSpace(string(token)))
		if err != nil {
			return s, err
		}
		var st web.Status
		if err := json.Unmarshal(b, &st); err != nil {
			return s, fmt.Errorf("ask the agent how it is: %w", err)
		}
		if st.Check.Complete {
			s.checks = time.Since(began)
			return s, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

func get(ctx context.Context, c *http.Client, url, token string) (b []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	b, err = io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.URL.Path, answer.Status)
	}
	return b, err
}
