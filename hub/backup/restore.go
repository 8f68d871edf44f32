package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/lane"
)

// Shortfall is a run of entries that devices were told are archived and that a
// backup does not hold.
type Shortfall struct {
	Device      dot.Device      `json:"device"`
	Incarnation dot.Incarnation `json:"incarnation"`
	Lane        dot.Lane        `json:"lane"`
	Run         lane.Range      `json:"run"`
}

func (s Shortfall) String() string {
	return fmt.Sprintf("%s/%d/%s %s", s.Device, s.Incarnation, s.Lane, s.Run)
}

// LossError says that a backup holds less than devices were told is archived.
type LossError struct {
	Backup string
	Lost   []Shortfall
}

func (e *LossError) Error() string {
	words := make([]string, 0, len(e.Lost))
	for _, l := range e.Lost {
		words = append(words, l.String())
	}
	return fmt.Sprintf("%s is older than what devices were told is archived: it does not hold %s, and devices may have dropped those entries; "+
		"restore a newer backup, or add --accept-loss", e.Backup, strings.Join(words, ", "))
}

// ErrNotEmpty marks a folder that something is in already.
var ErrNotEmpty = errors.New("the folder is not empty")

// Target is where a restore puts a database.
type Target struct {
	Open Open
	// Reserve keeps a hub from making a new database at path, until Place has
	// put one there whole.
	Reserve func(path string) error
	Place   func(from, path string) error
	// Note, which may be nil, writes into the folder that a backup was put there,
	// BEFORE its database is.
	Note func(data string, m Manifest) error
	// Photos is the folder of whole photos within data; empty: none are put back.
	Photos string
}

// Restored says what a restore came to.
type Restored struct {
	Backup   string      `json:"backup"`
	Data     string      `json:"data"`
	Made     string      `json:"made"` // when the backup was, RFC 3339
	Epoch    string      `json:"epoch"`
	Entries  uint64      `json:"entries"`
	Lanes    int         `json:"lanes"`
	Accepted []Shortfall `json:"accepted_loss"`
	// ArchiveKnown is false when nothing beside the backup says what devices
	// were told.
	ArchiveKnown bool `json:"archive_known"`
}

// Restore verifies the backup and puts it into data, a folder that is empty or
// not there yet. It is a [LossError] when the backup holds less than was
// promised, unless loss is accepted; [ErrNotEmpty] and [ErrUnverified] are
// wrapped too, and data is then as it was. After a crash data holds no database
// and a hub does not start in it.
func Restore(ctx context.Context, to Target, backup, data string, acceptLoss bool) (out Restored, err error) {
	names, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, fmt.Errorf("restore into %s: %w", data, err)
	}
	if len(names) > 0 {
		return out, fmt.Errorf("%w: %s holds %s; move it aside, or name another --data folder", ErrNotEmpty, data, names[0].Name())
	}
	above := filepath.Dir(filepath.Clean(data))
	if err := durable.MkdirAll(above, 0o700); err != nil {
		return out, fmt.Errorf("restore into %s: %w", data, err)
	}
	scratchIn, err := os.MkdirTemp(above, making+"restore-")
	if err != nil {
		return out, fmt.Errorf("restore into %s: %w", data, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratchIn)) }()
	m, err := Verify(ctx, to.Open, backup, scratchIn)
	if err != nil {
		return out, err
	}
	promise, known, err := readPromise(filepath.Dir(filepath.Clean(backup)))
	if err != nil {
		return out, err
	}
	out = Restored{
		Backup: backup, Data: data, Made: m.Made.Format("2006-01-02T15:04:05Z07:00"), Epoch: m.Epoch.String(),
		Entries: m.Entries, Lanes: len(m.Lanes), Accepted: shortfalls(promise, m), ArchiveKnown: known,
	}
	if len(out.Accepted) > 0 && !acceptLoss {
		return out, &LossError{Backup: backup, Lost: out.Accepted}
	}
	if err := to.put(ctx, backup, data, m); err != nil {
		return out, fmt.Errorf("restore into %s: %w", data, err)
	}
	return out, nil
}

// put copies the parts in an order in which a crash leaves nothing that a hub
// would start with: the place is reserved, then the keys come, then the database.
func (to Target) put(ctx context.Context, backup, data string, m Manifest) error {
	if err := durable.MkdirAll(data, 0o700); err != nil {
		return err
	}
	path := filepath.Join(data, databaseFile)
	if err := to.Reserve(path); err != nil {
		return err
	}
	if err := copyKeys(filepath.Join(backup, keysFolder), filepath.Join(data, keysFolder), make(map[string]string)); err != nil {
		return err
	}
	if to.Note != nil {
		if err := to.Note(data, m); err != nil {
			return err
		}
	}
	if to.Photos != "" {
		beside := filepath.Join(filepath.Dir(filepath.Clean(backup)), photosFolder)
		// One that cannot be read is missing then, and asked for from the device that took it.
		if _, err := copyPhotos(ctx, os.DirFS(beside), filepath.Join(data, to.Photos)); err != nil {
			return err
		}
	}
	return to.Place(filepath.Join(backup, databaseFile), path)
}

// shortfalls lists what was promised and is not in the backup.
func shortfalls(p Promise, m Manifest) []Shortfall {
	out := []Shortfall{}
	for _, l := range p.Lanes {
		var have dot.Seq
		if i := slices.IndexFunc(m.Lanes, func(b LaneMark) bool { return b.Chain() == l.Chain() }); i >= 0 {
			have = m.Lanes[i].Through
		}
		if l.Through > have {
			out = append(out, Shortfall{l.Device, l.Incarnation, l.Lane, lane.Run(have+1, l.Through)})
		}
	}
	return out
}
