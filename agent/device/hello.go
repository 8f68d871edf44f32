package device

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"otor/agent/store"
	"otor/internal/entry"
	"otor/internal/receipt"
	"otor/internal/release"
	"otor/internal/wire"
)

// greet says how the device is.
func (d *Device) greet() wire.Hello {
	h := wire.Hello{Version: release.Version, Battery: battery("/sys/class/power_supply"), Holds: d.wallet.holding(), Lives: d.book.Claims(d.key), Ended: d.lives.Ended()}
	if free, err := d.store.DiskFree(); err == nil {
		h.DiskFree = free
	}
	files, _ := d.photosWaiting()
	h.Blobs = uint32(min(files, 1<<30)) //nolint:gosec // a count
	for _, f := range d.store.Feeds() {
		at := f.Position()
		h.Feeds = append(h.Feeds, wire.ScopeAt{Scope: f.Scope, N: at.N, Mark: at.Mark})
	}
	if d.cfg.Packs != nil {
		p := d.cfg.Packs.Current()
		h.Pack = &wire.PackAt{ID: p.ID, Version: p.Version}
	}
	return h
}

// epoch is the signed certificate of the hub's epoch that this device goes by:
// the last one that it entered, at first the one of its enrolment.
func (d *Device) epoch() []byte {
	if signed := d.store.Contact().Epoch; signed != nil {
		return signed
	}
	return d.id.Epoch
}

// battery reads the charge in percent where Linux tells it; nil elsewhere.
func battery(dir string) *uint8 {
	names, err := filepath.Glob(filepath.Join(dir, "*", "capacity"))
	if err != nil {
		return nil
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 8); err == nil && n <= 100 {
			v := uint8(n)
			return &v
		}
	}
	return nil
}

// welcomed keeps what a hello's answer tells: the hub's clock, and the epoch,
// which the session has found to be the device's own or one that follows it.
func (d *Device) welcomed(w wire.Welcome, sent, got time.Time) error {
	epoch, err := receipt.OpenEpoch(w.Epoch, d.id.HubKey)
	if err != nil {
		return err
	}
	d.renewed(w.Credentials)
	if err := d.lives.Hear(w); err != nil {
		return err
	}
	if len(w.Again) > 0 {
		if err := d.store.ForgetBlobsAt(context.Background(), w.Again...); err != nil {
			return err
		}
		d.sender.Wake()
	}
	middle := sent.Add(got.Sub(sent) / 2)
	err = d.store.SetContact(context.Background(), store.Contact{
		LastContact: got, LastAttempt: got, Epoch: w.Epoch,
		HubOffsetMillis: w.Time - middle.UnixMilli(), OffsetMeasuredAt: middle,
	})
	d.mu.Lock()
	d.contacts++
	d.hubSaid = time.UnixMilli(w.Time)
	d.lastSync = nil
	d.mu.Unlock()
	d.bell.Ring()
	if err != nil {
		return err
	}
	return d.down.Welcomed(context.Background(), w, epoch.Epoch)
}

// offset is what the device last learnt of its clock; nil when it never did.
func (d *Device) offset() *entry.Offset {
	c := d.store.Contact()
	if c.OffsetMeasuredAt.IsZero() {
		return nil
	}
	age := d.cfg.Now().Sub(c.OffsetMeasuredAt) / time.Second
	return &entry.Offset{Millis: c.HubOffsetMillis, Age: uint32(min(max(age, 0), 1<<32-1))}
}
