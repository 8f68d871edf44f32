package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"otor/hub/store"
	"otor/internal/durable"
	"otor/internal/entry"
)

// Source is what a backup needs of the hub's database.
type Source interface {
	Snapshot(ctx context.Context, file string) error
	Archive(ctx context.Context, marks []store.Watermark) error
	ArchiveBlobs(ctx context.Context, held []entry.Hash, gotBefore, at int64) (int64, error)
}

// Keeper makes backups of a hub.
type Keeper struct {
	Source Source
	Keys   string // the hub's key folder
	Photos string // the folder of whole photos; empty: they are kept elsewhere
	Open   Open
	Now    func() time.Time
	Log    *slog.Logger
}

// LeastKept is how few backups may be kept: what is archived rests on the
// second-newest.
const LeastKept = 2

// ErrBusy marks a folder in which another backup is being made.
var ErrBusy = errors.New("another backup is being made there")

// Made says what a backup came to.
type Made struct {
	Path     string    `json:"path"`
	Number   uint64    `json:"number"`
	Made     time.Time `json:"made"`
	Bytes    int64     `json:"bytes"` // of the database
	Entries  uint64    `json:"entries"`
	Lanes    int       `json:"lanes"`
	Unjoined int       `json:"unjoined"` // lanes with a second history, whose heads cannot be computed
	Archived uint64    `json:"archived"` // entries that are in the second-newest backup too
	Kept     int       `json:"kept"`
	Removed  []string  `json:"removed"`
	Photos   int       `json:"photos"` // copied beside those of earlier backups
	// Warning says what is not as it should be although this backup is good.
	Warning string `json:"warning,omitempty"`
}

