package backup_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gofrs/flock"

	"otor/hub/backup"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

var (
	chainA = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	chainB = dot.Chain{Device: "D-102", Incarnation: 1, Lane: dot.Record}
)

// world is a hub's database with its keys, and a folder for backups.
type world struct {
	t       *testing.T
	store   store.Store
	keeper  *backup.Keeper
	dir     string
	backups string
	now     time.Time
}

func open(ctx context.Context, path string) (store.Store, error) {
	return sqlite.Open(ctx, path, sqlite.Options{})
}

var target = backup.Target{Open: open, Reserve: sqlite.Reserve, Place: sqlite.Place}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), backups: filepath.Join(t.TempDir(), "backups"), now: time.Date(2025, 9, 18, 3, 15, 0, 0, time.UTC)}
	keys := filepath.Join(w.dir, "keys")
	w.must(os.Mkdir(keys, 0o700))
	w.must(os.WriteFile(filepath.Join(keys, "hub.seed"), []byte("secret"), 0o600))
	w.must(os.WriteFile(filepath.Join(keys, ".revoked.json.1.new"), []byte("half"), 0o600))
	w.open()
	t.Cleanup(func() { w.must(w.store.Close()) })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() {
	s, err := open(w.t.Context(), filepath.Join(w.dir, "hub.db"))
	w.must(err)
	_, err = s.Epoch(w.t.Context(), func() (receipt.EpochCertificate, error) {
		return receipt.EpochCertificate{Epoch: receipt.Epoch{7}}, nil
	})
	w.must(err)
	w.store = s
	w.keeper = &backup.Keeper{
		Source: s, Keys: filepath.Join(w.dir, "keys"), Open: open, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return w.now },
	}
}

// add gives a chain n further entries; words tell one history from another.
func (w *world) add(c dot.Chain, n int, words string) {
	w.t.Helper()
	w.must(w.store.Ingest(w.t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(c)
		if err != nil {
			return err
		}
		for range n {
			seq := l.Received.Through() + 1
			raw := entry.NewRaw([]byte(c.At(seq).String()), []byte(words))
			l.Received, l.Head = l.Received.Add(lane.Run(seq, seq)), entry.Next(l.Head, raw)
			e := store.Entry{Dot: c.At(seq), Hash: raw.Hash(), Raw: raw, Judgement: store.Judgement{Verdict: store.Applied}}
			if err := tx.Insert([]store.Entry{e}); err != nil {
				return err
			}
		}
		return tx.SaveLane(l)
	}))
}

func (w *world) make(keep int) backup.Made {
	w.t.Helper()
	w.now = w.now.Add(time.Hour)
	m, err := w.keeper.Make(w.t.Context(), w.backups, keep)
	w.must(err)
	return m
}

func (w *world) archived(c dot.Chain) dot.Seq {
	w.t.Helper()
	ls, err := w.store.LanesOf(w.t.Context(), c.Device)
	w.must(err)
	for _, l := range ls {
		if l.Chain == c {
			return l.Archived
		}
	}
	return 0
}

// back puts the hub's database back to a backup.
func (w *world) back(from string) {
	w.t.Helper()
	w.must(w.store.Close())
	w.must(os.Remove(filepath.Join(w.dir, "hub.db")))
	w.must(sqlite.Place(filepath.Join(from, "hub.db"), filepath.Join(w.dir, "hub.db")))
	w.open()
}

