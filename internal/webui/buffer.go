package webui

import (
	"bytes"
	"errors"
)

// maxPage bounds a rendered page in bytes: a page that long is of no use to
// anybody and would only fill the memory of a small device.
const maxPage = 4 << 20

// limitedBuffer is a bytes.Buffer that refuses to grow beyond maxPage.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxPage {
		return 0, errors.New("the page is longer than 4 MiB")
	}
	return b.Buffer.Write(p)
}
