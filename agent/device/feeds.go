package device

import (
	"context"

	"otor/agent/link"
	"otor/agent/uplink"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/wire"
)

// puller lets downlink ask over the link.
type puller struct {
	link   *link.Link
	device dot.Device
}

// Pull implements downlink.Port.
func (p *puller) Pull(ctx context.Context, q wire.Pull) (wire.FeedPage, error) {
	b, err := wire.Marshal(q)
	if err != nil {
		return wire.FeedPage{}, err
	}
	reply, err := p.link.Request(ctx, wire.PullOn(p.device), b)
	if err != nil {
		return wire.FeedPage{}, err
	}
	return wire.Unmarshal[wire.FeedPage](reply)
}

// bothWays drains and pulls side by side over one connection, and sends photos when
// nothing else is to go. With once it returns when nothing is left to do.
func (d *Device) bothWays(ctx context.Context, once bool) (uplink.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type pulled struct {
		rows int
		err  error
	}
	finish, down := make(chan struct{}), make(chan pulled, 1)
	go func() {
		n, err := d.down.Session(ctx, finish)
		down <- pulled{n, err}
	}()
	photos := make(chan struct{})
	go func() {
		defer close(photos)
		if !once {
			d.sender.Session(ctx)
		}
	}()
	r, err := d.uplink.Session(ctx, once)
	if err != nil {
		cancel() // the connection is over, or the hub does not want it
	} else if r.Received > 0 && once {
		d.down.DueAll() // what the hub made of these entries; nobody waits for its news
	} else if r.Received > 0 {
		d.down.Due(feed.ScopeOf(d.id.Device))
	}
	close(finish)
	p := <-down
	r.Pulled = p.rows
	if err == nil {
		err = p.err
	}
	if err == nil && once {
		r, err = d.sayPack(ctx, r)
	}
	if err == nil && once {
		err = d.lastPhotos(ctx)
	}
	cancel()
	<-photos
	return r, err
}
