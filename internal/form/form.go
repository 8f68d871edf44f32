// Package form says what a record may hold.
//
// A form is a version of a question list: which questions there are, of what
// type, which must be answered, and among which choices. The device checks an
// answer sheet against its form before it mints an entry, and the hub checks
// the same sheet again before it applies it, with the same rules and in the
// same order, so that both name the same first problem.
//
// Forms come from a pack (see package pack); none is written in Go. A form
// never changes: a changed form is a new version, and a registry keeps several
// versions side by side, because devices come back with old ones.
//
// What the entry itself already says (which entity the record is about, when
// and where it was captured, and by whom) is no question of a form.
//
// Expressions of the form's author (relevant, constraint, calculation, a
// required that is an expression) are kept as text for the page that asks the
// questions. A question with a relevant expression is never reported missing.
//
// The package is pure: no I/O, no clock, no goroutine. The nouns:
//
//   - [Form] is one version of a form, [Field] a question, group or repeat of
//     it, [Choice] one of the answers that a select question offers.
//   - [Kind] is a question's type, [Stored] how the answer to a select question
//     is kept, [Rule] a check beyond the type.
//   - [Labels] are the words for one thing in several languages.
//   - [Registry] holds forms by id and version; [LookupError] says why one is
//     not there.
//   - [Form.Check] finds what is wrong with a sheet and [FromJSON] makes one
//     from JSON; [Problem] is one finding, [Code] its reason, [Env] what a
//     check needs to know of the world.
//   - [Save] says into which entity answers are written, [Form.Saved] what a
//     sheet writes, [Expr] is an expression that decides it.
//   - [CheckResidentID] and [CheckPhone] are the rules for numbers of persons.
package form

import (
	"fmt"
	"maps"
	"slices"

	"otor/internal/dot"
)

// Limits of an answer sheet.
const (
	// MaxText is the most bytes that one text answer may have.
	MaxText = 16 << 10
	// MaxRows is the most rows of a repeat, or items of a list.
	MaxRows = 200
	// MaxDepth is how deep groups and repeats may nest.
	MaxDepth = 8
)

// Labels are the words for one thing by language code ("zh", "en", "mn-Mong").
type Labels map[string]string

// In returns the words in lang, or else in the alphabetically first language
// that has some. "" when there are none.
func (l Labels) In(lang string) string {
	if w := l[lang]; w != "" {
		return w
	}
	for _, k := range slices.Sorted(maps.Keys(l)) {
		if l[k] != "" {
			return l[k]
		}
	}
	return ""
}

// Form is one version of a form. It is not changed once [New] returned it.
type Form struct {
	ID              string
	Version         uint32 // from 1
	Title           Labels
	DefaultLanguage string
	Lane            dot.Lane
	// Entity is the type of the entity that a record of this form is about.
	Entity string
	Fields []Field
	// Saves are the entities that its answers are written into. nil: none.
	Saves []Save

	// Sheets are the XLSForm sheets that the form was written in, as CSV by their
	// names ("survey"): a page that asks its questions is made of them. nil for a
	// form that was made otherwise.
	Sheets map[string][]byte

	byName map[string]*Field
}

// Field is a question, a group of them, or a repeat (a list of rows).
type Field struct {
	Name  string
	Kind  Kind
	Label Labels
	Hint  Labels

	Required bool
	// RequiredUnless names a sibling: with an answer there, none is needed here.
	RequiredUnless string
	// RequiredIf, Relevant, Constraint, Calculation, ChoiceFilter and RepeatCount
	// are expressions of the form's author, kept as text.
	RequiredIf, Relevant, Constraint, Calculation, ChoiceFilter, RepeatCount string
	RequiredWords, ConstraintWords                                           Labels
	// Appearance, Parameters, Default, Trigger and ReadOnly are for the page
	// that asks the question.
	Appearance, Parameters, Default, Trigger string
	ReadOnly                                 bool

	// List names the choices of a select question.
	List    string
	Choices []Choice
	// Open lets a select_one take an answer outside its choices.
	Open   bool
	Stored Stored

	// Many makes the answer a list of what Kind says.
	Many bool
	Unit string // the unit of a number, "" for none
	Rule Rule
	// Entity is the type of entity that the answer names by its id; "any" for
	// every type, "" when it names none.
	Entity string
	// Role is who may answer the question, "" for everybody.
	Role string
	// SaveTo is the property that the answer is written into, see [Form.Saved]:
	// "property", or "type#property" when the form saves into several entities.
	SaveTo string
	// Worked is Calculation read, for a calculation that is saved.
	Worked *Expr

	Fields []Field // of a group or repeat

	byName  map[string]*Field
	choices map[string]bool
}

