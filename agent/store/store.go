package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/gofrs/flock"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// What [Store.Append] takes and gives.
type (
	// Draft is an entry before it has a place.
	Draft = entry.Draft
	// Saved says where it was saved.
	Saved = entry.Saved
)

// Store holds a device's entries. It is safe for concurrent use.
type Store struct {
	dir     string
	o       Options
	log     *slog.Logger
	box     box
	db      *badger.DB
	readers readers
	lock    *flock.Flock

	fresh bool      // there was no database before this Open
	kept  []Finding // what earlier openings found; used by Open alone

	queue     chan *request // to the committer; bounded
	jammed    chan struct{} // closed by jam
	committed sync.WaitGroup

	sweeping sync.Mutex // held by Sweep: one at a time

	// Owned by the committer, after Open.
	tails     *tailsFile
	clock     *hlc.Clock
	pruneFrom map[dot.Chain]dot.Seq // where Prune goes on; a chain that is looked through has none
	current   dot.Incarnation       // the life that new entries belong to; readers take the one in mu
	origin    entry.Origin          // of that life
	crowd     int                   // how many requests came together lately, falling slowly
	lastTook  time.Duration         // of the last commit

	door   sync.RWMutex // held for reading while sending to queue
	closed bool         // owner: door

	mu         sync.RWMutex          // guards what follows
	formDrafts map[string]draftState // by id
	chains     map[dot.Chain]*ChainState
	contact    Contact
	traffic    Traffic
	blobs      map[entry.Hash]BlobRef // named by entries
	feeds      map[string]*feedState  // by scope
	prefs      Preferences
	findings   []Finding
	unkept     bool // findings changed since they were kept
	fatal      error
	watchers   map[chan struct{}]struct{}
	returned   *uint64 // see Returned; nil: not counted since verdicts came
	verdicts   uint64  // counts the commits that brought some
	changes    changeLog
}

// ChainState is what the store knows of one chain, without reading it.
type ChainState struct {
	Chain   dot.Chain
	Last    dot.Seq    // 0: no entries yet
	Head    entry.Hash // after Last
	LastHLC hlc.Time

	Received     lane.Set   // what the hub's receipts cover
	Sealed       lane.Set   // what the hub lacks and waits for no more
	ReceivedHead entry.Hash // the head at Received.Through()
	Archived     dot.Seq
	Epoch        receipt.Epoch // the hub database that wrote those receipts
	Signed       []byte        // the receipt with the highest watermark among them, as the hub signed it

	// End is set once the chain goes on in another life: what lies above its seq
	// has other names now, or is about to get them.
	End *End

	// Pruned are entries of 1..Last that were removed since they are archived.
	Pruned  lane.Set
	pruning pruning

	// Lost are entries of 1..Last that damage took and that were noticed so far.
	Lost lane.Set
	// endUnknown: after damage nothing proves that Last was the last one.
	endUnknown bool
}

// Stays is the last seq that the chain keeps under its own name.
func (c ChainState) Stays() dot.Seq {
	if c.End != nil {
		return c.End.Seq
	}
	return c.Last
}

// Tip is the head at [ChainState.Stays].
func (c ChainState) Tip() entry.Hash {
	if c.End != nil {
		return c.End.Head
	}
	return c.Head
}

// Waiting lists the entries that the hub has not received: the outbox, and what
// is about to get another name; not what is gone on both sides for good.
func (c ChainState) Waiting() []lane.Range {
	out := join(join(c.Received, c.Pruned), c.givenUp()).Missing(c.Stays())
	if c.End != nil {
		out = append(out, c.End.Pending(c.Last)...)
	}
	return out
}

// givenUp is what damage took here and the hub waits for no more: nobody can send it.
func (c ChainState) givenUp() (out lane.Set) {
	for _, lost := range c.Lost {
		for _, s := range c.Sealed {
			out = out.Add(lane.Run(max(lost.First, s.First), min(lost.Last, s.Last)))
		}
	}
	return out
}

// Missed lists what damage took before the hub had it, as far as the hub still waits
// for it: it must be captured again, or given up.
func (c ChainState) Missed() lane.Set {
	out := lane.NewSet(c.Lost...)
	for _, r := range join(join(c.Received, c.Pruned), c.Sealed) {
		out = out.Without(r)
	}
	if c.End != nil { // what went on under another name is judged by that
		for _, m := range c.End.Runs {
			out = out.Without(m.Run)
		}
	}
	return out
}

