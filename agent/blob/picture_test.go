package blob_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"

	"otor/agent/blob"
)

// photo is a JPEG in which every pixel differs.
func photo(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a picture
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(r.Uint32()), 255}) //nolint:gosec // colours
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withEXIF puts an EXIF segment into a JPEG: turned by a quarter, taken by "CAM".
func withEXIF(b []byte) []byte {
	tiff := []byte("MM\x00*\x00\x00\x00\x08\x00\x02" +
		"\x01\x0f\x00\x02\x00\x00\x00\x04CAM\x00" +
		"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00" + "\x00\x00\x00\x00")
	seg := append([]byte("Exif\x00\x00"), tiff...)
	n := len(seg) + 2
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1, byte(n >> 8), byte(n)}, seg...)
	return append(out, b[2:]...)
}

func TestClean(t *testing.T) {
	plain := photo(t, 80, 40)
	if got, err := blob.Clean("image/jpeg", plain); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("a picture that tells nothing was changed: %v", err)
	}
	telling := withEXIF(plain)
	got, err := blob.Clean("image/jpeg", telling)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte("CAM")) || bytes.Contains(got, []byte("Exif")) {
		t.Error("the camera's words are still there")
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(got))
	if err != nil || c.Width != 40 || c.Height != 80 {
		t.Errorf("%d x %d, %v; the camera was held upright", c.Width, c.Height, err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	if got, err := blob.Clean("image/png", b.Bytes()); err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("a signature: %v", err)
	}
	if got, err := blob.Clean("audio/ogg", []byte("OggS")); err != nil || string(got) != "OggS" {
		t.Errorf("a recording: %q %v", got, err)
	}
	large := photo(t, 1900, 1200)
	small, err := blob.Clean("image/jpeg", large)
	if c, bad := jpeg.DecodeConfig(bytes.NewReader(small)); err != nil || bad != nil || len(large) <= 200_000 || len(small) > 200_000 || max(c.Width, c.Height) > 1600 || min(c.Width, c.Height) < 400 {
		t.Errorf("%d bytes became %d, %d x %d, %v", len(large), len(small), c.Width, c.Height, err)
	}
	for name, bad := range map[string][]byte{"empty": nil, "noise": []byte("\xff\xd8\xff\xe0noise"), "cut": plain[:len(plain)/2]} {
		if _, err := blob.Clean("image/jpeg", bad); !errors.Is(err, blob.ErrPicture) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPreview(t *testing.T) {
	large := photo(t, 900, 600)
	got := blob.Preview("image/jpeg", large)
	c, err := jpeg.DecodeConfig(bytes.NewReader(got))
	if err != nil || len(got) > 16<<10 || c.Width > 320 || c.Width < 40 || c.Width*2 != c.Height*3 && c.Width*10/c.Height != 15 && c.Width*10/c.Height != 14 {
		t.Errorf("%d bytes, %d x %d, %v", len(got), c.Width, c.Height, err)
	}
	for name, small := range map[string][]byte{"a small one": photo(t, 20, 20), "noise": bytes.Repeat([]byte("x"), 40<<10)} {
		if p := blob.Preview("image/jpeg", small); p != nil {
			t.Errorf("%s: %d bytes", name, len(p))
		}
	}
}
