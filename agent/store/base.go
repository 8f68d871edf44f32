package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
)

// baseRow is a row under 31.
type baseRow struct {
	N    uint64    `cbor:"1,keyasint"`
	Rev  uint64    `cbor:"2,keyasint,omitempty"`
	Kind feed.Kind `cbor:"3,keyasint"`
	Line uint32    `cbor:"4,keyasint"` // in which it came, see feedRow
	Body []byte    `cbor:"5,keyasint,omitempty"`
}

func (b baseRow) row(key string) feed.Row {
	return feed.Row{N: b.N, Kind: b.Kind, Key: key, Rev: b.Rev, Body: b.Body}
}

// scopedName is a row's name with its scope.
type scopedName struct {
	scope string
	feed.Name
}

func feedKey(scope string) []byte { return scopePrefix(kindFeed, scope) }

func scopePrefix(kind byte, scope string) []byte {
	b := make([]byte, 0, 2+len(scope)+5+32)
	b = append(b, kind, byte(len(scope)))
	return append(b, scope...)
}

func genPrefix(scope string, gen uint32) []byte {
	return binary.BigEndian.AppendUint32(scopePrefix(kindBase, scope), gen)
}

func slotPrefix(scope string, gen uint32, slot feed.Kind) []byte {
	return append(genPrefix(scope, gen), byte(slot))
}

func baseKey(scope string, gen uint32, n feed.Name) []byte {
	return append(slotPrefix(scope, gen, n.Slot), n.Key...)
}

// parseBase reads scope and generation of a base key, and the rest.
func parseBase(k []byte) (scope string, gen uint32, rest []byte, ok bool) {
	if len(k) < 2 || len(k) < 2+int(k[1])+5 {
		return "", 0, nil, false
	}
	n := 2 + int(k[1])
	return string(k[2:n]), binary.BigEndian.Uint32(k[n:]), k[n+4:], true
}

// parseFeed reads the scope of a feed's key.
func parseFeed(k []byte) (scope string, ok bool) {
	if len(k) < 2 || len(k) != 2+int(k[1]) {
		return "", false
	}
	return string(k[2:]), true
}

// base reads one row; [ErrNotFound], or what is wrong with it.
func (s *Store) base(key []byte) (b baseRow, err error) {
	err = s.view(func(txn *badger.Txn) error {
		it, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return it.Value(func(v []byte) error { return s.box.openRow(key, v, &b) })
	})
	return b, err
}

// BaseRow is a row that is shown, and where from.
type BaseRow struct {
	Scope string
	feed.Row
}

// shown lists the scopes and the generations that are shown of them.
func (s *Store) shown() map[string]uint32 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[string]uint32, len(s.feeds))
	for scope, f := range s.feeds {
		if !f.Left {
			out[scope] = f.Gen
		}
	}
	return out
}

// Base reads the hub's state of an entity, as the device has it: of several
// scopes that hold it, the newest. ok is false when none does. A row that is
// damaged is passed over, and asked for again with the next pull.
func (s *Store) Base(ref entry.Ref) (b BaseRow, ok bool, err error) {
	return s.Row(feed.Name{Slot: feed.Entity, Key: feed.EntityKey(ref)})
}

// Row reads the newest row of a name, whatever scope it is in.
func (s *Store) Row(n feed.Name) (b BaseRow, ok bool, err error) {
	for scope, gen := range s.shown() {
		r, err := s.base(baseKey(scope, gen, n))
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case errors.Is(err, ErrClosed):
			return BaseRow{}, false, err
		case err != nil:
			s.sicken(scope, n, err)
			continue
		case r.Kind == feed.Gone:
			continue
		}
		if !ok || r.Rev > b.Rev || r.Rev == b.Rev && scope < b.Scope {
			b, ok = BaseRow{scope, r.row(n.Key)}, true
		}
	}
	return b, ok, nil
}

