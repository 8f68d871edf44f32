// Package demo replays a scenario's day through real devices and a real hub.
//
// Each device of the scenario gets a folder, keys, a Badger database and a
// connection of its own; the hub gets its broker and database; all of it runs
// in this process and speaks over loopback. Only three things are put on: the
// clock, which both sides are handed; each device's line, which is cut while
// the scenario says that there is no signal; and a shim that withholds entries
// until they are due and replays recorded frames. What the hub makes of it is
// counted afterwards, and held against the file's expectations if it has any.
//
// This is the only room besides tests that sees both sides.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"otor/internal/durable"
	"otor/internal/pack"
)

// Options say how to show the day.
type Options struct {
	Scenario string  // a file; empty: the project's own day
	Fast     bool    // as fast as things settle
	Speed    float64 // day seconds a second; 0: 900
	Exit     bool    // end after the report
	JSON     bool    // the report as JSON
	Dir      string  // where the folders go; empty: a temporary one, removed at the end
	NATS     string  // host:port, default 127.0.0.1:0
	HTTP     string  // host:port, default 127.0.0.1:0
	Out      io.Writer
	Terminal bool // Out is a terminal: show a live view
	Log      *slog.Logger
}

var (
	// ErrMismatch marks a day that did not come out as it must.
	ErrMismatch = errors.New("the day did not come out as it must")
	// ErrScenario marks a file that tells no day.
	ErrScenario = errors.New("the scenario cannot be shown")
)

const defaultSpeed = 900

// Run shows the day. It returns an error that wraps [ErrMismatch] when the
// report has mismatches; the report is printed all the same.
func Run(ctx context.Context, o Options) (err error) {
	s, err := o.scenario()
	if err != nil {
		return err
	}
	p, err := pack.Transhumance()
	if err != nil {
		return err
	}
	if o.Dir != "" {
		if err := durable.MkdirAll(o.Dir, 0o700); err != nil {
			return fmt.Errorf("make the folder for the demonstration: %w", err)
		}
	} else {
		if o.Dir, err = os.MkdirTemp("", "otor-demo-"); err != nil {
			return fmt.Errorf("make a folder for the demonstration: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	cfg := worldConfig{dir: o.Dir, natsAddr: o.NATS, httpOn: o.HTTP}
	if cfg.natsAddr == "" {
		cfg.natsAddr = "127.0.0.1:0"
	}
	if cfg.httpOn == "" {
		cfg.httpOn = "127.0.0.1:0"
	}
	w, err := openWorld(ctx, s, p, cfg, o.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return o.show(ctx, newPlayer(w))
}

func (o *Options) scenario() (*Scenario, error) {
	if o.Scenario == "" {
		return Load(bytes.NewReader(Day))
	}
	f, err := os.Open(o.Scenario)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	defer func() { _ = f.Close() }()
	s, err := Load(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	return s, nil
}

// show plays the day before the watcher's eyes, reports, and stays if asked to.
func (o *Options) show(ctx context.Context, p *player) error {
	v := newView(o, p)
	pace := func(context.Context, time.Time) error { return nil }
	if !o.Fast {
		pace = o.pace(p.clock, v)
	}
	err := p.play(ctx, pace, v.step)
	v.end()
	if err != nil {
		return err
	}
	r, err := p.report(ctx)
	if err != nil {
		return err
	}
	if err := o.print(r, p); err != nil {
		return err
	}
	if !o.Exit {
		o.stay(ctx, p)
	}
	if len(r.Mismatches) > 0 {
		return fmt.Errorf("%w: %d mismatches, the first: %s", ErrMismatch, len(r.Mismatches), r.Mismatches[0].Words())
	}
	return nil
}

func (o *Options) print(r *Report, p *player) error {
	if o.JSON {
		enc := json.NewEncoder(o.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.print(o.Out, p)
}

// pace makes the day pass at Speed, smoothly between the events.
func (o *Options) pace(c *clock, v *view) func(context.Context, time.Time) error {
	speed := o.Speed
	if speed <= 0 {
		speed = defaultSpeed
	}
	return func(ctx context.Context, t time.Time) error {
		const tick = 50 * time.Millisecond
		timer := time.NewTicker(tick)
		defer timer.Stop()
		for {
			next := c.Now().Add(time.Duration(float64(tick) * speed))
			if !next.Before(t) {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
				c.set(next)
				v.tick()
			}
		}
	}
}

// stay keeps hub and devices up, their clock going on from the day's end.
func (o *Options) stay(ctx context.Context, p *player) {
	fmt.Fprintf(o.Out, "\nEverything stays up until Ctrl-C. Open in a browser on this machine:\n  hub    %s\n", p.hub.EnterURL())
	for _, d := range p.scenario.Devices {
		fmt.Fprintf(o.Out, "  %-6s %s\n", d.ID, p.members[d.ID].pageURL())
	}
	start, day := time.Now(), p.clock.Now()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-p.failed:
			fmt.Fprintf(o.Out, "ended: %v\n", err)
			return
		case <-ticker.C:
			p.clock.set(day.Add(time.Since(start)))
		}
	}
}
