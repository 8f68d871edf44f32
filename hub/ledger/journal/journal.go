// Package journal keeps records in a file on another disk than the database's,
// each one synced before it counts.
//
// The file DIR/facts is a heading and then records, one after the other:
//
//	heading   16 bytes, "otor journal 1\n" and a zero byte
//	record    length of the content (4 bytes, big endian), CRC-32C of length and
//	          content (4 bytes, big endian), content
//
// There is one writer and it waits for the disk after every record. So a crash
// leaves the file in one of a few positions only, and [Open] tells them apart:
//
//   - it ends with a whole record: nothing was on its way;
//   - after the last whole record there are at most as many bytes as one record
//     may have, they are no record, and no record begins anywhere in them: that
//     one was never acknowledged. It is cut off, and kept aside in DIR/cut-N;
//   - anything else cannot come from a crash of this program: a whole record
//     follows bytes that are none, or there are too many of them. That is damage,
//     and the file is refused as it stands ([ErrDamaged]).
//
// What the records mean is not known here.
package journal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"otor/internal/durable"
)

// MaxRecord bounds a record's content in bytes.
const MaxRecord = 64 << 10

// Errors that callers tell apart.
var (
	ErrDamaged = errors.New("the journal is damaged")
	ErrInUse   = errors.New("the journal is in use by another program")
	ErrFull    = errors.New("the journal's disk is full")
	ErrMissing = errors.New("the journal is missing")
	ErrClosed  = errors.New("the journal is closed")
)

const (
	fileName = "facts"
	lockName = "lock"
)

// Journal is an open journal. Its methods are safe for concurrent use.
type Journal struct {
	dir  string
	lock *flock.Flock

	mu   sync.Mutex
	file file  // nil: closed, or given up after a failure that could not be undone
	end  int64 // bytes of the heading and of all acknowledged records
	open func(name string) (file, error)
	shut bool
}

// file is what a journal writes to; tests put one there that fails.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Found says what [Open] found.
type Found struct {
	Made    bool // there was none: an empty one was made
	Records int
	Cut     int64 // bytes of a record that was never acknowledged, cut off
}

// Exists reports whether there is a journal in dir.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Open opens the journal in dir and hands every record's content to each, in
// order; an error of each ends it. With make, one that is not there is made;
// otherwise it is [ErrMissing].
func Open(dir string, make bool, each func(content []byte) error) (*Journal, Found, error) {
	there, err := Exists(dir)
	if err != nil {
		return nil, Found{}, fmt.Errorf("open the journal in %s: %w", dir, err)
	}
	if !there && !make {
		return nil, Found{}, fmt.Errorf("%w: there is no %s", ErrMissing, filepath.Join(dir, fileName))
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, Found{}, fmt.Errorf("open the journal in %s: %w", dir, err)
	}
	j := &Journal{dir: dir, lock: flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600)), open: openFile}
	ok, err := j.lock.TryLock()
	if err == nil && !ok {
		err = fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	if err != nil {
		return nil, Found{}, errors.Join(err, j.lock.Close())
	}
	found, err := j.begin(!there, each)
	if err != nil {
		return nil, Found{}, errors.Join(fmt.Errorf("open the journal in %s: %w", dir, err), j.Close())
	}
	return j, found, nil
}

func openFile(name string) (file, error) { return os.OpenFile(name, os.O_RDWR, 0) }

// begin makes or reads the file. mu is not needed yet.
func (j *Journal) begin(missing bool, each func([]byte) error) (found Found, err error) {
	if missing {
		if err := durable.WriteFile(j.path(), []byte(heading), 0o600); err != nil {
			return found, err
		}
	}
	found, err = j.reopen(each)
	found.Made = missing
	return found, err
}

func (j *Journal) path() string { return filepath.Join(j.dir, fileName) }

// Dir is the journal's folder.
func (j *Journal) Dir() string { return j.dir }

