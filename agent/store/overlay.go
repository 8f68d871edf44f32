package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
)

// overlayPrefix is what the keys of an entity's own writes start with.
func overlayPrefix(ref entry.Ref) ([]byte, error) {
	if len(ref.Type) == 0 || len(ref.ID) == 0 || len(ref.Type) > 255 || len(ref.ID) > 255 {
		return nil, fmt.Errorf("entity %s: its type and id have 1 to 255 bytes", ref)
	}
	b := make([]byte, 0, 3+len(ref.Type)+len(ref.ID)+15+len("D-00000000"))
	b = append(append(b, kindOverlay, byte(len(ref.Type))), ref.Type...)
	return append(append(b, byte(len(ref.ID))), ref.ID...), nil
}

func overlayKey(ref entry.Ref, d dot.Dot) ([]byte, error) {
	b, err := overlayPrefix(ref)
	if err != nil {
		return nil, err
	}
	b = append(b, chainKey(kindEntry, d.Chain)[1:]...)
	return binary.BigEndian.AppendUint64(b, uint64(d.Seq)), nil
}

// overlayRows are the rows that an entry's writes need beside it.
func (s *Store) overlayRows(refs []entry.Ref, d dot.Dot) ([]row, error) {
	var out []row
	for _, ref := range refs {
		k, err := overlayKey(ref, d)
		if err != nil {
			return nil, err
		}
		out = append(out, row{k, s.box.seal(k, nil)})
	}
	return out, nil
}

// parseOverlay reads a key of kind overlay.
func parseOverlay(k []byte) (ref entry.Ref, d dot.Dot, ok bool) {
	text := func() (s string) {
		if len(k) > 0 && len(k) > int(k[0]) {
			s, k = string(k[1:1+k[0]]), k[1+k[0]:]
		}
		return s
	}
	k = k[1:]
	ref.Type = text()
	ref.ID = text()
	c, rest, err := parseChain(append([]byte{kindEntry}, k...))
	seq, whole := parseSeq(rest)
	return ref, c.At(seq), err == nil && whole && ref.ID != ""
}

// Shown is an entity as this device shows it.
type Shown struct {
	State *merge.State // base with the device's own unsettled writes over it
	// Base is the hub's row, when InBase.
	Base   BaseRow
	InBase bool
	// Own are the device's entries whose writes are shown over the base.
	Own []dot.Dot
}

// Shown shows an entity (law L11). A write of this device is shown over the base
// until the base row has seen its entry, or the hub has said what became of the
// entry: that it is set aside, or that it touches what no feed shows here. Of an
// entity that has left the device's scopes no base row comes any more: there the
// hub's receipt ends it. An entry that is set aside until its form is published at
// the hub is shown: it is as good as before.
func (s *Store) Shown(ref entry.Ref) (Shown, error) {
	out := Shown{State: merge.New(ref)}
	prefix, err := overlayPrefix(ref)
	if err != nil {
		return out, err
	}
	if out.Base, out.InBase, err = s.Base(ref); err != nil {
		return out, fmt.Errorf("show %s: %w", ref, err)
	}
	if out.InBase {
		if out.State, err = merge.Decode(out.Base.Body); err != nil {
			return out, damaged(ref.String(), err.Error(), "nothing: it is fetched from the hub again at the next contact")
		}
	}
	own, err := s.ownWrites(context.Background(), prefix)
	if err != nil {
		return out, fmt.Errorf("show %s: %w", ref, err)
	}
	base := out.State.Seen.Clone()
	left := !out.InBase && len(own) > 0 && s.left(ref)
	for _, w := range own {
		w.Dot = s.nameOf(w.Dot)
		if base.Covers(w.Dot) || left && s.taken(w.Dot) {
			continue
		}
		c, ok, err := s.unsettled(w, out.InBase)
		if err != nil {
			return out, fmt.Errorf("show %s: %w", ref, err)
		}
		if ok {
			out.State.Apply(c)
			out.Own = append(out.Own, w.Dot)
		}
	}
	return out, nil
}

