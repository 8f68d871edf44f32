package sqlite_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/driver"
	modernc "modernc.org/sqlite"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// The figures of docs/adr/0002-sqlite-driver.md:
//
//	go test ./hub/store/sqlite -run xxx -bench Insert -benchtime 5x
//
// Every contender inserts the same 100,000 entries of about 150 bytes public
// and 160 bytes private into the same tables, 2,000 a transaction, WAL,
// synchronous FULL. "contract" is Store.Ingest with Lane, OpenGaps, Insert and
// SaveLane, fed with store.Entry values; the others are bare loops over
// prepared arguments. The number after a name is the rows of one statement.
const (
	benchEntries = 100_000
	benchBatch   = 2_000
	benchColumns = 18
)

var benchPragmas = []string{
	"PRAGMA page_size = 8192", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON",
	"PRAGMA secure_delete = ON", "PRAGMA wal_autocheckpoint = 2000", "PRAGMA temp_store = MEMORY", "PRAGMA cache_size = -16384",
}

func benchSetup(b *testing.B) []string {
	b.Helper()
	schema, err := os.ReadFile("migrations/00001_ledger.sql")
	if err != nil {
		b.Fatal(err)
	}
	out := append([]string{}, benchPragmas...)
	out = append(out, string(schema))
	for i := 1; i <= 10; i++ {
		out = append(out, fmt.Sprintf("INSERT INTO chains (id, device, incarnation, lane) VALUES (%d, 'D-%d', 1, 2)", i, i))
	}
	return out
}

func benchInsertSQL(rows int) string {
	row := "(" + strings.Repeat("?,", benchColumns-1) + "?)"
	return "INSERT INTO entries (chain, seq, verdict, code, form, form_version, entity_type, actor, via, device_time, corrected_time," +
		" received_at, entity, words, hash, public, private, private_hash) VALUES " + strings.Repeat(row+",", rows-1) + row
}

// benchStoreEntries makes the entries: ten chains, one after the other.
func benchStoreEntries() []store.Entry {
	random := rand.NewChaCha8([32]byte{1})
	out := make([]store.Entry, benchEntries)
	for i := range out {
		b := make([]byte, 310)
		_, _ = random.Read(b) // never fails
		c := dot.Chain{Device: dot.Device(fmt.Sprintf("D-%d", 1+i/10_000)), Incarnation: 1, Lane: dot.Record}
		raw := entry.NewRaw(b[:150], b[150:])
		at := 1_774_000_000_000 + int64(i)
		out[i] = store.Entry{
			Dot: c.At(dot.Seq(i%10_000 + 1)), Hash: raw.Hash(), Raw: raw, Form: "visit", FormVersion: 3, EntityType: "household",
			Entity: fmt.Sprintf("HH-%04d", i%3000), Actor: "U-7", DeviceTime: at, CorrectedTime: at, ReceivedAt: at + 3_600_000,
			Judgement: store.Judgement{Verdict: store.Applied},
		}
	}
	return out
}

// benchArgs gives the same entries as columns, with made-up numbers for the words.
func benchArgs(es []store.Entry) [][]any {
	out := make([][]any, len(es))
	for i, e := range es {
		out[i] = []any{
			int64(1 + i/10_000), int64(e.Dot.Seq), int64(1), nil, int64(1), int64(3), int64(2), int64(3), nil, e.DeviceTime, e.CorrectedTime, //nolint:gosec // small
			e.ReceivedAt, e.Entity, nil, e.Hash[:], e.Raw.Public, e.Raw.Private, nil,
		}
	}
	return out
}

func BenchmarkInsert(b *testing.B) {
	es := benchStoreEntries()
	rows := benchArgs(es)
	if _, err := modernc.Fdatasync(true); err != nil && !errors.Is(err, modernc.ErrFdatasyncUnavailable) {
		b.Fatal(err)
	}
	for _, per := range []int{1, 50} {
		b.Run(fmt.Sprintf("modernc-sql-%d", per), func(b *testing.B) { measure(b, viaSQL(rows, "sqlite", per)) })
		b.Run(fmt.Sprintf("modernc-conn-%d", per), func(b *testing.B) { measure(b, viaConn(rows, "sqlite", per)) })
		b.Run(fmt.Sprintf("ncruces-sql-%d", per), func(b *testing.B) { measure(b, viaSQL(rows, "sqlite3", per)) })
		b.Run(fmt.Sprintf("ncruces-direct-%d", per), func(b *testing.B) { measure(b, direct(rows, per)) })
	}
	b.Run("contract", func(b *testing.B) { measure(b, contract(es)) })
}

