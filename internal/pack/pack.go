// Package pack reads form packs: the domain that Otor is put to work in.
//
// The programs are the mechanism; what is asked, of whom, in which words and
// units is a pack. A pack is a folder that an office can read and change
// without a programmer:
//
//	pack.toml                 id, version, title, languages, scopes, approved_by
//	entities.toml             the entity types: fields, merge rules, where they live
//	rules.toml                local policy, derived values, what is to be noticed
//	pages.toml                what plays which part on the team's pages (may be missing)
//	i18n/<language>.toml      the words of all these in one more language
//	fixtures/<type>.csv       reference data, also as fixtures/<name>.ndjson
//	fixtures/<name>.toml      cases: records, and what must come of them
//	forms/<id>/survey.csv     the questions       (XLSForm sheets,
//	forms/<id>/choices.csv    their choices        one CSV file
//	forms/<id>/settings.csv   the form itself      for each sheet)
//	forms/<id>/entities.csv   into which entities its answers are written
//
// The sheets are XLSForm: a column for each language is headed
// "label::中文 (zh)". What Otor needs beyond XLSForm stands in columns that
// begin with "otor:", which other XLSForm tools pass over.
//
// In settings.csv: otor:lane (alert or record), otor:entity (what a record is
// about) and otor:title::LANGUAGE (form_title is the default language's).
//
// In survey.csv: otor:unit (of a number), otor:check (resident_id or phone),
// otor:entity (the answer is the id of such an entity), otor:list (yes: the
// answer is a list of them), otor:open (yes: a select_one takes other answers
// too), otor:value (integer or boolean: how a select_one is stored),
// otor:required_unless (a question beside it that will do instead) and
// otor:role (who may answer).
//
// save_to and the entities sheet are those of ODK Entities. ${entity} is the
// entity that the record is about; a form that uses it asks a hidden question of
// that name. otor:edit (yes) in the sheet says that the form corrects what others
// correct as well. Where XLSForm cannot say it (the same names in and outside of a repeat),
// otor:saves names type and id, on a repeat's first row or in settings.csv, and
// otor:save_to the property.
//
// Loading is strict and complete: a pack with any fault is refused, and every
// fault is named with its file, its line and what to write instead.
//
//   - [Pack] is a loaded pack, [Scope] and [Entity] what it declares.
//   - [Domain] is what a pack says to those who merge.
//   - [Edition] is a version as it travels: parts that are made of pieces, which
//     are named by their content; [Publish] takes a folder apart into one.
//   - [Shelf] holds the versions side by side that a program works with.
//   - [Fault] is one thing that is wrong with one.
//   - [Load] reads a folder, [Transhumance] the first pack, which is built in.
package pack

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"otor/internal/form"
	"otor/internal/rules"
)

// Limits of a pack, against a folder that is no pack.
const (
	maxFile   = 4 << 20 // bytes of one file
	maxForms  = 1000
	maxRows   = 20_000 // of one sheet
	maxFaults = 100    // reported at once
)

// Pack is a loaded form pack. It is not changed once loaded.
type Pack struct {
	ID         string
	Version    uint32 // from 1
	Title      form.Labels
	Languages  []string // the first is the one to fall back to
	Scopes     []Scope
	ApprovedBy string
	Entities   []Entity // by type
	Forms      *form.Registry
	Values     []Value   // local policy, by name
	Derived    []Derived // in the order of rules.toml
	Rules      *rules.Set
	RuleWords  RuleWords
	// Dues are what has to be done by when, Dones how it shows that it was done.
	Dues  []Due
	Dones []Done
	// Rosters are the official lists that are compared with what is known.
	Rosters []Roster
	// Escalations say who must know of an incident, and how soon.
	Escalations []Escalation
	// Pages say what plays which part on the team's pages; nil: nothing does.
	Pages *Pages
	// Words are the catalogues of i18n/: words by language and key.
	Words map[string]map[string]string
	// Missing are the keys for which a catalogue has no words, by language. In the pack's
	// own languages nothing may be missing.
	Missing map[string][]string
	// Fixtures are the reference data that come with the pack.
	Fixtures []Fixture
	// Cases are the examples that come with it.
	Cases []Case

	domain *Domain
	speech *speech

	// Where things stand, for what is found out later.
	manifestLines, entityLines map[string]int
}

// Scope is a kind of scope that devices are granted, such as gacha or team.
type Scope struct {
	ID    string
	Label form.Labels
}

