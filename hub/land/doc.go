// Package land works out what the hub's entities amount to, for its pages: how many
// checks are due and how many are not, which households have more animals than is
// allowed, and what lies along the route.
//
// What takes a look at every household is worked out in the background, when somebody
// asks and something has changed, and says from when it is; what people ride by, such as a
// hazard, is read anew each time. Both tell apart in which scopes a thing is, so that
// nobody is told a number that holds what they must not see.
//
//   - [Room] reads from [Entities] by a pack.
//   - [Survey] is what was worked out about everything; [Survey.Of] is a reader's part.
//   - [Route] is the line of [Stop]s with what is there.
package land

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"otor/hub/store"
	"otor/internal/pack"
)

// Entities is the hub's database as this room reads it.
type Entities interface {
	EntitiesOf(ctx context.Context, kind string) iter.Seq2[store.Entity, error]
}

// Config is what a [Room] is made of. All of it is needed.
type Config struct {
	Entities Entities
	// Pack is the one in force; nil: nothing is known of what entities mean.
	Pack func() *pack.Pack
	// Fields are an entity's fields as people see it; nil: it was deleted.
	Fields func(store.Entity) (map[string]any, error)
	Now    func() time.Time // in the zone in which days are reckoned
	Log    *slog.Logger
	// Done is called when a survey is there that somebody asked for.
	Done func()
}

// Room works for many at a time. It is safe for concurrent use.
type Room struct {
	cfg     Config
	changed atomic.Uint64 // counts changes of entities

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	last    *Survey
	made    string // the day and the pack of last
	seen    uint64 // changes that are in last
	ended   time.Time
	took    time.Duration
	running bool
	trouble error // why the last attempt came to nothing
}

// Bounds of surveys: how many entities one may hold in memory at a time, and how long
// after one the next is begun, at least and as a multiple of what it took.
const (
	mostEntities = 600_000
	restAtLeast  = 30 * time.Second
	restTimes    = 20
)

// ErrTooMany says that there are more entities than a survey holds.
var ErrTooMany = errors.New("there are too many entities to be looked at at once")

// New returns a room.
func New(cfg Config) *Room {
	r := &Room{cfg: cfg}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Changed says that entities changed.
func (r *Room) Changed() { r.changed.Add(1) }

// Close ends what runs.
func (r *Room) Close() error {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.wg.Wait()
	return nil
}

// Survey gives the last survey, nil when there is none yet, and begins another one in the
// background when that one is out of date. err says why the last attempt came to nothing.
func (r *Room) Survey() (*Survey, error) {
	p := r.cfg.Pack()
	if p == nil {
		return nil, nil
	}
	day := r.cfg.Now().Format(time.DateOnly)
	made, seen := fmt.Sprintf("%s %s %d", day, p.ID, p.Version), r.changed.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	stale := r.last == nil || r.made != made || r.seen != seen && time.Since(r.ended) >= max(restAtLeast, restTimes*r.took)
	if r.trouble != nil {
		stale = time.Since(r.ended) >= max(restAtLeast, restTimes*r.took)
	}
	if stale && !r.running && r.ctx.Err() == nil {
		r.running = true
		r.wg.Go(func() { r.work(p, day, made, seen) })
	}
	return r.last, r.trouble
}

func (r *Room) work(p *pack.Pack, day, made string, seen uint64) {
	began := time.Now()
	s, err := survey(r.ctx, r.cfg, p, day)
	r.mu.Lock()
	r.running, r.ended, r.took, r.trouble = false, time.Now(), time.Since(began), err
	if err == nil {
		r.last, r.made, r.seen = s, made, seen
	}
	r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	if err != nil {
		r.cfg.Log.Warn("what the hub's entities amount to was not worked out", "err", err)
	}
	r.cfg.Done()
}