// measure times the function that run returns for a fresh folder; run itself
// and the returned clean-up are not timed.
func measure(b *testing.B, run func(b *testing.B, path string) (timed func() error, cleanUp func() error)) {
	var bytes int64
	var cpu time.Duration
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), "hub.db")
		timed, cleanUp := run(b, path)
		runtime.GC() // nobody pays for what the one before left
		b.StartTimer()
		began, used := time.Now(), cpuTime()
		err := timed()
		best, cpu = min(best, time.Since(began)), cpu+cpuTime()-used
		b.StopTimer()
		if err := errors.Join(err, cleanUp()); err != nil {
			b.Fatal(err)
		}
		if fi, err := os.Stat(path); err == nil {
			bytes = fi.Size()
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(benchEntries*b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(benchEntries/best.Seconds(), "best-entries/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(benchEntries*b.N), "cpu-ns/entry")
	b.ReportMetric(float64(bytes)/benchEntries, "B/entry")
	b.ReportMetric(0, "ns/op")
}

func openSQL(b *testing.B, name, path string) *sql.DB {
	b.Helper()
	db, err := sql.Open(name, path)
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range benchSetup(b) {
		if _, err := db.ExecContext(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	return db
}

func viaSQL(rows [][]any, name string, per int) func(b *testing.B, path string) (func() error, func() error) {
	return func(b *testing.B, path string) (func() error, func() error) {
		db := openSQL(b, name, path)
		st, err := db.PrepareContext(b.Context(), benchInsertSQL(per))
		if err != nil {
			b.Fatal(err)
		}
		args := make([]any, 0, per*benchColumns)
		return func() error {
			for i := 0; i < len(rows); i += benchBatch {
				tx, err := db.BeginTx(b.Context(), nil)
				if err != nil {
					return err
				}
				in := tx.StmtContext(b.Context(), st)
				for j := i; j < i+benchBatch; j += per {
					args = args[:0]
					for _, r := range rows[j : j+per] {
						args = append(args, r...)
					}
					if _, err := in.ExecContext(b.Context(), args...); err != nil {
						return err
					}
				}
				if err := tx.Commit(); err != nil {
					return err
				}
			}
			return nil
		}, db.Close
	}
}

// viaConn uses the driver's connection without what database/sql adds.
func viaConn(rows [][]any, name string, per int) func(b *testing.B, path string) (func() error, func() error) {
	return func(b *testing.B, path string) (func() error, func() error) {
		db := openSQL(b, name, path)
		insert := func(dc any) error {
			ctx := context.Background()
			st, err := dc.(sqldriver.ConnPrepareContext).PrepareContext(ctx, benchInsertSQL(per))
			if err != nil {
				return err
			}
			args := make([]sqldriver.NamedValue, per*benchColumns)
			for i := range args {
				args[i].Ordinal = i + 1
			}
			for i := 0; i < len(rows); i += benchBatch {
				tx, err := dc.(sqldriver.ConnBeginTx).BeginTx(ctx, sqldriver.TxOptions{})
				if err != nil {
					return err
				}
				for j := i; j < i+benchBatch; j += per {
					k := 0
					for _, r := range rows[j : j+per] {
						for _, v := range r {
							args[k].Value = v
							k++
						}
					}
					if _, err := st.(sqldriver.StmtExecContext).ExecContext(ctx, args); err != nil {
						return err
					}
				}
				if err := tx.Commit(); err != nil {
					return err
				}
			}
			return st.Close()
		}
		return func() error {
			c, err := db.Conn(b.Context())
			if err != nil {
				return err
			}
			return errors.Join(c.Raw(insert), c.Close())
		}, db.Close
	}
}

func direct(rows [][]any, per int) func(b *testing.B, path string) (func() error, func() error) {
	return func(b *testing.B, path string) (func() error, func() error) {
		c, err := sqlite3.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range benchSetup(b) {
			if err := c.Exec(s); err != nil {
				b.Fatal(err)
			}
		}
		st, _, err := c.Prepare(benchInsertSQL(per))
		if err != nil {
			b.Fatal(err)
		}
		timed := func() error {
			for i := 0; i < len(rows); i += benchBatch {
				if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
					return err
				}
				for j := i; j < i+benchBatch; j += per {
					for n, r := range rows[j : j+per] {
						if err := bindRow(st, n*benchColumns+1, r); err != nil {
							return err
						}
					}
					if err := st.Exec(); err != nil {
						return err
					}
				}
				if err := c.Exec("COMMIT"); err != nil {
					return err
				}
			}
			return nil
		}
		return timed, func() error { return errors.Join(st.Close(), c.Close()) }
	}
}

func bindRow(st *sqlite3.Stmt, at int, row []any) error {
	for i, v := range row {
		var err error
		switch v := v.(type) {
		case nil:
			err = st.BindNull(at + i)
		case int64:
			err = st.BindInt64(at+i, v)
		case string:
			err = st.BindText(at+i, v)
		case []byte:
			err = st.BindBlob(at+i, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func contract(es []store.Entry) func(b *testing.B, path string) (func() error, func() error) {
	return func(b *testing.B, path string) (func() error, func() error) {
		s, err := sqlite.Open(b.Context(), path, sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		timed := func() error {
			for i := 0; i < len(es); i += benchBatch {
				part := es[i : i+benchBatch]
				c := part[0].Dot.Chain
				err := s.Ingest(b.Context(), func(tx store.Tx) error {
					l, err := tx.Lane(c)
					if err != nil {
						return err
					}
					if _, err := tx.OpenGaps(c); err != nil {
						return err
					}
					if err := tx.Insert(part); err != nil {
						return err
					}
					l.Received = l.Received.Add(lane.Run(part[0].Dot.Seq, part[len(part)-1].Dot.Seq))
					l.Head, l.ReceivedAt = part[len(part)-1].Hash, part[0].ReceivedAt
					return tx.SaveLane(l)
				})
				if err != nil {
					return err
				}
			}
			return nil
		}
		return timed, s.Close
	}
}
