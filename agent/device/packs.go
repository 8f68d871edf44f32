package device

import (
	"context"

	"otor/agent/packs"
	"otor/agent/uplink"
	"otor/internal/feed"
	"otor/internal/pack"
)

// openPacks puts the packs that came from the hub onto the shelf.
func (d *Device) openPacks() (err error) {
	if d.cfg.Packs == nil {
		return nil
	}
	d.packs, err = packs.Open(context.Background(), packs.Config{
		Dir: d.cfg.Dir, Hub: d.id.HubKey, Rows: d.store, Shelf: d.cfg.Packs, Log: d.cfg.Log,
	})
	return err
}

// inForce is the version of the pack by which new records go; nil for none.
func (d *Device) inForce() *pack.Pack {
	if d.cfg.Packs != nil {
		return d.cfg.Packs.Current()
	}
	return d.cfg.Pack
}

// pageCame looks whether a page has brought a form pack, and says hello once more
// when it did: the office sees which devices have it.
func (d *Device) pageCame(scope string, _ int) {
	if d.packs == nil || scope != feed.Everybody {
		return
	}
	changed, err := d.packs.Refresh(context.Background())
	if err != nil {
		d.cfg.Log.Warn("form packs were not looked for; the next page does it", "err", err)
	}
	if changed {
		d.newPack.Store(true)
		d.bell.Ring()
		d.uplink.Again()
	}
}

// sayPack says hello once more in a contact that is over, when a form pack came
// after the session had said its own.
func (d *Device) sayPack(ctx context.Context, r uplink.Result) (uplink.Result, error) {
	if !d.newPack.Swap(false) {
		return r, nil
	}
	more, err := d.uplink.Session(ctx, true)
	r.Sent, r.Received, r.Remaining = r.Sent+more.Sent, r.Received+more.Received, more.Remaining
	return r, err
}
