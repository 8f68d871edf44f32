package rules

import (
	"slices"
	"strings"
)

// derives compiles derived fields and orders them so that each comes after what
// it needs of its own entity. A circle is refused.
func (c *compiler) derives(s *Set) {
	type node struct {
		derived
		index int
	}
	nodes := map[[2]string]*node{}
	for i, d := range c.src.Derives {
		c.at = Fault{Kind: "derive", Index: i}
		if _, ok := c.src.Fields[d.Entity]; !ok {
			c.fault("entity", "unknown entity type %q: declare it in entities.toml", d.Entity)
			continue
		}
		if slices.Contains(c.src.Fields[d.Entity], d.Field) {
			c.fault("field", "%s has a field %s that is written: choose another name", d.Entity, d.Field)
		}
		key := [2]string{d.Entity, d.Field}
		if nodes[key] != nil {
			c.fault("field", "%s.%s is derived twice: keep one", d.Entity, d.Field)
			continue
		}
		if p := c.program("value", d.Value, "entity", "today"); p != nil {
			nodes[key] = &node{derived{d, p}, i}
		}
	}
	state := map[[2]string]int{} // 1: being visited, 2: done
	var visit func(key [2]string, way []string)
	visit = func(key [2]string, way []string) {
		n := nodes[key]
		if n == nil || state[key] == 2 {
			return
		}
		way = append(slices.Clip(way), strings.Join(key[:], "."))
		if state[key] == 1 {
			c.at = Fault{Kind: "derive", Index: n.index}
			c.fault("value", "it is worked out of itself: %s; break the circle", strings.Join(way, " needs "))
			state[key] = 2
			return
		}
		state[key] = 1
		for _, need := range n.program.needs {
			visit(need, way)
		}
		if state[key] != 2 {
			state[key] = 2
			s.derived[key[0]] = append(s.derived[key[0]], n.derived)
		}
	}
	for _, d := range c.src.Derives {
		visit([2]string{d.Entity, d.Field}, nil)
	}
}

func (s *Set) isDerived(typ, field string) bool {
	return slices.ContainsFunc(s.derived[typ], func(d derived) bool { return d.Field == field })
}

// Derived lists the names of a type's derived fields.
func (s *Set) Derived(typ string) []string {
	if s == nil {
		return nil
	}
	out := make([]string, len(s.derived[typ]))
	for i, d := range s.derived[typ] {
		out[i] = d.Field
	}
	return out
}

// Derive works out the derived fields of one entity. Those that cannot be worked
// out are nil; err is then the first reason. today is a date as 2006-01-02.
func (s *Set) Derive(read Reader, today, typ, id string) (map[string]any, error) {
	b := s.book(read, today)
	all := b.entity(typ, id)
	out := make(map[string]any, len(s.derived[typ]))
	for _, d := range s.derived[typ] {
		out[d.Field] = all[d.Field]
	}
	return out, b.errs[[2]string{typ, id}]
}

func (s *Set) book(read Reader, today string) *book {
	return &book{set: s, read: read, today: today, done: map[[2]string]map[string]any{}, errs: map[[2]string]error{}}
}

// Work is one sitting over a [Reader]: what was derived is kept for the next
// question. It is for one goroutine, and for as long as the reader does not change.
type Work struct{ b *book }

// Sit begins a sitting on a day (2006-01-02).
func (s *Set) Sit(read Reader, today string) *Work { return &Work{s.book(read, today)} }

// Entity gives all fields of an entity, derived ones among them; numbers are float64.
func (w *Work) Entity(typ, id string) map[string]any { return w.b.entity(typ, id) }
