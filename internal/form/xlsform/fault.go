package xlsform

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a form, or a warning about it.
type Fault struct {
	Sheet  string
	Row    int    // as Excel numbers it: the header is row 1; 0: not known
	Column string // "" when it is about the row or the sheet as a whole
	Value  string // what stands there, when it is worth repeating
	Words  string // what is wrong and what to write instead

	plain bool // the words speak for themselves; the place follows them
}

func (f *Fault) Error() string {
	row := ""
	if f.Row > 0 {
		row = fmt.Sprintf("[row : %d] ", f.Row)
	} else if f.Sheet != "" && f.Column != "" && !f.plain {
		row = "[row : unknown] "
	}
	if f.plain || f.Sheet == "" {
		return row + f.Words + f.place()
	}
	if f.Column == "" {
		return fmt.Sprintf("%sOn the '%s' sheet, %s", row, f.Sheet, f.Words)
	}
	if f.Value != "" {
		return fmt.Sprintf("%sOn the '%s' sheet, the '%s' value '%s' %s", row, f.Sheet, f.Column, f.Value, f.Words)
	}
	return fmt.Sprintf("%sOn the '%s' sheet, the '%s' value %s", row, f.Sheet, f.Column, f.Words)
}

// place says where a plain fault is.
func (f *Fault) place() string {
	switch {
	case f.Sheet == "":
		return ""
	case f.Column == "":
		return fmt.Sprintf(" (sheet '%s')", f.Sheet)
	default:
		return fmt.Sprintf(" (sheet '%s', column '%s')", f.Sheet, f.Column)
	}
}

// Faults are all that is wrong with a form, by sheet and row.
type Faults []*Fault

// most bounds the faults that one form reports.
const most = 100

func (fs Faults) Error() string {
	lines := make([]string, 0, min(len(fs), most)+1)
	for i, f := range fs {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more; correct these first", len(fs)-most))
			break
		}
		lines = append(lines, f.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.AsType find a [*Fault].
func (fs Faults) Unwrap() []error {
	out := make([]error, len(fs))
	for i, f := range fs {
		out[i] = f
	}
	return out
}

// log collects faults and warnings.
type log struct {
	faults, warnings Faults
}

// at reports a fault of a cell: "the 'column' value is invalid. WORDS".
func (l *log) at(sheet string, row int, column, format string, args ...any) {
	l.add(&Fault{Sheet: sheet, Row: row, Column: column, Words: "is invalid. " + fmt.Sprintf(format, args...)})
}

// value is at with the cell's value repeated.
func (l *log) value(sheet string, row int, column, value, format string, args ...any) {
	l.add(&Fault{Sheet: sheet, Row: row, Column: column, Value: clip(value), Words: "is invalid. " + fmt.Sprintf(format, args...)})
}

// plain reports a fault in words that speak for themselves.
func (l *log) plain(sheet string, row int, column, format string, args ...any) {
	l.add(&Fault{Sheet: sheet, Row: row, Column: column, Words: fmt.Sprintf(format, args...), plain: true})
}

func (l *log) add(f *Fault) {
	if !slices.ContainsFunc(l.faults, func(o *Fault) bool { return *o == *f }) {
		l.faults = append(l.faults, f)
	}
}

// warn keeps a warning, which converts all the same.
func (l *log) warn(row int, format string, args ...any) {
	l.warnings = append(l.warnings, &Fault{Row: row, Words: fmt.Sprintf(format, args...), plain: true})
}

// err gives the faults in the order of the sheets' rows. nil: none.
func (l *log) err() error {
	if len(l.faults) == 0 {
		return nil
	}
	return l.faults
}

// clip keeps hostile input out of messages.
func clip(s string) string {
	const longest = 200
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// quoted joins names for a message: 'a', 'b'.
func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "'" + clip(n) + "'"
	}
	return strings.Join(out, ", ")
}
