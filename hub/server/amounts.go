package server

import (
	"strconv"

	"otor/hub/console"
)

// Digits after the point: of a value that stands somewhere, and of one that is worked out.
const (
	digitsWritten = 6
	digitsDerived = 2
)

// number is a number as people say it, with its unit; plain where it has none.
func (n *naming) number(typ, field string, v float64, plain string) string {
	if n.says == nil || n.says.Unit(typ, field) == "" {
		return plain
	}
	return console.Amount(n.words, n.says.Unit(typ, field), v, digitsWritten)
}

// derived is a value that was worked out, in words.
func (n *naming) derived(typ, field string, v any) string {
	if x, ok := v.(float64); ok && n.says != nil && n.says.ValueWords(typ, field, strconv.FormatFloat(x, 'f', -1, 64), n.lang) == "" {
		return console.Amount(n.words, n.says.Unit(typ, field), x, digitsDerived)
	}
	text, _ := n.value(typ, field, v)
	return text
}

// change says by how much a number becomes another one; "" where that says nothing.
func (n *naming) change(typ, field string, from, to any) string {
	was, known := from.(float64)
	is, number := to.(float64)
	if !known || !number || n.says == nil || is == was {
		return ""
	}
	return console.Changed(n.words, n.says.Unit(typ, field), is-was, digitsDerived)
}

func (n *naming) truth(v bool) string {
	if v {
		return n.words.T("say.yes")
	}
	return n.words.T("say.no")
}
