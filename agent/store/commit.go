package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/failpoint"
	"otor/internal/receipt"
)

// floor is the free space below which nothing new is taken: a full disk would
// kill the process in the middle of a write (Badger writes through a memory map).
const floor = 16 << 20

// request is one thing for the committer to do: one of draft, receipts, enter, contact,
// refill, findings, feed, blobs, act.
type request struct {
	act         func() error // runs on the committer, alone: it may commit several times
	draft       *Draft
	privateHash entry.Hash
	receipts    []receipt.Receipt
	answer      bool          // the receipts are a hello's answer
	enter       receipt.Epoch // chains that go by another one forget their receipts; zero: nothing to enter
	quarrels    []dot.Chain   // with enter: those of which the hub's receipts were refused
	contact     *Contact
	traffic     *Traffic
	prefs       *Preferences
	refill      *refill
	formDraft   *FormDraft // to keep; without content: to drop
	findings    *findingsRow
	feed        *feedAct
	blobs       *blobsAt
	named       []BlobRef // whose rows were lost

	// Answers, valid once done is closed.
	saved   Saved
	settled []Settlement
	err     error
	done    chan struct{}
}

// weight is about what the request adds to a transaction, in bytes.
func (r *request) weight() int {
	switch {
	case r.draft != nil:
		return len(r.draft.Private) + 2<<10
	case r.formDraft != nil:
		return len(r.formDraft.Content) + 1<<10
	case r.refill != nil:
		return r.refill.weight()
	case r.findings != nil:
		return maxFindingsRow
	case r.feed != nil:
		return r.feed.weight()
	}
	return 1 << 10 * (1 + len(r.receipts))
}

// Append gives the draft its place in its lane's chain of the current
// incarnation and returns once entry and tail are on the disk. A Wall of 0 is
// set to now. Errors: [ErrTooLarge], [ErrFull], [ErrReadOnly], [ErrDamaged],
// [ErrClosed], or what keeps the store from persisting; the draft is then not
// saved. ctx is looked at until the draft is handed over.
func (s *Store) Append(ctx context.Context, d Draft) (Saved, error) {
	return s.Submit(ctx, d)()
}

// Submit hands a draft over and returns at once; wait gives what [Store.Append]
// does. Drafts of one lane that are submitted one after the other get their
// places in that order.
func (s *Store) Submit(ctx context.Context, d Draft) (wait func() (Saved, error)) {
	failed := func(err error) func() (Saved, error) {
		return func() (Saved, error) { return Saved{}, err }
	}
	if !d.Lane.Valid() {
		return failed(fmt.Errorf("append entry: unknown %s", d.Lane))
	}
	if d.FormDraft != "" {
		if err := checkFormDraftID(d.FormDraft); err != nil {
			return failed(err)
		}
	}
	if limit := entry.MaxFor(d.Lane); len(d.Private) > limit {
		return failed(tooLarge(d.Lane, len(d.Private)))
	}
	r := &request{draft: &d, privateHash: sha256.Sum256(d.Private)}
	if err := s.post(ctx, r); err != nil {
		return failed(err)
	}
	return func() (Saved, error) {
		err := s.outcome(r)
		return r.saved, err
	}
}

func tooLarge(l dot.Lane, size int) error {
	return fmt.Errorf("%w: it takes %d bytes and an entry of the %s lane may have %d: shorten its texts, or split it",
		ErrTooLarge, size, l, entry.MaxFor(l))
}

// commitLoop is the committer: the only writer of the database after Open.
func (s *Store) commitLoop() {
	var carry *request
	for {
		first := carry
		carry = nil
		if first == nil {
			r, ok := <-s.queue
			if !ok {
				return
			}
			first = r
		}
		var batch []*request
		batch, carry = s.gather(first)
		start := time.Now()
		s.commit(batch)
		s.lastTook, s.crowd = time.Since(start), max(len(batch), s.crowd-s.crowd/8-1)
	}
}

