// Package console is what the hub's operators look at.
//
// Its first page is the fleet: which devices are out, when each was last heard
// from, what it declared, what of that arrived, and what is missing. The page
// draws no comfort from silence. A device that was not heard from for a while
// is shown as silent beside whatever else is known of it, since it may have
// captured more meanwhile; and the page itself greys, and says from when it
// is, when its own server stops answering.
//
//   - [Source] is what this package needs; [Fleet], [DeviceRow] and [LaneRow]
//     are what it shows.
//   - *Waiting* is declared minus received; a *gap* is a seq below the highest
//     received one of its lane that the hub lacks; *held* was received above a
//     gap and is not applied yet.
//   - [New] is the handler of the pages and of their API.
package console

import (
	"context"
	"embed"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/webui"
)

// Source is the hub behind the pages. It is safe for concurrent use.
type Source interface {
	Fleet(ctx context.Context) (Fleet, error)
	// Changes signals after anything visible changed, until the function is called.
	Changes() (<-chan struct{}, func())
}

// Fleet is the account of all devices at one moment. Its JSON is that of
// `hub status`.
type Fleet struct {
	AsOf                time.Time   `json:"as_of"`
	Epoch               string      `json:"epoch"`
	Devices             []DeviceRow `json:"devices"`
	Unattributed        uint64      `json:"unattributed"`         // batches or entries without a valid known signer
	TransportDuplicates uint64      `json:"transport_duplicates"` // copies that were received again and not counted
	Warnings            []string    `json:"warnings,omitempty"`   // what an operator should know about the hub itself
}

// DeviceRow is the account of one device over all its lanes.
type DeviceRow struct {
	Device   dot.Device `json:"device"`
	Team     string     `json:"team,omitempty"`
	Lanes    []LaneRow  `json:"lanes"`
	Declared uint64     `json:"declared"`  // entries that the device said it captured
	Received uint64     `json:"received"`  // of these, committed here
	Waiting  uint64     `json:"waiting"`   // declared minus received
	Held     uint64     `json:"held"`      // received above a gap, not applied yet
	SetAside uint64     `json:"set_aside"` // quarantined
	GapsOpen uint64     `json:"gaps"`      // missing seqs below the highest received ones
	Skew     Skew       `json:"skew_s"`
	LastSeen *time.Time `json:"last_seen"` // nil: never
	Version  string     `json:"version"`
}

// LaneRow is the account of one chain.
type LaneRow struct {
	Incarnation dot.Incarnation `json:"incarnation"`
	Lane        dot.Lane        `json:"lane"`
	Declared    dot.Seq         `json:"declared"`
	Received    dot.Seq         `json:"received"` // the watermark: all up to here are there
	Waiting     uint64          `json:"waiting"`
	Held        uint64          `json:"held"`
	Missing     []lane.Range    `json:"missing"` // the gaps
	Head        entry.Hash      `json:"head"`    // the verified head at Received
}

// Skew is how far a device's clock is ahead of the hub's; negative when it is
// behind. Its JSON is a number of seconds, or null when nothing is known.
type Skew struct {
	Ahead time.Duration
	Known bool
}

// MarshalJSON writes seconds or null.
func (s Skew) MarshalJSON() ([]byte, error) {
	if !s.Known {
		return []byte("null"), nil
	}
	return json.Marshal(s.Ahead.Seconds())
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Skew) UnmarshalJSON(b []byte) error {
	*s = Skew{}
	var sec *float64
	if err := json.Unmarshal(b, &sec); err != nil || sec == nil {
		return err
	}
	*s = Skew{Ahead: time.Duration(*sec * float64(time.Second)), Known: true}
	return nil
}

// Config is what New needs.
type Config struct {
	Fleet  Source
	Token  string   // for programs, see webui.Guard
	Secret string   // for the browser, see webui.Guard
	Hosts  []string // names besides loopback, see webui.Guard
	Log    *slog.Logger
	Clock  func() time.Time // in the zone in which times are shown; nil: time.Now
	// DefaultLang is "zh", "mn" or "en"; "" goes by what the browser asks for.
	DefaultLang string
	// SilentAfter is when a device counts as silent; 0: 15 minutes.
	SilentAfter time.Duration
	// SkewNoted is from when on a clock is pointed out; 0: 5 minutes.
	SkewNoted time.Duration
}

//go:embed fleet.html fleet.css text
var files embed.FS

var texts = sync.OnceValue(func() *webui.Catalogues { return webui.MustLoadCatalogues(files) })

// site is the handler's state; nothing in it changes after New.
type site struct {
	Config
	assets *webui.Assets
	stream *webui.Stream
	pages  *webui.Refuser
}

// New returns the pages and the API behind the guard of package webui.
func New(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.SilentAfter == 0 {
		cfg.SilentAfter = 15 * time.Minute
	}
	if cfg.SkewNoted == 0 {
		cfg.SkewNoted = 5 * time.Minute
	}
	s := &site{
		Config: cfg,
		assets: webui.NewAssets().Add("fleet.css", webui.Base(), webui.Part(files, "fleet.css")),
		stream: &webui.Stream{Listen: cfg.Fleet.Changes, Log: cfg.Log},
		pages:  &webui.Refuser{Texts: texts(), DefaultLang: cfg.DefaultLang},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.fleet)
	mux.HandleFunc("POST /lang", webui.SwitchLang)
	mux.Handle("GET /static/", s.assets)
	mux.HandleFunc("GET /api/v1/fleet", s.apiFleet)
	mux.Handle("GET /api/v1/events", s.stream)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
	})
	guard := &webui.Guard{Secret: cfg.Secret, Token: cfg.Token, Hosts: cfg.Hosts, Log: cfg.Log, Pages: s.pages}
	return guard.Wrap(mux)
}

func (s *site) apiFleet(w http.ResponseWriter, r *http.Request) {
	f, err := s.Fleet.Fleet(r.Context())
	if err != nil {
		s.Log.Error("fleet not readable", "err", err)
		webui.WriteRefusal(w, http.StatusInternalServerError, &webui.Refusal{Code: "internal", What: err.Error(), Do: "look into the hub's log; devices keep what they hold"})
		return
	}
	webui.WriteJSON(w, http.StatusOK, f)
}

// MarshalJSON writes empty lists as [] rather than null.
func (f Fleet) MarshalJSON() ([]byte, error) {
	type plain Fleet
	p := plain(f)
	if p.Devices == nil {
		p.Devices = []DeviceRow{}
	}
	return json.Marshal(p)
}

// MarshalJSON writes empty lists as [] rather than null.
func (d DeviceRow) MarshalJSON() ([]byte, error) {
	type plain DeviceRow
	p := plain(d)
	if p.Lanes == nil {
		p.Lanes = []LaneRow{}
	}
	return json.Marshal(p)
}

// MarshalJSON writes empty lists as [] rather than null.
func (l LaneRow) MarshalJSON() ([]byte, error) {
	type plain LaneRow
	p := plain(l)
	if p.Missing == nil {
		p.Missing = []lane.Range{}
	}
	return json.Marshal(p)
}
