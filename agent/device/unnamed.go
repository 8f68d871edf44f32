package device

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"otor/internal/durable"
	"otor/internal/entry"
)

// A photo is kept the moment it is taken, before anything names it. Those that were
// taken again, and those of forms that were dropped, are named by nothing: they go
// once a week has passed since that was first seen, by the hub's clock as all pruning.

// unnamedFor is how long a file stays that nothing names.
const unnamedFor = 7 * 24 * time.Hour

// unnamedName is the file that notes since when files are named by nothing. Without
// it, or with one that cannot be read, their time begins anew.
const unnamedName = "unnamed.json"

// maxUnnamed bounds that file in bytes.
const maxUnnamed = 4 << 20

// unnamed are the files that nothing named when it was looked last.
type unnamed struct {
	// mu is held while files are told apart and removed, and by whatever is about to
	// name one: a draft is saved under it, and a capture takes hold of a file under it.
	mu sync.RWMutex
	// held are files that were kept or asked for by a capture, and when, by this
	// process: their entry may be on its way into the store.
	held map[entry.Hash]time.Time
	// since is the hub's clock in Unix milliseconds; nil: not read yet.
	since map[entry.Hash]int64
}

// hold keeps a file for a while whose name is about to be used. The caller holds mu.
func (d *Device) hold(h entry.Hash) {
	u := &d.unnamed
	if u.held == nil {
		u.held = make(map[entry.Hash]time.Time)
	}
	u.held[h] = time.Now()
	if _, noted := d.noted()[h]; !noted {
		return
	}
	delete(u.since, h)
	if err := d.noteUnnamed(); err != nil {
		d.cfg.Log.Warn("that a photo is named again could not be noted", "err", err)
	}
}

// findFile is the file of a name that an entry is about to give.
func (d *Device) findFile(name string) (entry.Blob, bool) {
	d.unnamed.mu.Lock()
	defer d.unnamed.mu.Unlock()
	b, ok := d.blobs.Find(name)
	if ok {
		d.hold(b.Hash)
	}
	return b, ok
}

// keepFile keeps a file and takes hold of it.
func (d *Device) keepFile(mime string, content []byte) (name string, err error) {
	d.unnamed.mu.Lock()
	defer d.unnamed.mu.Unlock()
	if name, err = d.blobs.Keep(mime, content); err != nil {
		return "", err
	}
	if b, ok := d.blobs.Find(name); ok {
		d.hold(b.Hash)
	}
	return name, nil
}

// pruneUnnamed removes files that nothing has named for long enough. While anything
// is wrong with the store, or missing from it, what is lost may have named them.
func (d *Device) pruneUnnamed(ctx context.Context, hubNow time.Time) error {
	if hubNow.IsZero() {
		return nil
	}
	asked, err := d.askUnnamed(ctx, hubNow)
	if err != nil {
		return err
	}
	u := &d.unnamed
	u.mu.Lock()
	defer u.mu.Unlock()
	files, err := d.unnamedFiles()
	// After the entries were asked: damage to them is known by now.
	if err != nil || len(d.store.Findings()) > 0 || len(d.store.Holes()) > 0 {
		return err
	}
	maps.DeleteFunc(u.held, func(_ entry.Hash, at time.Time) bool { return time.Since(at) >= unnamedFor })
	before, now := d.noted(), make(map[entry.Hash]int64, len(files))
	var ripe []entry.Hash
	for _, h := range files {
		at, ok := before[h]
		if !ok || at > hubNow.UnixMilli() { // new, or the hub's clock was put back
			at = hubNow.UnixMilli()
		}
		now[h] = at
		if _, held := u.held[h]; !held && slices.Contains(asked, h) && hubNow.Sub(time.UnixMilli(at)) >= unnamedFor {
			ripe = append(ripe, h)
		}
	}
	for _, h := range ripe {
		if err := d.blobs.Remove(h); err != nil {
			return err
		}
		delete(now, h)
	}
	if len(ripe) > 0 {
		d.cfg.Log.Info("photos that no record names were removed", "photos", len(ripe), "kept_for", unnamedFor)
	}
	u.since = now
	return d.noteUnnamed()
}

// askUnnamed asks all entries who names the files that are new among those which nothing
// names, or about to go: what says so may be lost, and the entry be there. Then the
// file waits for the hub again. It returns the files that were asked about.
func (d *Device) askUnnamed(ctx context.Context, hubNow time.Time) (asked []entry.Hash, err error) {
	u := &d.unnamed
	u.mu.Lock()
	files, err := d.unnamedFiles()
	before := d.noted()
	for _, h := range files {
		at, noted := before[h]
		if _, held := u.held[h]; !held && (!noted || hubNow.Sub(time.UnixMilli(at)) >= unnamedFor) {
			asked = append(asked, h)
		}
	}
	u.mu.Unlock() // captures go on meanwhile
	if err != nil || len(asked) == 0 {
		return nil, err
	}
	return asked, d.store.NameBlobs(ctx, asked...)
}

// unnamedFiles are those that neither an unfinished form nor an entry names. Forms are
// looked at first: one that is finished meanwhile becomes an entry in the same commit.
func (d *Device) unnamedFiles() (out []entry.Hash, err error) {
	files, err := d.blobs.All()
	if err != nil {
		return nil, err
	}
	drafts := d.store.FormDrafts()
	for _, h := range files {
		name, named := []byte(hex.EncodeToString(h[:])), false
		for _, draft := range drafts {
			named = named || bytes.Contains(draft.Content, name)
		}
		if _, byEntry := d.store.Blob(h); !named && !byEntry {
			out = append(out, h)
		}
	}
	return out, nil
}

// noted reads since when files are named by nothing. The caller holds mu.
func (d *Device) noted() map[entry.Hash]int64 {
	u := &d.unnamed
	if u.since != nil {
		return u.since
	}
	u.since = make(map[entry.Hash]int64)
	text, err := os.ReadFile(filepath.Join(d.cfg.Dir, unnamedName))
	var rows map[string]int64
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return u.since
	case err == nil && len(text) > maxUnnamed:
		err = fmt.Errorf("it has %d bytes", len(text))
	case err == nil:
		err = json.Unmarshal(text, &rows)
	}
	if err != nil {
		d.cfg.Log.Warn("since when photos are named by no record is not known any more; their time begins anew", "err", err)
		return u.since
	}
	for name, at := range rows {
		if h, err := hex.DecodeString(name); err == nil && len(h) == len(entry.Hash{}) {
			u.since[entry.Hash(h)] = at
		}
	}
	return u.since
}

// noteUnnamed makes since durable, when it is another than the file has. The caller
// holds mu.
func (d *Device) noteUnnamed() error {
	rows := make(map[string]int64, len(d.unnamed.since))
	for h, at := range d.unnamed.since {
		rows[hex.EncodeToString(h[:])] = at
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	path := filepath.Join(d.cfg.Dir, unnamedName)
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, text) || errors.Is(err, fs.ErrNotExist) && len(rows) == 0 {
		return nil
	}
	return durable.WriteFile(path, text, 0o600)
}