// sicken notes that a scope's rows are damaged: it is loaded anew.
func (s *Store) sicken(scope string, n feed.Name, why error) {
	s.note(Finding{
		Code: CodeBaseDamaged, Which: fmt.Sprintf("%s %s of %s", n.Slot, n.Key, scope), What: why.Error(),
		Do: "nothing: it is fetched from the hub again at the next contact",
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.feeds[scope]; f != nil {
		f.sick = true
	}
}

// Sick lists the scopes of which rows are damaged or missing, and that are not
// being loaded anew yet.
func (s *Store) Sick() (out []string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for scope, f := range s.feeds {
		if f.sick && !f.Left && f.Next == nil {
			out = append(out, scope)
		}
	}
	slices.Sort(out)
	return out
}

// Rows yields the shown rows of one scope and slot whose keys start with
// prefix, by key. An error is yielded once, at the end.
func (s *Store) Rows(ctx context.Context, scope string, slot feed.Kind, prefix string) iter.Seq2[feed.Row, error] {
	return func(yield func(feed.Row, error) bool) {
		gen, ok := s.shown()[scope]
		if !ok {
			return
		}
		err := s.walkBase(ctx, append(slotPrefix(scope, gen, slot), prefix...), func(rest string, b baseRow, err error) bool {
			key := prefix + rest
			if err != nil {
				s.sicken(scope, feed.Name{Slot: slot, Key: key}, err)
				return true
			}
			if b.Kind == feed.Gone {
				return true
			}
			return yield(b.row(key), nil)
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(feed.Row{}, fmt.Errorf("rows of %s: %w", scope, err))
		}
	}
}

// walkBase visits the rows below a prefix of base keys until visit wants no more.
func (s *Store) walkBase(ctx context.Context, prefix []byte, visit func(rest string, b baseRow, err error) bool) error {
	return s.view(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues = false
		opts.Prefix = prefix
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if s.readers.ending() {
				return ErrClosed
			}
			key := it.Item().Key()
			var b baseRow
			err := it.Item().Value(func(v []byte) error { return s.box.openRow(key, v, &b) })
			if !visit(string(key[len(prefix):]), b, err) {
				return errStopped
			}
		}
		return nil
	})
}

// Bases yields the states of the entities of a type, by id, each once: of
// several scopes that hold one, the newest. An empty kind gives all types.
func (s *Store) Bases(ctx context.Context, kind string) iter.Seq2[BaseRow, error] {
	prefix := ""
	if kind != "" {
		prefix = kind + "/"
	}
	return func(yield func(BaseRow, error) bool) {
		err := s.mergeBases(ctx, prefix, yield)
		if err != nil && !errors.Is(err, errStopped) {
			yield(BaseRow{}, fmt.Errorf("list entities: %w", err))
		}
	}
}

// mergeBases reads the scopes side by side.
func (s *Store) mergeBases(ctx context.Context, prefix string, yield func(BaseRow, error) bool) error {
	type source struct {
		scope string
		next  func() (feed.Row, error, bool)
		row   feed.Row
		ok    bool
	}
	var sources []*source
	for scope := range s.shown() {
		next, stop := iter.Pull2(s.Rows(ctx, scope, feed.Entity, prefix))
		defer stop()
		sources = append(sources, &source{scope: scope, next: next})
	}
	advance := func(src *source) (err error) {
		src.row, err, src.ok = src.next()
		return err
	}
	for _, src := range sources {
		if err := advance(src); err != nil {
			return err
		}
	}
	for {
		var best *source
		for _, src := range sources {
			switch {
			case !src.ok:
			case best == nil || src.row.Key < best.row.Key,
				src.row.Key == best.row.Key && (src.row.Rev > best.row.Rev || src.row.Rev == best.row.Rev && src.scope < best.scope):
				best = src
			}
		}
		if best == nil {
			return nil
		}
		out := BaseRow{best.scope, best.row}
		if !yield(out, nil) {
			return errStopped
		}
		for _, src := range sources {
			if src.ok && src.row.Key == out.Key {
				if err := advance(src); err != nil {
					return err
				}
			}
		}
	}
}

// Doubtful lists up to most names of a scope's rows that an earlier database of
// the hub sent and that this one may have otherwise, or not at all. all says
// that these are all of them.
func (s *Store) Doubtful(ctx context.Context, scope string, most int) (names []feed.Name, all bool, err error) {
	s.mu.RLock()
	f := s.feeds[scope]
	if f == nil || f.Left || len(f.Turns) == 0 || f.Next != nil {
		s.mu.RUnlock()
		return nil, true, nil
	}
	own := f.clone()
	s.mu.RUnlock()
	err = s.walkBase(ctx, genPrefix(scope, own.Gen), func(rest string, b baseRow, err error) bool {
		if len(rest) < 2 || err == nil && !own.doubts(b.Line, b.N) {
			return true
		}
		if len(names) == most {
			return false
		}
		names = append(names, feed.Name{Slot: feed.Kind(rest[0]), Key: rest[1:]})
		return true
	})
	if errors.Is(err, errStopped) {
		return names, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("doubtful rows of %s: %w", scope, err)
	}
	return names, true, nil
}

// verifyFeeds counts and opens the shown rows of each scope. What is damaged
// or missing makes the scope load anew.
func (s *Store) verifyFeeds(ctx context.Context) error {
	return s.view(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues = false
		for scope := range s.shown() {
			var f feedRow
			item, err := txn.Get(feedKey(scope)) // count and rows as of one moment
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			if err == nil {
				err = item.Value(func(v []byte) error { return s.box.openRow(feedKey(scope), v, &f) })
			}
			if err != nil {
				s.sicken(scope, feed.Name{Key: "cursor"}, err)
				continue
			}
			opts.Prefix = genPrefix(scope, f.Gen)
			n, err := s.countRows(ctx, txn, opts, scope)
			if err != nil {
				return err
			}
			if n != f.Rows {
				s.sicken(scope, feed.Name{Key: "rows"}, fmt.Errorf("%d rows are there and %d were applied", n, f.Rows))
			}
		}
		return nil
	})
}

