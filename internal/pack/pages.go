package pack

import (
	"bytes"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"otor/internal/form"
)

const pagesFile = "pages.toml"

// Pages say which parts a pack's entities, fields and forms play on the team's
// pages. A page whose part is nil is not offered.
type Pages struct {
	Visited *Visited `toml:"visited"`
	Route   *Route   `toml:"route"`
	Notices *Notices `toml:"notices"`
	Depots  *Depots  `toml:"depots"`
	Alarm   *Alarm   `toml:"alarm"`
	Users   *Users   `toml:"users"`
	// Names are the fields that name an entity, by its type; a path goes through
	// references ("head.name"). NAME_LANG is tried before NAME.
	Names map[string]string `toml:"names"`
	// Says are words for values that no form offers as a choice, by
	// "type.field.value".
	Says map[string]form.Labels `toml:"says"`
}

// Fact is one thing that a page says of an entity.
type Fact struct {
	// Field is a field, written or derived. "TYPE:FIELD" is that of the entity of
	// another type with the same id, such as a person's pension.
	Field string      `toml:"field"`
	Label form.Labels `toml:"label"`
}

// Visited is what the team visits.
type Visited struct {
	Type string `toml:"type"`
	// Stop is the field that names a stop of the route, "" for none.
	Stop    string   `toml:"stop"`
	Forms   []string `toml:"forms"` // the work about it
	Facts   []Fact   `toml:"facts"`
	Parts   []Part   `toml:"parts"`
	Balance *Balance `toml:"balance"`
}

// Part is a kind of entities that belong to a visited one.
type Part struct {
	ID    string      `toml:"id"`
	Label form.Labels `toml:"label"`
	Type  string      `toml:"type"`
	By    string      `toml:"by"`    // its field that names the visited one
	Title string      `toml:"title"` // field that names it on the page; "": [Pages.Names]
	Facts []Fact      `toml:"facts"`
	Forms []string    `toml:"forms"`
	// Only are values of fields that an entity must have for the part, by field.
	Only map[string]string `toml:"only"`
}

// Balance is what is counted against what is allowed.
type Balance struct {
	Label   form.Labels `toml:"label"`
	Counted string      `toml:"counted"`
	Allowed string      `toml:"allowed"`
	Share   string      `toml:"share"` // counted beyond allowed, by allowed: 0.12 is 12 %
	Status  string      `toml:"status"`
	Unit    form.Labels `toml:"unit"`
	// Over and Watch are the values of Status that are told in red, and with care.
	Over  string `toml:"over"`
	Watch string `toml:"watch"`
	// Words say what each status means for people, by its value.
	Words map[string]form.Labels `toml:"words"`
}

// Route is the line of stops along which the team rides.
type Route struct {
	Type  string `toml:"type"` // of its stops
	Order string `toml:"order"`
	Km    string `toml:"km"`
	Facts []Fact `toml:"facts"`
	// Hazards: entities of this type, open while the field Open is true.
	Hazard      string   `toml:"hazard"`
	Open        string   `toml:"open"`
	HazardTitle string   `toml:"hazard_title"`
	HazardFacts []Fact   `toml:"hazard_facts"`
	Seen        string   `toml:"seen"`         // the day on which it was seen
	HazardForms []string `toml:"hazard_forms"` // about one that is there
	Report      string   `toml:"report"`       // form that reports a new one
	Forms       []string `toml:"forms"`        // about a stop
}

// Notices are what households are told, with who has heard it.
type Notices struct {
	Type      string `toml:"type"`
	Published string `toml:"published"`
	Must      string `toml:"must"` // field that is true where everybody must have heard it
	// More is a field that names another entity with the words to read aloud.
	More      string   `toml:"more"`
	MoreFacts []Fact   `toml:"more_facts"`
	Colour    string   `toml:"colour"`   // its field with the warning's colour
	Receipt   string   `toml:"receipt"`  // type of the receipts
	Of        string   `toml:"of"`       // the receipt's field that names the notice
	By        string   `toml:"by"`       // and the one that names who has heard it
	How       string   `toml:"how"`      // and how
	Unheard   []string `toml:"unheard"`  // values of How that mean: not heard
	Form      string   `toml:"form"`     // that makes a receipt
	FormBy    string   `toml:"form_by"`  // its question that names who heard it
	FormHow   string   `toml:"form_how"` // and how
	Aloud     string   `toml:"aloud"`    // the answer for: read aloud
}

