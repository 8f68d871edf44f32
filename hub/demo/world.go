package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"otor/agent/device"
	"otor/agent/enrol"
	"otor/hub/server"
	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/pack"
	"otor/internal/release"
)

// world is a hub and its devices, all real, in one process: each device has
// its own database, keys and connection.
type world struct {
	scenario *Scenario
	pack     *pack.Pack
	forms    *form.Registry
	// references are what the office brings in, by moment.
	references []Reference
	clock      *clock
	log        *slog.Logger
	hub        *server.Server
	members    map[dot.Device]*member

	running sync.WaitGroup
	stop    context.CancelFunc
	failed  chan error // the first loop that ended with an error
}

// member is one device and what the demonstration owns around it.
type member struct {
	*device.Device
	line *line
	shim *shim

	mu   sync.Mutex
	page string
}

func (m *member) pageURL() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.page
}

// worldConfig says where the world lives.
type worldConfig struct {
	dir              string
	natsAddr, httpOn string // host:port, port 0 picks one
}

// openWorld starts the hub, enrols the devices over HTTPS, and runs them all.
func openWorld(ctx context.Context, s *Scenario, p *pack.Pack, cfg worldConfig, log *slog.Logger) (_ *world, err error) {
	ctx, stop := context.WithCancel(ctx)
	w := &world{
		scenario: s, pack: p, forms: p.Forms, clock: &clock{}, log: log, members: make(map[dot.Device]*member),
		stop: stop, failed: make(chan error, 1),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.references, err = s.References(p); err != nil {
		return nil, err
	}
	w.clock.set(s.Meta.T0)
	w.hub, err = server.Open(ctx, server.Config{
		Dir: filepath.Join(cfg.dir, "hub"), NatsListen: cfg.natsAddr, HTTP: cfg.httpOn, Forms: p.Forms, Domain: p.Domain(), Pack: p,
		Now: w.clock.Now, Zone: s.Meta.T0.Location(), Demo: s.Meta.Fictional, Version: release.Version, Log: log, OwnerEnters: true,
	})
	if err != nil {
		return nil, err
	}
	w.run(func() error { return w.hub.Run(ctx) })
	for _, d := range s.Devices {
		if err := w.join(ctx, d, filepath.Join(cfg.dir, string(d.ID))); err != nil {
			return nil, fmt.Errorf("device %s: %w", d.ID, err)
		}
	}
	for _, away := range s.OfflineWindows { // the office knows beforehand, and says so
		if !away.To.After(s.Meta.T0) {
			continue
		}
		if _, err := w.hub.Office().Plan(ctx, away.Device, server.PlanOrder{From: away.From, Until: away.To, Words: away.Why}); err != nil {
			return nil, fmt.Errorf("plan of %s: %w", away.Device, err)
		}
	}
	return w, nil
}

// join enrols one device and starts it, without signal.
func (w *world) join(ctx context.Context, d Device, dir string) error {
	invited, err := w.hub.Office().Invite(ctx, d.ID, w.scenario.scopesOf(d, w.references), time.Hour, false)
	if err != nil {
		return err
	}
	_, err = enrol.Enrol(ctx, enrol.Config{Dir: dir, Hub: w.hub.PublicURL(), Code: invited.Code, Version: release.Version, Log: w.log})
	if err != nil {
		return err
	}
	forms, err := w.formsOf(d.ID)
	if err != nil {
		return err
	}
	m := &member{line: &line{}, shim: newShim()}
	m.Device, err = device.Open(device.Config{
		Dir: dir, HTTP: "127.0.0.1:0", Forms: forms, Types: w.pack.Domain().Type, Mask: w.pack.Domain().Mask, Pack: w.pack, Zone: w.scenario.Meta.T0.Location(),
		Now: w.clock.ahead(time.Duration(d.ClockOffset) * time.Second), Demo: w.scenario.Meta.Fictional, Log: w.log,
		Dialer: m.line, Gate: m.shim.gate, Tap: m.shim.tap,
		MinPause: 20 * time.Millisecond, MaxPause: 250 * time.Millisecond,
		Ready: func(page string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.page = page
		},
	})
	if err != nil {
		return err
	}
	w.members[d.ID] = m
	w.run(func() error { return m.Run(ctx) })
	return until(ctx, "its page is served", func() (bool, error) { return m.pageURL() != "", nil })
}

// formsOf is the device's form book: the pack's, and any newer version, or form
// unknown to the hub, that the scenario says the device has.
func (w *world) formsOf(d dot.Device) (*form.Registry, error) {
	forms := w.forms
	for _, f := range w.scenario.Foreign {
		if f.Claims != d {
			continue
		}
		known, ok := w.forms.Latest(f.Kind)
		if !ok {
			var err error
			if known, err = form.New(form.Form{ID: f.Kind, Version: 1, Lane: dot.Record}); err != nil {
				return nil, fmt.Errorf("record %s: %w", f.ID, err)
			}
		}
		if !ok || f.Schema > known.Version {
			forms = forms.With(known.At(max(f.Schema, 1)))
		}
	}
	return forms, nil
}

// run starts a loop whose error ends the demonstration.
func (w *world) run(loop func() error) {
	w.running.Go(func() {
		if err := loop(); err != nil && !errors.Is(err, context.Canceled) {
			select {
			case w.failed <- err:
			default:
			}
		}
	})
}

// close stops everything and releases it.
func (w *world) close() error {
	w.stop()
	w.running.Wait()
	var errs []error
	for _, m := range w.members {
		errs = append(errs, m.Close())
	}
	if w.hub != nil {
		errs = append(errs, w.hub.Close())
	}
	return errors.Join(errs...)
}

// settleLimit bounds the wait for one thing to settle.
const settleLimit = 60 * time.Second

// until waits for a condition that real processes bring about.
func until(ctx context.Context, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		ok, err := holds()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s: %w", what, ctx.Err())
		case <-time.After(pause):
		}
	}
}