// nameOf is the name by which the hub knows the fact of an entry: another one than
// its first where it was re-homed. The hub has seen that one, and may have seen
// another folder's entry under the first.
func (s *Store) nameOf(d dot.Dot) dot.Dot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for {
		st := s.chains[d.Chain]
		if st == nil || st.End == nil || d.Seq <= st.End.Seq {
			return d
		}
		next := st.End.place(d.Seq).Exact
		if next.IsZero() {
			return d
		}
		d = next
	}
}

// left reports whether a scope says that the entity went out of it, or was taken
// away with it.
func (s *Store) left(ref entry.Ref) bool {
	if key, err := awayKey(ref); err == nil && s.has(key) {
		return true
	}
	name := feed.Name{Slot: feed.Entity, Key: feed.EntityKey(ref)}
	for scope, gen := range s.shown() {
		if r, err := s.base(baseKey(scope, gen, name)); err == nil && r.Kind == feed.Gone {
			return true
		}
	}
	return false
}

// taken reports whether the hub has received an entry and all before it, and so
// has done with it what it does. Above a gap it may only hold it.
func (s *Store) taken(d dot.Dot) bool {
	st, ok := s.Chain(d.Chain)
	return ok && st.Received.Through() >= d.Seq
}

// unsettled reads the write of an entry that the base has not seen; ok is false
// when it is not to be shown any more, or cannot be read.
func (s *Store) unsettled(w OwnWrite, inBase bool) (c merge.Change, ok bool, err error) {
	o, told, err := s.Outcome(w.Dot)
	if err != nil || told && (o.Returned() && !o.LacksForm() || !inBase) {
		return c, false, err
	}
	e, err := s.stored(w.Dot.Chain, w.Dot.Seq)
	switch {
	case errors.Is(err, ErrClosed):
		return c, false, err
	case err != nil || e.raw.Erased():
		return c, false, nil // damage is a finding of its own
	}
	pub, err := entry.DecodePublic(e.raw.Public)
	if err != nil {
		return c, false, nil //nolint:nilerr // as above
	}
	priv, err := entry.DecodePrivate(e.raw.Private)
	if err != nil {
		return c, false, nil //nolint:nilerr // as above
	}
	touches, err := merge.Changes(pub, priv)
	if err != nil {
		return c, false, nil //nolint:nilerr // the hub will say so
	}
	for _, t := range touches {
		if t.Ref == w.Ref {
			return t.Change, len(t.Writes) > 0, nil
		}
	}
	return c, false, nil
}

// OwnWrite is an entry of this device and an entity that it writes to.
type OwnWrite struct {
	Ref entry.Ref
	Dot dot.Dot
}

// ownWrites lists the device's writes below a prefix of keys, by entity and dot.
func (s *Store) ownWrites(ctx context.Context, prefix []byte) (out []OwnWrite, err error) {
	err = s.view(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues, opts.Prefix = false, prefix
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Seek(prefix); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if s.readers.ending() {
				return ErrClosed
			}
			if ref, d, ok := parseOverlay(it.Item().Key()); ok {
				out = append(out, OwnWrite{ref, d})
			}
		}
		return nil
	})
	return out, err
}

// Overlay lists every write of this device that is still shown over the base.
func (s *Store) Overlay(ctx context.Context) ([]OwnWrite, error) {
	all, err := s.ownWrites(ctx, []byte{kindOverlay})
	if err != nil {
		return nil, fmt.Errorf("list own writes: %w", err)
	}
	var out []OwnWrite
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Ref == all[0].Ref {
			n++
		}
		shown, err := s.Shown(all[0].Ref)
		if err != nil {
			return nil, err
		}
		for _, d := range shown.Own {
			out = append(out, OwnWrite{all[0].Ref, d})
		}
		all = all[n:]
	}
	return out, nil
}
