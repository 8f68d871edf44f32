package store

import (
	"errors"
	"maps"
	"slices"

	"otor/internal/dot"
	"otor/internal/feed"
)

// TellAuthor publishes what became of entries in their device's own scope, at a
// moment of the hub's clock. An entry that was simply applied at once, or that
// is held, needs no telling: the receipt says it. The hub's own entries have no
// author to tell.
func TellAuthor(tx Tx, at int64, c dot.Chain, by map[dot.Seq]Judgement) error {
	if c.Device == dot.Hub || len(by) == 0 {
		return nil
	}
	changes := make([]FeedChange, 0, len(by))
	for _, seq := range slices.Sorted(maps.Keys(by)) {
		j := by[seq]
		b, err := feed.Outcome{Verdict: string(j.Verdict), Code: j.Code, Words: j.Words, At: at}.Encode()
		if err != nil {
			return err
		}
		changes = append(changes, FeedChange{Scope: feed.ScopeOf(c.Device), Kind: feed.Verdict, Key: c.At(seq).String(), Body: b})
	}
	return tx.Publish(at, changes...)
}

// Revise replaces the judgement of entries and tells their author, also when
// they are simply applied now: the author may have heard otherwise.
func Revise(tx Tx, at int64, c dot.Chain, by map[dot.Seq]Judgement) error {
	if err := tx.Judge(c, by); err != nil {
		return err
	}
	return TellAuthor(tx, at, c, by)
}

// Worth reports whether an author must be told of a first judgement.
func (j Judgement) Worth() bool {
	return j.Verdict != Held && (j.Verdict != Applied || j.Code != "" || j.Words != "")
}

// Regrant says once more what a device is granted: one that is connected and was told nothing so
// far hears that it may ask. A device that is not known (yet) is told nothing.
func Regrant(tx Tx, at int64, d dot.Device) error {
	dev, err := tx.Device(d)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return Grant(tx, at, d, dev.Scopes)
}

// Grant replaces what a device is granted, and says so in its own scope: a
// connected device hears of it at once.
func Grant(tx Tx, at int64, d dot.Device, scopes []string) error {
	if err := tx.SetScopes(d, scopes); err != nil {
		return err
	}
	b, err := feed.EncodeGrant(scopes)
	if err != nil {
		return err
	}
	return tx.Publish(at, FeedChange{Scope: feed.ScopeOf(d), Kind: feed.Grant, Key: feed.GrantKey, Body: b})
}
