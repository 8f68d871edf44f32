package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

	"otor/internal/durable"
)

// rebuildManifest makes the database's list of files anew when it is missing or
// cannot be read, from the tables that are whole. It is done on a person's word
// only ([Options.Repair]), since what the old list said is not known any more.
//
// All tables go to level 0, where they may overlap and the highest version of a
// key wins. A table that had been compacted away and not yet deleted comes back
// with older versions of the same rows, which lose. Every row proves itself
// afterwards: it is sealed, entries carry heads, and the tails are kept apart.
func (s *Store) rebuildManifest() error {
	path := filepath.Join(s.dbDir(), badger.ManifestFilename)
	if _, err := examine(s.dbDir()); !errors.Is(err, ErrDamaged) {
		return err // nil: there is nothing to do
	}
	list, err := os.ReadDir(s.dbDir())
	if err != nil {
		return err
	}
	var set pb.ManifestChangeSet
	for _, e := range list {
		id, ok := table.ParseFileID(e.Name())
		if !ok || filepath.Ext(e.Name()) != ".sst" || checkTable(filepath.Join(s.dbDir(), e.Name())) != nil {
			continue // opening sets it apart, and says so
		}
		set.Changes = append(set.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_CREATE, EncryptionAlgo: pb.EncryptionAlgo_aes})
	}
	change, err := proto.Marshal(&set)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		aside := filepath.Join(s.dir, "apart")
		if err := durable.MkdirAll(aside, 0o700); err != nil {
			return err
		}
		if err := os.Rename(path, filepath.Join(aside, s.o.Now().UTC().Format("20060102-150405-")+badger.ManifestFilename)); err != nil {
			return err
		}
	}
	// "Bdgr", the application's number (2 bytes, 0), the format's number (2).
	b := append([]byte("Bdgr"), 0, 0, 0, badgerManifestVersion)
	if len(set.Changes) > 0 {
		b = appendChange(b, change)
	}
	if err := durable.WriteFile(path, b, 0o600); err != nil {
		return err
	}
	s.note(Finding{
		Code: CodeFileDamaged, Which: path, What: fmt.Sprintf("it was missing or damaged, and was made anew from %d tables", len(set.Changes)),
		Do: "see the findings on entries",
	})
	return nil
}

// badgerManifestVersion is that of Badger 4; [badger.ReplayManifestFile] refuses any other.
const badgerManifestVersion = 8