// Make makes a backup in dir, verifies it, gives it its name, moves what is
// archived, and removes the oldest beyond keep. Errors wrap [ErrUnverified] when
// what was copied is not good, and [ErrBusy]; dir then has what it had.
func (k *Keeper) Make(ctx context.Context, dir string, keep int) (out Made, err error) {
	if keep < LeastKept {
		return out, fmt.Errorf("keep %d backups: at least %d are needed, since what is archived rests on the second-newest", keep, LeastKept)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return out, fmt.Errorf("make a backup: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return out, errors.Join(err, fmt.Errorf("%w: %s", ErrBusy, dir))
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := sweep(dir); err != nil {
		return out, fmt.Errorf("make a backup: %w", err)
	}
	before, err := List(dir)
	if err != nil {
		return out, err
	}
	made, second, warning, err := k.make(ctx, dir, before)
	if err != nil {
		return out, fmt.Errorf("back up into %s: %w", dir, err)
	}
	out = Made{
		Path: made.Path, Number: made.Manifest.Number, Made: made.Manifest.Made, Bytes: made.Manifest.Bytes,
		Entries: made.Manifest.Entries, Lanes: len(made.Manifest.Lanes), Warning: warning, Removed: []string{},
	}
	for _, l := range made.Manifest.Lanes {
		if !l.Joined {
			out.Unjoined++
		}
	}
	if out.Archived, err = k.archive(ctx, dir, second); err != nil {
		return out, fmt.Errorf("back up into %s: %w", dir, err)
	}
	// What was archived rests on this backup and the one before, which both stay: nothing
	// that may happen to photos keeps old ones from going.
	if out.Removed, out.Kept, err = rotate(dir, append(slices.Clone(before), made), keep); err != nil {
		return out, err
	}
	if k.Photos == "" {
		return out, nil
	}
	if err := k.photos(ctx, dir, before, &out); err != nil {
		return out, fmt.Errorf("back up into %s: the records are safe: %w", dir, err)
	}
	return out, nil
}

// photos copies the photos that no backup before had, and says so in out.
func (k *Keeper) photos(ctx context.Context, dir string, before []Kept, out *Made) error {
	c, err := copyPhotos(ctx, os.DirFS(k.Photos), filepath.Join(dir, photosFolder))
	if err != nil {
		return err
	}
	if out.Warning == "" { // the backup before is good
		if err := k.archivePhotos(ctx, before, c.held); err != nil {
			return err
		}
	}
	if out.Photos = c.copied; c.bad > 0 {
		if c.cause != nil {
			k.Log.Error("a photo cannot be read", "err", c.cause)
		}
		out.Warning = strings.TrimPrefix(fmt.Sprintf("%s; %d photos are damaged or cannot be read at the hub and were not copied: run hub photos check", out.Warning, c.bad), "; ")
	}
	return nil
}

// notedAtOnce bounds the photos of one transaction.
const notedAtOnce = 500

// archivePhotos notes of photos that were in the backups' folder before this one, and that
// the hub had when the backup before was made, that they are in two of them. What the
// database alone says is not enough: the files may lie with another hub.
func (k *Keeper) archivePhotos(ctx context.Context, before []Kept, held []entry.Hash) error {
	if len(before) == 0 {
		return nil
	}
	for some := range slices.Chunk(held, notedAtOnce) {
		if _, err := k.Source.ArchiveBlobs(ctx, some, before[len(before)-1].Manifest.Made.UnixMilli(), k.Now().UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// make copies, verifies and names a backup. second are the lanes that lie both
// in it and in the one before, as far as they do.
func (k *Keeper) make(ctx context.Context, dir string, before []Kept) (made Kept, second []LaneMark, warning string, err error) {
	now := k.Now().UTC()
	m := Manifest{Version: version, Number: 1, Made: now.Truncate(time.Second), Files: make(map[string]string)}
	asked, previous, warning, err := k.previous(ctx, dir, before)
	if err != nil {
		return made, nil, "", err
	}
	if n := len(before); n > 0 {
		m.Number = before[n-1].Manifest.Number + 1
	}
	tmp, err := os.MkdirTemp(dir, making)
	if err != nil {
		return made, nil, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	database := filepath.Join(tmp, databaseFile)
	if err := k.Source.Snapshot(ctx, database); err != nil {
		return made, nil, "", err
	}
	if m.Files[databaseFile], err = digestOf(database); err != nil {
		return made, nil, "", err
	}
	fi, err := os.Stat(database)
	if err != nil {
		return made, nil, "", err
	}
	m.Bytes = fi.Size()
	if err := copyKeys(k.Keys, filepath.Join(tmp, keysFolder), m.Files); err != nil {
		return made, nil, "", err
	}
	found, err := scratch(ctx, k.Open, database, dir, asked)
	if err != nil {
		return made, nil, "", err
	}
	m.Epoch, m.Lineage, m.Entries, m.Lanes = found.epoch.Epoch, found.epoch.Lineage, found.entries, found.lanes
	if err := writeJSON(filepath.Join(tmp, manifestFile), m); err != nil {
		return made, nil, "", err
	}
	made = Kept{freeName(dir, now), m}
	if err := os.Rename(tmp, made.Path); err != nil {
		return made, nil, "", err
	}
	for _, p := range previous {
		if found.heads[p.Chain()] == p.Head {
			second = append(second, p)
		}
	}
	return made, second, warning, durable.SyncDir(dir)
}

// previous verifies the newest backup that is there and gives its lanes: what
// will be the second-newest decides what is archived. One that is not good any
// more archives nothing, and is warned of.
func (k *Keeper) previous(ctx context.Context, dir string, before []Kept) (asked headAfter, lanes []LaneMark, warning string, err error) {
	if len(before) == 0 {
		return nil, nil, "", nil
	}
	last := before[len(before)-1]
	_, found, err := verify(ctx, k.Open, last.Path, dir, nil)
	if errors.Is(err, ErrUnverified) {
		k.Log.Error("the backup before is not good any more", "path", last.Path, "err", err)
		return nil, nil, fmt.Sprintf("the backup before this one is not good any more, so nothing new counts as archived: %v", err), nil
	}
	if err != nil {
		return nil, nil, "", err
	}
	asked = make(headAfter)
	for _, l := range found.lanes {
		if l.Through > 0 && l.Joined {
			asked[l.Chain()] = l.Through
			lanes = append(lanes, l)
		}
	}
	return asked, lanes, "", nil
}

// freeName is the name for a backup of that moment.
func freeName(dir string, at time.Time) string {
	base := filepath.Join(dir, at.Format("20060102T150405Z"))
	name := base
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
}

// archive writes the promise down, and then into the database, from where
// receipts take it. It returns how many entries it covers.
func (k *Keeper) archive(ctx context.Context, dir string, marks []LaneMark) (entries uint64, err error) {
	p, _, err := readPromise(dir)
	if err != nil {
		return 0, err
	}
	raised := p.raised(marks)
	if !sameMarks(raised.Lanes, p.Lanes) {
		if err := writeJSON(filepath.Join(dir, promiseFile), raised); err != nil {
			return 0, err
		}
	}
	water := make([]store.Watermark, 0, len(marks))
	for _, m := range marks {
		water = append(water, store.Watermark{Chain: m.Chain(), Through: m.Through})
		entries += uint64(m.Through)
	}
	return entries, k.Source.Archive(ctx, water)
}

// rotate removes the oldest backups beyond keep.
func rotate(dir string, all []Kept, keep int) (removed []string, kept int, err error) {
	removed = []string{}
	for len(all) > keep {
		old := all[0]
		out := filepath.Join(dir, going+filepath.Base(old.Path))
		if err := os.Rename(old.Path, out); err != nil {
			return removed, len(all), fmt.Errorf("remove the oldest backup: %w", err)
		}
		if err := os.RemoveAll(out); err != nil {
			return removed, len(all), fmt.Errorf("remove the oldest backup: %w", err)
		}
		removed, all = append(removed, old.Path), all[1:]
	}
	return removed, len(all), durable.SyncDir(dir)
}

// sweep removes what a crash left half made or half removed.
func sweep(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n.IsDir() && (strings.HasPrefix(n.Name(), making) || strings.HasPrefix(n.Name(), going)) {
			if err := os.RemoveAll(filepath.Join(dir, n.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
