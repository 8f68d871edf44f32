package device

import (
	"log/slog"
	"time"

	"otor/agent/capture"
	"otor/agent/life"
	"otor/agent/link"
	"otor/agent/uplink"
	"otor/internal/dot"
	"otor/internal/merge"
	"otor/internal/pack"
)

// Config says how to open a device. Dir, Log, and Packs or Forms are needed.
type Config struct {
	Dir  string
	HTTP string // host:port of the page, default 127.0.0.1:8470
	// Packs are the form packs that the device works with; those that the hub published
	// come to it. nil: Forms, Mask and Types stay as they are.
	Packs *pack.Shelf
	Forms capture.Forms
	// Mask says how a field of an entity is masked, as packs do; nil: none is.
	Mask func(typ, field string) string
	// Types gives the rules of entity types; nil: none are known.
	Types func(name string) *merge.Type
	// Pack is what the team's pages go by; nil: they show records alone.
	Pack *pack.Pack
	Now  func() time.Time
	Zone *time.Location
	Demo bool     // accept fictional resident numbers without a warning
	DNS  []string // name servers for systems without /etc/resolv.conf
	Log  *slog.Logger
	Lang string // of the page: zh, mn, en; empty: as the browser asks
	// Ready is told the page's address once it is served.
	Ready func(page string)

	// Sense finds out where the folder is; nil: [life.Sense].
	Sense func(dir string) (life.Binding, error)

	Dialer      link.Dialer
	Gate        uplink.Gate
	Tap         func(l dot.Lane, frame []byte) // sees each frame just before it is sent
	MaxEntries  int                            // of one frame
	MaxInFlight int
	Rate        int  // bytes of frames a second, 0: as the link takes
	Repair      bool // see [store.Options]
	// Keep is how long an entry stays once the device knows that it is archived, by
	// the hub's clock; 0: for ever.
	Keep time.Duration
	// KeepPhotos is how long a photo stays at least before it goes from here, once it is in
	// the hub's archive; 0: for ever.
	KeepPhotos time.Duration
	Limits     link.Limits   // of what the link may move
	KeepAlive  time.Duration // between pings on an idle link, 4 minutes when 0
	MinPause   time.Duration // of the link's reconnecting
	MaxPause   time.Duration
}

// DefaultHTTP is where the page is served.
const DefaultHTTP = "127.0.0.1:8470"

func (cfg *Config) fill() {
	if cfg.Packs != nil {
		cfg.Forms, cfg.Types, cfg.Mask = cfg.Packs, cfg.Packs.Type, cfg.Packs.Mask
	}
	if cfg.HTTP == "" {
		cfg.HTTP = DefaultHTTP
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
}