// Depots are stations with what they have in stock.
type Depots struct {
	Type       string   `toml:"type"`
	Stop       string   `toml:"stop"` // its field that names a stop of the route
	Facts      []Fact   `toml:"facts"`
	Stock      string   `toml:"stock"` // type of the stock
	At         string   `toml:"at"`    // its field that names the station
	Item       string   `toml:"item"`  // and what it is
	Qty        string   `toml:"qty"`   // a count: the sum of movements
	Least      string   `toml:"least"`
	Low        string   `toml:"low"`  // true when there is less than that
	Unit       string   `toml:"unit"` // the item's field with its unit
	StockFacts []Fact   `toml:"stock_facts"`
	Forms      []string `toml:"forms"`
	Move       *Move    `toml:"move"`
}

// Move is how a movement of stock is saved: a form about the station, and its
// questions.
type Move struct {
	Form string `toml:"form"`
	Item string `toml:"item"`
	Qty  string `toml:"qty"`
	Way  string `toml:"way"`
	In   string `toml:"in"` // answers to Way
	Out  string `toml:"out"`
}

// Alarm is the call for help.
type Alarm struct {
	Form      string `toml:"form"`
	Question  string `toml:"question"`  // what has happened: its choices are the buttons
	Household string `toml:"household"` // question that names who needs help, "" for none
	People    string `toml:"people"`
	// Answer: entities of this type whose field names the alarm say that help comes.
	Answer string `toml:"answer"`
	Of     string `toml:"of"`
	Facts  []Fact `toml:"facts"`
}

// Users are those who use the device.
type Users struct {
	Type string `toml:"type"`
	Role string `toml:"role"`
	Team string `toml:"team"`
	// May lists who may answer questions of an otor:role: values of Role.
	May map[string][]string `toml:"may"`
}

// pages reads pages.toml, which a pack need not have.
func (l *loader) pages(forms []*form.Form) {
	src, err := readBounded(l.dir, pagesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.fault(pagesFile, 0, "%v", err)
		return
	}
	var p Pages
	if !l.toml(pagesFile, bytes.TrimPrefix(src, []byte("\ufeff")), &p) {
		return
	}
	c := &pagesCheck{loader: l, forms: map[string]*form.Form{}, lines: tomlLines(src)}
	for _, f := range forms {
		if f != nil {
			c.forms[f.ID] = f
		}
	}
	c.all(&p)
	l.pack.Pages = &p
}

// pagesCheck holds pages.toml against the rest of the pack.
type pagesCheck struct {
	*loader
	forms map[string]*form.Form
	lines map[string]int
}

func (c *pagesCheck) all(p *Pages) {
	for _, typ := range sortedKeys(p.Names) {
		c.path("names", typ, p.Names[typ])
	}
	if v := p.Visited; v != nil {
		c.visited(v)
	}
	if r := p.Route; r != nil {
		c.fields("route", r.Type, r.Order, r.Km)
		c.facts("route", r.Type, r.Facts)
		c.fields("route", r.Hazard, r.Open, r.HazardTitle, r.Seen)
		c.facts("route", r.Hazard, r.HazardFacts)
		c.offered("route", append(slices.Concat(r.HazardForms, r.Forms), r.Report)...)
	}
	if n := p.Notices; n != nil {
		c.fields("notices", n.Type, n.Published, n.Must, n.More)
		c.fields("notices", n.Receipt, n.Of, n.By, n.How)
		if e, ok := c.pack.Entity(n.Type); ok && n.More != "" {
			f, _ := e.Field(n.More)
			c.facts("notices", f.Ref, n.MoreFacts)
			c.fields("notices", f.Ref, n.Colour)
		}
		c.questions("notices", n.Form, n.FormBy, n.FormHow)
	}
	if d := p.Depots; d != nil {
		c.fields("depots", d.Type, d.Stop)
		if d.Move != nil {
			c.questions("depots.move", d.Move.Form, d.Move.Item, d.Move.Qty, d.Move.Way)
		}
		c.facts("depots", d.Type, d.Facts)
		c.fields("depots", d.Stock, d.At, d.Item, d.Qty, d.Least, d.Low)
		c.facts("depots", d.Stock, d.StockFacts)
		c.offered("depots", d.Forms...)
	}
	if a := p.Alarm; a != nil {
		c.questions("alarm", a.Form, a.Question, a.Household, a.People)
		if a.Answer != "" {
			c.fields("alarm", a.Answer, a.Of)
			c.facts("alarm", a.Answer, a.Facts)
		}
	}
	if u := p.Users; u != nil {
		c.fields("users", u.Type, u.Role, u.Team)
	}
}

