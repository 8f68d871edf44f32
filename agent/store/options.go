package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"otor/internal/dot"
	"otor/internal/entry"
)

// Options say whose store it is and how to open it.
type Options struct {
	Key         [32]byte // seals every value
	Device      dot.Device
	Incarnation dot.Incarnation // the one that new entries belong to
	// Origin stands on seq 1 of each lane. Its LastSeq and LastHead are filled in
	// per lane from the chain of Origin.Previous when they are zero and the store has it.
	Origin entry.Origin
	// Life, when set, is asked for the two instead, once the folder is locked. It is
	// told which incarnations have left a trace of entries in the folder, rising.
	Life func(lived []dot.Incarnation) (dot.Incarnation, entry.Origin, error)

	Log *slog.Logger     // nil: discarded
	Now func() time.Time // nil: time.Now

	// NoSync leaves syncing out: acknowledged entries are lost on a power cut.
	// It is the negative control of the crash tests and has no other use.
	NoSync bool
	// Repair makes the database's list of files anew when it is lost; see
	// [CodeFileDamaged] in the findings.
	Repair bool
	// ReadOnly opens for looking only; Append, Settle and SetContact answer [ErrReadOnly].
	ReadOnly bool

	// TableSize is how many bytes Badger gathers in memory before it writes a
	// table; 0: 4 MiB. A program that opens many stores takes less, at least 1 MiB.
	TableSize int64
	// NoCompaction leaves Badger's two compactors out, who wake up twenty times a
	// second. It is for simulators whose time passes fast, and only for as long as
	// there are fewer tables than compactors ask for.
	NoCompaction bool
}

func (o *Options) check() error {
	c := dot.Chain{Device: o.Device, Incarnation: o.Incarnation, Lane: dot.Record}
	if err := c.Check(); err != nil {
		return fmt.Errorf("store options: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TableSize == 0 {
		o.TableSize = memTableSize
	}
	if o.TableSize < minTableSize {
		return fmt.Errorf("store options: tables of %d bytes; at least %d", o.TableSize, minTableSize)
	}
	return nil
}

// Sizes of the database. An entry with all that is around it stays far below
// valueThreshold, so no value ever goes to Badger's value log, whose sync
// errors are swallowed; valueThreshold stays below 15 % of the memtable, which
// Badger asks for.
const (
	memTableSize   = 4 << 20
	minTableSize   = 1 << 20
	valueThreshold = 128 << 10
	valueLogSize   = 1 << 20 // stays empty
	blockCache     = 2 << 20
	indexCache     = 2 << 20
)

// Bounds of one commit. Badger takes 15 % of the memtable, 629 kB, in one transaction.
const (
	maxBatch      = 256
	maxBatchBytes = 384 << 10
	queueSize     = 2 * maxBatch
)

// batchBytes bounds one commit of a store with smaller tables as well.
func (o *Options) batchBytes() int { return int(min(maxBatchBytes, o.TableSize/10)) }

func badgerOptions(dir string, o Options, log badger.Logger) badger.Options {
	compactors := 2
	if o.NoCompaction {
		compactors = 0
	}
	return badger.DefaultOptions(dir).
		WithSyncWrites(!o.NoSync).
		WithReadOnly(o.ReadOnly).
		WithLogger(log).
		WithMetricsEnabled(false).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false). // one goroutine writes
		WithMemTableSize(o.TableSize).
		WithNumMemtables(2).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(valueLogSize).
		WithBaseTableSize(o.TableSize).
		WithBaseLevelSize(16 << 20).
		WithNumLevelZeroTables(4).
		WithNumLevelZeroTablesStall(12).
		WithNumCompactors(compactors).
		WithCompression(options.None). // sealed bytes do not compress
		WithBlockCacheSize(blockCache).
		WithIndexCacheSize(indexCache).
		WithChecksumVerificationMode(options.OnTableRead).
		WithNumGoroutines(1)
}

// badgerLog passes Badger's lines on and keeps those about files that it left out.
type badgerLog struct {
	log *slog.Logger

	mu      sync.Mutex
	ignored []string // owner: mu
	failed  int      // owner: mu; flushes that went wrong, one after the other
	stuck   func(line string)
}

// patience is how many flushes may fail, one a second, before the database
// counts as stuck: Badger itself would try for ever, and let nobody go on.
const patience = 3

// noteFlush hears Badger say that it could not write a table.
func (l *badgerLog) noteFlush(line string) {
	if !strings.HasPrefix(line, "error flushing memtable") {
		return
	}
	l.mu.Lock()
	l.failed++
	n := l.failed
	l.mu.Unlock()
	if n == patience && l.stuck != nil {
		l.stuck(line)
	}
}

func (l *badgerLog) Errorf(format string, args ...any) {
	line := strings.TrimSpace(fmt.Sprintf(format, args...))
	if strings.HasPrefix(line, "Ignoring table") {
		l.mu.Lock()
		l.ignored = append(l.ignored, line)
		l.mu.Unlock()
	}
	l.log.Error("badger", "line", line)
	l.noteFlush(line)
}

func (l *badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("badger", "line", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// Infof and Debugf are about Badger's own housekeeping.
func (l *badgerLog) Infof(format string, args ...any) { l.Debugf(format, args...) }

func (l *badgerLog) Debugf(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("badger", "line", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