// Sendable lists what is waiting and here.
func (c ChainState) Sendable() []lane.Range {
	return join(c.Received, c.Absent()).Missing(c.Stays())
}

// Chains returns the state of every chain that the store holds, and of the
// current incarnation's lanes even when they are empty, in order.
func (s *Store) Chains() []ChainState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]ChainState, 0, len(s.chains))
	for _, c := range s.chains {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b ChainState) int { return a.Chain.Compare(b.Chain) })
	return out
}

// Chain returns the state of one chain; ok is false for one that is not here.
func (s *Store) Chain(c dot.Chain) (state ChainState, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st, ok := s.chains[c]
	if !ok {
		return ChainState{}, false
	}
	return *st, true
}

// Err returns why the store can no longer persist, nil while it can. Nothing
// but reopening helps.
func (s *Store) Err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.fatal
}

// Watch returns a channel that gets a value after each commit that changed the
// entries or receipts, coalesced, until stop is called.
func (s *Store) Watch() (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	s.watchers[ch] = struct{}{}
	s.mu.Unlock()
	return ch, func() {
		s.mu.Lock()
		delete(s.watchers, ch)
		s.mu.Unlock()
	}
}

// DiskFree is the number of bytes left on the store's disk for this program.
func (s *Store) DiskFree() (uint64, error) { return durable.Free(s.dir) }

// DiskFree is the number of bytes left for this program on the disk of a
// folder, whether or not a store is there.
func DiskFree(dir string) (uint64, error) { return durable.Free(dir) }

// Sizes are the bytes that the store takes on the disk.
type Sizes struct {
	Tables int64 `json:"tables"` // sorted tables
	Logs   int64 `json:"logs"`   // write-ahead logs, with the room that they were given
}

// Sizes measures the database's files.
func (s *Store) Sizes() (Sizes, error) {
	var z Sizes
	list, err := os.ReadDir(s.dbDir())
	if err != nil {
		return z, fmt.Errorf("measure store %s: %w", s.dir, err)
	}
	for _, e := range list {
		// A file that was just compacted away counts nothing.
		switch size := fileSize(filepath.Join(s.dbDir(), e.Name())); filepath.Ext(e.Name()) {
		case ".sst":
			z.Tables += size
		case ".mem":
			z.Logs += size
		}
	}
	return z, nil
}

func (s *Store) dbDir() string { return filepath.Join(s.dir, "db") }

// Close finishes what is queued, and releases the folder. Later calls return [ErrClosed].
func (s *Store) Close() error {
	if err := s.keepFindings(context.Background()); err != nil && !errors.Is(err, ErrClosed) {
		s.log.Warn("the findings are known to this run alone", "err", err)
	}
	s.door.Lock()
	if s.closed {
		s.door.Unlock()
		return nil
	}
	s.closed = true
	s.door.Unlock()
	close(s.queue)
	s.unlessJammed(s.committed.Wait)
	// Badger writes its log into a table now, through a memory map: on a full
	// disk that would kill the process.
	err := errors.Join(s.makeRoom(openFloor), s.release())
	if err != nil {
		return fmt.Errorf("close store %s: %w", s.dir, err)
	}
	return nil
}

// release gives up what Open acquired, in reverse.
func (s *Store) release() error {
	var errs []error
	if s.tails != nil {
		errs = append(errs, s.tails.close())
	}
	if s.db != nil {
		errs = append(errs, s.closeBadger())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// send hands a request to the committer and waits for its answer.
func (s *Store) send(ctx context.Context, r *request) error {
	if err := s.post(ctx, r); err != nil {
		return err
	}
	return s.outcome(r)
}

// post hands a request to the committer. A request that was handed over is
// always answered, so its outcome is never unknown.
func (s *Store) post(ctx context.Context, r *request) error {
	if s.o.ReadOnly {
		return fmt.Errorf("%w: %s was opened for looking only", ErrReadOnly, s.dir)
	}
	r.done = make(chan struct{})
	s.door.RLock()
	defer s.door.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
