package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"otor/agent/capture"
	"otor/agent/store"
	"otor/internal/corpus"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
)

// The records are of a fixed day, so that the same seed gives the same ones.
var (
	zone  = time.FixedZone("UTC+8", 8*3600)
	start = time.Date(2025, 9, 18, 6, 0, 0, 0, zone)
)

// households is how many the records are about: writers that are many are not all at
// the same few doors.
const households = 10_000

// fill makes n filled forms.
func (b *bench) fill(seed uint64, n int) []capture.Request {
	source := corpus.New(seed, b.forms, 0, start).Among(households)
	out := make([]capture.Request, n)
	for i := range out {
		r := source.Next()
		out[i] = capture.Request{
			Form: r.Form.ID, Version: r.Form.Version, EntityType: r.Form.Entity, Actor: r.Actor, At: &r.Wall,
			Fields: r.Fields, Position: r.Position,
		}
		if refs := r.Refs(); len(refs) > 0 {
			out[i].Entity = refs[0].ID
		}
	}
	return out
}

// room is a store and the way into it, in a folder of its own.
type room struct {
	dir     string
	store   *store.Store
	capture *capture.Capture
}

func (b *bench) openRoom() (*room, error) {
	dir, err := os.MkdirTemp(b.Dir, "store-")
	if err != nil {
		return nil, err
	}
	o := store.Options{Device: "D-101", Incarnation: 1, Origin: entry.Origin{Reason: entry.Installed}}
	rand.Read(o.Key[:]) // never fails: the runtime stops the process first
	s, err := store.Open(dir, o)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b.roomOf(dir, s), nil
}

// roomOf is the way into a store as a device has it: what a record changes is told
// from what the device shows.
func (b *bench) roomOf(dir string, s *store.Store) *room {
	offset := entry.Offset{Millis: -3, Age: 600}
	return &room{dir, s, capture.New(capture.Config{
		Store: s, Forms: b.forms, Zone: zone, Random: rand.Reader, Demo: true, Offset: func() *entry.Offset { return &offset },
		Types: b.types,
		Displayed: func(ref entry.Ref) (*merge.State, error) {
			shown, err := s.Shown(ref)
			return shown.State, err
		},
	})}
}

func (r *room) close() error { return errors.Join(r.store.Close(), os.RemoveAll(r.dir)) }

// save captures all with so many writers and returns what it took from the
// first capture to the last.
func (r *room) save(ctx context.Context, writers int, all []capture.Request) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var saving sync.WaitGroup
	began := time.Now()
	for range writers {
		saving.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(all)) {
					return
				}
				if _, err := r.capture.Capture(ctx, all[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	saving.Wait()
	return time.Since(began), context.Cause(ctx)
}

// bytesOf gives the bytes of what the store holds, an element an entry: what
// the references write.
func (r *room) bytesOf() ([][]byte, error) {
	var out [][]byte
	for _, c := range r.store.Chains() {
		for from := dot.Seq(1); from <= c.Last; {
			run, err := r.store.Read(c.Chain, from, 1000, 4<<20)
			if err != nil {
				return nil, err
			}
			if len(run.Entries) == 0 {
				break
			}
			for _, e := range run.Entries {
				out = append(out, e.Encode())
			}
			from = run.Last() + 1
		}
	}
	return out, nil
}
