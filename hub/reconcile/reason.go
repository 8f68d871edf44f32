package reconcile

import (
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
)

// reasons are why an entry has its verdict.
type reasons struct {
	now     []store.Judgement
	changed bool
}

// why reads the reasons of an entry once.
func (o *Round) why(d dot.Dot) (*reasons, error) {
	if r := o.reasons[d]; r != nil {
		return r, nil
	}
	now, err := o.tx.Reasons(d)
	if err != nil {
		return nil, err
	}
	r := &reasons{now: now}
	o.reasons[d] = r
	return r, nil
}

// because adds a reason to an entry's, in place of one of the same verdict and code.
func (o *Round) because(d dot.Dot, j store.Judgement) error {
	r, err := o.why(d)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(r.now, func(x store.Judgement) bool { return x.Verdict == j.Verdict && x.Code == j.Code })
	switch {
	case at < 0:
		r.now, r.changed = append(r.now, j), true
	case r.now[at] != j:
		r.now[at], r.changed = j, true
	}
	return nil
}

// unless takes a reason away.
func (o *Round) unless(d dot.Dot, j store.Judgement) error {
	r, err := o.why(d)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(r.now), func(x store.Judgement) bool { return x.Verdict == j.Verdict && x.Code == j.Code })
	r.changed = r.changed || len(left) != len(r.now)
	r.now = left
	return nil
}

// judge writes the reasons that changed, and the verdicts that follow from them.
func (o *Round) judge() error {
	dots := make([]dot.Dot, 0, len(o.reasons))
	for d, r := range o.reasons {
		if r.changed {
			dots = append(dots, d)
		}
	}
	slices.SortFunc(dots, dot.Dot.Compare)
	for _, d := range dots {
		now := o.reasons[d].now
		if err := o.tx.SetReasons(d, now); err != nil {
			return err
		}
		e, ok, err := o.entry(d)
		if err != nil {
			return err
		}
		j := store.Outcome(now)
		if !ok || isAside(e.Judgement) || e.Judgement.Verdict == store.Held || e.Judgement == j {
			continue
		}
		if err := store.Revise(o.tx, o.at, d.Chain, map[dot.Seq]store.Judgement{d.Seq: j}); err != nil {
			return err
		}
	}
	return nil
}
