package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

	"otor/internal/durable"
)

// The files of the database are examined before Badger sees them, because it
// answers damage badly: without a MANIFEST it starts an empty database, tables
// that a shortened MANIFEST no longer names are deleted, a table with a broken
// end stops the process, and an empty log makes every later start fail.
//
// The positions that a crash can leave are legal and repaired without a word:
// a table not yet in the MANIFEST, a log that ends in a torn transaction.

// damagedFile is a file that Badger must not see.
type damagedFile struct {
	name string
	what string
	gone bool // there is nothing to move
}

// examination is what a look at the files gave.
type examination struct {
	fresh    bool // there is no database yet
	bad      []damagedFile
	unlisted []string // tables that the MANIFEST does not name
	hollow   []string // value logs without a byte: a crash came between their making and their header
	logs     []string // write-ahead logs that Badger will replay and then remove
	listed   []uint64 // bad tables that the MANIFEST names
}

// noManifest says what to do without the list of files.
const noManifest = "run: agent doctor --repair, which makes the list anew from the tables; its files were not touched"

const logHeader = 20 // bytes before the first record of a .mem or .vlog

// examine reads the database folder; it changes nothing.
func examine(dir string) (examination, error) {
	var ex examination
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return ex, err
	}
	sizes := make(map[string]int64, len(list))
	holds := false
	for _, e := range list {
		fi, err := e.Info()
		if err != nil {
			return ex, err
		}
		sizes[e.Name()] = fi.Size()
		switch filepath.Ext(e.Name()) {
		case ".sst", ".mem", ".vlog":
			holds = true
		}
	}
	if _, ok := sizes[badger.ManifestFilename]; !ok {
		if holds {
			return ex, damaged(filepath.Join(dir, badger.ManifestFilename), "the list of the database's files is missing",
				noManifest)
		}
		ex.fresh = true
		return ex, nil
	}
	tables, err := manifestTables(dir)
	if err != nil {
		return ex, damaged(filepath.Join(dir, badger.ManifestFilename), err.Error(), noManifest)
	}
	ex.files(dir, sizes, tables)
	return ex, nil
}

// files judges each file by its size, and the tables by their content.
func (ex *examination) files(dir string, sizes map[string]int64, tables map[uint64]bool) {
	for id := range tables {
		name := filepath.Base(table.NewFilename(id, dir))
		if _, ok := sizes[name]; !ok {
			ex.bad = append(ex.bad, damagedFile{name, "the file is missing", true})
			ex.listed = append(ex.listed, id)
		}
	}
	for name, size := range sizes {
		switch filepath.Ext(name) {
		case ".sst":
			id, ok := table.ParseFileID(name)
			if !ok || !tables[id] {
				ex.unlisted = append(ex.unlisted, name)
			} else if err := checkTable(filepath.Join(dir, name)); err != nil {
				ex.bad = append(ex.bad, damagedFile{name, err.Error(), false})
				ex.listed = append(ex.listed, id)
			}
		case ".mem":
			if size < logHeader {
				ex.bad = append(ex.bad, damagedFile{name, fmt.Sprintf("the log has %d bytes", size), false})
			} else {
				ex.logs = append(ex.logs, name)
			}
		case ".vlog":
			// No value ever goes there, so an empty one had nothing to lose.
			if size == 0 {
				ex.hollow = append(ex.hollow, name)
			} else if size < logHeader {
				ex.bad = append(ex.bad, damagedFile{name, fmt.Sprintf("the log has %d bytes", size), false})
			}
		}
	}
	if size, ok := sizes["DISCARD"]; ok && size != 0 && size != 1<<20 {
		ex.bad = append(ex.bad, damagedFile{"DISCARD", fmt.Sprintf("the file has %d bytes", size), false})
	}
	if _, ok := sizes[badger.KeyRegistryFileName]; ok {
		kr, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: dir, ReadOnly: true})
		if err != nil {
			ex.bad = append(ex.bad, damagedFile{badger.KeyRegistryFileName, err.Error(), false})
		} else {
			_ = kr.Close()
		}
	}
	slices.Sort(ex.unlisted)
	slices.Sort(ex.listed)
	slices.SortFunc(ex.bad, func(a, b damagedFile) int { return strings.Compare(a.name, b.name) })
}

// manifestTables lists the tables that the MANIFEST names.
func manifestTables(dir string) (_ map[uint64]bool, err error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	out := make(map[uint64]bool, len(m.Tables))
	for id := range m.Tables {
		out[id] = true
	}
	return out, nil
}

// dropFromManifest appends the removal of tables to the MANIFEST, in Badger's
// own form.
func dropFromManifest(dir string, ids []uint64) error {
	path := filepath.Join(dir, badger.ManifestFilename)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, whole, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	var set pb.ManifestChangeSet
	for _, id := range ids {
		set.Changes = append(set.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_DELETE})
	}
	change, err := proto.Marshal(&set)
	if err != nil {
		return err
	}
	b = b[:whole] // a torn change at the end was never in force
	return durable.WriteFile(path, appendChange(b, change), 0o600)
}

// appendChange frames a ManifestChangeSet: length (4), CRC-32C (4), the set.
func appendChange(b, change []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(change)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(change, castagnoli))
	return append(b, change...)
}

// copyFiles copies files into a folder that it makes.
func copyFiles(to, from string, names []string) error {
	if err := durable.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		if err := copyFile(filepath.Join(to, name), filepath.Join(from, name)); err != nil {
			return fmt.Errorf("copy %s to %s: %w", filepath.Join(from, name), to, err)
		}
	}
	return nil
}

// copyFile leaves out the zeros that a log ends in: they mean nothing.
func copyFile(to, from string) error {
	if filepath.Ext(from) == ".mem" {
		_, err := durable.CopyUsed(to, from, 0o600)
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
