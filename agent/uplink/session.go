package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// ErrRefused marks a hello that the hub answered with a refusal; it wraps a [*wire.Refusal].
var ErrRefused = errors.New("the hub refuses this device")

// ErrBehind marks a hub that answers from an older copy of its database than
// one that the device has seen, and goes on so when it is shown that.
var ErrBehind = errors.New("the hub answers from an older copy of its database than this device has seen, and does not take notice of that; " +
	"nothing was settled and nothing is lost: tell the hub's operator")

// ErrSpent marks a contact that ended with records waiting, for want of budget.
var ErrSpent = errors.New("the budget of bytes is used up; the records that wait stay safe here, and alerts still go")

// frame is one frame that is on its way or in custody.
type frame struct {
	name  uint64
	chain dot.Chain
	run   lane.Range
	size  int
	// Times of this process, for waiting only.
	since time.Time // it was posted
	taken time.Time // into custody; zero: not yet
}

// outcome is what a publish reports.
type outcome struct {
	name uint64
	err  error
}

// session is one connection's life. Its goroutine owns every field.
type session struct {
	*Uplink
	windows  map[dot.Lane]*lane.Window // one each: records that nobody settles hold no alert back
	frames   map[uint64]*frame
	nextName uint64
	outcomes chan outcome
	// notBefore holds sending back: after an error, and to keep to the rate.
	notBefore time.Time
	epoch     receipt.Epoch          // of the last welcome
	asked     map[receipt.Epoch]bool // other epochs, of which receipts came: a hello asked about each once
	lastNews  time.Time              // the hub said what it has
	calledFor time.Time              // when to answer a call with a hello; zero: none is open
	mended    map[dot.Chain]int      // how often a disputed chain was looked at
	told      map[dot.Chain]lane.Set // sent of disputed chains: no receipt will come
	patience  time.Duration          // with a hub that says nothing about what it has in custody
	result    Result
}

// Session runs while ctx lasts: hello, drain, and whatever is captured
// meanwhile. With once it returns as soon as nothing more can be sent and
// everything sent is settled. Its error says why the contact ended early.
func (u *Uplink) Session(ctx context.Context, once bool) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{
		Uplink: u, told: make(map[dot.Chain]lane.Set), mended: make(map[dot.Chain]int), windows: make(map[dot.Lane]*lane.Window), patience: quietLimit,
		frames: make(map[uint64]*frame), outcomes: make(chan outcome, u.cfg.MaxInFlight), asked: make(map[receipt.Epoch]bool),
	}
	u.dropReceipts()
	for _, l := range dot.Lanes() {
		s.windows[l] = lane.NewWindow(u.cfg.MaxInFlight, inFlightBytes)
	}
	err := s.run(ctx, once)
	s.result.Remaining = Remaining(u.cfg.Outbox.Chains())
	return s.result, err
}

func (s *session) run(ctx context.Context, once bool) error {
	if err := s.hello(ctx); err != nil {
		return err
	}
	for {
		if s.again.Swap(false) || s.called() {
			if err := s.hello(ctx); err != nil {
				return err
			}
		}
		if err := s.quiet(ctx); err != nil {
			return err
		}
		if changed, err := s.mend(ctx); err != nil || changed {
			if err != nil {
				return err
			}
			continue // the hub hears of the new life before anything of it is sent
		}
		s.heed()
		more, err := s.fill(ctx)
		if err != nil {
			return err
		}
		if once && !more && len(s.frames) == 0 {
			if _, _, due := s.next(); due {
				return ErrSpent
			}
			return s.disputes()
		}
		if err := s.wait(ctx, more); err != nil {
			return err
		}
	}
}

