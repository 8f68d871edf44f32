package pack

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"otor/internal/form"
)

const (
	fixturesDir = "fixtures"
	// maxFixtures bounds the reference data of one pack.
	maxFixtures = 100_000
)

// Fixture is the reference data of one entity.
type Fixture struct {
	Type, ID string
	Fields   map[string]any // nil, bool, int64, float64, string and []any of text
}

// fixtures reads fixtures/.
func (l *loader) fixtures(forms []*form.Form) {
	files, err := fs.ReadDir(l.dir, fixturesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.fault(fixturesDir, 0, "cannot be read: %v", err)
		return
	}
	byID := map[string]*form.Form{}
	for _, f := range forms {
		if f != nil {
			byID[f.ID] = f
		}
	}
	seen := map[[2]string]string{}
	for _, f := range files {
		name := path.Join(fixturesDir, f.Name())
		base, ext, _ := strings.Cut(f.Name(), ".")
		if f.IsDir() || ext != "csv" && ext != "ndjson" && ext != "toml" {
			l.fault(name, 0, "unknown file: write <type>.csv, <name>.ndjson, or <name>.toml for cases")
			continue
		}
		src := l.read(name)
		if src == nil {
			continue
		}
		if ext == "toml" {
			l.cases(name, src, byID)
			continue
		}
		for line, x := range l.fixtureRows(name, base, ext, src) {
			at := fmt.Sprintf("%s:%d", name, line)
			if before := seen[[2]string{x.Type, x.ID}]; before != "" {
				l.fault(name, line, "%s %s stands in %s already: keep one", x.Type, clip(x.ID), before)
			}
			seen[[2]string{x.Type, x.ID}] = at
			if len(l.pack.Fixtures) == maxFixtures {
				l.fault(name, line, "more than %d entities: import the rest at the hub", maxFixtures)
				return
			}
			if words := l.pack.checkFixture(&x); words != "" {
				l.fault(name, line, "%s", words)
				continue
			}
			l.pack.Fixtures = append(l.pack.Fixtures, x)
		}
	}
}

func (l *loader) fixtureRows(name, base, ext string, src []byte) func(func(int, Fixture) bool) {
	return func(yield func(int, Fixture) bool) {
		next := ndjsonRows(src)
		if ext == "csv" {
			next = l.pack.csvRows(base, src)
		}
		for {
			x, line, err := next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				l.fault(name, line, "%v", err)
				return
			}
			if !yield(line, x) {
				return
			}
		}
	}
}

// ndjsonRows reads {"type": ..., "id": ..., "fields": {...}} a line.
func ndjsonRows(src []byte) func() (Fixture, int, error) {
	lines := bufio.NewScanner(bytes.NewReader(src))
	lines.Buffer(nil, maxFile)
	n := 0
	return func() (Fixture, int, error) {
		for lines.Scan() {
			n++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
			d.UseNumber()
			d.DisallowUnknownFields()
			var x struct {
				Type   string         `json:"type"`
				ID     string         `json:"id"`
				Fields map[string]any `json:"fields"`
			}
			if err := d.Decode(&x); err != nil {
				return Fixture{}, n, fmt.Errorf(`not an entity: %w; write {"type": "household", "id": "...", "fields": {...}} on one line`, err)
			}
			return Fixture{Type: x.Type, ID: x.ID, Fields: x.Fields}, n, nil
		}
		if err := lines.Err(); err != nil {
			return Fixture{}, n + 1, err
		}
		return Fixture{}, n, io.EOF
	}
}

// csvRows reads a table whose first column is id and whose others are fields.
func (p *Pack) csvRows(typ string, src []byte) func() (Fixture, int, error) {
	r := csv.NewReader(bytes.NewReader(src))
	var header []string
	return func() (Fixture, int, error) {
		if header == nil {
			if !utf8.Valid(src) {
				return Fixture{}, 0, errors.New("is not UTF-8 text: save it as CSV UTF-8")
			}
			h, err := r.Read()
			if err != nil || len(h) == 0 || h[0] != "id" {
				return Fixture{}, 1, errors.New("the first row names the columns, the first of them id")
			}
			header = h
		}
		cells, err := r.Read()
		if err != nil {
			line := 0
			if bad, ok := errors.AsType[*csv.ParseError](err); ok {
				line = bad.Line
			}
			return Fixture{}, line, err
		}
		line, _ := r.FieldPos(0)
		x := Fixture{Type: typ, ID: cells[0], Fields: map[string]any{}}
		e, _ := p.Entity(typ)
		for i, name := range header[1:] {
			if f, ok := e.Field(name); cells[i+1] != "" && ok {
				x.Fields[name] = f.fromText(cells[i+1])
			} else if cells[i+1] != "" {
				x.Fields[name] = cells[i+1]
			}
		}
		return x, line, nil
	}
}

// fromText reads a cell; what it cannot read stays text, and is refused later.
func (f *Property) fromText(s string) any {
	switch f.Type {
	case "integer", "decimal":
		return json.Number(s)
	case "boolean":
		if b, err := strconv.ParseBool(s); err == nil {
			return b
		}
	case "list":
		var out []any
		for w := range strings.FieldsSeq(s) {
			out = append(out, w)
		}
		return out
	}
	return s
}

// CheckFixture checks an entity's reference data against entities.toml and brings
// its numbers into their stored form.
func (p *Pack) CheckFixture(x *Fixture) error {
	if words := p.checkFixture(x); words != "" {
		return errors.New(words)
	}
	return nil
}

func (p *Pack) checkFixture(x *Fixture) string {
	e, ok := p.Entity(x.Type)
	if !ok {
		return fmt.Sprintf("unknown entity type %q: declare it in entities.toml", clip(x.Type))
	}
	if !form.ValidEntityID(x.ID) {
		return fmt.Sprintf("%s id %q: write 1 to 128 bytes without spaces", x.Type, clip(x.ID))
	}
	for _, name := range sortedKeys(x.Fields) {
		f, ok := e.Field(name)
		if !ok {
			return fmt.Sprintf("%s %s: there is no field %q: declare it in entities.toml", x.Type, x.ID, clip(name))
		}
		if x.Fields[name] == nil {
			delete(x.Fields, name)
			continue
		}
		v, ok := f.Stored(x.Fields[name])
		if !ok {
			return fmt.Sprintf("%s %s: %s must be of type %s", x.Type, x.ID, name, f.Type)
		}
		x.Fields[name] = v
	}
	return ""
}

// Stored brings a value into the form in which a field of this type is kept. ok
// is false for a value of another type.
func (f *Property) Stored(v any) (stored any, ok bool) {
	switch f.Type {
	case "integer":
		n, ok := wholeNumber(v)
		return n, ok
	case "decimal":
		x, ok := decimalNumber(v)
		return x, ok
	case "boolean":
		_, ok = v.(bool)
	case "date":
		s, isText := v.(string)
		_, ok = form.ParseDate(s)
		ok = ok && isText
	case "list":
		list, isList := v.([]any)
		ok = isList
		for _, e := range list {
			s, isText := e.(string)
			ok = ok && isText && s != "" && len(s) <= 128
		}
	default:
		s, isText := v.(string)
		ok = isText && len(s) <= form.MaxText
	}
	return v, ok
}

func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, true
		}
		x, err := v.Float64()
		return int64(x), err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<53
	}
	return 0, false
}

func decimalNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case json.Number:
		x, err := v.Float64()
		return x, err == nil
	}
	return 0, false
}
