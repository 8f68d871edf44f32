package postgres_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/hub/store"
	"otor/hub/store/postgres"
	"otor/hub/store/postgres/scratch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

const secret = "gobi-wind-77"

// refuses expects Open to refuse an address, in words that hold no password.
func refuses(t *testing.T, address string, opts postgres.Options, want error, words string) {
	t.Helper()
	s, err := postgres.Open(t.Context(), address, opts)
	if err == nil {
		t.Errorf("%s was opened: %v", words, s.Close())
		return
	}
	if want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
		t.Errorf("got %q, want %q and %q", err, want, words)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the password is in %q", err)
	}
	t.Log(err)
}

func TestRefused(t *testing.T) {
	address := fresh(t)
	none := postgres.Options{}
	refuses(t, "postgres://otor:"+secret+"@127.0.0.1:1/hub", none, store.ErrAway, "hub on 127.0.0.1:1 does not answer")
	refuses(t, "postgres://otor:"+secret+"@nowhere.invalid/hub", none, store.ErrAway, "nowhere.invalid")
	refuses(t, "postgres://otor:"+secret+"@@127.0.0.1:x/%zz", none, nil, "cannot be read")
	refuses(t, "host=/tmp password="+secret, none, nil, "cannot be read")
	refuses(t, strings.Replace(address, "/d", "/missing", 1), none, store.ErrAway, "createdb")
	refuses(t, strings.Replace(address, "//otor@", "//nobody:"+secret+"@", 1), none, store.ErrDenied, "does not let this user in")

	foreign := scratch.Database(t, "")
	sql(t, foreign, "CREATE TABLE cats (name text)")
	refuses(t, foreign, none, store.ErrForeign, "another program")
	newer := fresh(t)
	sql(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	refuses(t, newer, none, store.ErrNewer, "99999")
	latin := strings.Replace(address, "/d", "/latin_", 1)
	sql(t, address, "CREATE DATABASE "+name(latin)+" ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
	refuses(t, latin, none, store.ErrForeign, "LATIN1")
	standby := fresh(t)
	sql(t, standby, "ALTER DATABASE "+name(standby)+" SET default_transaction_read_only = on")
	s, err := postgres.Open(t.Context(), standby, none) // nothing to change yet
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // only tried
	if err := put(t.Context(), s, 1); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("written to a database that takes no writes: %v", err)
	}
}

// TestEmptied: a hub that has lost its ledger does not start over in silence.
func TestEmptied(t *testing.T) {
	opts := postgres.Options{Mark: filepath.Join(t.TempDir(), "database.made")}
	s, err := postgres.Open(t.Context(), fresh(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refuses(t, scratch.Database(t, ""), opts, store.ErrDamaged, "database.made")
}

var chain = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}

// put commits one plain entry.
func put(ctx context.Context, s store.Store, seq dot.Seq) error {
	raw := entry.NewRaw([]byte("public "+chain.At(seq).String()), []byte("private"))
	e := store.Entry{Dot: chain.At(seq), Hash: raw.Hash(), Raw: raw, Form: "visit", Judgement: store.Judgement{Verdict: store.Applied}}
	return s.Ingest(ctx, func(tx store.Tx) error {
		l, err := tx.Lane(chain)
		if err != nil {
			return err
		}
		l.Received = l.Received.Add(lane.Run(seq, seq))
		return errors.Join(tx.Insert([]store.Entry{e}), tx.SaveLane(l))
	})
}

// TestTwoAtOnce: programs that open an empty database at the same time make its
// tables once, and then take turns.
func TestTwoAtOnce(t *testing.T) {
	address := scratch.Database(t, "")
	var wg sync.WaitGroup
	const workers, each = 3, 20
	for w := range workers {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), address, postgres.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close() //nolint:errcheck // everything was committed
			for i := range each {
				if err := put(t.Context(), s, dot.Seq(w*each+i+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := postgres.Open(t.Context(), address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // only read from
	lanes, err := s.LanesOf(t.Context(), chain.Device)
	if err != nil || len(lanes) != 1 || lanes[0].Received.Through() != workers*each {
		t.Errorf("got %+v, %v: an entry was lost", lanes, err)
	}
}

// TestGoesAway: a server that restarts under way costs what was in hand, and is
// found again.
func TestGoesAway(t *testing.T) {
	address := fresh(t)
	s, err := postgres.Open(t.Context(), address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // everything was committed
	if err := put(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	hangUp := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
	err = s.Ingest(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Lane(chain); err != nil {
			return err
		}
		sql(t, address, hangUp)
		_, err := tx.Lane(chain)
		return err
	})
	if !errors.Is(err, store.ErrAway) {
		t.Errorf("the connection was cut within a transaction: %v, want %v", err, store.ErrAway)
	}
	sql(t, address, hangUp)
	deadline := time.Now().Add(30 * time.Second)
	for err = put(t.Context(), s, 2); err != nil && time.Now().Before(deadline); err = put(t.Context(), s, 2) {
		if !errors.Is(err, store.ErrAway) {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if es, err := s.EntriesOf(t.Context(), chain, lane.Run(1, 2), 1<<20); err != nil || len(es) != 2 {
		t.Errorf("%d entries, %v", len(es), err)
	}
}

// name is the database's name in its address.
func name(address string) string {
	_, rest, _ := strings.Cut(address, "@/")
	out, _, _ := strings.Cut(rest, "?")
	return out
}

func sql(t *testing.T, address, text string) {
	t.Helper()
	if err := scratch.Shared(t).Exec(t.Context(), name(address), text); err != nil {
		t.Fatal(err)
	}
}

// TestFallsBack: a database that is put back under a store, as by a standby that lacks
// the last commits, gives the same numbers to other chains and words. What the store
// remembers of the connection before must not be written into those.
func TestFallsBack(t *testing.T) {
	address := fresh(t)
	s, err := postgres.Open(t.Context(), address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // everything was committed
	if err := put(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"DROP DATABASE " + name(address) + " WITH (FORCE)",
		"CREATE DATABASE " + name(address) + " TEMPLATE " + name(template.address),
	} {
		if err := scratch.Shared(t).Exec(t.Context(), "postgres", text); err != nil {
			t.Fatal(err)
		}
	}
	// Another device's lane and another form are the first ones now.
	sql(t, address, "INSERT INTO chains (device, incarnation, lane) VALUES ('D-999', 1, 2); INSERT INTO terms (term) VALUES ('other'), ('another')")
	if err := put(t.Context(), s, 1); err != nil { // the lost connection shows
		err = put(t.Context(), s, 1)
		if err != nil {
			t.Fatal(err)
		}
	}
	ls, err := s.LanesOf(t.Context(), "D-999")
	if err != nil || len(ls) != 1 || len(ls[0].Received) != 0 {
		t.Errorf("the other device's lane: %+v, %v", ls, err)
	}
	ls, err = s.LanesOf(t.Context(), chain.Device)
	if err != nil || len(ls) != 1 || ls[0].Received.Through() != 1 {
		t.Errorf("the device's own lane: %+v, %v", ls, err)
	}
	err = s.Ingest(t.Context(), func(tx store.Tx) error {
		es, err := tx.Entries(chain, lane.Run(1, 1))
		if err == nil && (len(es) != 1 || es[0].Form != "visit") {
			t.Errorf("the entry: %+v", es)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestTold: what the server says becomes the contract's errors; what is nobody's
// trouble but the program's passes through.
func TestTold(t *testing.T) {
	for code, want := range map[string]error{
		"53100": store.ErrFull, "25006": store.ErrReadOnly, "42501": store.ErrReadOnly, "3D000": store.ErrAway, "28P01": store.ErrDenied, "28000": store.ErrDenied,
		"55P03": store.ErrLocked, "40P01": store.ErrLocked, "40001": store.ErrLocked, "57P01": store.ErrAway, "57P03": store.ErrAway, "53300": store.ErrAway,
		"08006": store.ErrAway, "XX001": store.ErrDamaged, "XX002": store.ErrDamaged,
	} {
		if err := postgres.Told(code); !errors.Is(err, want) || !strings.Contains(err.Error(), "hub on db") {
			t.Errorf("%s: %v, want %v", code, err, want)
		}
	}
	for _, code := range []string{"42601", "23502", "XX000"} {
		err := postgres.Told(code)
		for _, k := range []error{store.ErrFull, store.ErrReadOnly, store.ErrAway, store.ErrDenied, store.ErrLocked, store.ErrDamaged} {
			if errors.Is(err, k) {
				t.Errorf("%s counts as %v", code, k)
			}
		}
	}
}
