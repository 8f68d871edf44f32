package form

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// MaxXML is the most bytes that the XML of one sheet may have.
const MaxXML = 256 << 10

// FromXML turns the answers of an XForm (the primary instance of the ODK
// XForms specification) into a sheet for f. What stands empty is no answer; a
// row of a repeat without any answer is no row. Places become maps of lon, lat,
// alt_m and acc_m; a question that takes many answers has one on each line. The
// problems are those of the XML and of the numbers; [Form.Check] judges the
// rest.
func FromXML(f *Form, src []byte) (map[string]any, []Problem) {
	root, err := parseXML(src)
	if err != nil {
		return nil, []Problem{{Code: BadType, Words: "the answers cannot be read: " + err.Error(), Grave: true}}
	}
	if id := root.attrs["id"]; id != "" && id != f.ID {
		return nil, []Problem{{Code: FormUnknown, Words: fmt.Sprintf("these are answers to form %s, not to %s", clip(id), f.ID), Grave: true}}
	}
	var r xmlReader
	raw := r.level(f.Fields, root)
	out, problems := FromJSON(f, raw)
	return out, append(r.problems(), problems...)
}

// xmlNode is one element.
type xmlNode struct {
	name  string
	attrs map[string]string
	text  strings.Builder
	kids  []*xmlNode
}

func (n *xmlNode) value() string { return strings.TrimSpace(n.text.String()) }

// parseXML reads a small document into a tree.
func parseXML(src []byte) (*xmlNode, error) {
	if len(src) > MaxXML {
		return nil, fmt.Errorf("they take %d bytes and at most %d are read", len(src), MaxXML)
	}
	d := xml.NewDecoder(bytes.NewReader(src))
	var root *xmlNode
	var open []*xmlNode
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if root == nil {
				return nil, errors.New("there are none")
			}
			return root, nil
		}
		if err != nil {
			return nil, errors.New("they are not well-formed XML")
		}
		switch t := t.(type) {
		case xml.StartElement:
			n := &xmlNode{name: t.Name.Local, attrs: map[string]string{}}
			for _, a := range t.Attr {
				n.attrs[a.Name.Local] = a.Value
			}
			switch {
			case len(open) > MaxDepth+2:
				return nil, errors.New("they nest too deep")
			case len(open) > 0:
				up := open[len(open)-1]
				up.kids = append(up.kids, n)
			case root != nil:
				return nil, errors.New("there is more than one document")
			default:
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text.Write(t)
			}
		}
	}
}

type xmlReader struct{ trail }

// level reads the answers of one level.
func (r *xmlReader) level(fields []Field, n *xmlNode) map[string]any {
	out := map[string]any{}
	known := map[string]bool{"meta": true}
	for i := range fields {
		f := &fields[i]
		known[f.Name] = true
		if f.Kind == Repeat {
			known[f.Name+"_count"] = true // made by the converter of a repeat_count
		}
		r.down(f.Name)
		if v := r.field(f, n); v != nil {
			out[f.Name] = v
		}
		r.up()
	}
	for _, k := range n.kids {
		if !known[k.name] {
			r.down(clip(k.name))
			r.refuse(UnknownField, "the form has no such question; check the form's version")
			r.up()
		}
	}
	return out
}

// field reads one field's answer. nil: none.
func (r *xmlReader) field(f *Field, n *xmlNode) any {
	if f.Kind == Repeat {
		var rows []any
		for _, k := range n.kids {
			if k.name != f.Name {
				continue
			}
			r.row(len(rows))
			if row := r.level(f.Fields, k); len(row) > 0 {
				rows = append(rows, row)
			}
		}
		if rows == nil {
			return nil
		}
		return rows
	}
	for _, k := range n.kids {
		if k.name != f.Name {
			continue
		}
		if f.Kind == Group {
			if g := r.level(f.Fields, k); len(g) > 0 {
				return g
			}
			return nil
		}
		return r.answer(f, k.value())
	}
	return nil
}

// answer reads a text by its field. "" is no answer.
func (r *xmlReader) answer(f *Field, s string) any {
	if s == "" || f.Kind == Note {
		return nil
	}
	if f.Many {
		var items []any
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); line != "" {
				items = append(items, r.one(f, line))
			}
		}
		return items
	}
	return r.one(f, s)
}

func (r *xmlReader) one(f *Field, s string) any {
	switch f.Kind {
	case Integer, Decimal, Range:
		return r.jsonNumber(s)
	case SelectOne:
		switch f.Stored {
		case AsInteger:
			return r.jsonNumber(s)
		case AsBoolean:
			if s == "true" || s == "false" {
				return s == "true"
			}
			return s // Check says what is wrong with it
		case AsText:
		}
		return s
	case SelectMultiple, Rank:
		var out []any
		for c := range strings.FieldsSeq(s) {
			out = append(out, c)
		}
		return out
	case Acknowledge:
		if s == "OK" {
			return true
		}
		return s
	case Geopoint:
		return r.point(s)
	case Time:
		return clockTime(s)
	case DateTime:
		return dayTime(s)
	case Calculate:
		if f.Unit != "" {
			return r.jsonNumber(s)
		}
		return s
	default:
		return s
	}
}

// jsonNumber keeps a number as it is written; what is none stays text, which
// FromJSON names.
func (r *xmlReader) jsonNumber(s string) any {
	if json.Valid([]byte(s)) && strings.IndexFunc(s, func(c rune) bool { return !strings.ContainsRune("0123456789+-.eE", c) }) < 0 {
		return json.Number(s)
	}
	return s
}

// point reads "lat lon [altitude [accuracy]]" in degrees and metres.
func (r *xmlReader) point(s string) any {
	parts := strings.Fields(s)
	if len(parts) < 2 || len(parts) > 4 {
		return s
	}
	out := map[string]any{"datum": "WGS84"}
	for i, name := range []string{"lat", "lon", "alt_m", "acc_m"} {
		if i >= len(parts) {
			break
		}
		n := r.jsonNumber(parts[i])
		if _, ok := n.(json.Number); !ok {
			return s
		}
		// Altitude and accuracy of 0 are what devices write that know neither.
		if i < 2 || parts[i] != "0" && parts[i] != "0.0" {
			out[name] = n
		}
	}
	return out
}

// clockTime writes a time as sheets hold it, without fractions and zone.
func clockTime(s string) string {
	if len(s) > 8 && s[2] == ':' && s[5] == ':' {
		return s[:8]
	}
	return s
}

// dayTime writes a moment as sheets hold it.
func dayTime(s string) string {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.RFC3339)
		}
	}
	return s
}
