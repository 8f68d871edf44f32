package sim

import (
	"context"
	"errors"
	"fmt"

	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
)

// gaveUp reports whether an operator ever sealed a seq.
func (w *world) gaveUp(at dot.Dot) bool { return w.sealed[at.Chain].Contains(at.Seq) }

// seal gives up waiting for a hole.
func (h *hub) seal(ctx context.Context, g hubstore.Gap) error {
	l := h.life
	h.w.sealed[g.Chain] = h.w.sealed[g.Chain].Add(g.Run) // it may be committed whatever comes back
	var given []lane.Range
	err := l.ledger.Ingest(ctx, func(tx hubstore.Tx) error {
		was, err := tx.Lane(g.Chain)
		if err != nil {
			return err
		}
		given = given[:0]
		for seq := g.Run.First; seq <= g.Run.Last && len(given) < mostGiven; seq++ {
			if !was.Received.Contains(seq) {
				given = append(given, lane.Run(seq, seq))
			}
		}
		_, err = l.ingest.Seal(tx, g.Chain, g.Run, h.clock.now().UnixMilli())
		return err
	})
	switch {
	case errors.Is(err, errDead) || errors.Is(err, errAway):
		return nil
	case err != nil:
		return fmt.Errorf("seal %s %s: %w", g.Chain, g.Run, err)
	}
	for _, r := range given {
		h.given[g.Chain] = h.given[g.Chain].Add(r)
	}
	h.w.did("author", func(n *Work) { n.Sealed++ }, "seals %s %s", g.Chain, g.Run)
	return nil
}

// mostGiven bounds what is noted of one seal: holes of the hostile device have no end.
const mostGiven = 256

// sealSome gives up a hole while trouble lasts: what it waits for comes late.
func (h *hub) sealSome(ctx context.Context) error {
	if h.current() == nil {
		return nil
	}
	gaps, err := h.life.ledger.Gaps(ctx, false)
	if err != nil || len(gaps) == 0 {
		return err
	}
	return h.seal(ctx, gaps[h.w.dice.IntN(len(gaps))])
}

// checkSealed asks that what came for a seq that was surely given up before took no effect
// by itself.
func (w *world) checkSealed(ledger map[dot.Dot]hubstore.Entry) {
	n := 0
	for at, e := range ledger {
		if !w.hub.given[at.Chain].Contains(at.Seq) {
			continue
		}
		if j := e.Judgement; j.Code != "late" && j.Code != "linked" {
			w.violate("%s came after an operator had given it up, and is %s %s", at, j.Verdict, j.Code)
		}
		n++
	}
	w.did("account", func(k *Work) { k.Late += n }, "%d came late", n)
}
