package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"

	"otor/hub/ingest"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/lane"
)

// The kinds of facts.
const (
	kindInvited   = "invited"        // a code was given out for a device
	kindEnrolled  = "enrolled"       // a device traded its code for an incarnation
	kindRevoked   = "revoked"        // a device's credentials were ended
	kindConfirmed = "confirmed"      // an operator confirmed that a device was not revoked
	kindTwin      = "twin_confirmed" // an operator lets a copy of a device's folder have everything
	kindSealed    = "sealed"         // an operator gave up waiting for entries
	kindOpened    = "opened"         // the hub was started
	kindBackedUp  = "backed_up"      // a verified backup was made
	kindRestored  = "restored"       // a backup was put into the hub's folder
	kindPiece     = "pack_piece"     // pieces of a form pack that is about to be published
	kindPack      = "pack"           // a form pack was published
	kindReplayed  = "replayed"       // the journal brought back what the database lacked
	kindSucceeded = "succeeded"      // devices proved that the database was put back; an epoch began
)

// byHub is who does what nobody asked for.
const byHub = "hub"

// The bodies of facts. What stands in a journal is read by later programs: a
// field is never given another meaning.
type (
	invitedFact struct {
		Device    dot.Device `json:"device"`
		Scopes    []string   `json:"scopes"`
		CodeHash  []byte     `json:"code_hash"`
		AddedAt   int64      `json:"added_at"`
		ExpiresAt int64      `json:"expires_at"`
	}
	enrolledFact struct {
		Device      dot.Device         `json:"device"`
		Incarnation dot.Incarnation    `json:"incarnation"`
		SignKey     identity.PublicKey `json:"sign_key"`
		NatsKey     string             `json:"nats_key"`
		CodeHash    []byte             `json:"code_hash"`
		At          int64              `json:"at"`
	}
	revokedFact struct {
		Device dot.Device `json:"device"`
		At     int64      `json:"at"`
	}
	confirmedFact struct {
		Device dot.Device `json:"device"`
	}
	twinFact struct {
		Device      dot.Device      `json:"device"`
		Incarnation dot.Incarnation `json:"incarnation"`
		At          int64           `json:"at"`
	}
	sealedFact struct {
		Device      dot.Device      `json:"device"`
		Incarnation dot.Incarnation `json:"incarnation"`
		Lane        dot.Lane        `json:"lane"`
		First       dot.Seq         `json:"first"`
		Last        dot.Seq         `json:"last"`
		Reason      string          `json:"reason"`
		At          int64           `json:"at"`
	}
	openedFact struct {
		Version string `json:"version"`
		Epoch   string `json:"epoch"`
	}
	backedUpFact struct {
		Path    string `json:"path"`
		Number  uint64 `json:"number"`
		Entries uint64 `json:"entries"`
		Epoch   string `json:"epoch"`
	}
	restoredFact struct {
		Backup   string `json:"backup"`
		Made     string `json:"made"`
		Replayed int    `json:"replayed"` // facts that the journal brought back
		Doubt    bool   `json:"doubt"`    // it brought none: what was decided since is not known
	}
	replayedFact struct {
		Facts int `json:"facts"`
	}
	succeededFact struct {
		Parent  string `json:"parent"`
		Lineage uint32 `json:"lineage"`
		Doubt   bool   `json:"doubt"` // nothing had come back from a journal
		// Unproved: a device claimed it, and nothing that is not accounted for shows it.
		Unproved bool  `json:"unproved,omitempty"`
		Minted   int64 `json:"minted,omitempty"` // when the epoch began, by its certificate
	}
)

