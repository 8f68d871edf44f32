// Package web is the team's page and the agent's local API.
//
// It shows a device what it holds and how far that has got: saved on this
// phone, carried by a station, at the hub, archived there. It puts what other
// programs of the phone capture into the device, line by line. It keeps no
// truth of its own: everything comes from a [Device], which the root puts
// together, and everything is asked for again at each look.
//
// "Nothing lost" is a statement of the device's about its own chain, not a
// greeting. The page says it only when [Status.NothingLost] is true.
//
//   - [Device] is what this package needs, over the view types [Status],
//     [EntryRow], [PutRequest], [PutResult], [SyncResult].
//   - [Refusal] turns down a record or a request in words to act on.
//   - [Visits], [Drafts] and [Photos] are behind the form page, over [Start],
//     [Submission] and [Draft].
//   - [New] is the handler; [PutLines] the NDJSON loop that it shares with the
//     command line, [SplitAnswers] the other end of it.
package web

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
	"otor/internal/pack"
	"otor/internal/webui"
)

// Device is the program behind the page. It is safe for concurrent use.
type Device interface {
	Status(ctx context.Context) (Status, error)
	// Log lists entries, newest first.
	Log(ctx context.Context, q LogQuery) ([]EntryRow, error)
	// Begin gives one record its place behind those begun before. wait returns
	// when the record is durable; a record that was turned down gives a *Refusal,
	// any other error means that the store cannot be relied on.
	Begin(ctx context.Context, p PutRequest) (wait func() (PutResult, error))
	// Sync makes one contact with the hub now. What a person can mend (no
	// signal, not enrolled) is a *Refusal.
	Sync(ctx context.Context) (SyncResult, error)
	// Changes signals after anything visible changed, until the function is called.
	Changes() (<-chan struct{}, func())
}

// Refusal says code, what, which, do.
type Refusal = webui.Refusal

// Status is what the device knows about itself; its JSON is that of `agent status`.
type Status struct {
	Device      dot.Device   `json:"device"` // empty before enrolment
	Lanes       []LaneStatus `json:"lanes"`
	Waiting     uint64       `json:"waiting"` // entries that the hub did not confirm yet
	NothingLost bool         `json:"nothing_lost"`
	Photos      int          `json:"photos_waiting"` // photos and files that the hub does not have yet
	PhotoBytes  uint64       `json:"photo_bytes_waiting"`
	PhotosKept  PhotosKept   `json:"photos_kept"`
	Returned    uint64       `json:"returned"` // entries that the hub will not apply as they are
	Link        Link         `json:"link"`
	LastContact *time.Time   `json:"last_contact"` // nil: never
	DiskFree    uint64       `json:"disk_free"`    // bytes
	Findings    []Finding    `json:"findings"`
	Life        Life         `json:"life"` // the one that the folder lives now
	Check       Check        `json:"check"`
}

// PhotosKept is how much room photos and files take here, and how many are not here any
// more since they are in the hub's archive.
type PhotosKept struct {
	Here    int    `json:"here"`
	Bytes   uint64 `json:"bytes"`
	Removed int    `json:"removed"`
	// For is how long one stays at least, in seconds; 0: none is ever removed.
	For int64 `json:"for_s"`
}

// Check is how far the check of every entry has got, which each start of the
// program makes in the background. What waits for the hub was checked before.
type Check struct {
	Done     uint64 `json:"done"` // entries
	Total    uint64 `json:"total"`
	Complete bool   `json:"complete"`
}

// MarshalJSON writes empty lists as [] rather than null.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status
	p := plain(s)
	if p.Lanes == nil {
		p.Lanes = []LaneStatus{}
	}
	if p.Findings == nil {
		p.Findings = []Finding{}
	}
	return json.Marshal(p)
}

// LaneStatus is one chain's account: seqs up to which it was saved, received
// and archived, 0 for none, and the head after the last.
type LaneStatus struct {
	Incarnation dot.Incarnation `json:"incarnation"`
	Lane        dot.Lane        `json:"lane"`
	Last        dot.Seq         `json:"last"`
	Received    dot.Seq         `json:"received"`
	Archived    dot.Seq         `json:"archived"`
	Pruned      uint64          `json:"pruned,omitempty"` // entries removed here since they are archived
	Head        entry.Hash      `json:"head"`
}

// Pruned counts the entries that are no longer on the device since they are archived.
func (s Status) Pruned() (n uint64) {
	for _, l := range s.Lanes {
		n += l.Pruned
	}
	return n
}

