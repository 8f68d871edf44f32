package pack

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"otor/internal/form"
	"otor/internal/merge"
	"otor/internal/rules"
)

// Shelf holds the versions of a pack side by side while a program runs. New
// records go by the current one, which is the highest that a hub published, or the
// one that the program came with as long as none was. Entries of others are judged
// by the forms, and by the rules, of their own version. Entity types and fields
// that the current version does not have any more keep the meaning that the newest
// one gave them that had them. It is safe for concurrent use.
type Shelf struct {
	mu  sync.Mutex // one Put at a time
	now atomic.Pointer[shelved]
}

// shelved is what a shelf holds at one moment.
type shelved struct {
	base      *Pack   // that the program came with
	published []*Pack // by version
	current   *Pack
	forms     *form.Registry
	rules     map[string]*rules.Set // by form and version
	domain    *Domain
}

// NewShelf returns a shelf with the pack that the program came with.
func NewShelf(base *Pack) *Shelf {
	s := &Shelf{}
	s.now.Store(arrange(base, nil))
	return s
}

// Put adds a published version, in place of the same one.
func (s *Shelf) Put(p *Pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.now.Load()
	list := slices.DeleteFunc(slices.Clone(was.published), func(x *Pack) bool { return x.ID == p.ID && x.Version == p.Version })
	list = append(list, p)
	slices.SortFunc(list, func(a, b *Pack) int { return cmp.Or(cmp.Compare(a.Version, b.Version), strings.Compare(a.ID, b.ID)) })
	s.now.Store(arrange(was.base, list))
}

// arrange works out what versions mean together. Later ones go before earlier ones,
// published ones before the one that the program came with.
func arrange(base *Pack, published []*Pack) *shelved {
	out := &shelved{base: base, published: published, current: base, rules: map[string]*rules.Set{}}
	all := append([]*Pack{base}, published...)
	out.current = all[len(all)-1]
	for _, p := range all {
		for _, f := range p.Forms.All() {
			out.forms = out.forms.With(f)
			out.rules[f.String()] = p.Rules
		}
	}
	sum := &Pack{Entities: slices.Clone(out.current.Entities), Rules: out.current.Rules, RuleWords: RuleWords{}, Rosters: out.current.Rosters, Pages: out.current.Pages, Derived: out.current.Derived, speech: newSpeech(out.current.Languages)}
	sum.speech.add(out.current.speech)
	for _, p := range all {
		maps.Copy(sum.RuleWords, p.RuleWords)
	}
	for _, p := range slices.Backward(all) {
		if p != out.current {
			sum.remember(p)
			sum.speech.add(p.speech)
		}
	}
	slices.SortFunc(sum.Entities, func(a, b Entity) int { return strings.Compare(a.Type, b.Type) })
	out.domain = domainOf(sum, out.forms)
	return out
}

// remember adds the types and fields of an older version that are not there.
func (p *Pack) remember(old *Pack) {
	for _, was := range old.Entities {
		at := slices.IndexFunc(p.Entities, func(e Entity) bool { return e.Type == was.Type })
		if at < 0 {
			p.Entities = append(p.Entities, was)
			continue
		}
		e := p.Entities[at] // a copy: the version's own stays as it is
		e.Fields, e.Groups = slices.Clone(e.Fields), maps.Clone(e.Groups)
		added := false
		for _, f := range was.Fields {
			if _, there := e.Field(f.Name); there {
				continue
			}
			added = true
			i, _ := slices.BinarySearchFunc(e.Fields, f.Name, func(p Property, n string) int { return strings.Compare(p.Name, n) })
			e.Fields = slices.Insert(e.Fields, i, f)
			if g := group(&was, f.Name); g != "" {
				if e.Groups == nil {
					e.Groups = map[string][]string{}
				}
				e.Groups[g] = append(slices.Clone(e.Groups[g]), f.Name)
			}
		}
		if !added {
			continue
		}
		l := &loader{pack: p}
		if t := l.mergeType(&e, 0); t != nil {
			e.merged = t
			p.Entities[at] = e
		}
	}
}