// reopen opens the file, reads it whole, and cuts off what a crash left.
func (j *Journal) reopen(each func([]byte) error) (found Found, err error) {
	f, err := j.open(j.path())
	if err != nil {
		return found, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	s, err := scan(f, each)
	if err != nil {
		return found, err
	}
	if len(s.torn) > 0 {
		aside := filepath.Join(j.dir, fmt.Sprintf("cut-%d", s.end))
		if err := durable.WriteFile(aside, s.torn, 0o600); err != nil {
			return found, fmt.Errorf("keep the unfinished record aside: %w", err)
		}
		if err := errors.Join(f.Truncate(s.end), f.Sync()); err != nil {
			return found, fmt.Errorf("cut off the unfinished record: %w", err)
		}
	}
	switch {
	case j.end == 0: // the first time
	case s.end < j.end:
		return found, fmt.Errorf("%w: it ends at byte %d, and %d bytes were acknowledged", ErrDamaged, s.end, j.end)
	case s.end > j.end:
		// A record whose writing failed and could not be taken back then.
		if err := errors.Join(f.Truncate(j.end), f.Sync()); err != nil {
			return found, fmt.Errorf("take back the record that was refused: %w", err)
		}
		s.end = j.end
	}
	j.file, j.end = f, s.end
	return Found{Records: s.records, Cut: int64(len(s.torn))}, nil
}

// Append writes a record and returns once it is on the disk. On an error there
// is no record: it was taken back. When even that failed nothing more is
// appended until the file could be read anew, and the record is taken back then.
// Only a crash before that can leave it in the journal.
func (j *Journal) Append(content []byte) error {
	if len(content) == 0 || len(content) > MaxRecord {
		return fmt.Errorf("write to the journal: a record of %d bytes, want 1 to %d", len(content), MaxRecord)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.shut {
		return ErrClosed
	}
	if j.file == nil {
		if _, err := j.reopen(func([]byte) error { return nil }); err != nil {
			return fmt.Errorf("open the journal in %s again: %w", j.dir, reason(err))
		}
	}
	frame := frameOf(content)
	_, err := j.file.WriteAt(frame, j.end)
	if err == nil {
		err = j.file.Sync()
	}
	if err == nil {
		j.end += int64(len(frame))
		return nil
	}
	if undo := errors.Join(j.file.Truncate(j.end), j.file.Sync()); undo != nil {
		err = errors.Join(err, undo, j.file.Close())
		j.file = nil
	}
	return fmt.Errorf("write to the journal in %s: %w", j.dir, reason(err))
}

// TakeBack takes the last record out, keeps it aside in DIR/taken-back-N, and
// returns its content.
func (j *Journal) TakeBack() (content []byte, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.shut {
		return nil, ErrClosed
	}
	if j.file == nil {
		return nil, fmt.Errorf("take the last record out of the journal in %s: it has failed before and was not read anew", j.dir)
	}
	if _, err := scan(io.NewSectionReader(j.file, 0, j.end), func(c []byte) error { content = append(content[:0], c...); return nil }); err != nil {
		return nil, err
	}
	if content == nil {
		return nil, fmt.Errorf("take the last record out of the journal in %s: there is none", j.dir)
	}
	begin := j.end - int64(len(frameOf(content)))
	if err := durable.WriteFile(filepath.Join(j.dir, fmt.Sprintf("%s%x", asidePrefix, sha256.Sum256(content))), content, 0o600); err != nil {
		return nil, fmt.Errorf("keep a record of the journal aside: %w", err)
	}
	if err := errors.Join(j.file.Truncate(begin), j.file.Sync()); err != nil {
		return nil, fmt.Errorf("take the last record out of the journal in %s: %w", j.dir, reason(err))
	}
	j.end = begin
	return content, nil
}

// asidePrefix begins the name of a file with a record that was taken back, asideDone ends
// that of one which was dealt with.
const (
	asidePrefix = "taken-back-"
	asideDone   = ".done"
)

// Aside is a record that was taken back.
type Aside struct {
	Content []byte
	Path    string
}

// Done notes that a record was dealt with; its file stays under another name.
func (a Aside) Done() error {
	if err := os.Rename(a.Path, a.Path+asideDone); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(a.Path))
}

// Aside lists the records that were taken back and not dealt with, also by earlier runs.
func (j *Journal) Aside() (out []Aside, err error) {
	names, err := filepath.Glob(filepath.Join(j.dir, asidePrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, path := range names {
		if strings.HasSuffix(path, asideDone) {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a record that was taken back: %w", err)
		}
		out = append(out, Aside{content, path})
	}
	return out, nil
}

// reason names a full disk.
func reason(err error) error {
	if durable.Full(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Each reads all records again, in order.
func (j *Journal) Each(each func(content []byte) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.shut {
		return ErrClosed
	}
	if j.file == nil {
		_, err := j.reopen(each)
		return err
	}
	_, err := scan(io.NewSectionReader(j.file, 0, j.end), each)
	return err
}

// Close lets go of the journal.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.shut = true
	var err error
	if j.file != nil {
		err, j.file = j.file.Close(), nil
	}
	return errors.Join(err, j.lock.Close())
}