// hello opens the contact, or asks again for receipts that got lost.
func (s *session) hello(ctx context.Context) error {
	known, signed := s.known()
	shown, proofs := false, [][]byte(nil)
	for {
		h := s.greeting(known)
		if shown {
			h.Shown = signed
		}
		h.Proofs = proofs
		sent := s.cfg.Now()
		h.Clock = sent.UnixMilli()
		hctx, cancel := context.WithTimeout(ctx, helloTimeout)
		w, err := s.cfg.Port.Hello(hctx, h)
		cancel()
		if err != nil {
			return fmt.Errorf("say hello to the hub: %w", err)
		}
		if w.Refused != nil {
			return fmt.Errorf("%w: %w", ErrRefused, w.Refused)
		}
		offered, err := receipt.OpenEpoch(w.Epoch, s.cfg.Hub)
		if err != nil {
			return fmt.Errorf("the hub's welcome: %w", err)
		}
		switch known.Meets(offered) {
		case receipt.Behind:
			if shown {
				return ErrBehind
			}
			s.cfg.Log.Warn("the hub was put back to an older copy of its database: it is shown the newer epoch", "epoch", known.Epoch.String())
			shown = true
			continue
		case receipt.Newer:
			s.cfg.Log.Info("the hub speaks from a new epoch", "epoch", offered.Epoch.String(), "before", known.Epoch.String())
		case receipt.Same:
		}
		// The hub may not know yet that it was put back, or have nothing but words for it. Once
		// a new epoch is entered the proof is gone.
		if proofs == nil {
			if proofs = s.proofs(known, w, offered.Epoch); proofs != nil {
				continue
			}
		}
		return s.welcomed(ctx, w, offered.Epoch, sent)
	}
}

// proofs are receipts for what the hub had received and, as its welcome says, lacks. nil: there are none.
func (s *session) proofs(known receipt.EpochCertificate, w wire.Welcome, e receipt.Epoch) (out [][]byte) {
	through := make(map[dot.Chain]dot.Seq)
	for _, r := range s.open(w.Receipts) {
		if r.Epoch == e {
			through[r.Chain] = r.Through
		}
	}
	for _, c := range s.cfg.Outbox.Chains() {
		if len(out) < wire.MaxProofs && c.Signed != nil && c.Epoch == known.Epoch && c.Received.Through() > through[c.Chain] {
			out = append(out, c.Signed)
		}
	}
	return out
}

// known is the epoch that the device goes by; zero: it never heard of one.
func (s *session) known() (c receipt.EpochCertificate, signed []byte) {
	if signed = s.cfg.Epoch(); signed == nil {
		return c, nil
	}
	c, err := receipt.OpenEpoch(signed, s.cfg.Hub)
	if err != nil {
		s.cfg.Log.Warn("the epoch that this device went by is not valid any more", "err", err)
		return receipt.EpochCertificate{}, nil
	}
	return c, signed
}

// greeting says how far the device's chains go, and what of them receipts of
// that epoch cover; receipts of another say nothing to this hub.
func (s *session) greeting(known receipt.EpochCertificate) wire.Hello {
	h := s.cfg.Greet()
	h.Lanes = h.Lanes[:0]
	for _, c := range s.cfg.Outbox.Chains() {
		l := wire.LaneHead{Incarnation: c.Chain.Incarnation, Lane: c.Chain.Lane, Last: c.Last, Head: c.Head}
		if c.Epoch == known.Epoch {
			l.Received, l.Archived = c.Received.Through(), c.Archived
		}
		h.Lanes = append(h.Lanes, l)
	}
	h.Epoch = nil
	if !known.Epoch.IsZero() {
		h.Epoch = known.Epoch[:]
	}
	return h
}

// called reports whether it is time to answer a call. What has come in is taken
// up first: the hello then says so.
func (s *session) called() bool {
	if len(s.outcomes)+len(s.receipts) > 0 || s.calledFor.IsZero() || time.Now().Before(s.calledFor) {
		return false
	}
	s.calledFor = time.Time{}
	return true
}

// welcomed takes a welcome from epoch e.
func (s *session) welcomed(ctx context.Context, w wire.Welcome, e receipt.Epoch, sent time.Time) error {
	if err := s.cfg.Welcomed(w, sent, s.cfg.Now()); err != nil {
		return err
	}
	s.epoch, s.lastNews = e, time.Now()
	own := slices.DeleteFunc(s.open(w.Receipts), func(r receipt.Receipt) bool { return r.Epoch != e })
	n, err := s.cfg.Outbox.Answer(ctx, e, own)
	return s.settled(n, err)
}

