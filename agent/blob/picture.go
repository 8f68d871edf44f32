package blob

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	_ "image/png" // signatures are PNG

	"github.com/disintegration/imaging"
)

// ErrPicture says that bytes are no picture that can be shown.
var ErrPicture = errors.New("the picture cannot be read")

// Bounds of pictures.
const (
	maxPixels   = 40 << 20 // decoding takes four bytes for each
	maxPhoto    = 200_000  // bytes
	photoSide   = 1600     // pixels
	quality     = 85       // of a picture that is drawn anew
	previewSide = 320      // pixels
	maxPreview  = 16 << 10 // bytes
)

// Clean returns a photo of at most 200 kB without what the camera wrote beside the
// picture (where, when, with what device), turned the way it is looked at; a picture
// that is so already comes back as it is. What is no JPEG or PNG by its media type
// is not looked into. Errors: [ErrPicture].
func Clean(mime string, content []byte) ([]byte, error) {
	if mime != "image/jpeg" && mime != "image/png" {
		return content, nil
	}
	if _, err := decode(content, false); err != nil {
		return nil, err
	}
	if mime != "image/jpeg" || !tells(content) && len(content) <= maxPhoto {
		return content, nil
	}
	img, err := decode(content, true)
	if err != nil {
		return nil, err
	}
	return draw(img, photoSide, quality, maxPhoto)
}

// draw makes a JPEG of at most most bytes whose longer side has at most side
// pixels: of a lower quality first, then smaller.
func draw(img image.Image, side, quality, most int) ([]byte, error) {
	for ; side >= 40; side = side * 3 / 4 {
		small := imaging.Fit(img, side, side, imaging.Linear)
		for q := quality; q >= 55; q -= 10 {
			var out bytes.Buffer
			if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: q}); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrPicture, err)
			}
			if out.Len() <= most {
				return out.Bytes(), nil
			}
		}
	}
	return nil, fmt.Errorf("%w: it cannot be made small enough", ErrPicture)
}

// Preview is a small JPEG of a picture, at most 16 KiB; nil for what is no picture,
// or so small that it needs none.
func Preview(mime string, content []byte) []byte {
	if mime != "image/jpeg" && mime != "image/png" || len(content) <= 2*maxPreview {
		return nil
	}
	img, err := decode(content, true)
	if err != nil {
		return nil
	}
	small, err := draw(img, previewSide, 70, maxPreview)
	if err != nil {
		return nil
	}
	return small
}

func decode(content []byte, turn bool) (image.Image, error) {
	c, _, err := image.DecodeConfig(bytes.NewReader(content))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrPicture, err)
	case c.Width <= 0 || c.Height <= 0 || c.Width > maxPixels/c.Height:
		return nil, fmt.Errorf("%w: it has %d x %d pixels", ErrPicture, c.Width, c.Height)
	}
	img, err := imaging.Decode(bytes.NewReader(content), imaging.AutoOrientation(turn))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPicture, err)
	}
	return img, nil
}

// tells reports whether a JPEG holds a segment in which programs and cameras
// write about the picture: APP1 (EXIF, XMP), APP13 (IPTC), or a comment.
func tells(b []byte) bool {
	for b = b[min(2, len(b)):]; len(b) >= 4 && b[0] == 0xff; {
		switch b[1] {
		case 0xe1, 0xed, 0xfe:
			return true
		case 0xda: // the picture's own data begins
			return false
		}
		n := 2 + int(b[2])<<8 + int(b[3])
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return false
}
