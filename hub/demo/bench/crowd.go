package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"otor/internal/gauge"
)

// What P8 measures: two crowds of connected devices, each of which makes a contact an
// hour. Time is not compressed: contacts come as often as they would, and a window is
// longer than the four minutes between two pings of a connection.
const (
	smallCrowd    = 5_000
	crowdWindow   = 5 * time.Minute
	crowdSettling = 30 * time.Second // after the last has connected
	crowdEntries  = 3                // that a contact brings
	crowdPerScope = 10               // devices that share a scope: each hears of what the others bring
	crowdDoors    = 32               // that connect at the same time
)

// The goals of P8: memory in MiB, percent of one processor, and the cost of twice the devices.
const (
	goalCrowdMemory = 2048
	goalCrowdCPU    = 50
	goalCrowdTwice  = 2.1
)

// crowdRun is what one crowd cost the hub.
type crowdRun struct {
	devices              int
	memory               float64 // MiB at most, of its own
	cpu                  float64 // percent of a processor, over the window
	idle                 float64 // the same while all were connected and said nothing
	contacts, pulls      int64
	entries              int64
	slowest              time.Duration
	connecting, measured time.Duration
}

// crowd measures P8.
func (b *bench) crowd(ctx context.Context) ([]gauge.Figure, error) {
	var runs []crowdRun
	for _, n := range []int{b.Crowd, 2 * b.Crowd} {
		r, err := b.crowded(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("%d devices: %w", n, err)
		}
		runs = append(runs, r)
	}
	return crowdFigures(runs[0], runs[1]), nil
}

func crowdFigures(small, large crowdRun) []gauge.Figure {
	var out []gauge.Figure
	for _, r := range []crowdRun{small, large} {
		memory := gauge.New("P8", fmt.Sprintf("memory of the hub at most, %d devices connected, each a contact an hour", r.devices), "MiB", []float64{r.memory})
		memory.Against = []gauge.Against{gauge.AtMost("the goal itself", 1, []float64{r.memory}, []float64{goalCrowdMemory})}
		memory.Parts = []gauge.Part{{What: "KiB a device", Value: r.memory * 1024 / float64(r.devices)}, {What: "s until all were connected", Value: r.connecting.Seconds()}}
		cpu := gauge.New("P8", fmt.Sprintf("of one processor that the hub took, %d devices", r.devices), "%", []float64{r.cpu})
		cpu.Against = []gauge.Against{gauge.AtMost("the goal itself", 1, []float64{r.cpu}, []float64{goalCrowdCPU})}
		cpu.Parts = []gauge.Part{
			{What: "% while nobody said anything", Value: r.idle},
			{What: "contacts in the window", Value: float64(r.contacts)},
			{What: "entries that they brought", Value: float64(r.entries)},
			{What: "pages pulled, by those who heard of it among them", Value: float64(r.pulls)},
			{What: "ms that the slowest contact took, from hello to receipt and page", Value: float64(r.slowest.Milliseconds())},
			{What: "s of window", Value: r.measured.Seconds()},
		}
		if r.devices == large.devices {
			memory.Against = append(memory.Against, gauge.AtMost("half as many devices", goalCrowdTwice, []float64{r.memory}, []float64{small.memory}))
			cpu.Against = append(cpu.Against, gauge.AtMost("half as many devices", goalCrowdTwice, []float64{r.cpu}, []float64{small.cpu}))
		}
		out = append(out, memory, cpu)
	}
	return out
}

// crowded measures a hub in a process of its own with n devices in this one.
func (b *bench) crowded(ctx context.Context, n int) (r crowdRun, err error) {
	dir, drop, err := b.folder("crowd")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	people, err := b.gather(ctx, dir, n)
	if err != nil {
		return r, err
	}
	hub, stop, err := startHub(ctx, dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	began := time.Now()
	if err := connect(ctx, &running, people, hub.nats, b.Log); err != nil {
		return r, err
	}
	r = crowdRun{devices: n, connecting: time.Since(began)}
	if err := pause(ctx, min(crowdSettling, b.Window/4)); err != nil {
		return r, err
	}
	if r.idle, r.memory, err = hub.over(ctx, b.Window/4, nil); err != nil {
		return r, err
	}
	began = time.Now()
	var mem float64
	r.cpu, mem, err = hub.over(ctx, b.Window, func(ctx context.Context) error { return visits(ctx, people, b.Window, &r) })
	r.memory, r.measured = max(r.memory, mem), time.Since(began)
	return r, err
}

// visits has devices make contacts, each as often as one an hour comes to, at random.
func visits(ctx context.Context, people []*person, window time.Duration, r *crowdRun) error {
	due := max(int(float64(len(people))*window.Hours()), 1)
	order := rand.New(rand.NewPCG(8, uint64(len(people)))).Perm(len(people))
	every := window / time.Duration(due)
	var contacts, slowest atomic.Int64
	var running sync.WaitGroup
	failed := make(chan error, 1)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range due {
		p := people[order[i%len(order)]]
		running.Go(func() {
			took, err := p.visit(ctx)
			if err != nil {
				select {
				case failed <- fmt.Errorf("contact of %s: %w", p.id, err):
				default:
				}
				return
			}
			contacts.Add(1)
			for was := slowest.Load(); took.Nanoseconds() > was && !slowest.CompareAndSwap(was, took.Nanoseconds()); was = slowest.Load() {
			}
		})
		select {
		case <-tick.C:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	running.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	r.contacts, r.entries, r.slowest = contacts.Load(), contacts.Load()*crowdEntries, time.Duration(slowest.Load())
	for _, p := range people {
		r.pulls += p.pulls.Load()
	}
	if int(r.contacts) < due {
		return fmt.Errorf("%d contacts of %d were made: too little was measured", r.contacts, due)
	}
	return nil
}

// hubProcess is a hub that runs by itself.
type hubProcess struct {
	pid  int
	nats string
}

// startLimit is how long a hub may take to start.
const startLimit = 2 * time.Minute

// startHub starts this program as a hub in a folder.
func startHub(ctx context.Context, dir string) (h hubProcess, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return h, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, self, "serve", "--json", "--data", dir, "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--log-level", "error")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return h, nil, fmt.Errorf("start a hub: %w", err)
	}
	stop = func() error {
		cancel()
		_ = cmd.Wait() // it was told to end
		return nil
	}
	lines := bufio.NewReader(out)
	late := time.AfterFunc(startLimit, cancel) // a program that says nothing is ended
	line, err := lines.ReadBytes('\n')
	late.Stop()
	var said struct {
		NATS string `json:"nats"`
	}
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		return h, nil, errors.Join(fmt.Errorf("start a hub: %w", err), stop())
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // ends with the process
	return hubProcess{cmd.Process.Pid, said.NATS}, stop, nil
}

// over measures the hub for as long as do takes and at least a while: processors, and
// memory at most.
func (h hubProcess) over(ctx context.Context, atLeast time.Duration, do func(context.Context) error) (cpu, memory float64, err error) {
	before, err := gauge.CPU(h.pid)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		if do == nil {
			do = func(context.Context) error { return nil }
		}
		done <- do(ctx)
	}()
	finished := false
	for tick := time.NewTicker(time.Second); !finished || time.Since(began) < atLeast; {
		select {
		case err := <-done:
			if err != nil {
				return 0, 0, err
			}
			finished, done = true, nil
		case <-tick.C:
			memory = max(memory, gauge.Anonymous(h.pid))
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	after, err := gauge.CPU(h.pid)
	return 100 * (after - before).Seconds() / time.Since(began).Seconds(), memory, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
