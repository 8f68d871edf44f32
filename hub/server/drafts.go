package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"otor/hub/access"
	"otor/hub/console"
	"otor/internal/durable"
	"otor/internal/sheet"
	"otor/internal/webui"
)

const (
	// maxDrafts bounds the lists that were uploaded and not imported; the oldest that
	// nobody works on gives way.
	maxDrafts = 8
	// draftLife is how long one is kept.
	draftLife = time.Hour
)

// draft is a list that was uploaded. The mutex of drafts guards it.
type draft struct {
	kind, file string
	path       string
	at         time.Time
	upload     RosterUpload // without the bytes
	stage      string       // what is being done; empty: nothing
	count      int
	preview    RosterPreview
	imported   uint64
	watched    bool           // somebody forgets it when its time is over
	trouble    *webui.Refusal // it could not be read, or not be imported
}

// drafts keeps the files of lists that are being checked in a folder of the hub's, and
// nothing of them in memory but what is shown. One at a time is worked on.
type drafts struct {
	o    *Office
	dir  string
	ring func()
	log  *slog.Logger

	ctx    context.Context //nolint:containedctx // ends what is being read when the hub closes
	cancel context.CancelFunc
	work   sync.WaitGroup
	turn   chan struct{} // holds one token: whose turn it is to read

	mu   sync.Mutex // owner of all, and of each draft
	all  map[string]*draft
	over bool // the hub closes
}