// Life is the life that a device's folder lives now.
type Life struct {
	Incarnation dot.Incarnation `json:"incarnation"`
	Since       time.Time       `json:"since,omitzero"`
	Why         string          `json:"why,omitempty"` // in words
	// Rehomed counts entries that go on under other names, since the hub has
	// another history under those that they had.
	Rehomed uint64 `json:"rehomed"`
	// UplinkOnly: the hub takes the folder for a copy of one that is live. It may
	// send, and gets nothing until an operator confirms it.
	UplinkOnly bool `json:"uplink_only"`
}

// LinkState is what the link to the hub is doing.
type LinkState string

// The states of the link.
const (
	Online     LinkState = "online"
	Offline    LinkState = "offline"
	Connecting LinkState = "connecting"
	Unenrolled LinkState = "unenrolled"
	Refused    LinkState = "refused" // the hub does not accept this device
)

// Doing says in one word what a person is told of the link.
type Doing string

// What there is to tell.
const (
	NoSignal     Doing = "no_signal"
	HubAway      Doing = "hub_away" // there is a network, and the hub does not answer
	Connects     Doing = "connecting"
	Connected    Doing = "connected" // and nothing waits
	Sending      Doing = "sending"   // Done of Of
	DaySpent     Doing = "day_spent" // alerts still go, the rest tomorrow
	ContactSpent Doing = "contact_spent"
	HubRefuses   Doing = "refused"
)

