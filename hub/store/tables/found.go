package tables

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// posting is a row of the index by words.
type posting struct {
	word int64
	at   store.Place
}

func (p posting) compare(o posting) int {
	return cmp.Or(cmp.Compare(p.word, o.word), cmp.Compare(p.at.Time, o.at.Time), cmp.Compare(p.at.Chain, o.at.Chain), cmp.Compare(p.at.Seq, o.at.Seq))
}

// postingsAtOnce is how many rows one statement inserts, as long as so many are left.
const postingsAtOnce = 50

// mostPostings is how many a transaction holds back to write them in order.
const mostPostings = 64 << 10

var (
	foundOne  = foundSQL(1)
	foundMany = foundSQL(postingsAtOnce)
)

func foundSQL(rows int) string {
	return "INSERT INTO found (word, at, chain, seq) VALUES " + strings.Repeat("(?, ?, ?, ?), ", rows-1) + "(?, ?, ?, ?) ON CONFLICT DO NOTHING"
}

// index notes the words of an entry that is inserted. They are written at the end
// of the transaction, in the order of the index.
func (t *tx) index(at store.Place, words []string) {
	for _, w := range words {
		t.found = append(t.found, posting{store.WordNumber(w), at})
	}
}

// wordsOf are the words that the database itself gives an entry.
func wordsOf(verdict int64) []string {
	if verdict == applied {
		return []string{store.Everything}
	}
	return []string{store.Everything, store.OfVerdict + string(verdicts[verdict])}
}

func (t *tx) saveFound() error {
	slices.SortFunc(t.found, posting.compare)
	rows := slices.Compact(t.found)
	for len(rows) > 0 {
		sql, n := foundOne, 1
		if len(rows) >= postingsAtOnce {
			sql, n = foundMany, postingsAtOnce
		}
		t.w.args = t.w.args[:0]
		for _, p := range rows[:n] {
			t.w.args = append(t.w.args, p.word, p.at.Time, p.at.Chain, p.at.Seq)
		}
		if err := t.w.exec(sql, t.w.args...); err != nil {
			return fmt.Errorf("index entries: %w", err)
		}
		rows = rows[n:]
	}
	t.found = nil
	return nil
}

// rejudged moves an entry from the word of one verdict to that of another.
func (t *tx) rejudged(at store.Place, from, to int64) error {
	if from == to {
		return nil
	}
	if from != applied {
		gone := posting{store.WordNumber(store.OfVerdict + string(verdicts[from])), at}
		t.found = slices.DeleteFunc(t.found, func(p posting) bool { return p == gone })
		err := t.w.later("DELETE FROM found WHERE word = ? AND at = ? AND chain = ? AND seq = ?", gone.word, at.Time, at.Chain, at.Seq)
		if err != nil {
			return err
		}
	}
	t.index(at, wordsOf(to))
	return nil
}

// place finds where an entry stands.
func (t *tx) place(d dot.Dot) (at store.Place, verdict int64, err error) {
	if err := checkRun(d.Chain, lane.Run(d.Seq, d.Seq)); err != nil {
		return at, 0, err
	}
	chain, err := t.w.chain(d.Chain, false)
	if err != nil {
		return at, 0, err
	}
	at = store.Place{Chain: chain, Seq: int64(d.Seq)} //nolint:gosec // checked above
	found, err := t.w.one("SELECT corrected_time, verdict FROM entries WHERE chain = ? AND seq = ?", []any{at.Chain, at.Seq},
		func(s Row) error { at.Time, verdict = s.Int64(0), s.Int64(1); return nil })
	if err == nil && !found {
		err = fmt.Errorf("entry %s: %w", d, store.ErrNotFound)
	}
	return at, verdict, err
}

// AddWords gives an entry words.
func (t *tx) AddWords(d dot.Dot, words []string) error {
	return t.do("index entries of", d.Chain, func() error {
		at, verdict, err := t.place(d)
		if err != nil {
			return err
		}
		t.index(at, append(wordsOf(verdict), words...))
		return nil
	})
}

