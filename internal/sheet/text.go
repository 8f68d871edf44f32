package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// openText prepares to read a CSV.
func openText(src []byte, l Limits) (*Source, error) {
	enc, name := encodingOf(src)
	text := func() io.Reader { return transform.NewReader(bytes.NewReader(src), enc.NewDecoder()) }
	sample, err := io.ReadAll(io.LimitReader(text(), 64<<10))
	if err != nil {
		return nil, fault("damaged", 0, "save the list again as CSV", "the text is not %s from end to end", name)
	}
	if binary(sample) {
		return nil, fault("not_a_list", 0, "choose a workbook (.xlsx) or a CSV", "this is no text and no workbook")
	}
	comma := separatorOf(string(sample))
	s := &Source{Encoding: name}
	s.rows = func(yield func(Row, error) bool) {
		if err := eachLine(text(), comma, name, l, func(r Row) bool { return yield(r, nil) }); err != nil {
			yield(Row{}, err)
		}
	}
	return s, nil
}

// encodingOf finds out how a text was written: by its byte order mark, else
// UTF-8 if it is that from end to end, else GB18030, which every Chinese office
// program that does not write UTF-8 writes, or a part of it.
func encodingOf(src []byte) (encoding.Encoding, string) {
	switch {
	case bytes.HasPrefix(src, []byte{0xFF, 0xFE}), bytes.HasPrefix(src, []byte{0xFE, 0xFF}):
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "UTF-16"
	case utf8.Valid(src):
		return unicode.UTF8BOM, "UTF-8"
	}
	return simplifiedchinese.GB18030, "GB18030"
}

// binary reports whether a sample holds what no list holds.
func binary(sample []byte) bool {
	bad := 0
	for _, b := range sample {
		if b < 0x20 && b != '\t' && b != '\n' && b != '\r' && b != '\f' {
			bad++
		}
	}
	replaced := bytes.Count(sample, []byte("\uFFFD"))
	return bad > 0 && bad*200 > len(sample) || replaced > 8 && replaced*20 > len(sample)
}

// separatorOf finds the separator that most lines have, and have equally often.
func separatorOf(sample string) rune {
	best, bestScore := ',', 0
	for _, sep := range []rune{',', '\t', ';', '，'} {
		score, most := 0, map[int]int{}
		for i, line := range strings.SplitN(sample, "\n", 60) {
			if i == 59 {
				break // may be cut
			}
			if n := strings.Count(line, string(sep)); n > 0 {
				most[n]++
				score = max(score, most[n]*10+n)
			}
		}
		if score > bestScore {
			best, bestScore = sep, score
		}
	}
	return best
}

// eachLine reads the rows of a CSV one by one.
func eachLine(r io.Reader, comma rune, enc string, l Limits, do func(Row) bool) error {
	c := csv.NewReader(bufio.NewReaderSize(r, 64<<10))
	c.Comma, c.LazyQuotes, c.FieldsPerRecord, c.ReuseRecord = comma, true, -1, true
	count := 0
	for {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line := 0
		if len(cells) > 0 {
			line, _ = c.FieldPos(0)
		}
		if err != nil {
			if p, ok := errors.AsType[*csv.ParseError](err); ok {
				line = p.Line
			}
			return fault("damaged", line, "save the list again as CSV", "the line cannot be read as %s text", enc)
		}
		if empty(cells) {
			continue
		}
		count++
		r := Row{Number: line, Cells: append([]string(nil), cells...)}
		if f := l.fits(r, count); f != nil {
			return f
		}
		if !do(r) {
			return nil
		}
	}
}
