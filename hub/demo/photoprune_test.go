package demo_test

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/agent/device"
	"otor/agent/web"
	"otor/hub/store"
)

// snaps has a device keep photos and save visits that name them.
func (p *pair) snaps(t *testing.T, n, from int) (names []string) {
	t.Helper()
	for i := range n {
		var b bytes.Buffer
		check(t, jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 64+from+i, 48)), nil))
		name, err := p.KeepFile(t.Context(), "image/jpeg", b.Bytes())
		check(t, err)
		_, err = p.Begin(t.Context(), web.PutRequest{Form: "visit", Entity: "H-01", User: "U01", Fields: fmt.Appendf(nil, `{"topics":["vet"],"photo":%q}`, name)})()
		check(t, err)
		names = append(names, name)
	}
	return names
}

// A photo goes from the device once it lies in two verified backups of the hub and was kept
// for long enough; never before, and never one that the hub does not have.
func TestArchivedPhotosGo(t *testing.T) {
	p := newPairWith(t, func(c *device.Config) { c.Keep, c.KeepPhotos = 0, time.Nanosecond })
	p.snaps(t, 2, 0)
	there := func(n int) bool {
		list, err := p.hub.Store().Blobs(t.Context(), store.BlobQuery{})
		check(t, err)
		whole := 0
		for _, b := range list {
			if b.GotAt != 0 {
				whole++
			}
		}
		return whole == n
	}
	eventually(t, "the photos are at the hub", func() bool { return there(2) })
	backups := t.TempDir()
	again := func() {
		p.wire.set(false)
		p.wire.set(true)
		p.Link().Kick()
	}
	_, err := p.hub.Office().Backup(t.Context(), backups, 3)
	check(t, err)
	before := p.Contacts()
	again()
	eventually(t, "another contact", func() bool { return p.Contacts() > before })
	if k := p.status(t).PhotosKept; k.Here != 2 || k.Removed != 0 {
		t.Errorf("one backup is enough: %+v", k)
	}
	p.wire.set(false)
	waiting := p.snaps(t, 1, 10) // it is not at the hub
	p.wire.set(true)
	eventually(t, "the photos are gone", func() bool {
		_, err := p.hub.Office().Backup(t.Context(), backups, 3)
		check(t, err)
		again()
		time.Sleep(50 * time.Millisecond) // a contact's time; the loop goes on until it has been one
		return p.status(t).PhotosKept.Removed >= 2
	})
	list, err := p.Photos(t.Context())
	check(t, err)
	for _, x := range list {
		_, err := p.File(t.Context(), x.Name)
		if x.Here != (err == nil) || !x.Here && !x.AtHub {
			t.Errorf("%+v: %v", x, err)
		}
	}
	// What went is whole at the hub, and what the hub does not have is here.
	blobs, err := p.hub.Store().Blobs(t.Context(), store.BlobQuery{})
	check(t, err)
	for _, b := range blobs {
		here := false
		for _, x := range list {
			here = here || x.Here && x.Dot == b.Dot
		}
		if !here && (b.GotAt == 0 || b.ArchivedAt == 0) {
			t.Errorf("photo of %s went, and the hub has it %d, archived %d", b.Dot, b.GotAt, b.ArchivedAt)
		}
	}
	eventually(t, "the last one is at the hub", func() bool { return there(3) })
	if s := p.status(t); s.Photos != 0 {
		t.Errorf("photos wait: %+v, %v", s, waiting)
	}
}

// A device whose clock was years behind when it kept a photo keeps it as long as any other:
// what counts is the hub's clock.
func TestAPhotoOfAWrongClockStays(t *testing.T) {
	var dir string
	p := newPairWith(t, func(c *device.Config) { c.Keep, c.KeepPhotos, dir = 0, time.Hour, c.Dir })
	p.snaps(t, 1, 0)
	long := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	aged := 0
	check(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.Contains(path, "blobs") {
			aged++
			return os.Chtimes(path, long, long)
		}
		return err
	}))
	if aged == 0 {
		t.Fatal("no file was found")
	}
	backups := t.TempDir()
	eventually(t, "the photo is archived", func() bool {
		_, err := p.hub.Office().Backup(t.Context(), backups, 3)
		check(t, err)
		list, err := p.hub.Store().Blobs(t.Context(), store.BlobQuery{})
		check(t, err)
		return len(list) == 1 && list[0].ArchivedAt != 0
	})
	for range 3 {
		before := p.Contacts()
		p.wire.set(false)
		p.wire.set(true)
		p.Link().Kick()
		eventually(t, "another contact", func() bool { return p.Contacts() > before })
	}
	if k := p.status(t).PhotosKept; k.Here != 1 || k.Removed != 0 {
		t.Errorf("kept for an hour: %+v", k)
	}
}
