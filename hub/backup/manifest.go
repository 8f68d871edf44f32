package backup

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/receipt"
)

// The files of a backup and beside it.
const (
	databaseFile = "hub.db"
	keysFolder   = "keys"
	manifestFile = "backup.json"
	promiseFile  = "archive.json"
	lockFile     = "lock"
	making       = ".making-"
	going        = ".going-"
)

// version of the manifest's form.
const version = 1

// LaneMark says how far a backup holds a chain without a hole.
type LaneMark struct {
	Device      dot.Device      `json:"device"`
	Incarnation dot.Incarnation `json:"incarnation"`
	Lane        dot.Lane        `json:"lane"`
	Through     dot.Seq         `json:"through"`
	Head        entry.Hash      `json:"head"` // at Through
	Entries     uint64          `json:"entries"`
	// Joined is false where a second history of the device keeps the head from
	// being computed from the entries; their own hashes hold all the same.
	Joined bool `json:"joined"`
}

// Chain names the mark's chain.
func (m LaneMark) Chain() dot.Chain {
	return dot.Chain{Device: m.Device, Incarnation: m.Incarnation, Lane: m.Lane}
}

// Manifest is what a verified backup holds.
type Manifest struct {
	Version int               `json:"version"`
	Number  uint64            `json:"number"` // counted within the folder, from 1
	Made    time.Time         `json:"made"`
	Epoch   receipt.Epoch     `json:"epoch"`
	Lineage uint32            `json:"lineage"`
	Entries uint64            `json:"entries"`
	Lanes   []LaneMark        `json:"lanes"`
	Files   map[string]string `json:"files"` // SHA-256 in hex of each file, by its path with slashes
	Bytes   int64             `json:"bytes"` // of the database
}

// Promise is what devices were told is archived.
type Promise struct {
	Version int        `json:"version"`
	Lanes   []LaneMark `json:"lanes"`
}

// Kept is a verified backup in its folder.
type Kept struct {
	Path     string
	Manifest Manifest
}

// ErrUnverified marks a backup that is not what it says or not what a hub can
// be put back from.
var ErrUnverified = errors.New("the backup is not good")

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnverified, path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(b, '\n'), 0o600)
}

// ReadManifest reads the manifest of a backup.
func ReadManifest(dir string) (Manifest, error) {
	var m Manifest
	err := readJSON(filepath.Join(dir, manifestFile), &m)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, fmt.Errorf("%w: %s has no %s: name the folder of one backup, such as DIR/20250918T031500Z", ErrUnverified, dir, manifestFile)
	case err == nil && m.Version != version:
		return m, fmt.Errorf("%w: %s has the form %d, this program knows %d: use the program that made it, or a newer one", ErrUnverified, dir, m.Version, version)
	}
	return m, err
}

// List gives the backups of a folder, oldest first.
func List(dir string) ([]Kept, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the backups: %w", err)
	}
	var out []Kept
	for _, n := range names {
		path := filepath.Join(dir, n.Name())
		if !n.IsDir() || strings.HasPrefix(n.Name(), ".") {
			continue
		}
		if _, err := os.Lstat(filepath.Join(path, manifestFile)); err != nil {
			continue // somebody else's folder
		}
		m, err := ReadManifest(path)
		if err != nil {
			return nil, err
		}
		out = append(out, Kept{path, m})
	}
	slices.SortFunc(out, func(a, b Kept) int { return cmp.Compare(a.Manifest.Number, b.Manifest.Number) })
	return out, nil
}

// readPromise reads what devices were told; known is false when nothing says.
func readPromise(dir string) (p Promise, known bool, err error) {
	err = readJSON(filepath.Join(dir, promiseFile), &p)
	if errors.Is(err, fs.ErrNotExist) {
		return Promise{Version: version}, false, nil
	}
	return p, err == nil, err
}

// raised is the promise with marks added. It never falls.
func (p Promise) raised(marks []LaneMark) Promise {
	out := Promise{Version: version, Lanes: slices.Clone(p.Lanes)}
	for _, m := range marks {
		i := slices.IndexFunc(out.Lanes, func(have LaneMark) bool { return have.Chain() == m.Chain() })
		switch {
		case i < 0:
			out.Lanes = append(out.Lanes, m)
		case out.Lanes[i].Through < m.Through:
			out.Lanes[i] = m
		}
	}
	slices.SortFunc(out.Lanes, func(a, b LaneMark) int { return a.Chain().Compare(b.Chain()) })
	return out
}