// kinds are the facts that this hub understands.
func (s *Server) kinds() []ledger.Kind {
	return append(append(s.rosterKinds(), planKinds()...), []ledger.Kind{
		kind(kindInvited, func(tx store.Tx, _ ledger.Fact, b invitedFact) error {
			return tx.Invite(store.Invitation{
				Device: b.Device, Scopes: b.Scopes, CodeHash: hash32(b.CodeHash), AddedAt: b.AddedAt, ExpiresAt: b.ExpiresAt,
			}, true)
		}),
		kind(kindEnrolled, func(tx store.Tx, _ ledger.Fact, b enrolledFact) error {
			return tx.Enrol(store.Key{
				Device: b.Device, Incarnation: b.Incarnation, SignKey: b.SignKey, NatsKey: b.NatsKey, EnrolledAt: b.At,
			}, hash32(b.CodeHash))
		}),
		{
			Name: kindRevoked,
			Apply: kind(kindRevoked, func(tx store.Tx, _ ledger.Fact, b revokedFact) error {
				_, err := tx.Revoke(b.Device, b.At)
				return err
			}).Apply,
			After: s.cutOff, Heard: s.cutOff,
		},
		kind(kindConfirmed, func(tx store.Tx, f ledger.Fact, b confirmedFact) error {
			if err := tx.Trust(b.Device); err != nil {
				return err
			}
			return store.Regrant(tx, f.At, b.Device)
		}),
		// A database that was put back may not know the twin, or what lies above the
		// hole, yet: both are decided all the same.
		kind(kindTwin, func(tx store.Tx, f ledger.Fact, b twinFact) error {
			if err := tx.ConfirmLife(b.Device, b.Incarnation, b.At); err != nil {
				return err
			}
			return store.Regrant(tx, f.At, b.Device)
		}),
		{
			Name: kindSealed,
			Apply: kind(kindSealed, func(tx store.Tx, _ ledger.Fact, b sealedFact) error {
				_, err := s.taker().Seal(tx, dot.Chain{Device: b.Device, Incarnation: b.Incarnation, Lane: b.Lane}, lane.Run(b.First, b.Last), b.At)
				return err
			}).Apply,
			After: s.sealed,
		},
		kind(kindOpened, func(store.Tx, ledger.Fact, openedFact) error { return nil }),
		kind(kindExport, func(store.Tx, ledger.Fact, exportFact) error { return nil }),
		kind(kindStatement, func(store.Tx, ledger.Fact, statementFact) error { return nil }),
		kind(kindBackedUp, func(store.Tx, ledger.Fact, backedUpFact) error { return nil }),
		kind(kindRestored, func(tx store.Tx, f ledger.Fact, b restoredFact) error {
			if !b.Doubt {
				return nil
			}
			_, err := tx.Doubt(f.At, fmt.Sprintf("the hub was restored from %s without its journal", b.Backup))
			return err
		}),
		granted(),
		kind(kindAccess, func(store.Tx, ledger.Fact, accessFact) error { return nil }),
		kind(kindDecision, s.decideAgain),
		kind(kindOwner, ownAgain),
		kind(kindAuthored, s.authorAgain),
		kind(kindAside, s.asideAgain),
		kind(kindRevealed, func(store.Tx, ledger.Fact, revealedFact) error { return nil }),
		kind(kindPiece, keepPieces),
		{Name: kindPack, Apply: kind(kindPack, s.publishAgain).Apply, Heard: s.heardPack},
		kind(kindReplayed, func(store.Tx, ledger.Fact, replayedFact) error { return nil }),
		kind(kindSucceeded, func(tx store.Tx, f ledger.Fact, b succeededFact) error {
			if !b.Doubt {
				return nil
			}
			_, err := tx.Doubt(f.At, "the hub's database was put back to an older copy, and no journal brought back what was decided since")
			return err
		}),
	}...)
}

func kind[B any](name string, apply func(store.Tx, ledger.Fact, B) error) ledger.Kind {
	return ledger.Kind{Name: name, Apply: func(tx store.Tx, f ledger.Fact) error {
		var body B
		if err := f.Decode(&body); err != nil {
			return err
		}
		return apply(tx, f, body)
	}}
}

func hash32(b []byte) (h [32]byte) {
	copy(h[:], b)
	return h
}

// revokedKeys lists the NATS keys of revoked devices.
func (s *Server) revokedKeys(ctx context.Context) (out []string, err error) {
	keys, err := s.store.Revoked(ctx)
	for _, k := range keys {
		if nkeys.IsValidPublicUserKey(k.NatsKey) { // others never connected
			out = append(out, k.NatsKey)
		}
	}
	return out, err
}

// cutOff ends the NATS keys of a device that was revoked.
func (s *Server) cutOff(ctx context.Context, f ledger.Fact) error {
	var b revokedFact
	if err := f.Decode(&b); err != nil {
		return err
	}
	return s.cutOffDevice(ctx, b.Device)
}

func (s *Server) cutOffDevice(ctx context.Context, d dot.Device) error {
	keys, err := s.store.Revoked(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, k := range keys {
		if k.Device == d {
			errs = append(errs, s.broker.Revoke(k.NatsKey))
		}
	}
	return errors.Join(errs...)
}

// registry is the hub's database as the rooms see it that decide something
// about devices: what they change is recorded.
type registry struct {
	store.Store
	ledger *ledger.Ledger
}

// Invite records an invitation.
func (r registry) Invite(ctx context.Context, in store.Invitation, again bool) error {
	a := ledger.Act{By: actor(ctx), Kind: kindInvited, Subject: string(in.Device), Body: invitedFact{
		Device: in.Device, Scopes: in.Scopes, CodeHash: in.CodeHash[:], AddedAt: in.AddedAt, ExpiresAt: in.ExpiresAt,
	}}
	_, err := r.ledger.Record(ctx, a, func(tx store.Tx, _ *ledger.Act) error { return tx.Invite(in, again) })
	return err
}

// Redeem records an enrolment, with the incarnation that it came to.
func (r registry) Redeem(ctx context.Context, e store.Enrolment) (key store.Key, err error) {
	_, err = r.ledger.Record(ctx, ledger.Act{Kind: kindEnrolled}, func(tx store.Tx, a *ledger.Act) error {
		if key, err = tx.Redeem(e); err != nil {
			return err
		}
		a.By, a.Subject = string(key.Device), string(key.Device)
		a.Body = enrolledFact{
			Device: key.Device, Incarnation: key.Incarnation, SignKey: key.SignKey, NatsKey: key.NatsKey, CodeHash: e.CodeHash[:], At: e.At,
		}
		return nil
	})
	return key, err
}

// taker takes entries in, also while the journal is replayed, before the rooms are wired.
func (s *Server) taker() *ingest.Ingest {
	if s.ingest != nil {
		return s.ingest
	}
	return ingest.New(s.ingestConfig())
}
