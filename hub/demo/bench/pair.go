package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/enrol"
	"otor/hub/server"
	"otor/internal/corpus"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/pack"
	"otor/internal/release"
)

// pair is a hub and one enrolled device that is offline, in one process, each
// with its own database.
type pair struct {
	hub   *server.Server
	dev   *device.Device
	id    dot.Device
	cfg   device.Config
	clock clock

	stop    context.CancelFunc
	running sync.WaitGroup
	ran     error // of the hub; owner: running
}

// clock is what both sides show: the time of the record that was drawn last,
// as on a device that captures through the day.
type clock struct{ millis atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.millis.Load()).In(zone) }

func (c *clock) set(t time.Time) { c.millis.Store(t.UnixMilli()) }

// The records begin on a fixed day, so that the same seed gives the same entries.
var (
	zone  = time.FixedZone("UTC+8", 8*3600)
	start = time.Date(2025, 9, 18, 6, 0, 0, 0, zone)
)

const deviceID dot.Device = "D-101"

// openPair makes a hub and a device in dir. adjust may change the device's seams.
func openPair(ctx context.Context, dir string, with *pack.Pack, log *slog.Logger, adjust func(*device.Config)) (*pair, error) {
	return openPairOn(ctx, "127.0.0.1", dir, with, log, adjust)
}

// openPairOn is openPair for a hub that devices reach at a host.
func openPairOn(ctx context.Context, host, dir string, with *pack.Pack, log *slog.Logger, adjust func(*device.Config)) (_ *pair, err error) {
	hubCtx, stop := context.WithCancel(ctx)
	p := &pair{id: deviceID, stop: stop}
	p.clock.set(start)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	p.hub, err = server.Open(ctx, server.Config{
		Dir: filepath.Join(dir, "hub"), NatsListen: net.JoinHostPort(host, "0"), HTTP: net.JoinHostPort(host, "0"), Forms: with.Forms, Domain: with.Domain(),
		Zone: zone, Demo: true,
		Now: p.clock.now, Version: release.Version, Log: log,
	})
	if err != nil {
		return nil, err
	}
	p.running.Go(func() { p.ran = p.hub.Run(hubCtx) })
	p.cfg, err = p.enrolled(ctx, p.id, "team:T1", filepath.Join(dir, "device"), with, log)
	if err != nil {
		return nil, err
	}
	if adjust != nil {
		adjust(&p.cfg)
	}
	p.dev, err = device.Open(p.cfg)
	return p, err
}

// enrolled invites a device to a scope and enrols it in a folder.
func (p *pair) enrolled(ctx context.Context, id dot.Device, scope, dir string, with *pack.Pack, log *slog.Logger) (device.Config, error) {
	invited, err := p.hub.Office().Invite(ctx, id, []string{scope}, time.Hour, false)
	if err != nil {
		return device.Config{}, err
	}
	cfg := device.Config{Dir: dir, HTTP: "127.0.0.1:0", Forms: with.Forms, Types: with.Domain().Type, Mask: with.Domain().Mask, Now: p.clock.now, Zone: zone, Demo: true, Log: log}
	_, err = enrol.Enrol(ctx, enrol.Config{Dir: dir, Hub: p.hub.PublicURL(), Code: invited.Code, Version: release.Version, Log: log})
	return cfg, err
}

// restart closes the device and opens it again: it has forgotten its TLS session.
func (p *pair) restart() error {
	err := p.dev.Close()
	p.dev = nil
	if err != nil {
		return err
	}
	p.dev, err = device.Open(p.cfg)
	return err
}

func (p *pair) close() error {
	var errs []error
	if p.dev != nil {
		errs = append(errs, p.dev.Close())
	}
	p.stop()
	p.running.Wait()
	if !errors.Is(p.ran, context.Canceled) {
		errs = append(errs, p.ran)
	}
	if p.hub != nil {
		errs = append(errs, p.hub.Close())
	}
	return errors.Join(errs...)
}