func names(t *testing.T, dir string) string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range es {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestTheSecondNewestIsArchived(t *testing.T) {
	w := newWorld(t)
	w.add(chainA, 5, "a")
	first := w.make(2)
	if first.Number != 1 || first.Entries != 5 || first.Archived != 0 || filepath.Base(first.Path) != "20250918T041500Z" || w.archived(chainA) != 0 {
		t.Errorf("the first: %+v, archived %d", first, w.archived(chainA))
	}
	w.add(chainA, 300, "a")
	w.add(chainB, 2, "b")
	second := w.make(2)
	if second.Archived != 5 || w.archived(chainA) != 5 || w.archived(chainB) != 0 || second.Kept != 2 {
		t.Errorf("the second: %+v, archived %d and %d", second, w.archived(chainA), w.archived(chainB))
	}
	w.must(os.Mkdir(filepath.Join(w.backups, ".making-123"), 0o700)) // a crash left it
	third := w.make(2)
	if third.Archived != 307 || w.archived(chainA) != 305 || w.archived(chainB) != 2 || len(third.Removed) != 1 || third.Removed[0] != first.Path {
		t.Errorf("the third: %+v, archived %d and %d", third, w.archived(chainA), w.archived(chainB))
	}
	if got := names(t, w.backups); got != "20250918T051500Z 20250918T061500Z archive.json lock" {
		t.Errorf("the folder holds %s", got)
	}
	if got := names(t, filepath.Join(third.Path, "keys")); got != "hub.seed" {
		t.Errorf("keys: %s", got)
	}
	if fi, err := os.Stat(filepath.Join(third.Path, "keys", "hub.seed")); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", fi.Mode(), err)
	}
	if m, err := backup.Verify(t.Context(), open, third.Path, t.TempDir()); err != nil || m.Number != 3 || m.Entries != 307 {
		t.Errorf("verify: %+v, %v", m, err)
	}
}

// TestAHubThatWasPutBackArchivesWhatItHolds: backups of a future that was lost
// say nothing of what the hub holds now.
func TestAHubThatWasPutBackArchivesWhatItHolds(t *testing.T) {
	w := newWorld(t)
	w.add(chainA, 3, "a")
	w.add(chainB, 3, "b")
	first := w.make(7)
	w.add(chainA, 4, "a")
	w.add(chainB, 4, "b")
	w.make(7)
	w.back(first.Path)
	w.add(chainA, 2, "a") // not all of it came back yet
	w.add(chainB, 9, "another history")
	if m := w.make(7); m.Archived != 0 || w.archived(chainA) != 0 || w.archived(chainB) != 0 {
		t.Errorf("%+v, archived %d and %d", m, w.archived(chainA), w.archived(chainB))
	}
	w.add(chainA, 2, "a")
	if m := w.make(7); m.Archived != 5+12 || w.archived(chainA) != 5 || w.archived(chainB) != 12 {
		t.Errorf("%+v, archived %d and %d", m, w.archived(chainA), w.archived(chainB))
	}
}

// TestWhatIsNotGoodGetsNoName: a database whose chains do not hold.
func TestWhatIsNotGoodGetsNoName(t *testing.T) {
	for name, harm := range map[string]func(store.Tx) error{
		"a head that the entries do not lead to": func(tx store.Tx) error {
			l, err := tx.Lane(chainA)
			l.Head[3] ^= 1
			return errors.Join(err, tx.SaveLane(l))
		},
		"a watermark above the entries": func(tx store.Tx) error {
			l, err := tx.Lane(chainA)
			l.Received = l.Received.Add(lane.Run(1, 9))
			return errors.Join(err, tx.SaveLane(l))
		},
		"bytes of another hash": func(tx store.Tx) error {
			l, err := tx.Lane(chainA)
			raw := entry.NewRaw([]byte("public"), []byte("private"))
			l.Received, l.Head = l.Received.Add(lane.Run(6, 6)), entry.Next(l.Head, raw)
			bad := store.Entry{Dot: chainA.At(6), Hash: entry.Hash{1}, Raw: raw, Judgement: store.Judgement{Verdict: store.Applied}}
			return errors.Join(err, tx.Insert([]store.Entry{bad}), tx.SaveLane(l))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add(chainA, 5, "a")
			w.make(2)
			w.make(2)
			w.must(w.store.Ingest(t.Context(), harm))
			if _, err := w.keeper.Make(t.Context(), w.backups, 2); !errors.Is(err, backup.ErrUnverified) {
				t.Errorf("make: %v", err)
			}
			if got := names(t, w.backups); got != "20250918T041500Z 20250918T051500Z archive.json lock" {
				t.Errorf("the folder holds %s", got)
			}
		})
	}
}

