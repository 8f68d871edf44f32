package tables

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Kind is what a column holds.
type Kind byte

// The kinds of columns.
const (
	Number Kind = iota + 1
	Words
	Octets
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind Kind
}

// Table is a table as a database describes it.
type Table struct {
	Name    string
	Columns []Column // the first is the key or begins it
	After   []string // tables that it refers to
}

// Whole is a connection that can say what its database holds.
type Whole interface {
	Link
	// Tables lists all tables but those that only count migrations.
	Tables() ([]Table, error)
	// Filled is called, within the transaction, after rows were written with their
	// numbers: what the database gives next must lie above them.
	Filled(ts []Table) error
}

// ErrDiffers says that a copy is not what it was copied from.
var ErrDiffers = errors.New("the copy differs")

// ErrNotEmpty says that something is in the database that was to be filled.
var ErrNotEmpty = errors.New("the database is not empty")

// Copied says what was copied of a table: the number of rows, and a SHA-256 that
// does not depend on their order.
type Copied struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Hash  string `json:"hash"`
}

// Copy copies all rows of all tables into an empty database of the same tables,
// then reads them there and compares. Both connections stand in a transaction,
// which the caller ends: that of to only when there was no error. Errors wrap
// [ErrNotEmpty] and [ErrDiffers]. told, which may be nil, hears of each table.
func Copy(ctx context.Context, from, to Whole, told func(Copied)) ([]Copied, error) {
	ts, err := sameTables(from, to)
	if err != nil {
		return nil, err
	}
	if err := empty(to, ts); err != nil {
		return nil, err
	}
	var out []Copied
	for _, t := range ts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sent, err := copyTable(from, to, t)
		if err != nil {
			return nil, fmt.Errorf("copy table %s: %w", t.Name, err)
		}
		out = append(out, sent.report(t))
	}
	if err := to.Filled(ts); err != nil {
		return nil, fmt.Errorf("go on counting above what was copied: %w", err)
	}
	for i, t := range ts {
		have, err := Read(to, t)
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", t.Name, err)
		}
		if have != out[i] {
			return nil, fmt.Errorf("%w: table %s has %d rows of hash %s, and not %d of %s", ErrDiffers, t.Name, have.Rows, have.Hash, out[i].Rows, out[i].Hash)
		}
		if told != nil {
			told(have)
		}
	}
	return out, nil
}

// Move copies all that one store holds into another, which must be empty, as of one
// moment, whole or not at all. See [Copy].
func Move(ctx context.Context, from, to *Store, told func(Copied)) (out []Copied, err error) {
	err = from.Read(ctx, "copy the database", func(l Link) error {
		a, ok := l.(Whole)
		if !ok {
			return errors.New("this database does not say what it holds")
		}
		if err := a.Begin(false); err != nil {
			return err
		}
		return errors.Join(to.Write(ctx, "fill the database", func(l Link) error {
			b, ok := l.(Whole)
			if !ok {
				return errors.New("this database does not say what it holds")
			}
			out, err = Copy(ctx, a, b, told)
			return err
		}), a.End(false))
	})
	return out, err
}

// sameTables gives the tables of both, those that others refer to first.
func sameTables(from, to Whole) ([]Table, error) {
	a, err := from.Tables()
	if err != nil {
		return nil, err
	}
	b, err := to.Tables()
	if err != nil {
		return nil, err
	}
	for _, ts := range [][]Table{a, b} {
		slices.SortFunc(ts, func(x, y Table) int { return cmp.Compare(x.Name, y.Name) })
	}
	if x, y := describe(a), describe(b); x != y {
		return nil, fmt.Errorf("the two databases do not have the same tables: one has %s, the other %s", only(x, y), only(y, x))
	}
	var out []Table
	placed := make(map[string]bool)
	for len(out) < len(a) {
		before := len(out)
		for _, t := range a {
			if !placed[t.Name] && !slices.ContainsFunc(t.After, func(n string) bool { return n != t.Name && !placed[n] }) {
				placed[t.Name] = true
				out = append(out, t)
			}
		}
		if len(out) == before {
			return nil, errors.New("tables refer to one another in a circle")
		}
	}
	return out, nil
}