// writers is how many captures wait at a time while a backlog is made.
const writers = 64

// fill saves n records of the corpus on the device, each durably, while it is offline.
func (p *pair) fill(ctx context.Context, forms *form.Registry, seed uint64, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	drafts := make(chan entry.Draft, writers)
	go func() {
		defer close(drafts)
		source := corpus.New(seed, forms, 0, start)
		for range n {
			var salt [entry.SaltSize]byte
			rand.Read(salt[:]) // never fails: the runtime stops the process first
			record := source.Next()
			p.clock.set(record.Wall)
			d, err := record.Draft(salt)
			if err != nil {
				cancel(err)
				return
			}
			select {
			case drafts <- d:
			case <-ctx.Done():
				return
			}
		}
	}()
	var saving sync.WaitGroup
	for range writers {
		saving.Go(func() {
			for d := range drafts {
				if _, err := p.dev.Store().Append(ctx, d); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	saving.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("make a backlog of %d entries: %w", n, err)
	}
	return nil
}

// households is how many the records are about that are captured as teams do.
const households = 10_000

// visit captures n records of the corpus on the device while it is offline, as a
// team does: what they change is told from what the device shows, and writes into entities.
func (p *pair) visit(ctx context.Context, forms *form.Registry, seed uint64, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	requests := make(chan capture.Request, writers)
	go func() {
		defer close(requests)
		source := corpus.New(seed, forms, 0, start).Among(households)
		for range n {
			r := source.Next()
			p.clock.set(r.Wall)
			q := capture.Request{
				Form: r.Form.ID, Version: r.Form.Version, EntityType: r.Form.Entity, Actor: r.Actor, At: &r.Wall, Fields: r.Fields, Position: r.Position,
			}
			if refs := r.Refs(); len(refs) > 0 {
				q.Entity = refs[0].ID
			}
			select {
			case requests <- q:
			case <-ctx.Done():
				return
			}
		}
	}()
	var saving sync.WaitGroup
	for range writers {
		saving.Go(func() {
			for q := range requests {
				if _, err := p.dev.Capture(ctx, q); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	saving.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("capture %d records: %w", n, err)
	}
	return nil
}

// drainLimit bounds one contact.
const drainLimit = 10 * time.Minute

// drain makes one contact, from dialling to the last receipt stored on the
// device, and returns what it took. It then makes sure that the hub has every
// entry, and the same chains.
func (p *pair) drain(ctx context.Context, n int) (time.Duration, error) {
	dctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	began := time.Now()
	result, err := p.dev.Contact(dctx)
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("drain %d entries: %w", n, err)
	}
	if result.Received != n || result.Remaining != 0 {
		return 0, fmt.Errorf("drain %d entries: %d were confirmed and %d remain", n, result.Received, result.Remaining)
	}
	return took, p.compare(ctx, n)
}

// compare checks that both sides hold the same n entries.
func (p *pair) compare(ctx context.Context, n int) error {
	totals, err := p.hub.Store().Totals(ctx)
	if err != nil {
		return err
	}
	// Records that are drawn at random may well be duplicates, or for review; none may be wrong.
	aside := totals.ByVerdict["quarantined"] + totals.ByVerdict["held"] + totals.ByVerdict["refused"]
	if totals.Entries != int64(n) || aside > 0 {
		return fmt.Errorf("the hub holds %d entries by verdict %v, %d were sent", totals.Entries, totals.ByVerdict, n)
	}
	lanes, err := p.hub.Store().LanesOf(ctx, p.id)
	if err != nil {
		return err
	}
	for _, l := range lanes {
		c, ok := p.dev.Store().Chain(l.Chain)
		if !ok || c.Head != l.Head || c.Last != l.Received.Through() {
			return fmt.Errorf("chain %s ends at %d on the hub and at %d on the device, or in another head", l.Chain, l.Received.Through(), c.Last)
		}
	}
	return nil
}
