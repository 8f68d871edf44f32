package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/durable"
)

// settleRescue decides on what openFiles set apart: without a finding nothing
// of it was needed. A table that the MANIFEST does not name is what a crash may
// leave; with entries missing it may hold them.
func (s *Store) settleRescue(dir string, unlisted []string) {
	if dir == "" {
		return
	}
	if len(s.Findings()) == 0 {
		if err := os.RemoveAll(dir); err != nil {
			s.log.Warn("copies made before opening are left", "dir", dir, "err", err)
		}
		return
	}
	for _, name := range unlisted {
		s.note(Finding{
			Code: CodeFileExtra, Which: filepath.Join(s.dbDir(), name), What: "the database's list of files does not name it",
			Do: "it was set apart in " + dir + " and may hold entries that are missing",
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.findings {
		if f.Code != CodeFileDamaged && f.Code != CodeFileExtra {
			s.findings[i].Do += "; the files as they were are in " + dir
		}
	}
}

// openFiles examines the files, repairs, and opens Badger. rescue is the folder
// with what Badger would have rewritten or deleted, "" when there was nothing.
func (s *Store) openFiles() (rescue string, unlisted []string, err error) {
	ex, err := examine(s.dbDir())
	if err != nil {
		return "", nil, err
	}
	s.fresh = ex.fresh
	if s.o.ReadOnly {
		if len(ex.bad) > 0 {
			return "", nil, damaged(filepath.Join(s.dbDir(), ex.bad[0].name), ex.bad[0].what, "open the store for writing once: that sets it apart")
		}
		if len(ex.hollow) > 0 {
			return "", nil, damaged(filepath.Join(s.dbDir(), ex.hollow[0]), "the log is empty", "open the store for writing once: that sets it apart")
		}
		return "", nil, s.openBadger()
	}
	if len(ex.bad) > 0 || len(ex.unlisted) > 0 || len(ex.hollow) > 0 || len(ex.logs) > 0 {
		if rescue, err = s.setApart(ex); err != nil {
			return "", nil, fmt.Errorf("set damaged files of %s apart: %w", s.dbDir(), err)
		}
	}
	if err := s.openBadger(); err != nil {
		return "", nil, err
	}
	return rescue, ex.unlisted, durable.SyncDir(s.dbDir())
}

// setApart copies what Badger would rewrite or delete, moves what it must not
// see, and takes bad tables out of the MANIFEST.
func (s *Store) setApart(ex examination) (rescue string, err error) {
	root := filepath.Join(s.dir, "apart")
	if err := durable.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	rescue, err = os.MkdirTemp(root, s.o.Now().UTC().Format("20060102-150405-*"))
	if err != nil {
		return "", err
	}
	copies := ex.logs
	if len(ex.bad) > 0 {
		copies = append(copies, badger.ManifestFilename)
	}
	var need int64
	for _, name := range copies {
		need += fileSize(filepath.Join(s.dbDir(), name))
	}
	if free, err := durable.Free(s.dir); err != nil || free < uint64(need)+2*floor {
		s.log.Warn("too little space for copies of the logs", "free", free, "need", need)
	} else if err := copyFiles(rescue, s.dbDir(), copies); err != nil {
		return "", err
	}
	for _, name := range slices.Concat(ex.unlisted, ex.hollow) {
		if err := os.Rename(filepath.Join(s.dbDir(), name), filepath.Join(rescue, name)); err != nil {
			return "", err
		}
	}
	if len(ex.listed) > 0 {
		if err := dropFromManifest(s.dbDir(), ex.listed); err != nil {
			return "", err
		}
	}
	for _, f := range ex.bad {
		if !f.gone {
			if err := os.Rename(filepath.Join(s.dbDir(), f.name), filepath.Join(rescue, f.name)); err != nil {
				return "", err
			}
		}
		s.note(Finding{
			Code: CodeFileDamaged, What: f.what, Which: filepath.Join(s.dbDir(), f.name),
			Do: "it was set apart in " + rescue + "; the entries that it held are listed when they are missing",
		})
	}
	return rescue, durable.SyncDir(s.dbDir())
}
