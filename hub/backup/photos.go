package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"otor/internal/durable"
	"otor/internal/entry"
)

// photosFolder is where the photos of all backups lie, by the hash of their
// content: what is there once is copied once.
const photosFolder = "photos"

// photoCopy says what copying photos came to.
type photoCopy struct {
	copied int
	bad    int   // passed over: not what their names say, or not to be read
	cause  error // why the first of those could not be read
	held   []entry.Hash
}

// copyPhotos copies the files that to does not have yet, each under its hash in
// folders by the hash's first two digits. A file that is not what its name says, or
// that cannot be read, is passed over: it must not keep those behind it from their copy.
// held are the files that an earlier backup had copied already. Errors are the target's.
func copyPhotos(ctx context.Context, from fs.FS, to string) (out photoCopy, err error) {
	err = fs.WalkDir(from, ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			return nil // no photo came yet, or it went meanwhile
		case err != nil && path == ".":
			return err
		case err != nil:
			out.pass(err)
			return nil
		case !e.Type().IsRegular() || len(e.Name()) != 64:
			return nil
		}
		into := filepath.Join(to, e.Name()[:2], e.Name())
		if _, err := os.Lstat(into); err == nil {
			if h, err := hex.DecodeString(e.Name()); err == nil {
				out.held = append(out.held, entry.Hash(h))
			}
			return nil
		}
		return out.copy(from, path, into)
	})
	if err != nil {
		err = fmt.Errorf("copy photos: %w", err)
	}
	return out, err
}

func (p *photoCopy) pass(cause error) {
	if p.bad++; p.cause == nil {
		p.cause = cause
	}
}

// copy copies one file to into.
func (p *photoCopy) copy(from fs.FS, path, into string) (err error) {
	file, err := from.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it went meanwhile
	case err != nil:
		p.pass(err)
		return nil
	}
	defer file.Close() //nolint:errcheck // only read
	if err := durable.MkdirAll(filepath.Dir(into), 0o700); err != nil {
		return err
	}
	half := filepath.Join(filepath.Dir(into), making+filepath.Base(into))
	if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	in := &source{Reader: file}
	digest, err := copyInto(half, in)
	switch {
	case in.err != nil:
		p.pass(in.err)
		return os.Remove(half)
	case err != nil:
		return errors.Join(err, os.Remove(half))
	case digest != filepath.Base(into):
		p.pass(nil)
		return os.Remove(half)
	}
	if err := os.Rename(half, into); err != nil {
		return err
	}
	p.copied++
	return durable.SyncDir(filepath.Dir(into))
}

// source keeps what reading failed with, which io.Copy does not tell from what writing
// failed with.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
