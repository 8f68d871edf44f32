// Package watch is for whoever looks after a hub: how it stands now, in numbers that a
// monitoring system collects, and how it stood before, for the charts of the console.
//
// Both count, and neither names anybody: no device, no operator, no household.
//
//   - [Room] counts what passes by, and reads the rest from a [Ledger] and from what
//     [Config] lends it. [Room.Handler] is what a monitoring system scrapes.
//   - [Room.Run] keeps samples of how the hub stands: one for each five minutes of two
//     days and one for each hour of ninety. [Steps] are these.
//   - [Metrics] is the table of all that is told; docs/operations.md explains it.
package watch

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/telemetry"
)

// Ledger is the hub's database as this room reads it.
type Ledger interface {
	store.Watch
	Totals(ctx context.Context) (store.Totals, error)
	Lanes(ctx context.Context) ([]store.Lane, error)
	Devices(ctx context.Context) ([]store.Device, error)
	Doubts(ctx context.Context, only dot.Device) ([]store.Doubt, error)
	Gaps(ctx context.Context, closed bool) ([]store.Gap, error)
	Findings(ctx context.Context, closed bool) ([]store.Finding, error)
	CountBlobs(ctx context.Context) (store.BlobCounts, error)
}

// Stream is how full a stream of the broker is.
type Stream struct {
	Name                      string
	Messages, Bytes, MaxBytes uint64
}

// Config is what a [Room] is made of. Ledger, Now and Log are needed; what is nil is not told.
type Config struct {
	Ledger  Ledger
	Now     func() time.Time
	Log     *slog.Logger
	Version string
	// Streams gives the broker's, Connections how many devices are connected.
	Streams     func(ctx context.Context) ([]Stream, error)
	Connections func() int
	// Backup is when the last verified backup was made, Unix milliseconds, 0 for never,
	// and its folder.
	Backup func(ctx context.Context) (at int64, dir string, err error)
	// Certificates are the ends of the hub's certificates by what they are.
	Certificates func() map[string]time.Time
	// Disks are folders whose disks matter, by what they hold.
	Disks func() map[string]string
	// Troubled says that what arrives cannot be taken in.
	Troubled func() bool
}

// Room watches one hub. It is safe for concurrent use.
type Room struct {
	cfg   Config
	meter *telemetry.Meter

	contacts, entries atomic.Int64 // since the last sample

	contactDone, ingestDone, pullDone func(time.Duration)
	newEntries, frames, unanswered    func(float64)

	mu      sync.Mutex // held while a sample is taken; guards what follows
	last    time.Time  // when the last one was
	pending [len(Steps)]count
}

// Bounds of the buckets, in seconds: what SQLite does in memory, on a disk, and what
// somebody should look at.
var bounds = []float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10}

// New returns a room.
func New(cfg Config) *Room {
	m := telemetry.New("otor_hub", cfg.Version, cfg.Log)
	r := &Room{
		cfg: cfg, meter: m,
		contactDone: m.Seconds("otor_hub_contact_seconds", "How long hellos took to be answered.", bounds...),
		ingestDone:  m.Seconds("otor_hub_ingest_seconds", "How long transactions took that received entries.", bounds...),
		pullDone:    m.Seconds("otor_hub_pull_seconds", "How long pages of what is new took to be made.", bounds...),
		newEntries:  m.Counter("otor_hub_ingest_entries_total", "Entries received since the start, without copies."),
		frames:      m.Counter("otor_hub_ingest_frames_total", "Frames taken in since the start."),
		unanswered:  m.Counter("otor_hub_unanswered_total", "Requests of devices that could not be answered."),
	}
	m.Table(Metrics, r.read)
	return r
}

// Handler answers a monitoring system.
func (r *Room) Handler() http.Handler { return r.meter.Handler() }

// Contact notes a hello and how long its answer took.
func (r *Room) Contact(took time.Duration) {
	r.contacts.Add(1)
	r.contactDone(took)
}

// Pull notes how long a page took.
func (r *Room) Pull(took time.Duration) { r.pullDone(took) }

// Unanswered notes that a device got no answer.
func (r *Room) Unanswered() { r.unanswered(1) }

// Ingest notes a transaction: its frames, and the entries that were new.
func (r *Room) Ingest(took time.Duration, frames, entries int) {
	r.ingestDone(took)
	r.frames(float64(frames))
	r.newEntries(float64(entries))
	r.entries.Add(int64(entries))
}
