package tables

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"otor/hub/store"
)

// A page of a listing ends after pageRows entries, or once pageBytes of their
// bytes are read. Arrival numbers are collected pageNumbers at a time where
// the index over dots must be searched for them.
const (
	pageRows    = 512
	pageBytes   = 1 << 20
	pageNumbers = 32 << 10
)

// Entries lists entries in order of arrival: those that were there when the
// listing began. It reads page by page and holds no connection while the
// caller looks at an entry, so the caller may take its time and may call the
// store. A verdict is that of the moment at which its page was read.
func (s *Store) Entries(ctx context.Context, q store.EntryQuery) iter.Seq2[store.ListedEntry, error] {
	return func(yield func(store.ListedEntry, error) bool) {
		l := listing{store: s, q: q, after: q.After, left: q.Limit}
		err := l.prepare(ctx)
		for err == nil && !l.done {
			var page []store.ListedEntry
			if page, err = l.next(ctx); err != nil {
				break
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(store.ListedEntry{}, err)
		}
	}
}

// listing is a running query.
type listing struct {
	store *Store
	q     store.EntryQuery
	last  int64 // arrival number of the newest entry when the listing began
	after int64 // every entry up to here was listed or is not wanted
	left  int   // entries still wanted, when q.Limit is set
	done  bool

	numbers []int64 // where byChain: found, not read yet
	byChain bool
	verdict int64
}

const noVerdict = -1

func (l *listing) prepare(ctx context.Context) error {
	if l.q.Newest && (l.q.Device != "" || l.q.Lane != 0 || l.q.After != 0) {
		return errors.New("list entries: the newest are listed by verdict alone")
	}
	if l.q.Before != 0 && !l.q.Newest {
		return errors.New("list entries: what is before another is listed newest first")
	}
	l.byChain = l.q.Device != "" || l.q.Lane != 0
	l.verdict = noVerdict
	if l.q.Verdict != "" {
		v, err := verdictNumber(l.q.Verdict)
		if err != nil {
			return fmt.Errorf("list entries: %w", err)
		}
		l.verdict = v
	}
	return l.store.read(ctx, "list entries", func(c *conn) error {
		err := c.number("SELECT coalesce(max(number), 0) FROM entries", nil, &l.last)
		if l.q.Before > 0 {
			l.last = min(l.last, l.q.Before-1)
		}
		return err
	})
}

// next reads a page and notes how far it went.
func (l *listing) next(ctx context.Context) (page []store.ListedEntry, err error) {
	err = l.store.read(ctx, "list entries", func(c *conn) error {
		if l.byChain {
			page, err = l.nextByChain(c)
			return err
		}
		page, err = l.nextByNumber(c)
		return err
	})
	if l.q.Limit > 0 {
		l.left -= len(page)
		l.done = l.done || l.left <= 0
	}
	return page, err
}

// rows is how many entries the next page may have.
func (l *listing) rows() int {
	if l.q.Limit > 0 {
		return min(l.left, pageRows)
	}
	return pageRows
}

func (l *listing) columns() string {
	if l.q.WithRaw {
		return "SELECT " + entryColumns + rawColumns + entryTables
	}
	return "SELECT " + entryColumns + entryTables
}

// nextByNumber reads on in the ledger, or in the index over verdicts. SQLite
// uses that index only for a number that stands in the statement's text.
func (l *listing) nextByNumber(c *conn) (page []store.ListedEntry, err error) {
	which := ""
	if l.verdict != noVerdict {
		which = fmt.Sprintf(" AND e.verdict = %d", l.verdict)
	}
	if l.verdict != noVerdict && l.verdict != applied {
		which += " AND e.verdict <> 1"
	}
	bytes, rows := 0, 0
	order := " ORDER BY e.number LIMIT ?"
	if l.q.Newest {
		order = " ORDER BY e.number DESC LIMIT ?"
	}
	err = c.each(l.columns()+" WHERE e.number > ? AND e.number <= ?"+which+order, []any{l.after, l.last, int64(l.rows())},
		func(r Row) error {
			if rows++; bytes > pageBytes {
				return nil
			}
			e, err := scanEntry(r, l.q.WithRaw)
			if page = append(page, e); l.q.Newest {
				l.last = e.Number - 1
			} else {
				l.after = e.Number
			}
			bytes += e.Raw.Size()
			return err
		})
	l.done = rows < l.rows() && len(page) == rows
	return page, err
}

// numbersAtOnce is how many entries are asked for by their numbers in one statement.
const numbersAtOnce = 64

var byNumbers = " WHERE e.number IN (?" + strings.Repeat(", ?", numbersAtOnce-1) + ") ORDER BY e.number"

// nextByChain reads the entries of some chains. Their arrival numbers come
// from the index over dots, many at a time, sorted; then the entries, some at a time.
func (l *listing) nextByChain(c *conn) (page []store.ListedEntry, err error) {
	if len(l.numbers) == 0 {
		if err := l.find(c); err != nil {
			return nil, err
		}
	}
	bytes, rows := 0, l.rows()
	for len(l.numbers) > 0 && len(page) < rows && bytes < pageBytes {
		some := l.numbers[:min(numbersAtOnce, len(l.numbers))]
		args := make([]any, numbersAtOnce)
		for i := range args {
			args[i] = some[min(i, len(some)-1)] // the last one fills the rest
		}
		full := false
		err := c.each(l.columns()+byNumbers, args, func(r Row) error {
			if full = full || len(page) >= rows || bytes >= pageBytes; full {
				return nil
			}
			e, err := scanEntry(r, l.q.WithRaw)
			if err == nil && (l.q.Verdict == "" || e.Judgement.Verdict == l.q.Verdict) {
				page = append(page, e)
				bytes += e.Raw.Size()
			}
			l.after = e.Number
			return err
		})
		if err != nil {
			return nil, err
		}
		if !full {
			l.after = some[len(some)-1]
		}
		for len(l.numbers) > 0 && l.numbers[0] <= l.after {
			l.numbers = l.numbers[1:]
		}
	}
	return page, nil
}

// find collects the next arrival numbers of the chains that are asked for.
func (l *listing) find(c *conn) error {
	limit := pageNumbers
	if l.q.Limit > 0 && l.verdict == noVerdict {
		limit = min(limit, l.left)
	}
	which := ""
	switch {
	case l.verdict == noVerdict || l.verdict == applied:
		// Most entries are applied: search the dots, look at the verdict later.
		which = " INDEXED BY entries_dot WHERE"
	default:
		which = fmt.Sprintf(" INDEXED BY entries_verdict WHERE verdict = %d AND verdict <> 1 AND", l.verdict)
	}
	sql := "SELECT number FROM entries" + which + " chain IN (SELECT id FROM chains WHERE (?1 = '' OR device = ?1) AND (?2 = 0 OR lane = ?2))" +
		" AND number > ?3 AND number <= ?4 ORDER BY number LIMIT ?5"
	l.numbers = l.numbers[:0]
	err := c.each(sql, []any{string(l.q.Device), int64(l.q.Lane), l.after, l.last, int64(limit)}, func(r Row) error {
		l.numbers = append(l.numbers, r.Int64(0))
		return nil
	})
	l.done = len(l.numbers) == 0
	return err
}