// Link is the state of the link to the hub.
type Link struct {
	State LinkState `json:"state"`
	Doing Doing     `json:"doing,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Words string    `json:"words,omitempty"` // more about it, for people
	Code  string    `json:"code,omitempty"`  // of the hub's refusal
	Done  uint64    `json:"done,omitempty"`  // entries confirmed, while Sending
	Of    uint64    `json:"of,omitempty"`    // of so many that waited
	// ClockOff is by how many seconds this device's clock is ahead of the hub's,
	// from five minutes on; records are corrected by it.
	ClockOff int64  `json:"clock_off_s,omitempty"`
	Today    uint64 `json:"today"` // bytes that went over the link today, both ways
}

// Finding is something about the device that a person should know or do.
type Finding = Refusal

// LogQuery chooses entries of the log.
type LogQuery struct {
	After dot.Dot  // continue behind this one, towards older ones; zero: from the newest
	Lane  dot.Lane // 0: every lane
	Limit int      // at most this many, at least 1
	About []string // only entries about one of these entities; nil: all
	Only  Which    // "" every entry
}

// Which says how far the entries of a list have got.
type Which string

// The lists of entries.
const (
	OnlyWaiting  Which = "waiting"  // not confirmed by the hub
	OnlyReceived Which = "received" // at the hub
	OnlyReturned Which = "returned" // the hub will not apply them as they are
)

// State is how far an entry has got.
type State string

// The states of an entry, in order.
const (
	Saved    State = "saved"    // durable on this device
	Custody  State = "custody"  // a station or a courier holds it, the hub does not yet
	Received State = "received" // committed by the hub
	Archived State = "archived" // in a verified backup of the hub
)

// EntryRow is one entry of the log; its JSON is that of `agent log`.
type EntryRow struct {
	Dot         dot.Dot    `json:"dot"`
	Hash        entry.Hash `json:"hash"`
	Form        string     `json:"form"` // "" for entries of the mechanism itself
	FormVersion uint32     `json:"form_version"`
	Entity      string     `json:"entity"`
	User        string     `json:"user"`
	DeviceTime  time.Time  `json:"device_time"`
	State       State      `json:"state"`
	ReceivedAt  *time.Time `json:"received_at,omitempty"`
	Size        int        `json:"size"` // bytes
	// Verdict is what the hub made of it, with its reason; nil: it applied it, or
	// said nothing yet.
	Verdict *Verdict `json:"verdict,omitempty"`
}

// Verdict is the hub's word on an entry.
type Verdict struct {
	Name     string    `json:"name"` // such as quarantined, conflict, duplicate
	Code     string    `json:"code,omitempty"`
	Words    string    `json:"words,omitempty"`
	Returned bool      `json:"returned"` // it will not be applied as it is: the author must act
	At       time.Time `json:"at"`       // by the hub's clock
}

// PutRequest is one record to save.
type PutRequest struct {
	Form   string
	Entity string
	User   string
	At     time.Time       // when it happened; zero: now
	Fields json.RawMessage // a JSON object, the form's answers by name
	// Once names the record, in letters, digits and hyphens: one more of this name is
	// not saved, and gives the first one's result. Empty: each is saved.
	Once string
}

// PutResult says under which name a record is durable, and since when.
type PutResult struct {
	Dot      dot.Dot   `json:"dot"`
	SavedAt  time.Time `json:"saved_at"`
	Warnings []Finding `json:"warnings,omitempty"`
}

// SyncResult counts what one contact moved.
type SyncResult struct {
	Sent      uint64 `json:"sent"`      // entries
	Received  uint64 `json:"received"`  // of these, confirmed by the hub
	Pulled    uint64 `json:"pulled"`    // updates taken from the hub
	Remaining uint64 `json:"remaining"` // entries still waiting
	// Lost are entries that damage took here before the hub had them, and that it waits for.
	Lost uint64 `json:"lost,omitempty"`
}

// Config is what New needs.
type Config struct {
	Device Device
	Token  string   // for programs, see webui.Guard
	Secret string   // for the browser, see webui.Guard
	Hosts  []string // names besides loopback, see webui.Guard
	Log    *slog.Logger
	Clock  func() time.Time // in the zone in which times are shown; nil: time.Now
	// DefaultLang is "zh", "mn" or "en"; "" goes by what the browser asks for.
	DefaultLang string
	// Visits, Drafts and Photos serve the form page; without Visits there is none.
	Visits Visits
	Drafts Drafts
	Photos Photos
	// Entities serves what the device knows of long-lived things; nil: nothing.
	Entities Entities
	Agenda   Agenda // what is due, and was done; nil: not told
	// Books, with Pack, is what the team's pages tell of; nil: they are not offered.
	Books Books
	Pack  func() *pack.Pack // the one in force; nil, or giving nil: none
	// Counted is told that a number is known that a page did not wait for; nil: nobody is.
	Counted func()
	// Prefs are the settings, Alarms the call for help; nil: not offered.
	Prefs  Prefs
	Alarms Alarms
	// Metrics answers a monitoring system; nil: none is answered.
	Metrics http.Handler
	// FormTitle names a form in a language; nil or "" shows the form's id.
	FormTitle func(lang, form string) string
}

//go:embed *.html home.css sos.js text
var files embed.FS

var texts = sync.OnceValue(func() *webui.Catalogues { return webui.MustLoadCatalogues(files) })

// site is the handler's state.
type site struct {
	Config
	assets *webui.Assets
	stream *webui.Stream
	pages  *webui.Refuser

	syncing sync.Mutex // held during a contact that was asked for here

	mu   sync.Mutex
	last *attempt // guarded by mu: the latest contact asked for from the page

	tally tally
}

// New returns the page and the API behind the guard of package webui.
func New(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	s := &site{
		Config: cfg,
		assets: webui.NewAssets().Add("sos.js", webui.Part(files, "sos.js")),
		stream: &webui.Stream{Listen: cfg.Device.Changes, Log: cfg.Log},
		pages:  &webui.Refuser{Texts: texts(), DefaultLang: cfg.DefaultLang},
	}
	s.assets.Add("home.css", webui.Base(), webui.Part(files, "home.css"), s.assets.AddMongolian())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	s.teamRoutes(mux)
	mux.HandleFunc("POST /lang", webui.SwitchLang)
	mux.HandleFunc("POST /sync", s.syncFromPage)
	mux.Handle("GET /static/", s.assets)
	mux.HandleFunc("GET /api/v1/status", s.apiStatus)
	mux.HandleFunc("GET /api/v1/log", s.apiLog)
	if cfg.Entities != nil {
		mux.HandleFunc("GET /api/v1/show", s.apiShow)
		mux.HandleFunc("GET /api/v1/find", s.apiFind)
	}
	if s.Agenda != nil {
		mux.HandleFunc("GET /api/v1/due", s.apiDue)
		mux.HandleFunc("GET /api/v1/done", s.apiDone)
	}
	mux.HandleFunc("POST /api/v1/put", s.apiPut)
	mux.HandleFunc("POST /api/v1/sync", s.apiSync)
	mux.Handle("GET /api/v1/events", s.stream)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
	})
	if cfg.Visits != nil {
		s.visitRoutes(mux)
	}
	guard := &webui.Guard{Secret: cfg.Secret, Token: cfg.Token, Hosts: cfg.Hosts, Log: cfg.Log, Pages: s.pages}
	if cfg.Metrics == nil {
		return guard.Wrap(mux)
	}
	return s.withMetrics(guard.Wrap(mux))
}

// metricsPath is where a monitoring system scrapes.
const metricsPath = "/metrics"

// withMetrics tells them to programs on this machine, to no page of elsewhere, and to
// nobody else: they name no person, and say how many records a device has.
func (s *site) withMetrics(next http.Handler) http.Handler {
	guard := &webui.Guard{Behind: true, Hosts: s.Hosts, Log: s.Log, Pages: s.pages}
	local := guard.Wrap(s.Metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == metricsPath && r.Method == http.MethodGet && webui.FromHere(r) {
			local.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
