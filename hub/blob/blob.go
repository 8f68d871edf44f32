// Package blob takes in the photos and files that entries name, and keeps them.
//
// A file comes in pieces, each durable before it is answered, so that a link that
// breaks costs one piece at most. It is asked for by its hash alone, and only when
// an entry of the ledger names it; what is whole is checked against that hash, and
// goes into a [Vault]: a folder, or a bucket of an object store. Whoever sends
// needs no trust: a hash has one content.
//
//   - [Room] is the hub's files: pieces on their way, previews, and the vault.
//   - [Vault] keeps whole files; [Folder] is one.
//   - [Desk] answers devices.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"otor/internal/durable"
	"otor/internal/entry"
)

// Errors of a Room and of vaults.
var (
	ErrNotFound = errors.New("the hub does not have this file")
	// ErrUnfit: what came is not what the hash says; nothing of it was kept.
	ErrUnfit = errors.New("the file is not what its entry says")
	// ErrFull: the disk has too little space left for files.
	ErrFull = errors.New("the hub's disk has too little space for photos")
)

// Vault keeps whole files by the hash of their content. It is safe for concurrent use.
type Vault interface {
	// Put takes a file in. It is durable when Put returns; the file at path may be
	// gone then. One that is there already is no error.
	Put(ctx context.Context, h entry.Hash, path string) error
	// Size gives a file's bytes; [ErrNotFound].
	Size(ctx context.Context, h entry.Hash) (int64, error)
	// Open reads a file; [ErrNotFound]. The caller closes it.
	Open(ctx context.Context, h entry.Hash) (io.ReadCloser, error)
	// Remove removes a file; one that is not there is no error.
	Remove(ctx context.Context, h entry.Hash) error
	// Where says in words where the files are.
	Where() string
}

// Folder is a vault in a folder of the hub's disk: DIR/ab/abcd….
type Folder struct{ Dir string }

func (f Folder) path(h entry.Hash) string {
	name := hex.EncodeToString(h[:])
	return filepath.Join(f.Dir, name[:2], name)
}

// Put implements [Vault].
func (f Folder) Put(_ context.Context, h entry.Hash, path string) error {
	to := f.path(h)
	if err := durable.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("keep a photo: %w", err)
	}
	if err := os.Rename(path, to); err != nil {
		return fmt.Errorf("keep a photo: %w", err)
	}
	return durable.SyncDir(filepath.Dir(to))
}

// Size implements [Vault].
func (f Folder) Size(_ context.Context, h entry.Hash) (int64, error) {
	st, err := os.Stat(f.path(h))
	if err != nil {
		return 0, missing(err)
	}
	return st.Size(), nil
}

// Open implements [Vault].
func (f Folder) Open(_ context.Context, h entry.Hash) (io.ReadCloser, error) {
	r, err := os.Open(f.path(h))
	if err != nil {
		return nil, missing(err)
	}
	return r, nil
}

