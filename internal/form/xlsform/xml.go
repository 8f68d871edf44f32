package xlsform

import (
	"bytes"
	"slices"
	"strings"
)

// attr is an attribute, or any name with a value.
type attr struct{ name, value string }

// element is a piece of the XForm that is being made.
type element struct {
	name  string
	attrs []attr
	kids  []any // *element or string
}

// el makes an element; pairs are names and values of attributes, of which
// empty values are left out.
func el(name string, pairs ...string) *element {
	e := &element{name: name}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			e.attrs = append(e.attrs, attr{pairs[i], pairs[i+1]})
		}
	}
	return e
}

// add appends children; nil elements are passed over.
func (e *element) add(kids ...any) *element {
	for _, k := range kids {
		if c, ok := k.(*element); ok && c == nil || k == "" {
			continue
		}
		e.kids = append(e.kids, k)
	}
	return e
}

func (e *element) set(name, value string) *element {
	for i := range e.attrs {
		if e.attrs[i].name == name {
			e.attrs[i].value = value
			return e
		}
	}
	e.attrs = append(e.attrs, attr{name, value})
	return e
}

var (
	escText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	escAttr = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\t", "&#9;")
)

// bytes writes the document. Attributes stand in the order of their names,
// those without a prefix first, so that the same form gives the same bytes.
func (e *element) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	e.write(&b)
	b.WriteByte('\n')
	return b.Bytes()
}

func (e *element) write(b *bytes.Buffer) {
	b.WriteByte('<')
	b.WriteString(e.name)
	attrs := slices.Clone(e.attrs)
	slices.SortStableFunc(attrs, func(x, y attr) int {
		if px, py := strings.Contains(x.name, ":"), strings.Contains(y.name, ":"); px != py {
			if px {
				return 1
			}
			return -1
		}
		return strings.Compare(x.name, y.name)
	})
	for _, a := range attrs {
		b.WriteByte(' ')
		b.WriteString(a.name)
		b.WriteString(`="`)
		b.WriteString(escAttr.Replace(a.value))
		b.WriteByte('"')
	}
	if len(e.kids) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	for _, k := range e.kids {
		switch k := k.(type) {
		case string:
			b.WriteString(escText.Replace(k))
		case *element:
			k.write(b)
		}
	}
	b.WriteString("</")
	b.WriteString(e.name)
	b.WriteByte('>')
}