// fill sends until the window is full or nothing is due. more reports whether
// something is still due.
func (s *session) fill(ctx context.Context) (more bool, err error) {
	for {
		if time.Now().Before(s.notBefore) {
			return true, nil
		}
		c, due, ok := s.next()
		if !ok {
			s.hold(false)
			return false, nil
		}
		if c.Chain.Lane != dot.Alert && s.affordable() < leastSpend {
			s.hold(true)
			return false, nil // until the budget is another, or there is an alert
		}
		if !s.windows[c.Chain.Lane].Open(firstFrame) || c.Chain.Lane != dot.Alert && s.onTheWay() > s.pace.depth() {
			return true, nil
		}
		held, err := s.send(ctx, c, due)
		if c.Chain.Lane != dot.Alert {
			s.hold(held)
		}
		if held || err != nil {
			return !held, err
		}
	}
}

// next picks the chain and the run that is due: alert lanes first, older
// incarnations before newer ones, lower seqs before higher ones.
func (s *session) next() (Chain, lane.Range, bool) {
	chains := s.cfg.Outbox.Chains()
	slices.SortFunc(chains, func(a, b Chain) int {
		return cmp.Or(cmp.Compare(a.Chain.Lane, b.Chain.Lane), a.Chain.Compare(b.Chain))
	})
	for _, c := range chains {
		taken := c.Received
		for _, r := range slices.Concat(c.Lost, s.told[c.Chain]) {
			taken = taken.Add(r)
		}
		for _, f := range s.frames {
			if f.chain == c.Chain {
				taken = taken.Add(f.run)
			}
		}
		for _, missing := range taken.Missing(c.Last) {
			if due, ok := s.gated(c.Chain, missing); ok {
				return c, due, true
			}
		}
	}
	return Chain{}, lane.Range{}, false
}

// wait takes the next event: a publish's outcome, receipts, a wake, or time passing.
func (s *session) wait(ctx context.Context, more bool) error {
	pause := quietLimit
	if len(s.frames) == 0 && !more {
		pause = idleLimit
	}
	if more && time.Now().Before(s.notBefore) {
		pause = time.Until(s.notBefore)
	}
	if !s.calledFor.IsZero() {
		pause = min(pause, time.Until(s.calledFor))
	}
	select { // what came in while the session was busy, in this order
	case o := <-s.outcomes:
		s.published(o)
		return nil
	default:
	}
	select {
	case rs := <-s.receipts:
		return s.settle(ctx, rs)
	default:
	}
	timer := time.NewTimer(max(pause, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case o := <-s.outcomes:
		s.published(o)
		return nil
	case rs := <-s.receipts:
		return s.settle(ctx, rs)
	case c := <-s.calls:
		s.calledFor = time.Now().Add(s.cfg.Within(time.Duration(c.Within) * time.Second))
		return nil
	case <-s.wake:
		return nil
	case <-timer.C:
		return nil
	}
}

// published notes a publish's outcome. After an error the entries are due again.
func (s *session) published(o outcome) {
	f, ok := s.frames[o.name]
	if !ok {
		return // a receipt was faster
	}
	if o.err != nil {
		s.cfg.Log.Info("frame not acknowledged, will be sent again", "chain", f.chain.String(), "run", f.run.String(), "err", o.err)
		s.drop(f)
		s.pace.stalled()
		s.notBefore = time.Now().Add(retryAfter)
		return
	}
	f.taken = time.Now()
	s.tell()
}

// heed notes how publishes ended while the session was busy: an alert that failed
// is due again before any record.
func (s *session) heed() {
	for {
		select {
		case o := <-s.outcomes:
			s.published(o)
		default:
			return
		}
	}
}

func (s *session) drop(f *frame) {
	delete(s.frames, f.name)
	s.windows[f.chain.Lane].Done(f.name)
}

// quiet asks the hub again when receipts seem to have got lost, less and less
// often while it has nothing new to say, and gives up custody that lasted too long.
func (s *session) quiet(ctx context.Context) error {
	now := time.Now()
	waiting := false
	for _, f := range s.frames {
		held := now.Sub(f.taken)
		switch {
		case f.taken.IsZero():
		case held > custodyLimit:
			s.drop(f)
		case held >= s.patience:
			waiting = true
		}
	}
	if waiting && now.Sub(s.lastNews) >= s.patience {
		s.patience = min(2*s.patience, longestQuiet)
		return s.hello(ctx)
	}
	return nil
}