// Entity returns what the pack says of an entity type.
func (p *Pack) Entity(typ string) (Entity, bool) {
	at, ok := slices.BinarySearchFunc(p.Entities, typ, func(e Entity, t string) int { return strings.Compare(e.Type, t) })
	if !ok {
		return Entity{}, false
	}
	return p.Entities[at], true
}

// Fault is one thing that is wrong with a pack, and where.
type Fault struct {
	File  string
	Line  int    // from 1; 0: the file as a whole
	Words string // what is wrong and what to write instead
}

func (f *Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Words
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Words)
}

// Load reads the pack in the root of dir. Its error joins a [*Fault] for each
// thing that is wrong, by file and line, the first 100 of them.
func Load(dir fs.FS) (*Pack, error) {
	l := &loader{dir: dir, pack: &Pack{}, facts: map[string]form.Labels{}}
	l.strangers()
	l.catalogues()
	l.manifest()
	l.entities()
	forms := l.forms()
	l.saves(forms)
	l.rules(forms)
	l.pages(forms)
	l.speak(forms)
	l.said()
	l.speak(forms) // with the words of the catalogues
	l.fixtures(forms)
	if len(l.faults) == 0 {
		reg, err := form.NewRegistry(forms...)
		if err == nil {
			l.pack.Forms = reg
			l.pack.domain = domainOf(l.pack, reg)
			return l.pack, nil
		}
		l.fault("forms", 0, "%v", err)
	}
	return nil, l.err()
}

// loader collects the faults of one Load.
type loader struct {
	dir    fs.FS
	pack   *Pack
	types  map[string]bool // entity types; nil when entities.toml could not be read
	saving []saving
	words  map[string]*catalogue  // of i18n/, by language
	facts  map[string]form.Labels // what pages.toml calls fields, by "type.field"
	faults []*Fault
}

func (l *loader) fault(file string, line int, format string, args ...any) {
	l.faults = append(l.faults, &Fault{File: file, Line: line, Words: fmt.Sprintf(format, args...)})
}

func (l *loader) err() error {
	slices.SortStableFunc(l.faults, func(a, b *Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	more := len(l.faults) - maxFaults
	errs := make([]error, 0, min(len(l.faults), maxFaults)+1)
	for i, f := range l.faults {
		if i == maxFaults {
			errs = append(errs, fmt.Errorf("and %d more; correct these first", more))
			break
		}
		errs = append(errs, f)
	}
	return errors.Join(errs...)
}

// strangers reports what lies in the pack's folder and is no part of a pack.
func (l *loader) strangers() {
	files, err := fs.ReadDir(l.dir, ".")
	if err != nil {
		l.fault(".", 0, "cannot be read: %v", err)
		return
	}
	known := []string{manifestFile, entitiesFile, rulesFile, pagesFile, wordsDir, fixturesDir, formsDir}
	for _, f := range files {
		if name := f.Name(); !slices.Contains(known, name) && !hidden(name) && !strings.HasPrefix(name, "README") {
			l.fault(name, 0, "unknown file: a pack has %s", strings.Join(known, ", "))
		}
	}
}

// read returns a file's bytes without a byte order mark. nil: it could not be
// read, which is reported.
func (l *loader) read(name string) []byte {
	b, err := readBounded(l.dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.fault(name, 0, "is missing: every pack has %s", name)
		return nil
	case err != nil:
		l.fault(name, 0, "%v", err)
		return nil
	}
	return b
}

// language reports whether the pack is written in lang. While no language is
// known (which is a fault of its own) every one will do.
func (l *loader) language(lang string) bool {
	return len(l.pack.Languages) == 0 || slices.Contains(l.pack.Languages, lang)
}

// labelled reports the languages that a label lacks or has too many of.
func (l *loader) labelled(file string, line int, what string, label form.Labels) {
	for _, lang := range l.pack.Languages {
		if strings.TrimSpace(label[lang]) == "" {
			l.fault(file, line, "%s has no words in %s: write them", what, lang)
		}
	}
}

// known reports an entity type that entities.toml does not declare.
func (l *loader) known(file string, line int, typ string) {
	if l.types != nil && !l.types[typ] {
		l.fault(file, line, "unknown entity type %q: declare it in entities.toml, or write one of %s",
			clip(typ), strings.Join(sortedKeys(l.types), ", "))
	}
}
