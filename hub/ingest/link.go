package ingest

import (
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// A fact that a device captured may reach the hub in several forms: the one in
// which it was captured, and those that re-homing gave it, each of which names
// the first by dot and hash. Together they have one effect (L3): that of the
// form which came first. The others are received, kept, and linked to it.

// link judges an entry that is about to take effect as what it is: linked, when
// its fact has its effect already.
func (a *applier) link(e *store.Entry) error {
	if a.ingest.cfg.NoLink {
		return nil
	}
	if e.Was == nil {
		if now := a.elsewhere(e); !now.IsZero() {
			a.linkTo(e, now)
		}
		return nil
	}
	if e.Judgement.Code == "was_foreign" {
		return nil
	}
	a.rehomed++
	sealed, err := a.sealedFor(e.Was.Dot)
	if err != nil {
		return err
	}
	if sealed {
		tooLate(e, e.Was.Dot)
	}
	now, err := a.form(*e.Was)
	if err != nil {
		return err
	}
	switch {
	case now == e.Dot:
		return nil
	case !now.IsZero():
		a.linkTo(e, now)
		return nil
	}
	old, err := a.tx.Entries(e.Was.Dot.Chain, lane.Run(e.Was.Dot.Seq, e.Was.Dot.Seq))
	if err != nil {
		return err
	}
	now = e.Dot
	if len(old) == 1 && old[0].Hash == e.Was.Hash && hasEffect(old[0].Judgement) {
		now = old[0].Dot
		a.linkTo(e, now)
	}
	return a.tx.AddForm(store.Form{Was: *e.Was, Now: now}, e.ReceivedAt)
}

// form says where a fact is, by the first form of it; the zero dot for nowhere.
func (a *applier) form(was entry.Was) (dot.Dot, error) {
	forms, err := a.tx.Forms(was.Dot.Chain, lane.Run(was.Dot.Seq, was.Dot.Seq))
	if err != nil {
		return dot.Dot{}, err
	}
	for _, f := range forms {
		if f.Was == was {
			return f.Now, nil
		}
	}
	return dot.Dot{}, nil
}

// elsewhere says where the fact of an entry of this frame is by now, if another
// form of it came before.
func (a *applier) elsewhere(e *store.Entry) dot.Dot {
	for _, f := range a.forms {
		if f.Was.Dot == e.Dot && f.Was.Hash == e.Hash {
			return f.Now
		}
	}
	return dot.Dot{}
}

// hasEffect reports whether an older form counts: one that is held takes its
// effect later, unless another form was faster, and one that followed another
// history never does.
func hasEffect(j store.Judgement) bool {
	return j.Verdict != store.Held && (j.Verdict != store.Quarantined || j.Code != "chain_mismatch")
}

func (a *applier) linkTo(e *store.Entry, now dot.Dot) {
	a.linked++
	e.Judgement = store.Judgement{Verdict: store.Duplicate, Code: "linked", Words: fmt.Sprintf("the same captured fact as %s", now)}
}
