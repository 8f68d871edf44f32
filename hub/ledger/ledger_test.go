package ledger_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"otor/hub/ledger"
	"otor/hub/ledger/journal"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/identity"
)

// office is a database with its ledger.
type office struct {
	t       *testing.T
	dir     string
	journal string
	key     identity.SigningKey
	store   *frail
	*ledger.Ledger
	after []string
}

// frail is a database whose commit fails on demand, after all was written.
type frail struct {
	store.Store
	fails error
}

func (f *frail) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	return f.Store.Ingest(ctx, func(tx store.Tx) error { return errors.Join(fn(tx), f.fails) })
}

type invited struct {
	Device dot.Device `json:"device"`
	Code   []byte     `json:"code"`
}

func (o *office) kinds() []ledger.Kind {
	return []ledger.Kind{
		{
			Name: "invited",
			Apply: func(tx store.Tx, f ledger.Fact) error {
				var b invited
				if err := f.Decode(&b); err != nil {
					return err
				}
				return tx.Invite(store.Invitation{Device: b.Device, CodeHash: [32]byte(b.Code), AddedAt: f.At, ExpiresAt: f.At + 1000}, false)
			},
			After: func(_ context.Context, f ledger.Fact) error { o.after = append(o.after, f.Subject); return nil },
		},
		{Name: "said", Apply: func(store.Tx, ledger.Fact) error { return nil }},
	}
}

func newOffice(t *testing.T) *office {
	key, err := identity.NewSigningKey(rand.Reader)
	must(t, err)
	o := &office{t: t, dir: t.TempDir(), journal: t.TempDir(), key: key}
	o.open()
	t.Cleanup(func() { o.close() })
	return o
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *office) open() {
	o.t.Helper()
	must(o.t, o.try())
}

func (o *office) try() error {
	s, err := sqlite.Open(o.t.Context(), filepath.Join(o.dir, "hub.db"), sqlite.Options{})
	must(o.t, err)
	o.store = &frail{Store: s}
	o.Ledger, err = ledger.Open(o.t.Context(), ledger.Config{
		Store: o.store, Key: o.key, Kinds: o.kinds(), Dir: o.journal, Make: true, Now: func() time.Time { return time.UnixMilli(1_774_000_000_000) },
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		must(o.t, s.Close())
		o.Ledger, o.store = nil, nil
	}
	return err
}

func (o *office) close() {
	if o.Ledger == nil {
		return
	}
	must(o.t, o.Ledger.Close())
	must(o.t, o.store.Close())
	o.Ledger, o.store = nil, nil
}

func (o *office) invite(d dot.Device) error {
	code := bytes.Repeat([]byte(d[len(d)-1:]), 32)
	_, err := o.Record(o.t.Context(), ledger.Act{By: "operator", Kind: "invited", Subject: string(d), Body: invited{d, code}}, nil)
	return err
}

func (o *office) devices() (out []dot.Device) {
	ds, err := o.store.Devices(o.t.Context())
	must(o.t, err)
	for _, d := range ds {
		out = append(out, d.ID)
	}
	return out
}

func (o *office) want(facts uint64, devices ...dot.Device) {
	o.t.Helper()
	c, err := o.Check(o.t.Context())
	if err != nil || c.Facts != facts || c.Journal != facts || c.Unapplied != 0 {
		o.t.Errorf("ledger: %+v, %v; want %d facts", c, err, facts)
	}
	if got := o.devices(); !slices.Equal(got, devices) {
		o.t.Errorf("devices %v, want %v", got, devices)
	}
}

// copyOf copies what is in a folder into another, in place of what is there.
func copyOf(t *testing.T, from, to string) {
	must(t, os.RemoveAll(to))
	must(t, os.CopyFS(to, os.DirFS(from)))
}

func TestRecord(t *testing.T) {
	o := newOffice(t)
	must(t, o.invite("D-1"))
	if err := o.invite("D-1"); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same code again: %v", err)
	}
	o.want(1, "D-1")
	if !slices.Equal(o.after, []string{"D-1"}) {
		t.Errorf("outside: %v", o.after)
	}
	id := store.FactID{7}
	act := ledger.Act{ID: id, By: "operator", Kind: "said", Body: "once"}
	f, err := o.Record(t.Context(), act, func(_ store.Tx, a *ledger.Act) error { a.Subject = "completed"; return nil })
	if err != nil || f.Subject != "completed" || f.Number != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := o.Record(t.Context(), act, nil); !errors.Is(err, store.ErrExists) {
		t.Errorf("told twice: %v", err)
	}
	if _, err := o.Record(t.Context(), ledger.Act{Kind: "unknown"}, nil); err == nil {
		t.Error("an unknown kind was recorded: nobody could replay it")
	}
	if _, err := o.Record(t.Context(), ledger.Act{Kind: "said", Body: string(make([]byte, ledger.MaxBody))}, nil); err == nil {
		t.Error("a fact that no journal takes was recorded")
	}
	broken := errors.New("no")
	if _, err := o.Record(t.Context(), ledger.Act{Kind: "said"}, func(store.Tx, *ledger.Act) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a refused effect: %v", err)
	}
	o.want(2, "D-1")
	o.close()
	o.open()
	o.want(2, "D-1")
}