// Remove implements [Vault].
func (f Folder) Remove(_ context.Context, h entry.Hash) error {
	if err := os.Remove(f.path(h)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Where implements [Vault].
func (f Folder) Where() string { return f.Dir }

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

// Room holds the files of a hub. It is safe for concurrent use within one program.
type Room struct {
	dir   string
	vault Vault
	locks [64]sync.Mutex // of pieces, by the hash's first byte
}

// NewRoom returns the room whose pieces and previews lie below dir. vault nil: a
// folder there.
func NewRoom(dir string, vault Vault) *Room {
	if vault == nil {
		vault = Folder{filepath.Join(dir, "whole")}
	}
	return &Room{dir: dir, vault: vault}
}

// Vault is where whole files are.
func (r *Room) Vault() Vault { return r.vault }

func (r *Room) lock(h entry.Hash) func() {
	l := &r.locks[int(h[0])%len(r.locks)]
	l.Lock()
	return l.Unlock
}

func (r *Room) part(h entry.Hash) string {
	return filepath.Join(r.dir, "part", hex.EncodeToString(h[:]))
}

func (r *Room) preview(h entry.Hash) string {
	return filepath.Join(r.dir, "preview", hex.EncodeToString(h[:])+".jpg")
}

// At says how many bytes of a file are here, and whether that is all of it.
func (r *Room) At(ctx context.Context, h entry.Hash) (at int64, whole bool, err error) {
	defer r.lock(h)()
	return r.at(ctx, h)
}

func (r *Room) at(ctx context.Context, h entry.Hash) (int64, bool, error) {
	size, err := r.vault.Size(ctx, h)
	if err == nil {
		return size, true, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return 0, false, fmt.Errorf("look for photo %x in %s: %w", h[:4], r.vault.Where(), err)
	}
	st, err := os.Stat(r.part(h))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return st.Size(), false, nil
}

// floor is the free space that files leave to the database and the streams.
const floor = 256 << 20

// Append adds a piece to a file of size bytes, if it begins where the file ends so
// far; otherwise nothing is written. at is where it ends then, whole that this is
// all of it and that it is what the hash says. Errors: [ErrUnfit], [ErrFull], or
// the disk's and the vault's.
func (r *Room) Append(ctx context.Context, h entry.Hash, size, offset int64, piece []byte) (at int64, whole bool, err error) {
	defer r.lock(h)()
	at, whole, err = r.at(ctx, h)
	if err != nil || whole || at != offset {
		return at, whole, err
	}
	if offset+int64(len(piece)) > size {
		return 0, false, errors.Join(ErrUnfit, r.drop(h))
	}
	if free, err := durable.Free(r.dir); err == nil && free < floor+uint64(len(piece)) {
		return at, false, ErrFull
	}
	if err := r.write(h, offset, piece); err != nil {
		return at, false, fmt.Errorf("keep a piece of photo %x: %w", h[:4], err)
	}
	if at += int64(len(piece)); at < size {
		return at, false, nil
	}
	if err := r.finish(ctx, h); err != nil {
		return 0, false, err
	}
	return at, true, nil
}

// Finish puts a file that has all its bytes into the vault, which was away when
// the last of them came. whole is false for one that does not have them yet.
func (r *Room) Finish(ctx context.Context, h entry.Hash, size int64) (whole bool, err error) {
	defer r.lock(h)()
	at, whole, err := r.at(ctx, h)
	if err != nil || whole || at < size {
		return whole, err
	}
	err = r.finish(ctx, h)
	return err == nil, err
}

// write puts a piece durably behind those before it. A power cut may leave bytes
// behind it that were never answered: the hash tells, and the file comes anew.
func (r *Room) write(h entry.Hash, offset int64, piece []byte) (err error) {
	if err := durable.MkdirAll(filepath.Join(r.dir, "part"), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(r.part(h), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(piece, offset); err != nil {
		// A piece that is there in part would be taken for one that is whole.
		return errors.Join(err, f.Truncate(offset))
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Truncate(offset))
	}
	if offset == 0 {
		return durable.SyncDir(filepath.Join(r.dir, "part"))
	}
	return nil
}

// finish checks a file that has all its bytes, and puts it into the vault.
func (r *Room) finish(ctx context.Context, h entry.Hash) error {
	sum, err := sumOf(r.part(h))
	if err != nil {
		return fmt.Errorf("check photo %x: %w", h[:4], err)
	}
	if sum != h {
		return errors.Join(ErrUnfit, r.drop(h))
	}
	if err := r.vault.Put(ctx, h, r.part(h)); err != nil {
		return fmt.Errorf("put photo %x into %s: %w", h[:4], r.vault.Where(), err)
	}
	return r.drop(h)
}

func (r *Room) drop(h entry.Hash) error {
	if err := os.Remove(r.part(h)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func sumOf(path string) (sum entry.Hash, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := sha256.New()
	if _, err := io.Copy(w, f); err != nil {
		return sum, err
	}
	return entry.Hash(w.Sum(nil)), nil
}

// Check reads a whole file and compares it with its hash. Errors: [ErrNotFound], [ErrUnfit].
func (r *Room) Check(ctx context.Context, h entry.Hash) (err error) {
	f, err := r.vault.Open(ctx, h)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := sha256.New()
	if _, err := io.Copy(w, f); err != nil {
		return err
	}
	if entry.Hash(w.Sum(nil)) != h {
		return ErrUnfit
	}
	return nil
}

// Remove removes a whole file, so that it is taken anew.
func (r *Room) Remove(ctx context.Context, h entry.Hash) error {
	defer r.lock(h)()
	return r.vault.Remove(ctx, h)
}

// Open reads a whole file; [ErrNotFound]. The caller closes it.
func (r *Room) Open(ctx context.Context, h entry.Hash) (io.ReadCloser, error) {
	return r.vault.Open(ctx, h)
}

// SetPreview keeps a file's preview.
func (r *Room) SetPreview(h entry.Hash, b []byte) error {
	if free, err := durable.Free(r.dir); err == nil && free < floor {
		return ErrFull
	}
	if err := durable.MkdirAll(filepath.Join(r.dir, "preview"), 0o700); err != nil {
		return fmt.Errorf("keep a preview: %w", err)
	}
	if err := durable.WriteFile(r.preview(h), b, 0o600); err != nil {
		return fmt.Errorf("keep a preview: %w", err)
	}
	return nil
}

// Preview gives a file's preview; [ErrNotFound].
func (r *Room) Preview(h entry.Hash) ([]byte, error) {
	b, err := os.ReadFile(r.preview(h))
	if err != nil {
		return nil, missing(err)
	}
	return b, nil
}

// HasPreview reports whether there is one.
func (r *Room) HasPreview(h entry.Hash) bool {
	_, err := os.Stat(r.preview(h))
	return err == nil
}
