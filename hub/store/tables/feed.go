package tables

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
)

// openFeed is a feed that a transaction publishes in.
type openFeed struct {
	id int64
	n  uint64
	at int64
}

// Publish puts changes into feeds. There is one writer: what another database
// needs a row lock for holds here by itself.
func (t *tx) Publish(at int64, changes ...store.FeedChange) error {
	for _, c := range changes {
		err := t.do("publish "+c.Kind.String()+" in scope "+c.Scope+" as part of", dot.Chain{}, func() error { return t.publish(at, c) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) publish(at int64, c store.FeedChange) error {
	f, err := t.feed(c.Scope)
	if err != nil {
		return err
	}
	row := feed.Row{N: f.n + 1, Kind: c.Kind, Key: c.Key, Rev: c.Rev, Body: c.Body}
	if err := row.Check(); err != nil {
		return err
	}
	body := c.Body
	if body == nil {
		body = []byte{}
	}
	f.n, f.at = row.N, at
	return t.w.later("INSERT INTO feed_rows (feed, n, slot, kind, key, rev, body) VALUES (?, ?, ?, ?, ?, ?, ?)"+
		" ON CONFLICT (feed, slot, key) DO UPDATE SET n = excluded.n, kind = excluded.kind, rev = excluded.rev, body = excluded.body",
		f.id, int64(row.N), int64(c.Kind.Slot()), int64(c.Kind), c.Key, int64(c.Rev), body) //nolint:gosec // checked above
}

// feed opens a scope's feed, making it when it is new.
func (t *tx) feed(scope string) (*openFeed, error) {
	if f := t.feeds[scope]; f != nil {
		return f, nil
	}
	if scope == "" {
		return nil, fmt.Errorf("a scope has a name")
	}
	f := new(openFeed)
	found, err := t.w.one("SELECT id, n FROM feeds WHERE scope = ?", []any{scope}, func(s Row) error {
		f.id, f.n = s.Int64(0), uint64(s.Int64(1)) //nolint:gosec // never negative
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found {
		if err := t.w.number("INSERT INTO feeds (scope, n, mark) VALUES (?, 0, ?) RETURNING id", []any{scope, make([]byte, len(feed.Mark{}))}, &f.id); err != nil {
			return nil, err
		}
	}
	t.feeds[scope] = f
	return f, nil
}

// saveFeeds leaves the commit's marks, and names the scopes that moved.
func (t *tx) saveFeeds() ([]string, error) {
	scopes := slices.Sorted(maps.Keys(t.feeds))
	for _, scope := range scopes {
		f := t.feeds[scope]
		var mark feed.Mark
		_, _ = rand.Read(mark[:])                                                                                     // never fails
		if err := t.w.later("UPDATE feeds SET n = ?, mark = ? WHERE id = ?", int64(f.n), mark[:], f.id); err != nil { //nolint:gosec // checked when it rose
			return nil, fmt.Errorf("publish in scope %s: %w", scope, err)
		}
		if err := t.w.later("INSERT INTO feed_marks (feed, n, mark, at) VALUES (?, ?, ?, ?)", f.id, int64(f.n), mark[:], f.at); err != nil { //nolint:gosec // as above
			return nil, fmt.Errorf("publish in scope %s: %w", scope, err)
		}
	}
	return scopes, nil
}

func (s *Store) published(scopes []string) {
	if fn := s.onPublish.Load(); fn != nil {
		(*fn)(scopes)
	}
}

// OnPublish has fn called after each commit that published.
func (s *Store) OnPublish(fn func(scopes []string)) {
	if fn == nil {
		s.onPublish.Store(nil)
		return
	}
	s.onPublish.Store(&fn)
}

// headOf reads a feed's head and number, 0 when the scope has none.
func headOf(c *conn, scope string) (id int64, h store.FeedHead, err error) {
	h.Scope = scope
	_, err = c.one("SELECT id, n, mark, floor FROM feeds WHERE scope = ?", []any{scope}, func(s Row) error {
		id, h.N, h.Floor = s.Int64(0), uint64(s.Int64(1)), uint64(s.Int64(3)) //nolint:gosec // never negative
		return digest(s, 2, h.Mark[:])
	})
	return id, h, err
}

// FeedHeads gives the heads of scopes.
func (s *Store) FeedHeads(ctx context.Context, scopes []string) (out []store.FeedHead, err error) {
	err = s.read(ctx, "heads of feeds", func(c *conn) error {
		return c.snapshot(func() error {
			for _, scope := range scopes {
				_, h, err := headOf(c, scope)
				if err != nil {
					return err
				}
				out = append(out, h)
			}
			return nil
		})
	})
	return out, err
}

// Feed reads rows above after.
func (s *Store) Feed(ctx context.Context, scope string, after uint64, maxBytes int) (p store.FeedPage, err error) {
	err = s.read(ctx, "feed of "+scope, func(c *conn) error {
		return c.snapshot(func() error { return readFeed(c, scope, after, maxBytes, &p) })
	})
	return p, err
}

// errEnough ends the reading of rows before their end.
var errEnough = errors.New("enough")

func readFeed(c *conn, scope string, after uint64, maxBytes int, p *store.FeedPage) (err error) {
	var id int64
	if id, p.Head, err = headOf(c, scope); err != nil || id == 0 {
		return err
	}
	p.Mark = p.Head.Mark
	if after >= p.Head.N {
		return nil
	}
	size := 0
	// One row more than a page holds says whether there are more.
	err = c.each("SELECT "+feedColumns+" FROM feed_rows WHERE feed = ? AND n > ? ORDER BY n LIMIT ?", []any{id, int64(after), int64(feed.MaxRows + 1)}, //nolint:gosec // below the head
		func(r Row) error {
			row := scanRow(r)
			if size += row.Size(); len(p.Rows) > 0 && (len(p.Rows) == feed.MaxRows || size > maxBytes) {
				return errEnough
			}
			p.Rows = append(p.Rows, row)
			return nil
		})
	if !errors.Is(err, errEnough) {
		return err
	}
	p.More = true
	last := p.Rows[len(p.Rows)-1].N
	p.Mark, _, err = markAt(c, id, last)
	return err
}

// feedColumns read a row of a feed; scanRow reads them from column 0 on.
const feedColumns = "n, kind, key, rev, body"

func scanRow(r Row) feed.Row {
	row := feed.Row{
		N: uint64(r.Int64(0)), Kind: feed.Kind(r.Int64(1)), Key: r.Text(2), //nolint:gosec // were such when they were stored
		Rev: uint64(r.Int64(3)), //nolint:gosec // as above
	}
	if b := r.Bytes(4); len(b) > 0 {
		row.Body = slices.Clone(b)
	}
	return row
}

// markAt is the mark of the commit that n belongs to.
func markAt(c *conn, id int64, n uint64) (mark feed.Mark, ok bool, err error) {
	ok, err = c.one("SELECT mark FROM feed_marks WHERE feed = ? AND n >= ? ORDER BY n LIMIT 1", []any{id, int64(n)}, //nolint:gosec // checked by callers
		func(r Row) error { return digest(r, 0, mark[:]) })
	return mark, ok, err
}

// MarkAt gives the mark of the commit that n belongs to.
func (s *Store) MarkAt(ctx context.Context, scope string, n uint64) (mark feed.Mark, ok bool, err error) {
	if n == 0 || n > feed.MaxN {
		return mark, false, nil
	}
	err = s.read(ctx, "mark of "+scope, func(c *conn) error {
		return c.snapshot(func() error {
			id, h, err := headOf(c, scope)
			if err != nil || id == 0 || n < h.Floor {
				return err
			}
			mark, ok, err = markAt(c, id, n)
			return err
		})
	})
	return mark, ok, err
}

// FeedRows reads rows by their names.
func (s *Store) FeedRows(ctx context.Context, scope string, names []feed.Name) (rows []feed.Row, head store.FeedHead, err error) {
	err = s.read(ctx, "rows of "+scope, func(c *conn) error {
		return c.snapshot(func() error {
			id, h, err := headOf(c, scope)
			if head = h; err != nil || id == 0 {
				return err
			}
			for _, n := range names {
				_, err := c.one("SELECT "+feedColumns+" FROM feed_rows WHERE feed = ? AND slot = ? AND key = ?", []any{id, int64(n.Slot), n.Key},
					func(r Row) error { rows = append(rows, scanRow(r)); return nil })
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	slices.SortFunc(rows, func(a, b feed.Row) int { return int(a.N) - int(b.N) }) //nolint:gosec // at most feed.MaxN
	return slices.CompactFunc(rows, func(a, b feed.Row) bool { return a.N == b.N }), head, err
}

// CollectFeeds forgets what went away before a moment. Of each feed the newest
// mark from before it stays, and becomes the floor: whoever got that far has
// seen all that is dropped.
func (s *Store) CollectFeeds(ctx context.Context, before int64) (dropped int64, err error) {
	err = s.write(ctx, "collect feeds", func(w *writer) error {
		floors := make(map[int64]int64)
		err := w.each("SELECT feed, max(n) FROM feed_marks WHERE at < ? GROUP BY feed", []any{before},
			func(r Row) error { floors[r.Int64(0)] = r.Int64(1); return nil })
		if err != nil {
			return err
		}
		dropped = 0
		for id, floor := range floors {
			if err := w.exec("DELETE FROM feed_rows WHERE feed = ? AND kind = 2 AND n <= ?", id, floor); err != nil {
				return err
			}
			dropped += w.changed
			if err := w.exec("DELETE FROM feed_marks WHERE feed = ? AND n < ?", id, floor); err != nil {
				return err
			}
			if err := w.exec("UPDATE feeds SET floor = CASE WHEN floor < ?1 THEN ?1 ELSE floor END WHERE id = ?2", floor, id); err != nil {
				return err
			}
		}
		return nil
	})
	return dropped, err
}

// SetScopes replaces what a device is granted.
func (t *tx) Device(d dot.Device) (out store.Device, err error) {
	err = t.authored("read device "+string(d), func() error {
		found, err := device(t.w.conn, d, &out)
		if err == nil && !found {
			return errNothing
		}
		return err
	})
	return out, err
}

func (t *tx) SetScopes(d dot.Device, scopes []string) error {
	return t.do("grant scopes to "+string(d)+" as part of", dot.Chain{}, func() error {
		b, err := scopesJSON(scopes)
		if err != nil {
			return err
		}
		if err := t.w.exec("UPDATE devices SET scopes = ? WHERE name = ?", b, string(d)); err != nil {
			return err
		}
		if t.w.changed == 0 {
			return store.ErrNotFound
		}
		return nil
	})
}