// Current is the version by which new records go.
func (s *Shelf) Current() *Pack { return s.now.Load().current }

// Published lists the published versions, the lowest first.
func (s *Shelf) Published() []*Pack { return slices.Clone(s.now.Load().published) }

// Base is the pack that the program came with.
func (s *Shelf) Base() *Pack { return s.now.Load().base }

// Form gives a version of a form. Its error is a [*form.LookupError].
func (s *Shelf) Form(id string, version uint32) (*form.Form, error) {
	return s.now.Load().forms.Form(id, version)
}

// Latest gives the form of that id in the current version.
func (s *Shelf) Latest(id string) (*form.Form, bool) { return s.now.Load().current.Forms.Latest(id) }

// IDs lists the ids of the current version's forms.
func (s *Shelf) IDs() []string { return s.now.Load().current.Forms.IDs() }

// RulesFor are the rules that look at records of a version of a form: those of the
// newest version of the pack that has it.
func (s *Shelf) RulesFor(id string, version uint32) *rules.Set {
	f, err := s.Form(id, version)
	if err != nil {
		return nil
	}
	return s.now.Load().rules[f.String()]
}

// Rules are the current version's.
func (s *Shelf) Rules() *rules.Set { return s.now.Load().current.Rules }

// The rest is what [Domain] says, of all versions.

// Type is [Domain.Type].
func (s *Shelf) Type(name string) *merge.Type { return s.now.Load().domain.Type(name) }

// Lives is [Domain.Lives].
func (s *Shelf) Lives(name string) []string { return s.now.Load().domain.Lives(name) }

// Names is [Domain.Names].
func (s *Shelf) Names(typ, field string) string { return s.now.Load().domain.Names(typ, field) }

// Mask is [Domain.Mask].
func (s *Shelf) Mask(typ, field string) string { return s.now.Load().domain.Mask(typ, field) }

// Unit is [Domain.Unit].
func (s *Shelf) Unit(typ, field string) string { return s.now.Load().domain.Unit(typ, field) }

// Kind is [Domain.Kind].
func (s *Shelf) Kind(typ, field string) string { return s.now.Load().domain.Kind(typ, field) }

// Members is [Domain.Members].
func (s *Shelf) Members(typ, group string) []string { return s.now.Load().domain.Members(typ, group) }

// Finds lists the fields by which entities of a type are found.
func (s *Shelf) Finds(typ string) []string { return s.now.Load().domain.Finds(typ) }

// Decides is [Domain.Decides].
func (s *Shelf) Decides(typ string) []string { return s.now.Load().domain.Decides(typ) }

// Edits is [Domain.Edits].
func (s *Shelf) Edits(id string, version uint32, typ string) bool {
	return s.now.Load().domain.Edits(id, version, typ)
}

// FieldWords is what a field is called in a language; "" when nothing is said of it.
func (s *Shelf) FieldWords(typ, field, lang string) string {
	return s.now.Load().domain.FieldWords(typ, field, lang)
}

// ValueWords is [Domain.ValueWords].
func (s *Shelf) ValueWords(typ, field, value, lang string) string {
	return s.now.Load().domain.ValueWords(typ, field, value, lang)
}

// TypeWords is [Domain.TypeWords].
func (s *Shelf) TypeWords(typ, lang string) string { return s.now.Load().domain.TypeWords(typ, lang) }

// FormWords is [Domain.FormWords].
func (s *Shelf) FormWords(id, lang string) string { return s.now.Load().domain.FormWords(id, lang) }

// NamePath is [Domain.NamePath].
func (s *Shelf) NamePath(typ string) string { return s.now.Load().domain.NamePath(typ) }

// UserType is [Domain.UserType].
func (s *Shelf) UserType() string { return s.now.Load().domain.UserType() }

// RuleWords is [Domain.RuleWords].
func (s *Shelf) RuleWords(rule, lang string) string { return s.now.Load().domain.RuleWords(rule, lang) }

// Rosters are the current version's.
func (s *Shelf) Rosters() []Roster { return s.now.Load().domain.Rosters() }