// The database's commit fails after the journal was written: the act is decided,
// and comes into effect with the next one, or at the next start.
func TestPending(t *testing.T) {
	for _, restart := range []bool{false, true} {
		o := newOffice(t)
		must(t, o.invite("D-1"))
		o.store.fails = errors.New("the disk says no")
		if err := o.invite("D-2"); !errors.Is(err, ledger.ErrPending) {
			t.Fatalf("a commit that fails: %v", err)
		}
		if got := o.devices(); !slices.Equal(got, []dot.Device{"D-1"}) {
			t.Errorf("devices %v", got)
		}
		if err := o.invite("D-3"); err == nil || errors.Is(err, ledger.ErrPending) {
			t.Errorf("another act before the first is in effect: %v", err)
		}
		if restart {
			o.close()
			o.open()
			if got := o.Opened().Replayed["invited"]; got != 1 {
				t.Errorf("%d facts replayed", got)
			}
		} else {
			o.store.fails = nil
		}
		must(t, o.invite("D-4"))
		o.want(3, "D-1", "D-2", "D-4")
		if restart {
			continue
		}
		if want := []string{"D-1", "D-2", "D-4"}; !slices.Equal(o.after, want) {
			t.Errorf("outside: %v, want %v", o.after, want)
		}
	}
}

// A database that was put back to any earlier state catches up, once.
func TestReplay(t *testing.T) {
	o := newOffice(t)
	var copies []string
	for _, d := range []dot.Device{"D-1", "D-2", "D-3"} {
		o.close()
		at := filepath.Join(t.TempDir(), "copy")
		copyOf(t, o.dir, at)
		copies = append(copies, at)
		o.open()
		must(t, o.invite(d))
	}
	for i, from := range copies {
		o.close()
		copyOf(t, from, o.dir)
		o.open()
		if got := o.Opened().Caught(); got != 3-i {
			t.Errorf("copy %d: %d facts replayed", i, got)
		}
		o.want(3, "D-1", "D-2", "D-3")
		o.close()
		o.open()
		if got := o.Opened().Caught(); got != 0 {
			t.Errorf("copy %d, once more: %d facts replayed", i, got)
		}
	}
}

// A fact that does not fit the database it is replayed on keeps its place and
// stops nothing.
func TestReplayOfWhatDoesNotFit(t *testing.T) {
	o := newOffice(t)
	o.close()
	before := filepath.Join(t.TempDir(), "copy")
	copyOf(t, o.dir, before)
	o.open()
	must(t, o.invite("D-1"))
	must(t, o.invite("D-2"))
	o.close()
	copyOf(t, before, o.dir)
	s, err := sqlite.Open(t.Context(), filepath.Join(o.dir, "hub.db"), sqlite.Options{})
	must(t, err)
	must(t, s.Invite(t.Context(), store.Invitation{Device: "D-9", CodeHash: [32]byte(bytes.Repeat([]byte("1"), 32)), ExpiresAt: 1}, false))
	must(t, s.Close())
	o.open()
	if got := o.Opened(); got.Caught() != 2 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
	o.want(2, "D-2", "D-9")
}

