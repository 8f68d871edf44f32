package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"otor/internal/entry"
)

// Spool keeps rows in files until they are written, one file a form. It is used by one
// goroutine.
type Spool struct {
	dir   string
	files map[string]*pile
	count int
	gone  bool // it is closed
	form  func(id string, versions []uint32) Form
}

// pile is the file of a form.
type pile struct {
	f        *os.File
	w        *bufio.Writer
	versions []uint32
}

// spooled is a row as it is kept; a row's own JSON leaves out where it was made.
type spooled struct {
	Row
	Place *entry.Position `json:"place,omitempty"`
}

// maxForms bounds the files that are open at once.
const maxForms = 500

// NewSpool keeps rows in a new folder below dir. form says what a form asks, in those of
// its versions that rows are of.
func NewSpool(dir string, form func(id string, versions []uint32) Form) (*Spool, error) {
	path, err := os.MkdirTemp(dir, "export-")
	if err != nil {
		return nil, fmt.Errorf("make room for an export: %w", err)
	}
	return &Spool{dir: path, files: make(map[string]*pile), form: form}, nil
}

// Close removes the files. Later calls do nothing.
func (s *Spool) Close() error {
	if s.gone {
		return nil
	}
	s.gone = true
	var errs []error
	for _, p := range s.files {
		errs = append(errs, p.f.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// Count is how many rows there are.
func (s *Spool) Count() int { return s.count }

// Add keeps a row.
func (s *Spool) Add(r Row) error {
	p := s.files[r.Form]
	if p == nil {
		if len(s.files) == maxForms {
			return fmt.Errorf("keep a row of an export: there are more than %d forms", maxForms)
		}
		f, err := os.OpenFile(filepath.Join(s.dir, strconv.Itoa(len(s.files))), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("keep a row of an export: %w", err)
		}
		p = &pile{f: f, w: bufio.NewWriter(f)}
		s.files[r.Form] = p
	}
	if !slices.Contains(p.versions, r.Version) {
		p.versions = append(p.versions, r.Version)
	}
	s.count++
	r.Answers = slices.Clone(r.Answers)
	for i := range r.Answers {
		r.Answers[i].Value = writable(r.Answers[i].Value)
	}
	if err := json.NewEncoder(p.w).Encode(spooled{r, r.Position}); err != nil {
		return fmt.Errorf("keep a row of an export: %w", err)
	}
	return nil
}

// Forms implements [Source].
func (s *Spool) Forms() (out []Form) {
	for _, id := range slices.Sorted(maps.Keys(s.files)) {
		versions := slices.Clone(s.files[id].versions)
		slices.Sort(versions)
		out = append(out, s.form(id, versions))
	}
	return out
}

// Rows implements [Source]: those of a form in the order in which they were added, those
// of all form by form.
func (s *Spool) Rows(form string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if s.gone {
			yield(Row{}, fmt.Errorf("read the rows of an export back: %w", os.ErrClosed))
			return
		}
		for _, id := range slices.Sorted(maps.Keys(s.files)) {
			if form != "" && id != form {
				continue
			}
			if !s.files[id].each(yield) {
				return
			}
		}
	}
}

// each gives the rows of a file; more is false when nobody wants more.
func (p *pile) each(yield func(Row, error) bool) (more bool) {
	if err := p.w.Flush(); err != nil {
		yield(Row{}, fmt.Errorf("keep the rows of an export: %w", err))
		return false
	}
	dec := json.NewDecoder(bufio.NewReader(io.NewSectionReader(p.f, 0, 1<<62)))
	dec.UseNumber()
	for {
		var r spooled
		switch err := dec.Decode(&r); {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			yield(Row{}, fmt.Errorf("read the rows of an export back: %w", err))
			return false
		}
		r.Position = r.Place
		for i := range r.Answers {
			r.Answers[i].Value = plain(r.Answers[i].Value)
		}
		if !yield(r.Row, nil) {
			return false
		}
	}
}

// writable puts words in place of numbers that are not finite: JSON has none. Only a record
// that is set aside has them, and one such must not take the others' file away.
func writable(v any) any {
	switch x := v.(type) {
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprint(x)
		}
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			out[i] = writable(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for name, item := range x {
			out[name] = writable(item)
		}
		return out
	}
	return v
}

// plain gives a number that was read back its type again.
func plain(v any) any {
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	if !strings.ContainsAny(n.String(), ".eE") {
		if i, err := n.Int64(); err == nil {
			return i
		}
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return f
}
