package watch

import (
	"context"
	"time"

	"otor/hub/store"
)

// Step is how far samples are apart, and for how long they are kept.
type Step struct{ Each, Keep time.Duration }

// Steps are the two: some 600 rows for a closer look at two days, and 2,200 for ninety.
var Steps = [2]Step{{5 * time.Minute, 48 * time.Hour}, {time.Hour, 90 * 24 * time.Hour}}

// How often the sample of the running step is brought up to date, and how long the last
// one may take when the hub stops.
const (
	upToDate = time.Minute
	atTheEnd = 5 * time.Second
)

// Run keeps samples until ctx ends. changed signals that something happened.
func (r *Room) Run(ctx context.Context, changed <-chan struct{}) {
	tick := time.NewTicker(upToDate)
	defer tick.Stop()
	for ctx.Err() == nil {
		r.sample(ctx)
		r.await(ctx, tick.C, changed)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), atTheEnd)
	defer cancel()
	r.sample(ctx) // what was counted since
}

// await returns when a sample is to be taken, or ctx ends. A change is a reason when the
// clock has come into another step: that of a hub which replays a day passes through
// hours in seconds.
func (r *Room) await(ctx context.Context, tick <-chan time.Time, changed <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			return
		case <-changed:
			if !r.sameStep() {
				return
			}
		}
	}
}

// sameStep reports whether the clock is in the step of the last sample.
func (r *Room) sameStep() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return begin(r.cfg.Now(), Steps[0].Each) == begin(r.last, Steps[0].Each)
}

// begin is when the step began that a moment is in, Unix milliseconds.
func begin(at time.Time, step time.Duration) int64 {
	ms := at.UnixMilli()
	return ms - ms%step.Milliseconds()
}

// count is what came in and is in no sample of a step yet.
type count struct{ contacts, entries int64 }

// sample takes how the hub stands into the running steps. What cannot be kept now is
// counted with the next one.
func (r *Room) sample(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	contacts, entries := r.contacts.Swap(0), r.entries.Swap(0)
	for i := range r.pending {
		r.pending[i].contacts += contacts
		r.pending[i].entries += entries
	}
	v, err := r.stands(ctx, now)
	for i, s := range Steps {
		if err != nil {
			break
		}
		v.At, v.Contacts, v.Entries = begin(now, s.Each), r.pending[i].contacts, r.pending[i].entries
		if err = r.cfg.Ledger.AddSample(ctx, s.Each.Milliseconds(), v, now.Add(-s.Keep).UnixMilli()); err == nil {
			r.pending[i], r.last = count{}, now
		}
	}
	if err != nil && ctx.Err() == nil {
		r.cfg.Log.Warn("how the hub stands was not noted for its charts", "err", err)
	}
}

func (r *Room) stands(ctx context.Context, now time.Time) (v store.Sample, err error) {
	b, err := r.backlog(ctx)
	if err != nil {
		return v, err
	}
	f, err := r.fleet(ctx, now)
	if err != nil {
		return v, err
	}
	st, err := r.cfg.Ledger.Standing(ctx)
	if err != nil {
		return v, err
	}
	v.Waiting, v.Missing, v.Devices, v.Silent = int64(b.waiting), int64(b.missing), f.enrolled, f.silent //nolint:gosec // counts of rows
	for _, n := range st.Aside {
		v.Aside += n
	}
	for _, it := range st.Items {
		v.Open += it.Open
	}
	return v, nil
}
