package e2e_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/agent/web"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/e2e"
)

// TestPhotos takes photos with the built programs: they follow their records to
// the hub, come back from a backup, and go again when the hub has lost them.
func TestPhotos(t *testing.T) {
	w := newRestoreWorld(t, false)
	a := w.fleet[0]
	dir := t.TempDir()
	photo := func(name string, wide int) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, picture(t, wide), 0o600); err != nil {
			t.Fatal(err)
		}
		said := e2e.Decode[struct{ Name string }](t, a.Do(t, "photo", "add", file, "--json").Want(t, cli.OK))
		a.MustPut(t, `{"form":"water_check","entity":"W-03","user":"U01","fields":{"flow":"dry","photo":"`+said.Name+`"}}`+"\n", "--demo-numbers")
		return strings.TrimSuffix(said.Name, ".jpg")
	}
	atHub := func(n int) {
		t.Helper()
		e2e.Eventually(t, "the photos to be at the hub", func() bool {
			list := e2e.Lines[server.PhotoLine](t, w.hub.Do(t, "photos", "--all", "--json").Want(t, cli.OK).Out)
			got := 0
			for _, p := range list {
				if p.GotAt != nil {
					got++
				}
			}
			return got == n && len(list) == n && a.Status(t).Photos == 0
		})
	}
	small, large := photo("small.jpg", 200), photo("large.jpg", 1800)
	atHub(2)
	for _, name := range []string{small, large} {
		r := w.hub.Do(t, "photos", "get", name).Want(t, cli.OK)
		if c, err := jpeg.DecodeConfig(strings.NewReader(r.Out)); err != nil || len(r.Out) > 200_000 || c.Width < 200 {
			t.Errorf("photo %s: %d bytes, %d wide, %v", name[:8], len(r.Out), c.Width, err)
		}
	}
	// The hub's copy rots: a check notices, and the device that has it sends it again.
	path := filepath.Join(w.hub.Dir, "blobs", "whole", large[:2], large)
	if err := os.WriteFile(path, []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := e2e.Decode[server.PhotoCheck](t, w.hub.Do(t, "photos", "check", "--json").Want(t, cli.Integrity))
	if len(check.Damaged) != 1 || check.Damaged[0] != large {
		t.Errorf("a damaged photo: %+v", check)
	}
	a.Do(t, "sync").Want(t, cli.OK)
	atHub(2)
	// Put back to a copy from before the third photo, the hub gets it again.
	made := w.backup(t)
	if made.Photos != 2 {
		t.Errorf("backup: %+v", made)
	}
	photo("third.jpg", 300)
	atHub(3)
	w.putBack(t, made.Path)
	a.Do(t, "sync")
	atHub(3)
	w.hub.Do(t, "photos", "check").Want(t, cli.OK)
	for _, p := range e2e.Lines[web.Photo](t, a.Do(t, "photo", "list", "--all", "--json").Want(t, cli.OK).Out) {
		if !p.AtHub || !p.Here {
			t.Errorf("%+v", p)
		}
	}
	for name, content := range map[string][]byte{"cut.jpg": picture(t, 200)[:900], "huge.jpg": make([]byte, 65<<20)} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		a.Do(t, "photo", "add", file).Want(t, cli.Usage)
	}
}

// picture is a JPEG in which nothing is alike.
func picture(t testing.TB, wide int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(wide), 7)) //nolint:gosec // a picture
	img := image.NewRGBA(image.Rect(0, 0, wide, wide*3/4))
	for y := range wide * 3 / 4 {
		for x := range wide {
			v := r.Uint32()
			img.SetRGBA(x, y, color.RGBA{uint8(v), uint8(v >> 8), uint8(v >> 16), 255}) //nolint:gosec // bytes of a random number
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
