// Package console is what the hub's operators look at.
//
// Its first page is the fleet: which devices are out, when each was last heard
// from, what it declared, what of that arrived, and what is missing. The page
// draws no comfort from silence. A device that was not heard from for a while
// is shown as silent beside whatever else is known of it, since it may have
// captured more meanwhile; and the page itself greys, and says from when it
// is, when its own server stops answering.
//
// The queue is all that waits for a person: by kind, oldest first. An item shows
// the values that stand against each other, who wrote each, when by the hub's clock,
// and what else becomes of each choice; a decision names what it had in view, so
// that of two who decide at once one is told.
//
//   - [Door], [Account], [Queue], [Holes], [Rosters], [RosterDrafts] are the hub's other sides.
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
	Revoked  bool       `json:"revoked,omitempty"`
	Battery  *int       `json:"battery,omitempty"`   // percent, as of the last contact
	DiskFree int64      `json:"disk_free,omitempty"` // bytes, as of the last contact
	// Plan are the times in which it is expected to be out of reach. Of a device that is
	// silent it follows that it is expected back, or that it is overdue.
	Plan         []Absence  `json:"plan,omitempty"`
	ExpectedBack *time.Time `json:"expected_back,omitempty"`
	OverdueSince *time.Time `json:"overdue_since,omitempty"`
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
	Fleet   Source
	Door    Door
	Account Account
	Tokens  Tokens
	Queue   Queue
	Holes   Holes
	Devices Devices
	Plans   Plans
	// Findings are what the hub noticed.
	Findings Findings
	Ledger   Ledger
	// Records and Things find records and entities.
	Records Records
	Things  Things
	// Statements and Operators are the pages of the same names.
	Statements Statements
	Operators  Operators
	// Rosters are official lists, RosterDrafts those that are not imported yet.
	Rosters      Rosters
	RosterDrafts RosterDrafts
	Exports      Exports
	Packs        Packs
	// Outlook is what the fleet's charts are drawn of, Land and Photos are the pages of the
	// route and of photos.
	Outlook Outlook
	Land    Land
	Photos  Photos
	// Visitor is who looks at a page, out of its request's context.
	Visitor func(context.Context) Visitor
	// QR draws a QR code: its width in modules, and the dark ones as an SVG path.
	QR    func(text string) (size int, path string, err error)
	Log   *slog.Logger
	Clock func() time.Time // in the zone in which times are shown; nil: time.Now
	// DefaultLang is "zh", "mn" or "en"; "" goes by what the browser asks for.
	DefaultLang string
	// SkewNoted is from when on a clock is pointed out; 0: 5 minutes.
	SkewNoted time.Duration
}

//go:embed *.html *.css console.js text
var files embed.FS

var texts = sync.OnceValue(func() *webui.Catalogues { return webui.MustLoadCatalogues(files) })

// Words are the console's words in a language.
func Words(lang string) *webui.Words { return texts().Words(lang) }

// site is the handler's state; nothing in it changes after New.
type site struct {
	Config
	assets *webui.Assets
	stream *webui.Stream
	pages  *webui.Refuser
}

// Site are the pages and their API. Nobody is kept out: whoever serves them does
// so behind a guard that asks for each route's act.
type Site struct {
	Mux *http.ServeMux
	// Acts says what each route takes: "open" for whoever comes, "own" for whoever
	// is signed in, else an act that a role may do or not.
	Acts map[string]string
	// Pages renders refusals.
	Pages *webui.Refuser
}

// New returns the pages.
func New(cfg Config) Site {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.SkewNoted == 0 {
		cfg.SkewNoted = 5 * time.Minute
	}
	s := &site{
		Config: cfg,
		assets: webui.NewAssets().Add("fleet.css", webui.Base(), webui.Part(files, "console.css"), webui.Part(files, "fleet.css"), webui.Part(files, "charts.css")).
			Add("land.css", webui.Base(), webui.Part(files, "console.css"), webui.Part(files, "land.css")).
			Add("console.css", webui.Base(), webui.Part(files, "console.css"), webui.Part(files, "records.css")).
			Add("console.js", webui.Live(), webui.Part(files, "console.js")),
		stream: &webui.Stream{Listen: cfg.Fleet.Changes, Log: cfg.Log},
		pages:  &webui.Refuser{Texts: texts(), DefaultLang: cfg.DefaultLang},
	}
	out := Site{Mux: http.NewServeMux(), Acts: make(map[string]string), Pages: s.pages}
	for _, r := range s.routes() {
		out.Mux.Handle(r.pattern, r.serve)
		out.Acts[r.pattern] = r.act
	}
	return out
}

// route is an address with the act that it takes.
type route struct {
	pattern, act string
	serve        http.Handler
}

