package paper

import (
	"strings"
	"unicode"
)

// run is a stretch of text in one font.
type run struct {
	font  string
	text  string
	width float64
}

// line is what stands on one line.
type line struct {
	runs  []run
	width float64
}

// set breaks a text into lines of at most a width, in points; 0: one line.
// Chinese breaks anywhere, other scripts at blanks where there are some.
func (p *printer) set(text, face string, size, width float64) ([]line, error) {
	var out []line
	for para := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n") {
		var cur line
		for _, word := range words(para) {
			runs, w, err := p.measure(word, face, size)
			if err != nil {
				return nil, err
			}
			if width > 0 && cur.width+w > width && cur.width > 0 {
				out = append(out, cur)
				cur = line{}
				if strings.TrimSpace(word) == "" {
					continue
				}
			}
			for width > 0 && w > width { // one word longer than a line
				var head []run
				if head, runs, err = p.cut(runs, size, width); err != nil {
					return nil, err
				}
				out = append(out, line{runs: head, width: width})
				w = 0
				for _, r := range runs {
					w += r.width
				}
			}
			cur.runs, cur.width = append(cur.runs, runs...), cur.width+w
		}
		out = append(out, cur)
	}
	return out, nil
}

// words cuts a paragraph where a line may break.
func words(s string) []string {
	var out []string
	start := 0
	var before rune
	for i, r := range s {
		if i > 0 && (unicode.IsSpace(r) || unicode.IsSpace(before) || wide(r) || wide(before)) {
			out = append(out, s[start:i])
			start = i
		}
		before = r
	}
	return append(out, s[start:])
}

// wide reports whether a line may break before and after r.
func wide(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFFEF
}

// measure gives the runs of a word. What no font has is left out and counted.
func (p *printer) measure(word, face string, size float64) ([]run, float64, error) {
	var runs []run
	for _, r := range word {
		font, err := p.fontOf(r, face)
		if err != nil {
			return nil, 0, err
		}
		if font == "" {
			p.left++
			continue
		}
		if n := len(runs); n > 0 && runs[n-1].font == font {
			runs[n-1].text += string(r)
		} else {
			runs = append(runs, run{font: font, text: string(r)})
		}
	}
	total := 0.0
	for i := range runs {
		if err := p.pdf.SetFont(runs[i].font, "", size); err != nil {
			return nil, 0, err
		}
		w, err := p.pdf.MeasureTextWidth(runs[i].text)
		if err != nil {
			return nil, 0, err
		}
		runs[i].width = w
		total += w
	}
	return runs, total, nil
}

// fontOf is the font that has r; empty: none.
func (p *printer) fontOf(r rune, face string) (string, error) {
	if r == '\t' || unicode.IsSpace(r) && r != 0x3000 {
		return face, nil
	}
	if unicode.IsControl(r) || unicode.Is(unicode.Mongolian, r) {
		return "", nil
	}
	for _, font := range []string{face, chinese} {
		if err := p.pdf.SetFont(font, "", textSize); err != nil {
			return "", err
		}
		has, err := p.pdf.IsCurrFontContainGlyph(r)
		if err != nil {
			return "", err
		}
		if has {
			return font, nil
		}
	}
	return "", nil
}

// cut splits runs so that the head fits a width; at least one character goes into it.
func (p *printer) cut(runs []run, size, width float64) (head, rest []run, err error) {
	room := width
	for i, r := range runs {
		if r.width <= room {
			head, room = append(head, r), room-r.width
			continue
		}
		if err := p.pdf.SetFont(r.font, "", size); err != nil {
			return nil, nil, err
		}
		chars := []rune(r.text)
		n := 0
		for n < len(chars) {
			w, err := p.pdf.MeasureTextWidth(string(chars[:n+1]))
			if err != nil {
				return nil, nil, err
			}
			if w > room && (n > 0 || len(head) > 0) {
				break
			}
			n++
			if w > room {
				break
			}
		}
		tail := run{font: r.font, text: string(chars[n:])}
		if n > 0 {
			head = append(head, run{font: r.font, text: string(chars[:n])})
		}
		if tail.text != "" {
			if tail.width, err = p.pdf.MeasureTextWidth(tail.text); err != nil {
				return nil, nil, err
			}
			rest = append(rest, tail)
		}
		return head, append(rest, runs[i+1:]...), nil
	}
	return head, nil, nil
}
