package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"otor/hub/contact"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/receipt"
)

// What the hub knows of its own epochs decides whether it still knows whom it has
// revoked. A database that was put back, whose journal brought back what was decided
// since, does. One that devices found out about does not: then every device is in
// doubt. Doubt takes proof, something that the hub signed and does not know, since any
// enrolled device can claim to have had more receipts
// (docs/adr/0025-doubt-takes-proof.md).
//
// A rollback is accounted for once: by the epoch that the hub itself begins where a
// restore or its journal told it, or by the one in which devices are put in doubt.
// What was signed in epochs before that proves nothing new.

// epochNote is to be recorded: that an epoch began; or, with proof, that something of the
// epoch proof was brought when it had begun already.
type epochNote struct {
	contact.Succession
	proof receipt.Epoch
}

// epochNotes is what is still to be recorded about epochs, and which proofs count.
type epochNotes struct {
	mu   sync.Mutex // guards what follows
	owed []epochNote
	// open are epochs that ended by a claim: what was signed in them and is not known
	// still proves that the database was put back. As of the epoch at.
	open map[receipt.Epoch]bool
	at   receipt.Epoch
}

// past is what the ledger says of epochs.
type past struct {
	known   map[receipt.Epoch]bool // those that began by a fact
	open    map[receipt.Epoch]bool // see epochNotes
	doubted int64                  // when the epoch began with which all were last in doubt, by its certificate
	highest uint32                 // lineage
	// unused: the database was put back with the hub's knowledge, and no epoch began since.
	unused bool
}

// epochsPast reads the ledger for a hub whose epoch is now.
func (s *Server) epochsPast(ctx context.Context, now receipt.EpochCertificate) (past, error) {
	p := past{known: make(map[receipt.Epoch]bool), open: make(map[receipt.Epoch]bool)}
	var facts []store.Fact
	for _, kind := range []string{kindRestored, kindReplayed, kindSucceeded} {
		for f, err := range s.store.Facts(ctx, store.FactQuery{Kind: kind}) {
			if err != nil {
				return p, err
			}
			facts = append(facts, f)
		}
	}
	slices.SortFunc(facts, func(a, b store.Fact) int { return cmp.Compare(a.Number, b.Number) })
	doubt := false
	for _, row := range facts {
		f, err := ledger.Read(row.Signed, s.key.Public())
		if err != nil {
			return p, fmt.Errorf("%w: fact %d of the ledger: %w", store.ErrDamaged, row.Number, err)
		}
		switch f.Kind {
		case kindRestored:
			var b restoredFact
			if err := f.Decode(&b); err != nil {
				return p, err
			}
			p.unused, doubt = true, doubt || b.Doubt
		case kindReplayed:
			p.unused = true
		default:
			if err := p.succeeded(f, doubt); err != nil {
				return p, err
			}
			doubt = doubt && p.unused
		}
	}
	if now.Lineage > 0 && !p.known[now.Epoch] {
		p.open[now.Parent] = true // it began just now, and is about to be recorded
	}
	return p, nil
}

// succeeded takes in that an epoch began; doubt: devices had been put in doubt just before.
func (p *past) succeeded(f ledger.Fact, doubt bool) error {
	var b succeededFact
	var epoch, parent receipt.Epoch
	err := errors.Join(f.Decode(&b), epoch.UnmarshalText([]byte(f.Subject)), parent.UnmarshalText([]byte(b.Parent)))
	if err != nil {
		return fmt.Errorf("fact %d of the ledger: %w", f.Number, err)
	}
	p.known[epoch] = true
	p.highest = max(p.highest, b.Lineage)
	if b.Unproved {
		p.open[parent] = true
		return nil
	}
	clear(p.open)
	p.unused = false
	if b.Doubt || doubt {
		p.doubted = b.Minted
	}
	return nil
}

// accountedFor reports whether a certificate that was shown is of an epoch that the
// ledger knows, or from before all devices were last put in doubt.
func (p *past) accountedFor(shown receipt.EpochCertificate) bool {
	return p.known[shown.Epoch] || shown.Minted < p.doubted
}

// settleEpochs brings the ledger and the epoch in line when the hub starts: where the
// database was put back with the hub's knowledge it begins an epoch, so that this
// explains nothing that comes later; and it records an epoch that a crash kept out of
// the ledger. Why that one began nobody knows, so it is taken for proved.
func (s *Server) settleEpochs(ctx context.Context) error {
	now, _ := s.epochs.Certificate()
	p, err := s.epochsPast(ctx, now)
	if err != nil {
		return err
	}
	noted := now.Lineage == 0 || p.known[now.Epoch]
	switch {
	case p.unused && noted:
		if err := s.epochs.PutBack(ctx, p.highest, s.cfg.Now().UnixMilli()); err != nil {
			return err
		}
	case p.unused:
		s.owe(epochNote{Succession: contact.Succession{Child: now, Why: contact.PutBack}})
	case !noted:
		s.owe(epochNote{Succession: contact.Succession{Child: now, Why: contact.Proved}})
	}
	return s.noteEpochs(ctx)
}