func (s *site) routes() []route {
	return append(s.fleetRoutes(), []route{
		{"GET /static/", "open", s.assets},
		page("GET /signin", "open", s.secured(s.signInPage)),
		page("POST /signin", "open", s.secured(s.signIn)),
		page("GET /join", "open", s.secured(s.joinPage)),
		page("POST /join", "open", s.secured(s.join)),
		page("POST /lang", "open", webui.SwitchLang),
		page("POST /signout", "own", s.signOut),
		page("GET /account", "own", s.account),
		page("POST /account/password", "own", s.secured(s.password)),
		page("POST /account/factor", "own", s.secured(s.setFactor)),
		page("POST /account/factor/new", "own", s.secured(s.newFactor)),
		page("POST /account/factor/off", "own", s.secured(s.dropFactor)),
		page("GET /account/factor", "own", instead("/account")),
		page("GET /account/factor/new", "own", instead("/account")),
		page("GET /account/factor/off", "own", instead("/account")),
		page("POST /account/tokens", "own", s.makeToken),
		page("POST /account/tokens/revoke", "own", s.revokeToken),
		page("GET /{$}", "view", s.fleet),
		page("GET /route", "view", s.route),
		page("GET /photos", "view", s.photos),
		page("GET /devices", "devices", s.devices),
		page("POST /devices/invite", "devices", s.invite),
		page("POST /devices/revoke", "devices", s.revoke),
		page("GET /packs", "packs", s.packs),
		page("GET /packs/check", "packs", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/packs", http.StatusSeeOther) }), // as above, below
		page("POST /packs", "packs", s.takePack(true)),
		page("POST /packs/check", "packs", s.takePack(false)),
		page("GET /ledger", "audit", s.ledger),
		page("GET /records", "view", s.records),
		page("GET /records/{device}/{incarnation}/{lane}/{seq}", "view", s.record),
		page("POST /records/reveal", "reveal", s.revealRecord),
		page("GET /entities", "view", s.things),
		page("GET /entities/{type}/{id}", "view", s.thing),
		page("POST /entities/reveal", "reveal", s.revealThing),
		page("GET /statements", "sign", s.statements),
		page("POST /statements", "sign", s.makeStatement),
		page("GET /statements/verify", "sign", instead("/statements")),
		page("POST /statements/verify", "sign", s.verifyStatement),
		page("GET /operators", "operators", s.operators),
		page("POST /operators", "operators", s.addOperator),
		page("POST /operators/change", "operators", s.changeOperator),
		page("POST /operators/access", "operators", s.operatorAccess),
		page("POST /operators/token", "operators", s.endToken),
		page("GET /exports", "export", s.exports),
		page("POST /exports", "export", s.takeExport),
		page("GET /roster", "roster", s.rosters),
		page("POST /roster", "roster", s.uploadRoster),
		page("GET /roster/draft/{id}", "roster", s.rosterDraft),
		page("POST /roster/draft/{id}", "roster", s.chooseRoster),
		page("GET /roster/draft/{id}/import", "roster", func(w http.ResponseWriter, r *http.Request) { s.draftAfter(w, r, nil) }),
		page("POST /roster/draft/{id}/import", "roster", s.importRoster),
		page("GET /roster/list/{kind}", "roster", s.rosterList),
		page("POST /roster/list/{kind}", "roster", s.ruleRoster),
		page("GET /queue", "view", s.queue),
		page("GET /queue/{id}", "view", s.item),
		page("POST /queue/{id}/decide", "decide", s.decide),
		page("POST /queue/{id}/take", "decide", s.takeItem),
		page("POST /queue/{id}/release", "decide", s.releaseItem),
		page("GET /queue/gaps/seal", "view", instead("/queue?kind=gap")),
		page("POST /queue/gaps/seal", "decide", s.seal),
		page("GET /queue/aside", "view", instead("/queue?kind=quarantine")),
		page("POST /queue/aside", "decide", s.ruleAside),
		page("POST /queue/alike", "decide", s.decideAlike),
		page("GET /api/v1/fleet", "view", s.apiFleet),
		{"GET /api/v1/events", "view", s.stream},
		page("/", "own", func(w http.ResponseWriter, r *http.Request) {
			s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
		}),
	}...)
}

func page(pattern, act string, h http.HandlerFunc) route { return route{pattern, act, h} }

// fleetRoutes are those that the fleet's page leads to.
func (s *site) fleetRoutes() []route {
	return []route{
		page("GET /plan", "dispatch", s.plan),
		page("POST /plan", "dispatch", s.makePlan),
		page("GET /plan/clear", "dispatch", instead("/plan")),
		page("POST /plan/clear", "dispatch", s.unplan),
		page("GET /findings", "view", s.findings),
		page("GET /findings/confirm", "view", instead("/findings")),
		page("POST /findings/confirm", "devices", s.confirm),
		page("GET /findings/life", "view", instead("/findings")),
		page("POST /findings/life", "devices", s.confirmLife),
	}
}

// instead is what a page that was posted to becomes when it is loaded anew.
func instead(of string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, of, http.StatusSeeOther) }
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
