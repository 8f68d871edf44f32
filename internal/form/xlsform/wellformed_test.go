package xlsform_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"unicode"

	"otor/internal/form/xlsform"
)

// nameStarts and nameGoesOn are the letters of names beyond ASCII, by XML 1.0, fifth
// edition, productions 4 and 4a.
var (
	nameStarts = &unicode.RangeTable{
		R16: []unicode.Range16{
			{0xc0, 0xd6, 1},
			{0xd8, 0xf6, 1},
			{0xf8, 0x2ff, 1},
			{0x370, 0x37d, 1},
			{0x37f, 0x1fff, 1},
			{0x200c, 0x200d, 1},
			{0x2070, 0x218f, 1},
			{0x2c00, 0x2fef, 1},
			{0x3001, 0xd7ff, 1},
			{0xf900, 0xfdcf, 1},
			{0xfdf0, 0xfffd, 1},
		},
		R32: []unicode.Range32{{0x10000, 0xeffff, 1}},
	}
	nameGoesOn = &unicode.RangeTable{R16: []unicode.Range16{{0xb7, 0xb7, 1}, {0x300, 0x36f, 1}, {0x203f, 0x2040, 1}}}
)

// wellFormed reads a document. Go's reader knows the names of the fourth edition, which
// has no letters that came after Unicode 2.0, such as those of the Mongolian script: so
// each letter is read as an x, and what may not begin a name as a 1.
func wellFormed(src []byte) error {
	plain := bytes.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar:
			return r
		case unicode.Is(nameStarts, r):
			return 'x'
		case unicode.Is(nameGoesOn, r):
			return '1'
		}
		return r
	}, src)
	if !bytes.Equal(bytes.ToValidUTF8(src, nil), src) {
		return errors.New("it is not UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(plain))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestWellFormed(t *testing.T) {
	for src, want := range map[string]bool{
		`<?xml version="1.0"?><人><ᠨᠡᠷᠡ/><aʭϭ a·="1"/></人>`: true,
		`<a²/>`: false, `<ª/>`: false, `<·a/>`: false, `<a>`: false, `<a></b>`: false, `<a b=1/>`: false, "<a>\xff</a>": false, `<1/>`: false,
	} {
		if err := wellFormed([]byte(src)); (err == nil) != want {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestNamesOfElements(t *testing.T) {
	for name, want := range map[string]bool{"人": true, "ᠨᠡᠷᠡ": true, "aʭϭ": true, "a·": true, "a²": false, "ª": false, "·a": false, "a:b": false, "1a": false, "a\ufffd": false} {
		s, err := xlsform.ReadCSV("survey", []byte("type,name,label\ntext,"+name+",A\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = xlsform.Convert(&xlsform.Workbook{Sheets: []xlsform.Sheet{s}}, xlsform.Options{})
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