func (c *pagesCheck) visited(v *Visited) {
	c.fields("visited", v.Type, v.Stop)
	c.offered("visited", v.Forms...)
	c.facts("visited", v.Type, v.Facts)
	for _, part := range v.Parts {
		c.labelled(pagesFile, c.lines["visited"], "part "+clip(part.ID), part.Label)
		c.fields("visited", part.Type, part.By, part.Title)
		c.fields("visited", part.Type, sortedKeys(part.Only)...)
		c.facts("visited", part.Type, part.Facts)
		c.offered("visited", part.Forms...)
	}
	if b := v.Balance; b != nil {
		c.fields("visited.balance", v.Type, b.Counted, b.Allowed, b.Share, b.Status)
		c.labelled(pagesFile, c.lines["visited.balance"], "balance", b.Label)
	}
}

// fields reports a type or fields that the pack does not have. "" is passed over.
func (c *pagesCheck) fields(table, typ string, fields ...string) {
	c.known(pagesFile, c.lines[table], typ)
	e, ok := c.pack.Entity(typ)
	if !ok {
		return
	}
	has := c.fieldsOf(&e)
	for _, f := range fields {
		if f != "" && !slices.Contains(has, f) {
			c.fault(pagesFile, c.lines[table], "%s has no field %q: correct the name", typ, clip(f))
		}
	}
}

func (c *pagesCheck) facts(table, typ string, facts []Fact) {
	for _, f := range facts {
		c.labelled(pagesFile, c.lines[table], "fact "+clip(f.Field), f.Label)
		if other, field, ok := strings.Cut(f.Field, ":"); ok {
			c.fields(table, other, field)
			put(c.loader.facts, other+"."+field, f.Label)
		} else {
			c.fields(table, typ, f.Field)
			put(c.loader.facts, typ+"."+f.Field, f.Label)
		}
	}
}

// path follows "head.name" from a type; the last step may be told by language.
func (c *pagesCheck) path(table, typ, path string) {
	c.known(pagesFile, c.lines[table], typ)
	steps := strings.Split(path, ".")
	for i, step := range steps {
		e, ok := c.pack.Entity(typ)
		if !ok {
			return
		}
		has := c.fieldsOf(&e)
		last := i == len(steps)-1
		if !slices.ContainsFunc(has, func(f string) bool { return f == step || last && strings.HasPrefix(f, step+"_") }) {
			c.fault(pagesFile, c.lines[table], "%s has no field %q: correct the path %q", typ, clip(step), clip(path))
			return
		}
		f, _ := e.Field(step)
		typ = f.Ref
	}
}

// offered reports forms that the pack does not have.
func (c *pagesCheck) offered(table string, ids ...string) {
	for _, id := range ids {
		if id != "" && c.forms[id] == nil {
			c.fault(pagesFile, c.lines[table], "there is no form %q: correct its id", clip(id))
		}
	}
}

func (c *pagesCheck) questions(table, id string, names ...string) {
	c.offered(table, id)
	f := c.forms[id]
	if f == nil {
		return
	}
	for _, n := range names {
		if n != "" && !slices.ContainsFunc(f.Fields, func(x form.Field) bool { return x.Name == n }) {
			c.fault(pagesFile, c.lines[table], "form %s has no question %q: correct the name", id, clip(n))
		}
	}
}

// carried is a calculation that is another question's answer.
var carried = regexp.MustCompile(`^\$\{(\w+)\}$`)

func choicesOf(fields []form.Field, name string) []form.Choice {
	for _, x := range fields {
		if x.Name == name {
			return x.Choices
		}
	}
	return nil
}

// FormTitle is what a form is called, by language.
func (p *Pack) FormTitle(f *form.Form, lang string) string { return p.In(f.Title, lang) }

// RuleWord is what a rule says that it noticed, by language; "" for no rule of the pack.
func (p *Pack) RuleWord(rule, lang string) string { return p.In(p.RuleWords[rule], lang) }

// In gives words in a language, or else in the pack's first that has some.
func (p *Pack) In(words form.Labels, lang string) string {
	for _, l := range append([]string{lang}, p.Languages...) {
		if w := words[l]; w != "" {
			return w
		}
	}
	return ""
}