// describe writes tables down, a column a line, whatever the order of columns.
func describe(ts []Table) string {
	var lines []string
	for _, t := range ts {
		for _, c := range t.Columns {
			lines = append(lines, fmt.Sprintf("%s.%s(%d)", t.Name, c.Name, c.Kind))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// only lists the lines of a that b lacks.
func only(a, b string) string {
	have := strings.Split(b, "\n")
	out := slices.DeleteFunc(strings.Split(a, "\n"), func(l string) bool { return slices.Contains(have, l) })
	if len(out) == 0 {
		return "no others"
	}
	return strings.Join(out, ", ")
}

// telling are tables of which one has rows wherever a hub has worked.
var telling = []string{"epoch", "devices", "chains", "entries", "facts", "operators", "entities"}

// empty refuses a database that a hub has worked in, and takes out what the making
// of its tables put in.
func empty(to Link, ts []Table) error {
	for _, name := range telling {
		found := false
		if err := to.Each("SELECT 1 FROM "+name+" LIMIT 1", nil, func(Row) error { found = true; return nil }); err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%w: there are rows in its table %s", ErrNotEmpty, name)
		}
	}
	for _, t := range slices.Backward(ts) {
		if _, err := to.Exec("DELETE FROM "+t.Name, nil); err != nil {
			return err
		}
	}
	return nil
}

// quoted gives the columns as a statement names them.
func (t Table) quoted() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = `"` + c.Name + `"`
	}
	return strings.Join(names, ", ")
}

func (t Table) query() string {
	return "SELECT " + t.quoted() + " FROM " + t.Name + ` ORDER BY "` + t.Columns[0].Name + `"`
}

func (t Table) insert(rows int) string {
	row := "(" + strings.Repeat("?, ", len(t.Columns)-1) + "?)"
	return "INSERT INTO " + t.Name + " (" + t.quoted() + ") VALUES " + strings.Repeat(row+", ", rows-1) + row
}

func copyTable(from, to Link, t Table) (sent tally256, err error) {
	many, one := t.insert(rowsAtOnce), t.insert(1)
	args := make([]any, 0, rowsAtOnce*len(t.Columns))
	err = from.Each(t.query(), nil, func(r Row) error {
		at := len(args)
		for i, c := range t.Columns {
			args = append(args, value(r, i, c.Kind))
		}
		sent.add(t, args[at:])
		if len(args) < cap(args) {
			return nil
		}
		_, err := to.Exec(many, args)
		args = args[:0]
		return err
	})
	for len(args) > 0 && err == nil {
		_, err = to.Exec(one, args[:len(t.Columns)])
		args = args[len(t.Columns):]
	}
	return sent, err
}

// value copies a column.
func value(r Row, col int, k Kind) any {
	switch {
	case r.Null(col):
		return nil
	case k == Number:
		return r.Int64(col)
	case k == Words:
		return r.Text(col)
	default:
		return blob(r, col)
	}
}

// Read counts and hashes the rows of a table.
func Read(l Link, t Table) (Copied, error) {
	var have tally256
	row := make([]any, len(t.Columns))
	err := l.Each(t.query(), nil, func(r Row) error {
		for i, c := range t.Columns {
			row[i] = value(r, i, c.Kind)
		}
		have.add(t, row)
		return nil
	})
	return have.report(t), err
}

// tally256 adds up the hashes of rows, modulo 2^256: in whatever order they come
// the sum is the same, and rows that are there twice do not cancel out.
type tally256 struct {
	rows int64
	sum  [4]uint64
}

// add adds a row. Columns are taken by their names.
func (s *tally256) add(t Table, row []any) {
	order := make([]int, len(t.Columns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(t.Columns[a].Name, t.Columns[b].Name) })
	h := sha256.New()
	var head [9]byte
	for _, i := range order {
		var body []byte
		head[0] = byte(t.Columns[i].Kind)
		switch v := row[i].(type) {
		case nil:
			head[0] = 0
		case int64:
			body = binary.BigEndian.AppendUint64(nil, uint64(v)) //nolint:gosec // the bytes stay
		case string:
			body = []byte(v)
		case []byte:
			body = v
		}
		binary.BigEndian.PutUint64(head[1:], uint64(len(body)))
		h.Write(head[:])
		h.Write(body)
	}
	sum := h.Sum(nil)
	var carry uint64
	for i := 3; i >= 0; i-- {
		s.sum[i], carry = bits.Add64(s.sum[i], binary.BigEndian.Uint64(sum[8*i:]), carry)
	}
	s.rows++
}

func (s *tally256) report(t Table) Copied {
	var b [32]byte
	for i, v := range s.sum {
		binary.BigEndian.PutUint64(b[8*i:], v)
	}
	return Copied{Table: t.Name, Rows: s.rows, Hash: hex.EncodeToString(b[:])}
}