// TestEntriesOfASecondHistory: their lane cannot be computed, and is backed up all the same.
func TestEntriesOfASecondHistory(t *testing.T) {
	w := newWorld(t)
	w.add(chainA, 5, "a")
	w.must(w.store.Ingest(t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(chainA)
		raw := entry.NewRaw([]byte("public"), []byte("private"))
		l.Received, l.Head = l.Received.Add(lane.Run(6, 6)), entry.Hash{9}
		e := store.Entry{Dot: chainA.At(6), Hash: raw.Hash(), Raw: raw, Judgement: store.Judgement{Verdict: store.Quarantined, Code: "chain_mismatch"}}
		return errors.Join(err, tx.Insert([]store.Entry{e}), tx.SaveLane(l))
	}))
	w.make(2)
	if m := w.make(2); m.Unjoined != 1 || m.Entries != 6 || m.Archived != 0 {
		t.Errorf("%+v", m)
	}
}

func TestABackupThatRots(t *testing.T) {
	w := newWorld(t)
	w.add(chainA, 5, "a")
	first := w.make(7)
	for _, file := range []string{"hub.db", "keys/hub.seed"} {
		path := filepath.Join(first.Path, file)
		b, err := os.ReadFile(path)
		w.must(err)
		whole := b[len(b)/2]
		b[len(b)/2] ^= 1
		w.must(os.WriteFile(path, b, 0o600))
		if _, err := backup.Verify(t.Context(), open, first.Path, t.TempDir()); !errors.Is(err, backup.ErrUnverified) {
			t.Errorf("verify with a flipped bit in %s: %v", file, err)
		}
		if _, err := backup.Restore(t.Context(), target, first.Path, filepath.Join(t.TempDir(), "hub"), true); !errors.Is(err, backup.ErrUnverified) {
			t.Errorf("restore with a flipped bit in %s: %v", file, err)
		}
		if file == "hub.db" {
			if m := w.make(7); m.Warning == "" || m.Archived != 0 {
				t.Errorf("on top of a bad one: %+v", m)
			}
		}
		b[len(b)/2] = whole
		w.must(os.WriteFile(path, b, 0o600))
	}
	w.must(os.WriteFile(filepath.Join(first.Path, "backup.json"), []byte("{"), 0o600))
	if _, err := w.keeper.Make(t.Context(), w.backups, 7); !errors.Is(err, backup.ErrUnverified) {
		t.Errorf("beside a broken manifest: %v", err)
	}
}

func TestRestore(t *testing.T) {
	w := newWorld(t)
	w.add(chainA, 5, "a")
	first := w.make(7)
	w.add(chainA, 5, "a")
	second := w.make(7)
	w.make(7)
	data := filepath.Join(t.TempDir(), "new", "hub")
	var loss *backup.LossError
	if _, err := backup.Restore(t.Context(), target, first.Path, data, false); !errors.As(err, &loss) || len(loss.Lost) != 1 || loss.Lost[0].String() != "D-101/1/record 6-10" {
		t.Errorf("less than was promised: %v", err)
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused restore: %v", err)
	}
	r, err := backup.Restore(t.Context(), target, second.Path, data, false)
	if err != nil || r.Entries != 10 || len(r.Accepted) != 0 || !r.ArchiveKnown {
		t.Errorf("restore: %+v, %v", r, err)
	}
	if got := names(t, data); got != "hub.db hub.db.made keys" {
		t.Errorf("the folder holds %s", got)
	}
	if got := names(t, filepath.Dir(data)); got != "hub" {
		t.Errorf("beside it: %s", got)
	}
	s, err := open(t.Context(), filepath.Join(data, "hub.db"))
	w.must(err)
	ls, err := s.Lanes(t.Context())
	if err != nil || len(ls) != 1 || ls[0].Received.Through() != 10 {
		t.Errorf("lanes: %+v, %v", ls, err)
	}
	w.must(s.Close())
	if _, err := backup.Restore(t.Context(), target, second.Path, data, true); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("into a folder in use: %v", err)
	}
	if _, err := backup.Restore(t.Context(), target, w.backups, filepath.Join(t.TempDir(), "x"), true); !errors.Is(err, backup.ErrUnverified) {
		t.Errorf("from the folder of all backups: %v", err)
	}
	// A backup that stands alone: nobody knows what was promised.
	w.must(os.Remove(filepath.Join(w.backups, "archive.json")))
	if r, err := backup.Restore(t.Context(), target, first.Path, filepath.Join(t.TempDir(), "y"), false); err != nil || r.ArchiveKnown {
		t.Errorf("alone: %+v, %v", r, err)
	}
}

