package disk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// Image is a disk after a power cut, mounted.
type Image struct {
	Mount  string
	Lost   int // writes that did not reach the disk
	Torn   int // and such as did in part
	Events int // that were before the cut
}

// After makes the disk as it may be when the power went after the first cut
// events, below dir, and mounts it. Which unflushed writes are missing or torn
// is drawn from r. dir must not exist yet.
func (d *Disk) After(cut int, r *rand.Rand, dir string) (_ *Image, err error) {
	d.mu.Lock()
	events := d.events[:min(cut, len(d.events))]
	d.mu.Unlock()
	im := &Image{Mount: filepath.Join(dir, "mnt"), Events: len(events)}
	if err := os.MkdirAll(im.Mount, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "after.img")
	if err := copySparse(file, filepath.Join(d.dir, "base.img")); err != nil {
		return nil, err
	}
	if err := im.replay(file, events, r); err != nil {
		return nil, err
	}
	if err := sh("mount", "-o", "loop,commit=300", file, im.Mount); err != nil {
		return nil, err
	}
	return im, nil
}

// Now copies the disk as it is, has its file system checked, as one does with a
// disk that failed, and mounts the copy. dir must not exist yet.
func (d *Disk) Now(dir string) (_ *Image, err error) {
	im := &Image{Mount: filepath.Join(dir, "mnt"), Events: d.Events()}
	if err := os.MkdirAll(im.Mount, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "after.img")
	if err := copySparse(file, filepath.Join(d.dir, "now.img")); err != nil {
		return nil, err
	}
	// 1 and 2 mean that it repaired something.
	cmd := exec.CommandContext(context.Background(), "e2fsck", "-fy", file)
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() > 2 {
		return nil, fmt.Errorf("check the file system: %w: %s", err, out)
	}
	if err := sh("mount", "-o", "loop,commit=300", file, im.Mount); err != nil {
		return nil, err
	}
	return im, nil
}

func (im *Image) replay(file string, events []event, r *rand.Rand) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	flushed := 0
	for i, e := range events {
		if e.data == nil {
			flushed = i
		}
	}
	// One power cut may lose nearly all of them, or nearly none.
	lose := r.Float64()
	for i, e := range events {
		data := e.data
		if i > flushed && data != nil {
			switch p := r.Float64(); {
			case p < lose*0.8:
				im.Lost++
				continue
			case p < lose && len(data) > sector:
				im.Torn++
				data = data[:sector*(1+r.IntN(len(data)/sector))]
				if r.IntN(2) == 0 { // its end reached the disk, its beginning did not
					cut := len(e.data) - len(data)
					if _, err := f.WriteAt(e.data[cut:], e.off+int64(cut)); err != nil {
						return err
					}
					continue
				}
			}
		}
		if _, err := f.WriteAt(data, e.off); err != nil {
			return err
		}
	}
	return nil
}

// Close unmounts it and removes its file.
func (im *Image) Close() error {
	return errors.Join(unmount(im.Mount), os.RemoveAll(filepath.Dir(im.Mount)))
}