func TestAJournalIsFilledFromTheDatabase(t *testing.T) {
	o := newOffice(t)
	must(t, o.invite("D-1"))
	o.close()
	older := filepath.Join(t.TempDir(), "older")
	copyOf(t, o.journal, older)
	o.open()
	must(t, o.invite("D-2"))
	for name, dir := range map[string]string{"a new disk": t.TempDir(), "an older copy": older} {
		o.close()
		o.journal = dir
		o.open()
		if got := o.Opened(); got.Filled == 0 || got.Made != (name == "a new disk") {
			t.Errorf("%s: %+v", name, got)
		}
		o.want(2, "D-1", "D-2")
	}
}

func TestOtherStoriesAreRefused(t *testing.T) {
	o := newOffice(t)
	must(t, o.invite("D-1"))
	o.close()
	data, story := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "journal")
	copyOf(t, o.dir, data)
	copyOf(t, o.journal, story)
	o.open()
	must(t, o.invite("D-2"))
	o.close()
	// The other life of the same hub.
	ours, oursToo := o.dir, o.journal
	o.dir, o.journal = data, story
	o.open()
	must(t, o.invite("D-3"))
	o.close()
	o.journal = oursToo
	if err := o.try(); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("the journal of another life: %v", err)
	}
	// Another hub's journal.
	o.dir = t.TempDir()
	key := o.key
	other, err := identity.NewSigningKey(rand.Reader)
	must(t, err)
	o.key = other
	if err := o.try(); !errors.Is(err, ledger.ErrForeign) {
		t.Errorf("the journal of another hub: %v", err)
	}
	o.key, o.dir = key, ours
	o.open()
	o.want(2, "D-1", "D-2")
}

// A full journal refuses the act, and nothing of it is done.
func TestAJournalThatCannotBeWritten(t *testing.T) {
	o := newOffice(t)
	must(t, o.invite("D-1"))
	must(t, o.Ledger.Close()) // as a disk that is gone: every write fails
	err := o.invite("D-2")
	if !errors.Is(err, ledger.ErrJournal) || !errors.Is(err, journal.ErrClosed) || errors.Is(err, store.ErrFull) {
		t.Errorf("an act without a journal: %v", err)
	}
	if got := o.devices(); !slices.Equal(got, []dot.Device{"D-1"}) {
		t.Errorf("devices %v: half of it was done", got)
	}
	must(t, o.store.Close())
	o.Ledger = nil
	o.open()
	must(t, o.invite("D-2"))
	o.want(2, "D-1", "D-2")
}

// Nobody changes a fact in database or journal without the check noticing.
func TestCheckNoticesChanges(t *testing.T) {
	key, err := identity.NewSigningKey(rand.Reader)
	must(t, err)
	good := []store.Fact{}
	o := newOffice(t)
	o.close()
	o.key, o.journal, o.dir = key, t.TempDir(), t.TempDir()
	o.open()
	for _, d := range []dot.Device{"D-1", "D-2", "D-3"} {
		must(t, o.invite(d))
	}
	for f, err := range o.store.Facts(t.Context(), store.FactQuery{}) {
		must(t, err)
		good = append(good, f)
	}
	check := func(fs []store.Fact) error {
		_, _, err := ledger.CheckRows(func(yield func(store.Fact, error) bool) {
			for _, f := range fs {
				if !yield(f, nil) {
					return
				}
			}
		}, key.Public())
		return err
	}
	must(t, check(good))
	changed := func(change func(f []store.Fact) []store.Fact) error {
		fs := slices.Clone(good)
		fs[1].Signed = bytes.Clone(fs[1].Signed)
		return check(change(fs))
	}
	for name, change := range map[string]func([]store.Fact) []store.Fact{
		"a byte":       func(f []store.Fact) []store.Fact { f[1].Signed[20] ^= 1; return f },
		"one left out": func(f []store.Fact) []store.Fact { return append(f[:1], f[2]) },
		"exchanged":    func(f []store.Fact) []store.Fact { f[0], f[1] = f[1], f[0]; return f },
		"a column":     func(f []store.Fact) []store.Fact { f[1].Subject = "D-9"; return f },
		"the time":     func(f []store.Fact) []store.Fact { f[1].At++; return f },
		"cut short":    func(f []store.Fact) []store.Fact { f[1].Signed = f[1].Signed[:30]; return f },
	} {
		if err := changed(change); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