// callBy makes the one that calls devices by publish.
func (s *Server) callBy(publish func(subject string, b []byte) error) {
	s.caller = contact.NewCaller(s.store.Devices, publish,
		func() uint64 { return uint64(s.cfg.Now().UnixMicro()) }, //nolint:gosec // after 1970, or any other number
		func(err error) {
			s.cfg.Log.Warn("not every device was called; a hello comes with its next connection", "err", err)
		})
}

// childBegan is told by the room that finds out about epochs.
func (s *Server) childBegan(ctx context.Context, n contact.Succession) {
	s.note(ctx, epochNote{Succession: n})
	s.caller.Again()
}

func (s *Server) note(ctx context.Context, n epochNote) {
	s.owe(n)
	if err := s.noteEpochs(ctx); err != nil {
		s.cfg.Log.Error("it is not recorded yet that an epoch began since the hub was put back to an older copy; unless a device merely said so, devices may only send until then", "err", err)
	}
}

// proved is told by that room that a device brought something which the hub signed in
// an earlier epoch and does not know.
func (s *Server) proved(ctx context.Context, of receipt.Epoch) {
	now, _ := s.epochs.Certificate()
	s.notes.mu.Lock()
	var err error
	if s.notes.at != now.Epoch {
		err = s.readNotes(ctx, now)
	}
	counts := err != nil || s.notes.open[of]
	s.notes.mu.Unlock()
	if counts { // also where the ledger cannot be read: it is looked at again
		s.note(ctx, epochNote{Succession: contact.Succession{Child: now, Why: contact.Proved}, proof: of})
	}
}

// readNotes reads which epochs are open; notes.mu is held.
func (s *Server) readNotes(ctx context.Context, now receipt.EpochCertificate) error {
	p, err := s.epochsPast(ctx, now)
	if err != nil {
		return err
	}
	s.notes.open, s.notes.at = p.open, now.Epoch
	return nil
}

// owe notes what is to be recorded. Until a proof is recorded nobody is told anything.
func (s *Server) owe(n epochNote) {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if !slices.Contains(s.notes.owed, n) {
		s.notes.owed = append(s.notes.owed, n)
	}
	s.notes.at = receipt.Epoch{}
	if n.Why != contact.Claimed {
		s.suspect.Store(true)
	}
}

// noteEpochs records what is owed, in its order. What fails stays owed.
func (s *Server) noteEpochs(ctx context.Context) error {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	for len(s.notes.owed) > 0 {
		if err := s.noteEpoch(ctx, s.notes.owed[0]); err != nil {
			return err
		}
		s.notes.owed = s.notes.owed[1:]
	}
	s.suspect.Store(false)
	return nil
}

// noteEpoch records that a child epoch began, or that one which had begun by a claim is
// proved. Unless that is accounted for every device is in doubt.
func (s *Server) noteEpoch(ctx context.Context, n epochNote) error {
	p, err := s.epochsPast(ctx, receipt.EpochCertificate{})
	if err != nil {
		return err
	}
	body := succeededFact{Parent: n.Child.Parent.String(), Lineage: n.Child.Lineage, Minted: n.Child.Minted}
	switch noted := p.known[n.Child.Epoch]; {
	case noted && !p.open[n.proof]:
		return nil // also a proof that is accounted for meanwhile
	case n.Why == contact.Claimed, !n.Shown.Epoch.IsZero() && p.accountedFor(n.Shown):
		body.Unproved = true
	case n.Why == contact.Proved:
		body.Doubt = true
	}
	// Of several that would record the same, one does: also of several hubs.
	id := sha256.Sum256(fmt.Appendf(nil, "succeeded %s %t", n.Child.Epoch, body.Unproved))
	act := ledger.Act{By: byHub, Kind: kindSucceeded, Subject: n.Child.Epoch.String(), Body: body}
	copy(act.ID[:], id[:])
	if _, err = s.ledger.Record(ctx, act, nil); errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// UplinkOnly says why a device may send and is told nothing; "" when it is not
// so. The hub then does not know whether it has revoked the device.
func (s *Server) UplinkOnly(ctx context.Context, d dot.Device) (why string, err error) {
	if s.suspect.Load() {
		if err := s.noteEpochs(ctx); err != nil {
			s.cfg.Log.Error("it is still not recorded that the hub was put back to an older copy", "err", err)
			return "the hub was put back to an older copy, and could not record that yet", nil
		}
	}
	doubts, err := s.store.Doubts(ctx, d)
	if err != nil || len(doubts) == 0 {
		return "", err
	}
	return doubts[0].Why, nil
}
