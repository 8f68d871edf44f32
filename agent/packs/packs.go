// Package packs keeps the form packs that the hub published, beside the one that
// the program came with.
//
// They come in the feed of everybody: pieces, then the edition that is made of
// them, which the hub signed. Once a page has brought an edition, all of its pieces
// are there as well, since they stand below it in the feed; from that commit on new
// records go by it. Older versions stay: drafts, and entries in view, go by theirs.
//
// Each version is also kept as a file, so that a device goes on with what its people
// captured when a hub was put back to a time before it was published. The file is
// signed and its pieces are named by their content, so nothing in it is trusted.
//
//   - [Room] is the folder, the feed and the shelf; [Room.Refresh] looks what came.
package packs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/durable"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/pack"
)

// Rows are what the hub sent.
type Rows interface {
	// Rows yields the rows of a scope and slot whose keys start with prefix.
	Rows(ctx context.Context, scope string, slot feed.Kind, prefix string) iter.Seq2[feed.Row, error]
}

// Config is what a [Room] is made of. All of it is needed.
type Config struct {
	Dir   string // of the device; packs/ in it is the room's
	Hub   identity.PublicKey
	Rows  Rows
	Shelf *pack.Shelf // gets what came
	Log   *slog.Logger
}

// Room keeps packs. It is safe for concurrent use.
type Room struct {
	cfg Config

	mu    sync.Mutex
	known map[string]bool // editions, by hash of what was signed, that were looked at; owner: mu
}

// maxFile bounds a kept pack in bytes.
const maxFile = pack.MaxPublished + 1<<20

// Open reads the packs that are kept, and what the feed has beyond them. A pack
// that cannot be used is said in the log and left alone: the others will do.
func Open(ctx context.Context, cfg Config) (*Room, error) {
	r := &Room{cfg: cfg, known: map[string]bool{}}
	names, err := filepath.Glob(filepath.Join(r.dir(), "*.pack"))
	if err != nil {
		return nil, fmt.Errorf("list form packs: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := r.take(name); err != nil {
			cfg.Log.Warn("a kept form pack cannot be used; the hub has it if it is needed", "file", name, "err", err)
		}
	}
	_, err = r.Refresh(ctx)
	return r, err
}

func (r *Room) dir() string { return filepath.Join(r.cfg.Dir, "packs") }

// kept is a version as a file: [signed edition, pieces].
type kept struct {
	_      struct{} `cbor:",toarray"`
	Signed []byte
	Pieces [][]byte
}

// take reads a kept file.
func (r *Room) take(name string) error {
	fi, err := os.Stat(name)
	if err != nil {
		return err
	}
	if fi.Size() > maxFile {
		return fmt.Errorf("it has %d bytes", fi.Size())
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var k kept
	if err := cbor.Unmarshal(b, &k); err != nil {
		return err
	}
	e, err := pack.OpenEdition(k.Signed, r.cfg.Hub)
	if err != nil {
		return err
	}
	pieces := make(map[pack.Piece][]byte, len(k.Pieces))
	for _, x := range k.Pieces {
		pieces[pack.HashOf(x)] = x
	}
	return r.put(e, k.Signed, func(x pack.Piece) ([]byte, error) {
		if c, ok := pieces[x]; ok {
			return c, nil
		}
		return nil, errMissing
	})
}

var errMissing = errors.New("a piece of it is not here")

// put loads an edition and puts it on the shelf.
func (r *Room) put(e pack.Edition, signed []byte, piece func(pack.Piece) ([]byte, error)) error {
	p, err := e.Load(piece)
	if err != nil {
		return err
	}
	r.cfg.Shelf.Put(p)
	r.known[name(signed)] = true
	return nil
}

func name(signed []byte) string { return pack.HashOf(signed).String() }

// Refresh looks whether the feed has brought versions that are not on the shelf.
// changed says that new records go by another version now.
func (r *Room) Refresh(ctx context.Context) (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.cfg.Shelf.Current()
	for row, err := range r.cfg.Rows.Rows(ctx, feed.Everybody, feed.Form, pack.EditionKeys) {
		if err != nil {
			return false, fmt.Errorf("look for form packs: %w", err)
		}
		if r.known[name(row.Body)] {
			continue
		}
		switch err := r.came(ctx, row.Body); {
		case errors.Is(err, errMissing):
			// Its pieces are damaged, and come with the scope once more.
		case err != nil:
			r.known[name(row.Body)] = true
			r.cfg.Log.Warn("a form pack of the hub cannot be used here; the one before it is", "pack", row.Key, "err", err)
		}
	}
	return r.cfg.Shelf.Current() != before, nil
}

// came takes an edition from the feed, and keeps it as a file.
func (r *Room) came(ctx context.Context, signed []byte) error {
	e, err := pack.OpenEdition(signed, r.cfg.Hub)
	if err != nil {
		return err
	}
	k := kept{Signed: signed}
	err = r.put(e, signed, func(x pack.Piece) ([]byte, error) {
		for row, err := range r.cfg.Rows.Rows(ctx, feed.Everybody, feed.Form, pack.PieceKeys+x.String()) {
			if err != nil {
				return nil, err
			}
			k.Pieces = append(k.Pieces, row.Body)
			return row.Body, nil
		}
		return nil, errMissing
	})
	if err != nil {
		return err
	}
	r.cfg.Log.Info("a form pack came", "pack", e.ID, "version", e.Version)
	if err := r.keep(e, k); err != nil {
		r.cfg.Log.Warn("a form pack is used and could not be kept as a file", "pack", e.ID, "version", e.Version, "err", err)
	}
	return nil
}

func (r *Room) keep(e pack.Edition, k kept) error {
	b, err := cbor.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.WriteFile(filepath.Join(r.dir(), fmt.Sprintf("%s-%d.pack", strings.ToLower(e.ID), e.Version)), b, 0o600)
}
