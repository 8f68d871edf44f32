package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"otor/agent/blob"
	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/web"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/e2e"
	"otor/internal/wire"
)

const (
	photosIn = 20  // cuts of one trial
	photosOf = 120 // photos of one trial
	// lostPieces is the control: what the hub has of a photo is gone at each cut.
	lostPieces = "lost-pieces"
)

// album has a device save records with photos away from any line, and then send
// them over 64 kbit/s that are cut again and again in the middle of a piece: the
// records come first, and no byte goes twice but those of the piece in flight.
func album(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	l := newLine(t.Seed, faster)
	l.set(refusing)
	a := h.Enrol(t, "D-101")
	m := t.join(a, t.Seed, 0, 0, func(c *device.Config) {
		c.Dialer, c.MinPause, c.MaxPause = l, time.Duration(float64(time.Second)/faster), time.Duration(float64(5*time.Second)/faster)
	})
	total, previews := t.savePhotos(m)
	l.set(up)
	step := total / (photosIn + 2) // so that all cuts come in time
	next := t.R.Uint64N(step)
	for range photosIn {
		t.sentBytes(m, next)
		next += step/2 + t.R.Uint64N(step/2)
		l.set([]mode{refusing, black, halfOpen}[t.R.IntN(3)])
		t.scaled(1, 6)
		if t.Control == lostPieces {
			t.losePieces(h)
		}
		l.set(up)
		t.Faults++
	}
	e2e.Eventually(t, "the photos to be at the hub", func() bool {
		list, err := m.device.Photos(t.Context())
		return err == nil && !slices.ContainsFunc(list, isAway)
	})
	sent := m.device.Link().Budget().Today().Photos
	m.leave(t)
	t.Logf("%d photos, %d bytes and %d of previews; %d bytes went, over %d connections", photosOf, total, previews, sent, l.dials)
	if most := total + previews + photosIn*(wire.MaxPiece+wire.MaxPreview); sent > most {
		t.Errorf("%d bytes of photos went, at most %d were to go", sent, most)
	}
	t.photosAtHub(h, total)
}

// sentBytes waits until that many bytes of photos have gone.
func (t *T) sentBytes(m *member, n uint64) {
	t.Helper()
	e2e.Eventually(t, fmt.Sprintf("%d bytes of photos to have gone", n), func() bool {
		return m.device.Link().Budget().Today().Photos >= n
	})
}

// savePhotos saves a record for each photo, and says how many bytes these and
// their previews have.
func (t *T) savePhotos(m *member) (total, previews uint64) {
	t.Helper()
	src := t.Site.source(t.Seed)
	for i := range photosOf {
		w := 120
		if i%12 == 0 {
			w = 300 // of more than one piece
		}
		photo := t.picture(w, w*3/4)
		name, err := m.device.KeepFile(t.Context(), "image/jpeg", photo)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := m.device.File(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		total += uint64(len(kept))
		previews += uint64(len(blob.Preview("image/jpeg", kept)))
		r := src.Next()
		for r.Form.ID != "water_check" {
			r = src.Next()
		}
		r.Fields["photo"] = name
		_, err = m.device.Capture(t.Context(), capture.Request{Form: r.Form.ID, EntityType: r.Form.Entity, Entity: r.Entity, Actor: r.Actor, Fields: r.Fields})
		if err != nil {
			t.Fatal(err)
		}
	}
	return total, previews
}

// picture is a JPEG in which nothing is alike.
func (t *T) picture(w, h int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := t.R.Uint32()
			img.SetRGBA(x, y, color.RGBA{uint8(v), uint8(v >> 8), uint8(v >> 16), 255}) //nolint:gosec // bytes of a random number
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// losePieces takes away what the hub has of photos on their way.
func (t *T) losePieces(h *e2e.Hub) {
	t.Helper()
	for _, kind := range []string{"part", filepath.Join("whole", "*")} {
		parts, err := filepath.Glob(filepath.Join(h.Dir, "blobs", kind, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	// What is noted as whole is missed by a check alone.
	h.Do(t, "photos", "check", "--json")
}

// photosAtHub holds the hub's photos against what was taken.
func (t *T) photosAtHub(h *e2e.Hub, total uint64) {
	t.Helper()
	check := e2e.Decode[server.PhotoCheck](t, h.Do(t, "photos", "check", "--json").Want(t, cli.OK))
	if check.Named != photosOf || check.Missing != 0 || uint64(check.NamedBytes) != total || len(check.Damaged) > 0 { //nolint:gosec // never negative
		t.Errorf("the hub's photos: %+v, want %d with %d bytes", check, photosOf, total)
	}
	var last time.Time
	n := 0
	for _, e := range e2e.Lines[server.EntryLine](t, h.Do(t, "entries", "--device", "D-101").Want(t, cli.OK).Out) {
		n++
		if e.ReceivedAt.After(last) {
			last = e.ReceivedAt
		}
	}
	for _, p := range e2e.Lines[server.PhotoLine](t, h.Do(t, "photos", "--all", "--json").Want(t, cli.OK).Out) {
		if p.GotAt == nil || p.GotAt.Before(last) {
			t.Errorf("photo %s came at %v, and the last record at %v", p.Photo[:8], p.GotAt, last)
		}
	}
	t.Checked += n
	if n != photosOf {
		t.Errorf("%d records are at the hub, want %d", n, photosOf)
	}
}

func isAway(p web.Photo) bool { return !p.AtHub }