// Having lists entries by a word.
func (t *tx) Having(word string, limit int) (out []dot.Dot, err error) {
	err = t.do("find entries as part of", dot.Chain{}, func() error {
		if err := t.saveFound(); err != nil {
			return err
		}
		return t.w.each("SELECT c.device, c.incarnation, c.lane, f.seq FROM found f JOIN chains c ON c.id = f.chain WHERE f.word = ? LIMIT ?",
			[]any{store.WordNumber(word), int64(limit)}, func(s Row) error {
				out = append(out, scanDot(s, 0))
				return nil
			})
	})
	return out, err
}

func scanPlace(s Row) store.Place {
	return store.Place{Time: s.Int64(0), Chain: s.Int64(1), Seq: s.Int64(2)}
}

// scanDot reads device, incarnation, lane and seq from column col on.
func scanDot(s Row, col int) dot.Dot {
	return dot.Dot{
		Chain: dot.Chain{
			Device: dot.Device(s.Text(col)), Incarnation: dot.Incarnation(s.Int64(col + 1)), Lane: dot.Lane(s.Int64(col + 2)), //nolint:gosec // were such when stored
		},
		Seq: dot.Seq(s.Int64(col + 3)), //nolint:gosec // never negative
	}
}

// SetEntityWords replaces an entity's words.
func (t *tx) SetEntityWords(ref entry.Ref, words []string) error {
	return t.do("index an entity as part of", dot.Chain{}, func() error {
		var id int64
		found, err := t.w.one("SELECT id FROM entities WHERE type = ? AND name = ?", []any{ref.Type, ref.ID}, func(s Row) error { id = s.Int64(0); return nil })
		if err == nil && !found {
			err = fmt.Errorf("entity %s: %w", ref, store.ErrNotFound)
		}
		if err == nil {
			err = t.w.later("DELETE FROM found_entities WHERE entity = ?", id)
		}
		for _, w := range words {
			if err == nil {
				err = t.w.later("INSERT INTO found_entities (word, entity) VALUES (?, ?) ON CONFLICT DO NOTHING", store.WordNumber(w), id)
			}
		}
		return err
	})
}

// SetUnindexed notes how far older rows have their words.
func (t *tx) SetUnindexed(u store.Unindexed) error {
	return t.do("note what is indexed as part of", dot.Chain{}, func() error {
		entities := int64(0)
		if u.Entities {
			entities = 1
		}
		return t.w.exec("UPDATE unindexed SET after_number = ?, last_number = ?, entities = ?, after_type = ?, after_name = ?",
			u.After, u.Last, entities, u.AfterRef.Type, u.AfterRef.ID)
	})
}

// Unindexed tells how far older rows have their words.
func (s *Store) Unindexed(ctx context.Context) (u store.Unindexed, err error) {
	err = s.read(ctx, "what is indexed", func(c *conn) error {
		_, err := c.one("SELECT after_number, last_number, entities, after_type, after_name FROM unindexed", nil, func(r Row) error {
			u = store.Unindexed{After: r.Int64(0), Last: r.Int64(1), Entities: r.Int64(2) != 0, AfterRef: entry.Ref{Type: r.Text(3), ID: r.Text(4)}}
			return nil
		})
		return err
	})
	return u, err
}

var errWords = errors.New("a search takes 1 to 12 words, a limit and a bound")

// findSQL finds places by a word, of which others are asked as well. Only so many rows
// of the first word are looked at.
func findSQL(others int) string {
	has := strings.Repeat(" AND EXISTS (SELECT 1 FROM found x WHERE x.word = ? AND x.at = d.at AND x.chain = d.chain AND x.seq = d.seq)", others)
	return "SELECT d.at, d.chain, d.seq, c.device, c.incarnation, c.lane, d.seq FROM" +
		" (SELECT at, chain, seq FROM found WHERE word = ? AND at >= ? AND (at, chain, seq) < (?, ?, ?) ORDER BY at DESC, chain DESC, seq DESC LIMIT ?) d" +
		" JOIN chains c ON c.id = d.chain WHERE 1 = 1" + has + " ORDER BY d.at DESC, d.chain DESC, d.seq DESC LIMIT ?"
}

// Texts that a search is made of.
var (
	findTexts = func() (out [store.MostWords]string) {
		for i := range out {
			out[i] = findSQL(i)
		}
		return out
	}()
	countText = "SELECT count(*) FROM (SELECT 1 FROM found WHERE word = ? AND at >= ? AND at < ? LIMIT ?) few"
	endText   = "SELECT at, chain, seq FROM found WHERE word = ? AND at >= ? AND (at, chain, seq) < (?, ?, ?) ORDER BY at DESC, chain DESC, seq DESC LIMIT 1 OFFSET ?"
)