// gather takes what is waiting, up to the bounds of one commit; what did not
// fit is carried. After a large commit its writers come back at about the same
// time: it is worth half a commit to wait for as many as came lately.
func (s *Store) gather(first *request) (batch []*request, carry *request) {
	batch = append(make([]*request, 0, maxBatch), first)
	if first.act != nil {
		return batch, nil
	}
	bytes := first.weight()
	var patience <-chan time.Time
	if s.crowd > 1 {
		t := time.NewTimer(min(s.lastTook/2, time.Millisecond))
		defer t.Stop()
		patience = t.C
	}
	for len(batch) < maxBatch {
		var r *request
		var ok bool
		select {
		case r, ok = <-s.queue:
		default:
			if patience == nil || len(batch) >= s.crowd {
				return batch, nil
			}
			select {
			case r, ok = <-s.queue:
			case <-patience:
				return batch, nil
			}
		}
		if !ok {
			return batch, nil // closing: the loop sees it next
		}
		if bytes += r.weight(); bytes > s.o.batchBytes() || r.act != nil {
			return batch, r
		}
		batch = append(batch, r)
	}
	return batch, nil
}

// commit does the requests in one synced transaction and answers them.
func (s *Store) commit(batch []*request) {
	err := s.Err()
	switch {
	case err != nil:
	case batch[0].act != nil:
		err = batch[0].act()
	default:
		err = s.commitOrSplit(batch)
	}
	for _, r := range batch {
		if err != nil {
			r.err = err
		}
		close(r.done)
	}
	if err == nil {
		s.signal()
	}
}

// commitOrSplit returns an error only when the store can no longer persist;
// what is wrong with one request stands in that request.
func (s *Store) commitOrSplit(batch []*request) error {
	p := s.plan(batch)
	if len(p.rows) == 0 {
		return nil
	}
	failpoint.At(failpoint.Planned)
	err := s.write(p.rows)
	if errors.Is(err, badger.ErrTxnTooBig) && len(batch) > 1 {
		half := len(batch) / 2
		if err := s.commitOrSplit(batch[:half]); err != nil {
			return err
		}
		return s.commitOrSplit(batch[half:])
	}
	if err != nil {
		return s.fail(err)
	}
	failpoint.At(failpoint.Committed)
	// Durable from here on: first the tails outside, then what readers see.
	for c := range p.appended {
		st := p.chains[c]
		if err := s.tails.write(c, tail{st.Last, st.Head, st.LastHLC}); err != nil {
			s.log.Warn("the tail beside the database is behind", "chain", c, "err", err)
		}
	}
	failpoint.At(failpoint.Noted)
	s.mu.Lock()
	for c, st := range p.chains {
		st.Lost = s.chains[c].Lost // readers may have noticed more meanwhile
		st.End = s.chains[c].End
		s.chains[c] = st
	}
	if p.contact != nil {
		s.contact = *p.contact
	}
	if p.traffic != nil {
		s.traffic = *p.traffic
	}
	if p.prefs != nil {
		s.prefs = *p.prefs
	}
	s.takeFeeds(p)
	p.settleDrafts()
	maps.Copy(s.blobs, p.blobs)
	s.mu.Unlock()
	return nil
}

// row is a key and its value; nil: the key goes.
type row struct{ key, value []byte }

func (s *Store) write(rows []row) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for _, r := range rows {
		var err error
		if r.value == nil {
			err = txn.Delete(r.key)
		} else {
			err = txn.Set(r.key, r.value)
		}
		if err != nil {
			return err
		}
	}
	return txn.Commit()
}

// fail makes the store refuse everything from now on: after a commit that
// failed half way, what is on the disk is known only by opening it again.
func (s *Store) fail(err error) error {
	switch {
	case durable.Full(err):
		err = fmt.Errorf("%w: %w", errFull(s.dir, 0), err)
	case isReadOnly(err):
		err = fmt.Errorf("%w: %s: %w", ErrReadOnly, s.dir, err)
	case errors.Is(err, syscall.EIO):
		err = errFails(s.dir, err)
	default:
		err = fmt.Errorf("commit to store %s: %w: restart the program", s.dir, err)
	}
	s.mu.Lock()
	s.fatal = err
	s.mu.Unlock()
	s.log.Error("the store can no longer save", "err", err)
	return err
}

func errFull(dir string, free uint64) error {
	return fmt.Errorf("%w: %s has %d MB free and %d MB are needed: delete photos or files; nothing that was saved is lost",
		ErrFull, dir, free>>20, floor>>20)
}

// signal tells the watchers; one that has not yet looked is not told twice.
func (s *Store) signal() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for ch := range s.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
