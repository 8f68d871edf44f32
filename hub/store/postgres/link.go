package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"otor/hub/store/tables"
)

// Locks of the database, known by their numbers to all hub programs that work on it.
const (
	writers = 0x6f746f72  // "otor": transactions that write take it in turn
	working = writers + 1 // held together by all programs that work, or by one that moves everything
)

// Bounds in time of what no context ends: the end of a transaction, and of a
// connection; and after how long of standing idle a connection is tried first.
const (
	endWithin   = 60 * time.Second
	closeWithin = 2 * time.Second
	idleFor     = time.Second
)

// link is one connection with the statements that were prepared on it. It is
// used by one goroutine at a time.
type link struct {
	pg    *pgconn.PgConn
	ctx   context.Context //nolint:containedctx // of what runs now: see Watch
	used  time.Time       // when it last did something
	leads bool            // see Store.Lead
	stmts map[string]*pgconn.StatementDescription
	args  [][]byte // of the statement that runs
	bytes []byte   // room for numbers among them
	// pipe holds the statements, sent of them, that were put off; nil: none.
	pipe *pgconn.Pipeline
	sent int
}

// mostSent bounds the statements that are put off.
const mostSent = 256

func newLink(c *pgconn.PgConn) *link {
	return &link{pg: c, ctx: context.Background(), used: time.Now(), stmts: make(map[string]*pgconn.StatementDescription)}
}

// Watch has the end of ctx cancel what runs.
func (l *link) Watch(ctx context.Context) { l.ctx = ctx }

// Alive tries a connection that stood idle: servers hang up, also in silence.
func (l *link) Alive() bool {
	if l.pg.IsClosed() {
		return false
	}
	if time.Since(l.used) < idleFor {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	l.used = time.Now()
	return l.pg.Ping(ctx) == nil
}

// Close hangs up.
func (l *link) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	return l.pg.Close(ctx)
}

