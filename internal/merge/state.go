package merge

import (
	"cmp"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/vv"
)

// State is what is known of one entity. The zero value knows nothing. It is
// not safe for concurrent use.
type State struct {
	Ref entry.Ref
	// Seen covers the entries that were disposed of here: applied, superseded,
	// quarantined, refused, sealed. Never their contexts.
	Seen vv.Vector

	values  map[string][]Value // by register; sorted by first dot
	tallies map[string]Tally
	// beyond is what contexts of superseded writes name, and no context of a value that
	// stands. Mostly there is none: who replaces a value has what that one had in view.
	beyond map[string]vv.Vector
	extra  []pair // of a newer version, kept as they came
}

// New returns the state of an entity of which nothing is known.
func New(ref entry.Ref) *State { return &State{Ref: ref} }

// Value is one surviving value of a register.
type Value struct {
	// Dots names the entry that wrote it; several when one fact came under
	// several dots (see [Change.Also]). Sorted, the first is its name.
	Dots []dot.Dot
	HLC  hlc.Time
	// Add says that it stands beside what was displayed in conflict. Its context
	// is then empty: it replaces nothing.
	Add     bool
	Raw     []byte    // the value as CBOR
	Context vv.Vector // what its writer had seen, of this register
	Prior   *Prior

	extra []pair
}

// Prior is the value that was displayed where another was written: what stays
// provisionally when that one turns out to be a side of a conflict.
type Prior struct {
	Dot dot.Dot
	Raw []byte
}

// Tally is the sum of a count's movements.
type Tally struct {
	Sum   int64
	Moves vv.Vector // the latest movement of each chain
}

// Get decodes the value: nil, bool, int64, float64, string, []any or map[string]any.
func (v Value) Get() any { return decodeValue(v.Raw) }

// Get decodes the value, as [Value.Get].
func (p *Prior) Get() any { return decodeValue(p.Raw) }

// IsEmpty reports whether nothing was ever written to the entity.
func (s *State) IsEmpty() bool { return len(s.values) == 0 && len(s.tallies) == 0 }

// Values lists the surviving values of a register, sorted by dot. They must not be changed.
func (s *State) Values(register string) []Value { return s.values[register] }

// Tally gives the sum of a count's movements.
func (s *State) Tally(register string) Tally { return s.tallies[register] }

// Registers lists the names of what was written, sorted.
func (s *State) Registers() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range s.values {
			if !yield(name) {
				return
			}
		}
		for name := range s.tallies {
			if _, both := s.values[name]; !both && !yield(name) {
				return
			}
		}
	})
}

// Clone returns a copy that can be changed.
func (s *State) Clone() *State {
	c := &State{Ref: s.Ref, Seen: maps.Clone(s.Seen), values: make(map[string][]Value, len(s.values)), tallies: maps.Clone(s.tallies), beyond: maps.Clone(s.beyond), extra: s.extra}
	for name, vs := range s.values {
		c.values[name] = slices.Clone(vs)
	}
	for name, t := range c.tallies {
		t.Moves = maps.Clone(t.Moves)
		c.tallies[name] = t
	}
	return c
}

// see notes that an entry was disposed of here.
func (s *State) see(d dot.Dot) {
	if d.IsZero() {
		return
	}
	if s.Seen == nil {
		s.Seen = make(vv.Vector, 4)
	}
	s.Seen[d.Chain] = max(s.Seen[d.Chain], d.Seq)
}

// named reports whether v covers one of the dots.
func named(v vv.Vector, dots []dot.Dot) bool {
	return len(v) > 0 && slices.ContainsFunc(dots, v.Covers)
}

func share(a, b []dot.Dot) bool {
	return slices.ContainsFunc(a, func(d dot.Dot) bool { return slices.Contains(b, d) })
}

func byDot(a, b Value) int { return a.Dots[0].Compare(b.Dots[0]) }

// later orders values by logical time, then dot.
func later(a, b Value) int { return cmp.Or(a.HLC.Compare(b.HLC), byDot(a, b)) }

// Modes of CBOR for values; both are safe for concurrent use.
var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		IntDec: cbor.IntDecConvertSignedOrFail, MaxNestedLevels: maxDepth, DefaultMapType: mapType,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options written here, not input
	}
	return v
}