// openDrafts empties the folder of drafts, and that of exports: what an earlier run was
// asked to check or to write is asked for again.
func openDrafts(dir string, o *Office, ring func(), log *slog.Logger) (*drafts, error) {
	if err := errors.Join(os.RemoveAll(dir), os.RemoveAll(filepath.Join(o.dir, exportsFolder))); err != nil {
		return nil, fmt.Errorf("empty the folders of files on their way: %w", err)
	}
	d := &drafts{o: o, dir: dir, ring: ring, log: log, all: make(map[string]*draft), turn: make(chan struct{}, 1)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.turn <- struct{}{}
	return d, nil
}

// Close ends what is being read and removes the files.
func (d *drafts) Close() error {
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	d.cancel()
	d.work.Wait()
	return os.RemoveAll(d.dir)
}

// Upload implements console.RosterDrafts.
func (d *drafts) Upload(ctx context.Context, kind, file string, from io.Reader) (id string, err error) {
	if _, err := d.o.rosterKind(kind); err != nil {
		return "", err
	}
	if err := d.makeRoom(); err != nil {
		return "", err
	}
	if err := durable.MkdirAll(d.dir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of uploaded lists: %w", err)
	}
	id = rand.Text()
	path := filepath.Join(d.dir, id)
	if err := saveUpload(path, from); err != nil {
		return "", errors.Join(err, removed(path))
	}
	x := &draft{kind: kind, file: filepath.Base(file), path: path, at: time.Now(), upload: RosterUpload{Kind: kind, File: filepath.Base(file)}}
	d.mu.Lock()
	d.all[id] = x
	d.mu.Unlock()
	return id, d.start(ctx, id, "reading", always, d.check)
}

func saveUpload(path string, from io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep an uploaded list: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(from, sheet.Usual.File+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep an uploaded list: %w", err)
	}
	if n > sheet.Usual.File {
		return &webui.Refusal{Code: "file_too_large", What: "the file is too large", Which: fmt.Sprintf("%d MB", sheet.Usual.File>>20), Do: "split the list"}
	}
	return nil
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeRoom forgets what is too old, and the oldest when there are too many. Refusal:
// too_many_drafts when all are being worked on.
func (d *drafts) makeRoom() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	oldest := ""
	var errs []error
	for id, x := range d.all {
		switch {
		case x.stage != "":
		case time.Since(x.at) > draftLife:
			errs = append(errs, d.forget(id))
		case oldest == "" || x.at.Before(d.all[oldest].at):
			oldest = id
		}
	}
	if len(d.all) < maxDrafts {
		return errors.Join(errs...)
	}
	if oldest == "" {
		return &webui.Refusal{Code: "too_many_drafts", What: "too many lists are being checked", Do: "try again in a while"}
	}
	return errors.Join(append(errs, d.forget(oldest))...)
}

// forget is called with the mutex held.
func (d *drafts) forget(id string) error {
	path := d.all[id].path
	delete(d.all, id)
	return removed(path)
}

func draftOver(id string) error {
	return &webui.Refusal{Code: "draft_over", What: "this file is not here any more", Which: id, Do: "upload it again"}
}

func always(*draft) bool { return true }

// start has work done on a draft, when it is its turn, in the name of whoever asked.
// Nothing is begun on one that is being worked on, or that is not ready for it; ready is
// called with the mutex held.
func (d *drafts) start(ctx context.Context, id, stage string, ready func(*draft) bool, do func(context.Context, *draft, RosterUpload) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, ok := d.all[id]
	if !ok || d.over {
		return draftOver(id)
	}
	if x.stage != "" || x.imported != 0 || !ready(x) {
		return nil // the page says why
	}
	if !x.watched {
		x.watched = true
		d.work.Go(func() { d.expire(id, x) })
	}
	x.stage, x.count, x.trouble = stage, 0, nil
	u := x.upload
	who, known := access.From(ctx)
	work := d.ctx
	if known {
		work = access.With(work, who)
	}
	d.work.Go(func() {
		defer d.ring()
		err := d.inTurn(work, x, u, do)
		d.mu.Lock()
		defer d.mu.Unlock()
		x.stage = ""
		if err == nil {
			return
		}
		no, ok := asRefusal(err)
		if !ok {
			if d.ctx.Err() == nil { // the page says that the log says why
				d.log.Error("an uploaded list: not done", "stage", stage, "err", err)
			}
			no = &webui.Refusal{Code: "broken", What: err.Error()}
		}
		x.trouble = no
	})
	return nil
}

// expire forgets a draft once its time is over, and nobody works on it.
func (d *drafts) expire(id string, x *draft) {
	for wait(d.ctx, draftLife) {
		d.mu.Lock()
		gone := d.all[id] != x
		if !gone && x.stage == "" {
			gone = true
			_ = d.forget(id) // what cannot be removed goes with the folder at the next start
		}
		d.mu.Unlock()
		if gone {
			return
		}
	}
}

func (d *drafts) inTurn(ctx context.Context, x *draft, u RosterUpload, do func(context.Context, *draft, RosterUpload) error) error {
	select {
	case <-d.turn:
		defer func() { d.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	if u.Body, err = os.ReadFile(x.path); err != nil {
		return fmt.Errorf("read an uploaded list: %w", err)
	}
	last := time.Time{}
	u.Progress = func(stage string, rows int) {
		d.mu.Lock()
		x.stage, x.count = stage, rows
		d.mu.Unlock()
		if now := time.Now(); now.Sub(last) > time.Second { // the page asks anew with each
			last = now
			d.ring()
		}
	}
	return do(ctx, x, u)
}

func (d *drafts) check(ctx context.Context, x *draft, u RosterUpload) error {
	p, err := d.o.CheckRoster(ctx, u)
	d.mu.Lock()
	defer d.mu.Unlock()
	x.preview = p
	if err == nil && p.Trouble == nil {
		x.upload.Before = &p.Before
	}
	if err == nil && p.Trouble == nil && u.Columns == nil {
		x.upload.Columns = &RosterColumns{HeaderRow: p.HeaderRow, Fields: p.Fields} // what is shown is what is imported
	}
	return err
}

func (d *drafts) bring(ctx context.Context, x *draft, u RosterUpload) error {
	out, err := d.o.ImportRoster(ctx, u)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	x.preview, x.imported = out.RosterPreview, out.Import
	return removed(x.path)
}

// Choose implements console.RosterDrafts.
func (d *drafts) Choose(ctx context.Context, id string, c console.RosterColumns) error {
	return d.start(ctx, id, "reading", func(x *draft) bool {
		x.upload.Sheet, x.upload.Columns, x.upload.Before = c.Sheet, nil, nil
		if c.Fields != nil {
			x.upload.Columns = columnsOf(c)
		}
		return true
	}, d.check)
}

// Import implements console.RosterDrafts.
func (d *drafts) Import(ctx context.Context, id string) error {
	return d.start(ctx, id, "writing", func(x *draft) bool { return x.trouble == nil && x.preview.Trouble == nil && x.upload.Before != nil }, d.bring)
}
