package store

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/durable"
)

// rescue is what openFiles set apart.
type rescue struct {
	dir      string   // "": nothing
	unlisted []string // tables that the MANIFEST did not name
	moved    bool     // there are files in it that the database had, and not copies alone
}

// settleRescue decides on what openFiles set apart: without a finding nothing
// of it was needed, and copies were not without one that is new. A table that the
// MANIFEST does not name is what a crash may leave; with entries missing it may hold them.
func (s *Store) settleRescue(r rescue) {
	if r.dir == "" {
		return
	}
	fresh := s.freshFindings(filepath.Dir(r.dir))
	if len(s.Findings()) == 0 || len(fresh) == 0 && !r.moved {
		if err := os.RemoveAll(r.dir); err != nil {
			s.log.Warn("copies made before opening are left", "dir", r.dir, "err", err)
		}
		return
	}
	for _, name := range r.unlisted {
		s.note(Finding{
			Code: CodeFileExtra, Which: filepath.Join(s.dbDir(), name), What: "the database's list of files does not name it",
			Do: "it was set apart in " + r.dir + " and may hold entries that are missing",
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.findings {
		if _, isNew := fresh[reason{f.Code, f.Which}]; isNew && f.Code != CodeFileDamaged && f.Code != CodeFileExtra {
			s.findings[i].Do += "; the files as they were are in " + r.dir
		}
	}
	if err := writeReasons(r.dir, s.findings); err != nil {
		s.log.Warn("why files were set apart could not be noted", "dir", r.dir, "err", err)
	}
}

// reasonsName is the file in each folder with what was wrong when it was made. A
// start that finds nothing else makes no folder more: findings last for months, and
// phones end programs several times a day.
const reasonsName = "why.json"

// reason is a finding that files were set apart for.
type reason struct {
	Code  Code   `json:"code"`
	Which string `json:"which"`
}

func writeReasons(dir string, fs []Finding) error {
	why := make([]reason, len(fs))
	for i, f := range fs {
		why[i] = reason{f.Code, f.Which}
	}
	b, err := json.Marshal(why)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, reasonsName), b, 0o600)
}

// freshFindings are those that no folder under root was kept for.
func (s *Store) freshFindings(root string) map[reason]struct{} {
	fresh := make(map[reason]struct{})
	s.mu.RLock()
	for _, f := range s.findings {
		fresh[reason{f.Code, f.Which}] = struct{}{}
	}
	s.mu.RUnlock()
	kept, _ := filepath.Glob(filepath.Join(root, "*", reasonsName)) // the pattern is whole
	for _, path := range kept {
		var why []reason
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &why)
		}
		if err != nil {
			s.log.Warn("why files were set apart is not known", "which", path, "err", err)
		}
		for _, r := range why {
			delete(fresh, r)
		}
	}
	return fresh
}

// openFiles examines the files, repairs, and opens Badger. What it gives is what
// Badger would have rewritten or deleted.
func (s *Store) openFiles() (r rescue, err error) {
	ex, err := examine(s.dbDir())
	if err != nil {
		return r, err
	}
	s.fresh = ex.fresh
	if s.o.ReadOnly {
		if len(ex.bad) > 0 {
			return r, damaged(filepath.Join(s.dbDir(), ex.bad[0].name), ex.bad[0].what, "open the store for writing once: that sets it apart")
		}
		if len(ex.hollow) > 0 {
			return r, damaged(filepath.Join(s.dbDir(), ex.hollow[0]), "the log is empty", "open the store for writing once: that sets it apart")
		}
		return r, s.openBadger()
	}
	if len(ex.bad) > 0 || len(ex.unlisted) > 0 || len(ex.hollow) > 0 || len(ex.logs) > 0 {
		if r.dir, err = s.setApart(ex); err != nil {
			return rescue{}, fmt.Errorf("set damaged files of %s apart: %w", s.dbDir(), err)
		}
	}
	if err := s.openBadger(); err != nil {
		return rescue{}, err
	}
	r.unlisted = ex.unlisted
	r.moved = len(ex.unlisted) > 0 || slices.ContainsFunc(ex.bad, func(f damagedFile) bool { return !f.gone })
	return r, durable.SyncDir(s.dbDir())
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