func TestOneAtATime(t *testing.T) {
	w := newWorld(t)
	w.make(2)
	other := flock.New(filepath.Join(w.backups, "lock"))
	if ok, err := other.TryLock(); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err := w.keeper.Make(t.Context(), w.backups, 2); !errors.Is(err, backup.ErrBusy) {
		t.Errorf("beside another: %v", err)
	}
	w.must(other.Close())
	if _, err := w.keeper.Make(t.Context(), w.backups, 1); err == nil {
		t.Error("one backup alone is not enough")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.keeper.Make(ctx, w.backups, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	if got := names(t, w.backups); got != "20250918T041500Z lock" && got != "20250918T041500Z archive.json lock" {
		t.Errorf("the folder holds %s", got)
	}
}

// noting is a source that notes which photos are said to be in two backups.
type noting struct {
	backup.Source
	held []entry.Hash
}

func (n *noting) ArchiveBlobs(ctx context.Context, held []entry.Hash, gotBefore, at int64) (int64, error) {
	n.held = append(n.held, held...)
	return n.Source.ArchiveBlobs(ctx, held, gotBefore, at)
}

// Photos lie once beside all backups, are put back with any of them, and a damaged
// one is not taken for a copy.
func TestPhotosAreBackedUp(t *testing.T) {
	w := newWorld(t)
	source := &noting{Source: w.keeper.Source}
	w.keeper.Source = source
	w.add(chainA, 3, "a")
	whole := filepath.Join(w.dir, "blobs", "whole")
	w.keeper.Photos = whole
	keep := func(content string) string {
		t.Helper()
		name := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
		w.must(os.MkdirAll(filepath.Join(whole, name[:2]), 0o700))
		w.must(os.WriteFile(filepath.Join(whole, name[:2], name), []byte(content), 0o600))
		return name
	}
	make := func(photos int, warned bool) backup.Made {
		t.Helper()
		w.now = w.now.Add(time.Hour)
		made, err := w.keeper.Make(t.Context(), w.backups, 3)
		w.must(err)
		if made.Photos != photos || (made.Warning != "") != warned {
			t.Errorf("copied %d photos, warning %q; want %d, %t", made.Photos, made.Warning, photos, warned)
		}
		return made
	}
	// What an earlier backup copied lies in two now; what this one copies, in one; what
	// another hub has, or what is damaged, in none.
	twice := func(names ...string) {
		t.Helper()
		got := []string{}
		for _, h := range source.held {
			got = append(got, fmt.Sprintf("%x", h[:]))
		}
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, names) {
			t.Errorf("in two backups: %v, want %v", got, names)
		}
		source.held = nil
	}
	make(0, false)
	face := keep("face")
	make(1, false)
	twice()
	voice := keep("voice")
	bad := keep("bad")
	w.must(os.WriteFile(filepath.Join(whole, bad[:2], bad), []byte("changed"), 0o600))
	made := make(1, true)
	twice(face)
	make(0, true)
	twice(face, voice)
	list, err := backup.List(w.backups)
	w.must(err)
	w.must(os.WriteFile(filepath.Join(list[len(list)-1].Path, "hub.db"), []byte("rot"), 0o600))
	make(0, true) // the one before is not good: nothing rests on it
	twice()
	data := filepath.Join(t.TempDir(), "data")
	back := target
	back.Photos = filepath.Join("blobs", "whole")
	_, err = backup.Restore(t.Context(), back, made.Path, data, false)
	w.must(err)
	for _, name := range []string{face, voice} {
		b, err := os.ReadFile(filepath.Join(data, "blobs", "whole", name[:2], name))
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(b)) != name {
			t.Errorf("photo %s: %q, %v", name[:8], b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "blobs", "whole", bad[:2], bad)); err == nil {
		t.Error("a damaged photo was put back")
	}
}

// Old backups go, whatever becomes of the photos, and what was promised as archived is
// in the second-newest still.
func TestOldBackupsGoWithoutPhotos(t *testing.T) {
	w := newWorld(t)
	w.add(chainA, 3, "a")
	w.make(2)
	w.make(2)
	first := names(t, w.backups)
	w.keeper.Photos = filepath.Join(w.dir, "whole")
	w.must(os.MkdirAll(filepath.Join(w.keeper.Photos, "ab"), 0o700))
	w.must(os.WriteFile(filepath.Join(w.keeper.Photos, "ab", strings.Repeat("ab", 32)), nil, 0o600))
	w.must(os.WriteFile(filepath.Join(w.backups, "photos"), nil, 0o600)) // the target takes none
	w.now = w.now.Add(time.Hour)
	if _, err := w.keeper.Make(t.Context(), w.backups, 2); err == nil || !strings.Contains(err.Error(), "the records are safe") {
		t.Fatalf("a target that takes no photos: %v", err)
	}
	list, err := backup.List(w.backups)
	w.must(err)
	if len(list) != 2 || list[0].Manifest.Number != 2 || w.archived(chainA) != 3 {
		t.Errorf("%d backups are left of %s, %d entries are archived", len(list), first, w.archived(chainA))
	}
}

// failing is a disk of which some files cannot be read: on opening them or on the way.
type failing struct {
	fs.FS
	opening, reading string
}

func (f failing) Open(name string) (fs.File, error) {
	if path.Base(name) == f.opening {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	file, err := f.FS.Open(name)
	if path.Base(name) == f.reading {
		file = broken{file}
	}
	return file, err
}

type broken struct{ fs.File }

func (broken) Read([]byte) (int, error) { return 0, syscall.EIO }

// A photo that cannot be read keeps none of those behind it from being copied.
func TestUnreadablePhotosArePassedOver(t *testing.T) {
	whole := fstest.MapFS{}
	var all []string
	for i := range 4 {
		content := fmt.Appendf(nil, "photo %d", i)
		name := fmt.Sprintf("%x", sha256.Sum256(content))
		all, whole[name[:2]+"/"+name] = append(all, name), &fstest.MapFile{Data: content}
	}
	slices.Sort(all)
	disk := failing{whole, all[0], all[1]}
	to := filepath.Join(t.TempDir(), "photos")
	copied, bad, cause, err := backup.CopyPhotos(t.Context(), disk, to)
	if copied != 2 || bad != 2 || !errors.Is(cause, fs.ErrPermission) || err != nil {
		t.Errorf("copied %d, passed over %d: %v, %v", copied, bad, cause, err)
	}
	for i, name := range all {
		_, err := os.Stat(filepath.Join(to, name[:2], name))
		if (err == nil) != (i > 1) {
			t.Errorf("photo %d: %v", i, err)
		}
	}
	var left []string
	err = filepath.WalkDir(to, func(at string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && len(e.Name()) != 64 {
			left = append(left, at)
		}
		return err
	})
	if err != nil || len(left) > 0 {
		t.Errorf("half copies are left: %v, %v", left, err)
	}
}