// Choice is one of the answers that a select question offers.
type Choice struct {
	Name  string
	Label Labels
	// Attributes are what a choice_filter looks at. nil when there are none.
	Attributes map[string]string
}

// New prepares a form for use. The form and its fields must not be changed
// afterwards. It refuses a form that no sheet could be checked against.
func New(f Form) (*Form, error) {
	switch {
	case f.ID == "":
		return nil, fmt.Errorf("form: has no id")
	case f.Version == 0:
		return nil, fmt.Errorf("form %s: versions count from 1", f.ID)
	case !f.Lane.Valid():
		return nil, fmt.Errorf("form %s: %s: unknown lane", f.ID, f.Lane)
	}
	byName, err := prepare(f.Fields, 1)
	if err != nil {
		return nil, fmt.Errorf("form %s: %w", f.ID, err)
	}
	f.byName = byName
	for _, s := range f.Saves {
		if x := byName[s.Repeat]; s.Repeat != "" && (x == nil || x.Kind != Repeat) {
			return nil, fmt.Errorf("form %s: saves into %s by the rows of %s, which is no repeat", f.ID, s.Type, s.Repeat)
		}
	}
	return &f, nil
}

// At returns the same form under another version number.
func (f *Form) At(version uint32) *Form {
	g := *f
	g.Version = version
	return &g
}

// Field returns the top-level field called name.
func (f *Form) Field(name string) (*Field, bool) {
	x, ok := f.byName[name]
	return x, ok
}

func (f *Form) String() string { return fmt.Sprintf("%s version %d", f.ID, f.Version) }

// prepare indexes a level of fields and the levels below it.
func prepare(fields []Field, depth int) (map[string]*Field, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("groups nest more than %d deep", MaxDepth)
	}
	byName := make(map[string]*Field, len(fields))
	for i := range fields {
		x := &fields[i]
		if x.Name == "" || byName[x.Name] != nil {
			return nil, fmt.Errorf("field %q: a name must be there and be used once", x.Name)
		}
		byName[x.Name] = x
		if err := x.prepare(depth); err != nil {
			return nil, fmt.Errorf("field %s: %w", x.Name, err)
		}
	}
	for _, x := range fields {
		if x.RequiredUnless != "" && byName[x.RequiredUnless] == nil {
			return nil, fmt.Errorf("field %s: there is no field %s beside it", x.Name, x.RequiredUnless)
		}
	}
	return byName, nil
}

func (x *Field) prepare(depth int) error {
	switch {
	case !x.Kind.Valid():
		return fmt.Errorf("%s: unknown type", x.Kind)
	case x.Kind.Nests():
		var err error
		x.byName, err = prepare(x.Fields, depth+1)
		return err
	case x.Kind.Selects():
		if len(x.Choices) == 0 && !x.Open {
			return fmt.Errorf("has no choices")
		}
		x.choices = make(map[string]bool, len(x.Choices))
		for _, c := range x.Choices {
			if x.choices[c.Name] {
				return fmt.Errorf("choice %s stands twice", c.Name)
			}
			if !x.Stored.Allows(c.Name) {
				return fmt.Errorf("choice %s cannot be stored as %s", c.Name, x.Stored)
			}
			x.choices[c.Name] = true
		}
	}
	return nil
}
