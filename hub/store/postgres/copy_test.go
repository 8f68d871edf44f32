package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"otor/hub/store"
	"otor/hub/store/postgres"
	"otor/hub/store/sqlite"
	"otor/hub/store/tables"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/lane"
	"otor/internal/receipt"
)

func openFile(t *testing.T, name string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), name), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openServer(t *testing.T, opts postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), fresh(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// work leaves rows in many tables, some of them odd.
func work(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, err := s.Epoch(ctx, func() (receipt.EpochCertificate, error) {
		return receipt.EpochCertificate{Epoch: receipt.Epoch{4}}, nil
	})
	ok("epoch", err)
	for i := range 60 {
		d := dot.Device(fmt.Sprintf("D-%d", i))
		ok("invite", s.Invite(ctx, store.Invitation{Device: d, Scopes: []string{"team:a"}, CodeHash: [32]byte{byte(i), 1}, ExpiresAt: 10}, false))
	}
	key, err := s.Redeem(ctx, store.Enrolment{CodeHash: [32]byte{3, 1}, NatsKey: "U", At: 5})
	ok("redeem", err)
	_, _, err = s.Claim(ctx, store.Life{Device: key.Device, Incarnation: 2, Enrolled: key.Incarnation, ID: []byte("0123456789abcdef")})
	ok("claim", err)
	for seq := range dot.Seq(130) {
		ok("put", put(ctx, s, seq+1))
	}
	ok("ingest", s.Ingest(ctx, func(tx store.Tx) error {
		raw := entry.NewRaw([]byte("p"), []byte("secret")).Erase()
		c := dot.Chain{Device: "D-2", Incarnation: 1, Lane: dot.Alert}
		return errors.Join(
			tx.Insert([]store.Entry{{Dot: c.At(3), Hash: raw.Hash(), Raw: raw, Form: strings.Repeat("long", 3000), Judgement: store.Judgement{Verdict: store.Held, Words: "NUL \x00 and \xff"}}}),
			tx.SaveLane(store.Lane{Chain: c, Received: lane.Set{lane.Run(3, 3)}}),
			tx.SetGaps(c, []store.Gap{{Chain: c, Run: lane.Run(1, 2), OpenedAt: 4}}, nil),
			tx.AddSegment(store.Segment{Chain: c, Run: lane.Run(3, 3)}),
			tx.SaveEntities([]store.Entity{{Ref: entry.Ref{Type: "household", ID: "户\x00"}, State: []byte{}, Parents: []entry.Ref{{Type: "camp", ID: "C"}}}}),
			tx.Publish(7, store.FeedChange{Scope: "team:a", Kind: feed.Verdict, Key: "k", Body: []byte{}}),
			tx.PutMark(store.Mark{Rule: "r", Key: "k", Dot: c.At(3), Time: 1}),
			tx.SetReasons(c.At(3), []store.Judgement{{Verdict: store.Flagged, Code: "c"}}),
			tx.NameBlobs(c.At(3), 1, []entry.Blob{{Size: 9, Mime: "image/jpeg"}}),
			tx.Plan(store.Absence{Device: "D-2", From: 1, Until: 2, Words: "垭口", PlannedBy: "娜仁", PlannedAt: 1}),
			tx.AddFact(store.Fact{Number: 1, Signed: []byte("s"), Kind: "k"}),
		)
	}))
	ok("item", s.Ingest(ctx, func(tx store.Tx) error {
		_, err := tx.PutItem(store.Item{Kind: store.Reviews, Entity: entry.Ref{Type: "t", ID: "i"}, Evidence: json.RawMessage(`{}`), State: store.Open})
		return err
	}))
	ok("operator", s.AddOperator(ctx, store.Operator{Name: "娜仁", Role: "viewer"}))
	_, err = s.PutUnattributed(ctx, store.Unattributed{Code: "malformed", Frame: []byte{0, 1}})
	ok("unattributed", err)
}

// hashes counts and hashes all that a store holds.
func hashes(t *testing.T, s *tables.Store) (out []tables.Copied) {
	t.Helper()
	err := s.Read(t.Context(), "hash", func(l tables.Link) error {
		whole := l.(tables.Whole) //nolint:errcheck // both are
		all, err := whole.Tables()
		for _, table := range all {
			if err == nil {
				var c tables.Copied
				c, err = tables.Read(l, table)
				out = append(out, c)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(t *testing.T, what string, got, want []tables.Copied) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d tables, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: %+v, want %+v", what, got[i], want[i])
		}
	}
}

// TestThereAndBack: a hub's database is the same on PostgreSQL and on SQLite again,
// and each of them goes on from there.
func TestThereAndBack(t *testing.T) {
	from, middle, back := openFile(t, "from.db"), openServer(t, postgres.Options{}), openFile(t, "back.db")
	work(t, from)
	want := hashes(t, from.Store)
	told := 0
	if _, err := tables.Move(t.Context(), from.Store, middle.Store, func(tables.Copied) { told++ }); err != nil {
		t.Fatal(err)
	}
	if told != len(want) {
		t.Errorf("told of %d tables, want %d", told, len(want))
	}
	same(t, "on PostgreSQL", hashes(t, middle.Store), want)
	if _, err := tables.Move(t.Context(), middle.Store, back.Store, nil); err != nil {
		t.Fatal(err)
	}
	same(t, "on SQLite again", hashes(t, back.Store), want)
	for _, s := range []store.Store{from, middle, back} {
		if err := put(t.Context(), s, 131); err != nil {
			t.Errorf("the hub does not go on: %v", err)
		}
		if isNew, err := s.PutUnattributed(t.Context(), store.Unattributed{Code: "malformed", Frame: []byte{7}}); err != nil || !isNew {
			t.Errorf("the hub does not go on: %v", err)
		}
	}
	same(t, "going on, on PostgreSQL", hashes(t, middle.Store), hashes(t, from.Store))
	if _, err := tables.Move(t.Context(), from.Store, back.Store, nil); !errors.Is(err, tables.ErrNotEmpty) {
		t.Errorf("filled a database that is in use: %v", err)
	}
}

// twisting lets one row come back other than it was written.
type twisting struct{ tables.Whole }

func (w twisting) Each(sql string, args []any, fn func(tables.Row) error) error {
	if !strings.HasPrefix(sql, "SELECT") || !strings.Contains(sql, "FROM entries ORDER") {
		return w.Whole.Each(sql, args, fn)
	}
	n := 0
	return w.Whole.Each(sql, args, func(r tables.Row) error {
		if n++; n == 70 {
			return nil // and leaves one out
		}
		return fn(r)
	})
}

// TestACopyIsCompared: a row that did not arrive is noticed, and nothing is kept.
func TestACopyIsCompared(t *testing.T) {
	from, to := openFile(t, "from.db"), openServer(t, postgres.Options{})
	work(t, from)
	err := from.Read(t.Context(), "read", func(a tables.Link) error {
		return to.Write(t.Context(), "fill", func(b tables.Link) error {
			_, err := tables.Copy(t.Context(), a.(tables.Whole), twisting{b.(tables.Whole)}, nil)
			return err
		})
	})
	if !errors.Is(err, tables.ErrDiffers) || !strings.Contains(err.Error(), "entries") {
		t.Errorf("got %v, want %v", err, tables.ErrDiffers)
	}
	if totals, err := to.Totals(t.Context()); err != nil || totals.Entries != 0 {
		t.Errorf("%d entries were kept, %v", totals.Entries, err)
	}
}

// TestSnapshot: a copy is a database in a file, of one moment, that is looked through.
func TestSnapshot(t *testing.T) {
	s := openServer(t, postgres.Options{File: func(ctx context.Context, path string) (postgres.File, error) {
		return sqlite.Open(ctx, path, sqlite.Options{})
	}})
	work(t, s)
	file := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Snapshot(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	c, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // only read from
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	same(t, "in the file", hashes(t, c.Store), hashes(t, s.Store))
	for _, look := range []func(context.Context) error{s.Check, s.Glance} {
		if err := look(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
