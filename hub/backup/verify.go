package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// Open opens the database at path, as a hub does.
type Open func(ctx context.Context, path string) (store.Store, error)

// headAfter asks for the head that a chain has after a seq.
type headAfter map[dot.Chain]dot.Seq

// findings of a scratch restore.
type scratched struct {
	epoch   receipt.EpochCertificate
	entries uint64
	lanes   []LaneMark
	heads   map[dot.Chain]entry.Hash // of what was asked for, where it could be computed
}

// scratch copies a database into a folder of its own, opens it as a hub does,
// and looks through it. The copy is removed. asked may be nil.
func scratch(ctx context.Context, open Open, database, parent string, asked headAfter) (out scratched, err error) {
	dir, err := os.MkdirTemp(parent, making+"scratch-")
	if err != nil {
		return out, fmt.Errorf("make a scratch folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, databaseFile)
	if _, err := copyFile(database, path); err != nil {
		return out, fmt.Errorf("scratch restore: %w", err)
	}
	s, err := open(ctx, path)
	if err != nil {
		return out, bad("it cannot be opened", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return look(ctx, s, asked, true)
}

// Inspect looks for damage in a database that is in use: the file, each entry's
// bytes against its hash, and each chain's entries against its watermark and head.
// Entries that are ingested meanwhile are left out. Errors wrap [ErrUnverified].
func Inspect(ctx context.Context, s store.Store) error {
	_, err := look(ctx, s, nil, false)
	return err
}

// look goes over all that a database holds; still says that nobody writes to it.
func look(ctx context.Context, s store.Store, asked headAfter, still bool) (out scratched, err error) {
	if err := s.Check(ctx); err != nil {
		return out, bad("it is damaged", err)
	}
	errNone := errors.New("it has no epoch")
	if out.epoch, err = s.Epoch(ctx, func() (receipt.EpochCertificate, error) { return receipt.EpochCertificate{}, errNone }); err != nil {
		return out, bad("its epoch cannot be read", err)
	}
	lanes, err := s.Lanes(ctx)
	if err != nil {
		return out, bad("its lanes cannot be read", err)
	}
	out.heads = make(map[dot.Chain]entry.Hash)
	for _, l := range lanes {
		w := walk{store: s, lane: l, want: asked[l.Chain]}
		if err := w.run(ctx); err != nil {
			return out, err
		}
		out.entries += w.mark.Entries
		out.lanes = append(out.lanes, w.mark)
		if w.found {
			out.heads[l.Chain] = w.at
		}
	}
	totals, err := s.Totals(ctx)
	if err == nil && still && uint64(totals.Entries) != out.entries { //nolint:gosec // a count
		err = fmt.Errorf("it counts %d entries and has %d", totals.Entries, out.entries)
	}
	if err != nil {
		return out, bad("its counts are not right", err)
	}
	return out, nil
}

func bad(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrFull) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrUnverified, what, err)
}

// walk goes over a chain's entries in order and computes its heads anew.
type walk struct {
	store store.Store
	lane  store.Lane
	want  dot.Seq // the seq after which the head is asked for, 0: none

	mark  LaneMark
	at    entry.Hash
	found bool
}

// stretch is how many seqs are read at once: an entry has at most 64 KiB.
const stretch = 256

func (w *walk) run(ctx context.Context) error {
	c := w.lane.Chain
	w.mark = LaneMark{
		Device: c.Device, Incarnation: c.Incarnation, Lane: c.Lane,
		Through: w.lane.Received.Through(), Head: entry.Genesis(c), Joined: true,
	}
	for _, r := range w.lane.Received {
		for first := r.First; first <= r.Last; first += stretch {
			run := lane.Run(first, min(first+stretch-1, r.Last))
			es, err := w.store.EntriesOf(ctx, c, run, stretch*entry.MaxSize)
			if err != nil {
				return bad("entries cannot be read", err)
			}
			if uint64(len(es)) != run.Len() {
				return fmt.Errorf("%w: of %s %s only %d entries are there", ErrUnverified, c, run, len(es))
			}
			if err := w.over(es); err != nil {
				return err
			}
		}
	}
	if w.mark.Joined && w.mark.Head != w.lane.Head {
		return fmt.Errorf("%w: the entries of %s up to %d do not lead to its head", ErrUnverified, c, w.mark.Through)
	}
	w.mark.Head = w.lane.Head
	return nil
}

func (w *walk) over(es []store.Entry) error {
	for i := range es {
		e := &es[i]
		if e.Raw.Hash() != e.Hash {
			return fmt.Errorf("%w: the bytes of %s are not those of its hash", ErrUnverified, e.Dot)
		}
		w.mark.Entries++
		if e.Dot.Seq > w.mark.Through {
			continue // held: nothing joins it yet
		}
		if e.Judgement.Code == "chain_mismatch" {
			w.mark.Joined = false // of another history than what stands before it
		}
		w.mark.Head = entry.Next(w.mark.Head, e.Raw)
		if e.Dot.Seq == w.want && w.mark.Joined {
			w.at, w.found = w.mark.Head, true
		}
	}
	return nil
}

// Verify looks through a backup: every file is what the manifest says, and a
// scratch restore of the database holds what the manifest says. The scratch
// folder is made below scratchIn. Errors wrap [ErrUnverified] when it is not good.
func Verify(ctx context.Context, open Open, dir, scratchIn string) (Manifest, error) {
	m, _, err := verify(ctx, open, dir, scratchIn, nil)
	return m, err
}

func verify(ctx context.Context, open Open, dir, scratchIn string, asked headAfter) (m Manifest, found scratched, err error) {
	if m, err = ReadManifest(dir); err != nil {
		return m, found, err
	}
	for name, want := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return m, found, fmt.Errorf("%w: the manifest of %s names %q, which lies outside", ErrUnverified, dir, name)
		}
		have, err := digestOf(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return m, found, bad(name+" cannot be read", err)
		}
		if have != want {
			return m, found, fmt.Errorf("%w: %s is not what was backed up", ErrUnverified, filepath.Join(dir, name))
		}
	}
	if err := durable.MkdirAll(scratchIn, 0o700); err != nil {
		return m, found, err
	}
	if found, err = scratch(ctx, open, filepath.Join(dir, databaseFile), scratchIn, asked); err != nil {
		return m, found, fmt.Errorf("%s: %w", dir, err)
	}
	if found.epoch.Epoch != m.Epoch || found.entries != m.Entries || !sameMarks(found.lanes, m.Lanes) {
		return m, found, fmt.Errorf("%w: the database of %s is not what its manifest says", ErrUnverified, dir)
	}
	return m, found, nil
}

func sameMarks(a, b []LaneMark) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