// Begin begins a transaction. One that writes waits here for its turn; each of its
// statements then sees all that was committed before.
func (l *link) Begin(writes bool) error {
	if writes {
		return l.simple(l.ctx, fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(%d)", writers))
	}
	return l.simple(l.ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
}

// End ends the transaction, if one is open still.
func (l *link) End(commit bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	if err := l.flush(); err != nil && commit {
		return err
	}
	switch {
	case commit && l.pg.TxStatus() != 'T':
		return errors.New("the transaction has failed already")
	case commit:
		return l.simple(ctx, "COMMIT")
	case l.pg.IsClosed() || l.pg.TxStatus() == 'I':
		return nil
	}
	if err := l.simple(ctx, "ROLLBACK"); err != nil {
		_ = l.Close() // which ends it too
	}
	return nil
}

// Later puts a statement off until the next one, and then sends all together.
func (l *link) Later(sql string, args []any) error {
	if l.sent >= mostSent {
		if err := l.flush(); err != nil {
			return err
		}
	}
	sd, err := l.prepare(sql, args)
	if err != nil {
		return err
	}
	if l.pipe == nil {
		l.pipe = l.pg.StartPipeline(l.ctx)
	}
	l.pipe.SendQueryStatement(sd, l.args, binaryFormat, binaryFormat) // it writes them down
	l.sent++
	return nil
}

// flush sends what was put off, and waits until it is done.
func (l *link) flush() error {
	if l.pipe == nil {
		return nil
	}
	p := l.pipe
	l.pipe, l.sent, l.used = nil, 0, time.Now()
	err := p.Sync()
	return taken(errors.Join(err, p.Close()))
}

// simple runs statements without parameters.
func (l *link) simple(ctx context.Context, sql string) error {
	l.used = time.Now()
	return l.pg.Exec(ctx, sql).Close()
}

// Exec runs a statement that gives no rows.
func (l *link) Exec(sql string, args []any) (changed int64, err error) {
	r, err := l.run(sql, args)
	if err != nil {
		return 0, err
	}
	tag, err := r.Close()
	return tag.RowsAffected(), taken(err)
}

// Each calls fn for every row of a query.
func (l *link) Each(sql string, args []any, fn func(tables.Row) error) (err error) {
	r, err := l.run(sql, args)
	if err != nil {
		return err
	}
	current := row{fields: r.FieldDescriptions()}
	for err == nil && r.NextRow() {
		current.values = r.Values()
		err = fn(&current)
	}
	_, closeErr := r.Close()
	return errors.Join(err, current.err, taken(closeErr))
}

var binaryFormat = []int16{pgtype.BinaryFormatCode}

// run sends a statement.
func (l *link) run(sql string, args []any) (*pgconn.ResultReader, error) {
	if err := l.flush(); err != nil {
		return nil, err
	}
	l.used = time.Now()
	sd, err := l.prepare(sql, args)
	if err != nil {
		return nil, err
	}
	return l.pg.ExecStatement(l.ctx, sd, l.args, binaryFormat, binaryFormat), nil
}

// prepare prepares a statement the first time, and writes its arguments as the
// server takes them.
func (l *link) prepare(sql string, args []any) (*pgconn.StatementDescription, error) {
	sd, ok := l.stmts[sql]
	if !ok {
		if err := l.flush(); err != nil { // what was put off keeps the line busy
			return nil, err
		}
		var err error
		name := "s" + strconv.Itoa(len(l.stmts))
		if sd, err = l.pg.Prepare(l.ctx, name, translate(sql), typesOf(args)); err != nil {
			return nil, fmt.Errorf("%w (in %s)", err, brief(sql))
		}
		l.stmts[sql] = sd
	}
	if len(sd.ParamOIDs) != len(args) {
		return nil, fmt.Errorf("%d arguments for the %d parameters of %s", len(args), len(sd.ParamOIDs), brief(sql))
	}
	l.args, l.bytes = l.args[:0], l.bytes[:0]
	if need := 8 * len(args); cap(l.bytes) < need { // so that it does not move while it is filled
		l.bytes = make([]byte, 0, need)
	}
	for i, a := range args {
		if err := l.add(sd.ParamOIDs[i], a); err != nil {
			return nil, fmt.Errorf("parameter %d of %s: %w", i+1, brief(sql), err)
		}
	}
	return sd, nil
}

// typesOf gives the types of arguments; what is nil the server finds out.
func typesOf(args []any) []uint32 {
	out := make([]uint32, len(args))
	for i, a := range args {
		switch a.(type) {
		case int64:
			out[i] = pgtype.Int8OID
		case string:
			out[i] = pgtype.TextOID
		case []byte:
			out[i] = pgtype.ByteaOID
		}
	}
	return out
}

// add adds an argument in its binary form.
func (l *link) add(oid uint32, a any) error {
	switch v := a.(type) {
	case nil:
		l.args = append(l.args, nil)
	case int64:
		if oid != pgtype.Int8OID {
			return fmt.Errorf("a number where type %d is due", oid)
		}
		at := len(l.bytes)
		l.bytes = binary.BigEndian.AppendUint64(l.bytes, uint64(v)) //nolint:gosec // the bytes stay
		l.args = append(l.args, l.bytes[at:])
	case string:
		if oid != pgtype.TextOID {
			return fmt.Errorf("a text where type %d is due", oid)
		}
		l.args = append(l.args, []byte(escape(v)))
	case []byte:
		if oid != pgtype.ByteaOID {
			return fmt.Errorf("bytes where type %d is due", oid)
		}
		l.args = append(l.args, v)
	default:
		return fmt.Errorf("it has type %T", a)
	}
	return nil
}

// translate writes a statement's parameters as PostgreSQL does, and leaves hints out.
func translate(sql string) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(sql); i++ {
		if sql[i] != '?' {
			b.WriteByte(sql[i])
			continue
		}
		b.WriteByte('$')
		if i+1 < len(sql) && sql[i+1] >= '0' && sql[i+1] <= '9' {
			continue
		}
		n++
		b.WriteString(strconv.Itoa(n))
	}
	out := b.String()
	if before, after, ok := strings.Cut(out, " INDEXED BY "); ok {
		_, after, _ = strings.Cut(after, " ")
		out = before + " " + after
	}
	return out
}

// brief is the beginning of a statement, to find it by.
func brief(sql string) string {
	if len(sql) > 60 {
		return sql[:60] + "..."
	}
	return sql
}

// taken tells package tables that a row exists already.
func taken(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && (pgErr.Code == uniqueViolation || pgErr.Code == exclusionViolation) {
		return fmt.Errorf("%w: %w (%s)", tables.ErrTaken, err, pgErr.ConstraintName) // its detail may be personal
	}
	return err
}

// row is a row of a query.
type row struct {
	fields []pgconn.FieldDescription
	values [][]byte
	err    error // the first column that was not what it was read as
}

func (r *row) Null(col int) bool { return r.values[col] == nil }

func (r *row) Int64(col int) int64 {
	switch v := r.values[col]; len(v) {
	case 0:
		return 0
	case 4:
		return int64(int32(binary.BigEndian.Uint32(v))) //nolint:gosec // the bytes stay
	case 8:
		return int64(binary.BigEndian.Uint64(v)) //nolint:gosec // the bytes stay
	default:
		if r.err == nil {
			r.err = fmt.Errorf("%w: column %s is no whole number", tables.ErrDamagedRow, r.fields[col].Name)
		}
		return 0
	}
}

func (r *row) Text(col int) string { return unescape(string(r.values[col])) }

func (r *row) Bytes(col int) []byte {
	if v := r.values[col]; r.fields[col].DataTypeOID != pgtype.TextOID {
		return v
	}
	return []byte(r.Text(col))
}
