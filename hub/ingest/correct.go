package ingest

import (
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// An author who corrects what was set aside settles the matter: the original needs no
// operator any more. It is linked to the correction, as one that the office puts right
// is to the office's. In which order the two come does not matter.

// mostCorrections bounds the corrections of one entry that are looked at.
const mostCorrections = 16

// settleCorrected closes what entries of this frame correct, and those of this frame that
// were corrected before they came.
func (a *applier) settleCorrected(es []store.Entry) error {
	for i := range es {
		e := &es[i]
		if e.Corrects != nil && counts(e.Judgement) {
			if err := a.corrected(*e.Corrects, e); err != nil {
				return err
			}
		}
		if e.Judgement.Verdict != store.Quarantined {
			continue
		}
		by, err := a.tx.Having(WordOfCorrection(e.Dot), mostCorrections)
		if err != nil {
			return err
		}
		for _, d := range by {
			c, err := a.tx.Entries(d.Chain, lane.Run(d.Seq, d.Seq))
			if err != nil {
				return err
			}
			if len(c) == 1 && counts(c[0].Judgement) {
				if err := a.corrected(e.Dot, &c[0]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// counts reports whether an entry took its effect, or is about to.
func counts(j store.Judgement) bool {
	return !aside(j) && j.Verdict != store.Held && j.Code != "linked"
}

func aside(j store.Judgement) bool {
	return j.Verdict == store.Quarantined || j.Verdict == store.Refused
}

// corrected closes an entry that is set aside, if by is its own author's: of another life
// of the device, perhaps.
func (a *applier) corrected(d dot.Dot, by *store.Entry) error {
	if d.Device != by.Dot.Device || d == by.Dot {
		return nil
	}
	es, err := a.tx.Entries(d.Chain, lane.Run(d.Seq, d.Seq))
	if err != nil || len(es) == 0 || es[0].Judgement.Verdict != store.Quarantined {
		return err
	}
	if pub, err := entry.DecodePublic(by.Raw.Public); err != nil || pub.Corrects == nil || *pub.Corrects != d {
		return nil //nolint:nilerr // another entry has the same word
	}
	if err := a.tx.AddForm(store.Form{Was: entry.Was{Dot: d, Hash: es[0].Hash}, Now: by.Dot}, a.p.at); err != nil {
		return err
	}
	j := store.Judgement{Verdict: store.Duplicate, Code: CodeCorrected, Words: fmt.Sprintf("its author corrected it in %s", by.Dot)}
	return store.Revise(a.tx, a.p.at, d.Chain, map[dot.Seq]store.Judgement{d.Seq: j})
}