// countRows counts the rows of a generation that are there, damaged ones too.
func (s *Store) countRows(ctx context.Context, txn *badger.Txn, opts badger.IteratorOptions, scope string) (n uint64, err error) {
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		n++
		key := it.Item().Key()
		var b baseRow
		if err := it.Item().Value(func(v []byte) error { return s.box.openRow(key, v, &b) }); err != nil && len(key) > len(opts.Prefix)+1 {
			s.sicken(scope, feed.Name{Slot: feed.Kind(key[len(opts.Prefix)]), Key: string(key[len(opts.Prefix)+1:])}, err)
		}
	}
	return n, nil
}

// Outcome is what the hub made of one of the device's entries; ok is false
// when it said nothing: it applied it, or has not seen it yet.
func (s *Store) Outcome(d dot.Dot) (o feed.Outcome, ok bool, err error) {
	scope := feed.ScopeOf(s.o.Device)
	gen, held := s.shown()[scope]
	if !held {
		return o, false, nil
	}
	n := feed.Name{Slot: feed.Verdict, Key: d.String()}
	b, err := s.base(baseKey(scope, gen, n))
	switch {
	case errors.Is(err, ErrNotFound):
		return o, false, nil
	case errors.Is(err, ErrClosed):
		return o, false, err
	case err == nil:
		if o, err = feed.DecodeOutcome(b.Body); err == nil {
			return o, true, nil
		}
	}
	s.sicken(scope, n, err)
	return feed.Outcome{}, false, nil
}

// Returned counts the entries that the hub will not apply as they are.
func (s *Store) Returned(ctx context.Context) uint64 {
	s.mu.RLock()
	known, from := s.returned, s.verdicts
	s.mu.RUnlock()
	if known != nil {
		return *known
	}
	var n uint64
	for _, o := range s.Outcomes(ctx) {
		if o.Returned() {
			n++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verdicts == from && ctx.Err() == nil { // nothing came meanwhile
		s.returned = &n
	}
	return n
}

// Outcomes yields what the hub made of the device's entries, where it said
// something. What cannot be read is left out, and logged.
func (s *Store) Outcomes(ctx context.Context) iter.Seq2[dot.Dot, feed.Outcome] {
	return func(yield func(dot.Dot, feed.Outcome) bool) {
		for r, err := range s.Rows(ctx, feed.ScopeOf(s.o.Device), feed.Verdict, "") {
			if err != nil {
				s.log.Warn("verdicts not read", "err", err)
				return
			}
			d, dotErr := dot.Parse(r.Key)
			o, err := feed.DecodeOutcome(r.Body)
			if err := errors.Join(dotErr, err); err != nil {
				s.log.Warn("a verdict is not understood", "key", r.Key, "err", err)
				continue
			}
			if !yield(d, o) {
				return
			}
		}
	}
}
