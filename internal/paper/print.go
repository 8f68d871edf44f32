package paper

import (
	"fmt"

	"github.com/signintech/gopdf"

	"otor/internal/sheet"
)

// printer writes one document.
type printer struct {
	doc  Document
	pdf  gopdf.GoPdf
	size gopdf.Rect
	y    float64
	page int
	left int // characters that no font has
}

func (p *printer) print() error {
	if err := p.newPage(); err != nil {
		return err
	}
	if err := p.text(p.doc.Title, bold, titleSize); err != nil {
		return err
	}
	p.y += 6
	for _, f := range p.doc.Facts {
		if err := p.fact(f); err != nil {
			return err
		}
	}
	for _, t := range p.doc.Tables {
		if err := p.table(t); err != nil {
			return err
		}
	}
	if p.left > 0 && p.doc.LeftOut != "" {
		p.y += 10
		return p.text(fmt.Sprintf(p.doc.LeftOut, p.left), latin, textSize)
	}
	return nil
}

func (p *printer) width() float64 { return p.size.W - 2*margin }

// newPage begins a page and writes its foot.
func (p *printer) newPage() error {
	p.pdf.AddPage()
	p.page++
	p.y = margin
	foot := fmt.Sprintf("%s · %d", p.doc.Foot, p.page)
	lines, err := p.set(foot, latin, footSize, p.width())
	if err != nil {
		return err
	}
	y := p.size.H - footRoom
	p.pdf.SetLineWidth(0.4)
	p.pdf.Line(margin, y-4, p.size.W-margin, y-4)
	for _, l := range lines[:min(len(lines), 2)] {
		if err := p.put(l, margin, y, footSize); err != nil {
			return err
		}
		y += footSize * leading
	}
	return nil
}

// room begins a page when what follows does not fit the rest of this one.
func (p *printer) room(height float64) (turned bool, err error) {
	if p.y+height <= p.size.H-footRoom-10 || p.y <= margin {
		return false, nil
	}
	return true, p.newPage()
}

// put writes a line with its top at y.
func (p *printer) put(l line, x, y, size float64) error {
	for _, r := range l.runs {
		if err := p.pdf.SetFont(r.font, "", size); err != nil {
			return err
		}
		p.pdf.SetXY(x, y)
		if err := p.pdf.Cell(nil, r.text); err != nil {
			return err
		}
		x += r.width
	}
	return nil
}

// text writes a paragraph.
func (p *printer) text(s, face string, size float64) error {
	lines, err := p.set(s, face, size, p.width())
	if err != nil {
		return err
	}
	for _, l := range lines {
		if _, err := p.room(size * leading); err != nil {
			return err
		}
		if err := p.put(l, margin, p.y, size); err != nil {
			return err
		}
		p.y += size * leading
	}
	return nil
}

// fact writes a name and, beside it, what it is.
func (p *printer) fact(f Fact) error {
	const names = 130.0
	left, err := p.set(f.Name, bold, textSize, names-8)
	if err != nil {
		return err
	}
	right, err := p.set(f.Text, latin, textSize, p.width()-names)
	if err != nil {
		return err
	}
	for i := range max(len(left), len(right)) {
		if _, err := p.room(textSize * leading); err != nil {
			return err
		}
		if i < len(left) {
			if err := p.put(left[i], margin, p.y, textSize); err != nil {
				return err
			}
		}
		if i < len(right) {
			if err := p.put(right[i], margin+names, p.y, textSize); err != nil {
				return err
			}
		}
		p.y += textSize * leading
	}
	return nil
}

// table writes a table; its header stands again on each page.
func (p *printer) table(t sheet.Table) error {
	p.y += 12
	if t.Name != "" {
		if _, err := p.room(60); err != nil {
			return err
		}
		if err := p.text(t.Name, bold, textSize+2); err != nil {
			return err
		}
	}
	for _, n := range t.Notes {
		if err := p.text(n, latin, textSize); err != nil {
			return err
		}
	}
	if len(t.Columns) == 0 {
		return nil
	}
	widths := p.widths(t)
	head := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = c.Title
	}
	if err := p.row(t, widths, head, bold); err != nil {
		return err
	}
	var failed error
	t.Rows(func(cells []any) bool {
		failed = p.rowOrTurn(t, widths, head, cells)
		return failed == nil
	})
	return failed
}

// widths shares the page among the columns.
func (p *printer) widths(t sheet.Table) []float64 {
	total := 0.0
	out := make([]float64, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = c.Width
		if out[i] == 0 {
			out[i] = 14
		}
		total += out[i]
	}
	for i := range out {
		out[i] *= p.width() / total
	}
	return out
}

// rowOrTurn writes a row, on a new page under the header if need be.
func (p *printer) rowOrTurn(t sheet.Table, widths []float64, head, cells []any) error {
	height, err := p.height(t, widths, cells, latin)
	if err != nil {
		return err
	}
	turned, err := p.room(height)
	if err != nil {
		return err
	}
	if turned {
		if err := p.row(t, widths, head, bold); err != nil {
			return err
		}
	}
	return p.row(t, widths, cells, latin)
}

func text(cell any) string {
	if cell == nil {
		return ""
	}
	return fmt.Sprint(cell)
}

// height measures a row. What it leaves out is not counted.
func (p *printer) height(t sheet.Table, widths []float64, cells []any, face string) (float64, error) {
	left := p.left
	defer func() { p.left = left }()
	most := 1
	for i := range min(len(t.Columns), len(cells)) {
		lines, err := p.set(text(cells[i]), face, textSize, widths[i]-2*cellInset)
		if err != nil {
			return 0, err
		}
		most = max(most, len(lines))
	}
	return float64(most)*textSize*leading + 2*cellInset, nil
}

// row writes a row and the line under it.
func (p *printer) row(t sheet.Table, widths []float64, cells []any, face string) error {
	height, err := p.height(t, widths, cells, face)
	if err != nil {
		return err
	}
	x := margin
	for i := range min(len(t.Columns), len(cells)) {
		lines, err := p.set(text(cells[i]), face, textSize, widths[i]-2*cellInset)
		if err != nil {
			return err
		}
		y := p.y + cellInset
		for _, l := range lines {
			at := x + cellInset
			if t.Columns[i].Number { // numbers end where the column ends
				at = x + widths[i] - cellInset - l.width
			}
			if err := p.put(l, at, y, textSize); err != nil {
				return err
			}
			y += textSize * leading
		}
		x += widths[i]
	}
	p.y += height
	p.pdf.SetLineWidth(0.3)
	p.pdf.Line(margin, p.y, p.size.W-margin, p.y)
	return nil
}
