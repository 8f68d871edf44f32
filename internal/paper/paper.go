// Package paper writes documents that are printed and signed, as PDF.
//
// A document has a title, facts, tables and a foot that stands on each page.
// Chinese is set from an embedded font, of which only the characters used go
// into the file; Latin and Cyrillic come from the Go fonts. Characters that
// neither font has, the Mongolian scripts among them, are left out, and the
// document says how many: a wrong shape on a signed paper is worse than none.
//
//   - [Document] is what [Write] writes.
package paper

import (
	_ "embed"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/signintech/gopdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"otor/internal/sheet"
)

// Document is one paper.
type Document struct {
	Title  string
	Author string
	At     time.Time
	Facts  []Fact
	Tables []sheet.Table
	// Foot stands at the foot of each page, before the page's number.
	Foot string
	// LeftOut says, with one %d, how many characters could not be set.
	LeftOut string
}

// Fact is a line of a name and what it is.
type Fact struct{ Name, Text string }

//go:embed font/DroidSansFallback.ttf
var han []byte

// Fonts of a document, and the sizes in points.
const (
	latin   = "latin"
	bold    = "bold"
	chinese = "chinese"

	titleSize = 18.0
	textSize  = 9.5
	footSize  = 8.0
	leading   = 1.4

	margin    = 40.0
	footRoom  = 30.0
	cellInset = 3.0
)

// fonts are read once: each document has its own set of used characters, made
// from these.
var fonts = sync.OnceValues(func() (*gopdf.FontContainer, error) {
	c := &gopdf.FontContainer{}
	for name, data := range map[string][]byte{latin: goregular.TTF, bold: gobold.TTF, chinese: han} {
		if err := c.AddTTFFontData(name, data); err != nil {
			return nil, fmt.Errorf("font %s: %w", name, err)
		}
	}
	return c, nil
})

// Write writes a document on A4, landscape when a table has more columns than
// fit upright.
func Write(w io.Writer, d Document) error {
	c, err := fonts()
	if err != nil {
		return err
	}
	p := &printer{doc: d, size: *gopdf.PageSizeA4}
	for _, t := range d.Tables {
		if len(t.Columns) > 6 {
			p.size = *gopdf.PageSizeA4Landscape
		}
	}
	p.pdf.Start(gopdf.Config{PageSize: p.size})
	p.pdf.SetInfo(gopdf.PdfInfo{Title: d.Title, Author: d.Author, CreationDate: d.At, Producer: "Otor"})
	for _, name := range []string{latin, bold, chinese} {
		if err := p.pdf.AddTTFFontFromFontContainer(name, c); err != nil {
			return fmt.Errorf("font %s: %w", name, err)
		}
	}
	if err := p.print(); err != nil {
		return fmt.Errorf("print %s: %w", d.Title, err)
	}
	_, err = p.pdf.WriteTo(w)
	return err
}