const (
	longAgo = -1 << 62
	farAway = 1 << 62
	// counted is up to where words are told apart by how many have them.
	counted = 2000
)

// Find finds entries by words.
func (s *Store) Find(ctx context.Context, q store.FoundQuery) (out store.Found, err error) {
	if len(q.Words) == 0 || len(q.Words) > store.MostWords || q.Limit < 1 || q.Look < 1 {
		return out, errWords
	}
	from, top := cmp.Or(q.From, longAgo), store.Place{Time: cmp.Or(q.Until, farAway)}
	if q.Before != (store.Place{}) && q.Before.Time < top.Time {
		top = q.Before
	}
	err = s.read(ctx, "find entries", func(c *conn) error {
		return c.snapshot(func() error {
			words, err := c.rarest(q.Words, countText, from, top.Time)
			if err != nil {
				return err
			}
			args := []any{words[0], from, top.Time, top.Chain, top.Seq, int64(q.Look)}
			for _, w := range words[1:] {
				args = append(args, w)
			}
			out = store.Found{}
			err = c.each(findTexts[len(words)-1], append(args, int64(q.Limit)), func(r Row) error {
				out.Hits = append(out.Hits, store.Hit{Place: scanPlace(r), Dot: scanDot(r, 3)})
				return nil
			})
			if err != nil {
				return err
			}
			if len(out.Hits) == q.Limit {
				out.Next = out.Hits[len(out.Hits)-1].Place
				return nil
			}
			_, err = c.one(endText, []any{words[0], from, top.Time, top.Chain, top.Seq, int64(q.Look - 1)}, func(r Row) error {
				out.Next = scanPlace(r)
				return nil
			})
			return err
		})
	})
	return out, err
}

// rarest sorts the numbers of words, the one that fewest have first. count gives
// how many rows have a word, up to counted.
func (c *conn) rarest(words []string, count string, bounds ...any) ([]int64, error) {
	has := make(map[int64]int64, len(words))
	for _, w := range words {
		word := store.WordNumber(w)
		if _, twice := has[word]; twice {
			continue
		}
		args := append(append([]any{word}, bounds...), int64(counted))
		_, err := c.one(count, args, func(s Row) error { has[word] = s.Int64(0); return nil })
		if err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Keys(has), func(a, b int64) int { return cmp.Or(cmp.Compare(has[a], has[b]), cmp.Compare(a, b)) }), nil
}

// entityTexts find entities by one word and others.
var entityTexts = func() (out [store.MostWords]string) {
	for i := range out {
		out[i] = "SELECT " + strings.Replace(entityColumns, "id", "e.id", 1) + " FROM entities e JOIN found_entities f ON f.entity = e.id WHERE f.word = ? AND f.entity > ?" +
			strings.Repeat(" AND EXISTS (SELECT 1 FROM found_entities x WHERE x.word = ? AND x.entity = f.entity)", i) + " ORDER BY f.entity LIMIT ?"
	}
	return out
}()

// FindEntities finds entities by words.
func (s *Store) FindEntities(ctx context.Context, words []string, after int64, limit int) (out []store.EntityHit, err error) {
	if len(words) == 0 || len(words) > store.MostWords || limit < 1 {
		return nil, errWords
	}
	err = s.read(ctx, "find entities", func(c *conn) error {
		return c.snapshot(func() error {
			numbers, err := c.rarest(words, "SELECT count(*) FROM (SELECT 1 FROM found_entities WHERE word = ? LIMIT ?) few")
			if err != nil {
				return err
			}
			args := []any{numbers[0], after}
			for _, w := range numbers[1:] {
				args = append(args, w)
			}
			out = nil
			return c.each(entityTexts[len(numbers)-1], append(args, int64(limit)), func(r Row) error {
				id, e := scanEntity(r)
				out = append(out, store.EntityHit{Number: id, Entity: e})
				return nil
			})
		})
	})
	return out, err
}

// Searches are the texts by which entries and entities are found, for those who look
// at how a database means to answer them.
func Searches() []string {
	return []string{findTexts[0], findTexts[3], endText, countText, entityTexts[0], entityTexts[2]}
}
