package entry

import (
	"otor/internal/dot"
	"otor/internal/vv"
)

// MaxSize is the size limit of an entry with this public part, in bytes.
func (p Public) MaxSize() int {
	if p.Was != nil {
		return MaxFor(p.Dot.Lane) + RehomedRoom
	}
	return MaxFor(p.Dot.Lane)
}

// First names the form in which an entry was captured: its own dot and hash, or
// for a re-homed one those of its was. All forms of one captured fact have the
// same first form, and together they have one effect.
func (p Public) First(own Hash) Was {
	if p.Was != nil {
		return *p.Was
	}
	return Was{Dot: p.Dot, Hash: own}
}

// Rehome gives the public part that an entry has under a new dot: the original
// facts and times, and was = its first form. hash is the old form's own. A
// device's own entries that moved as well are named by their new dots, in contexts
// and in corrects.
func (p Public) Rehome(to dot.Dot, origin *Origin, hash Hash, moved Places) Public {
	first := p.First(hash)
	p.Dot, p.Origin, p.Was = to, origin, &first
	contexts := make([]vv.Vector, len(p.Contexts))
	for i, c := range p.Contexts {
		contexts[i] = rehomeContext(c, moved)
	}
	if p.Contexts != nil {
		p.Contexts = contexts
	}
	if p.Corrects != nil {
		if at, ok := moved(*p.Corrects); ok && !at.Exact.IsZero() {
			p.Corrects = &at.Exact
		}
	}
	return p
}

// Places says where the device's own entries are now; ok is false for a chain
// of which nothing moved.
type Places func(d dot.Dot) (p Place, ok bool)

// Place says what became of a chain up to one of its entries.
type Place struct {
	Stayed dot.Seq   // up to here entries kept their dots
	Covers []dot.Dot // what lies above, up to the entry, is now up to these
	Exact  dot.Dot   // the entry itself is now this; the zero dot when it stayed, or is nowhere
}

// rehomeContext covers the same facts by the names that they have now.
func rehomeContext(c vv.Vector, moved Places) vv.Vector {
	out := make(vv.Vector, len(c))
	cover := func(d dot.Dot) {
		if d.Seq > 0 {
			out[d.Chain] = max(out[d.Chain], d.Seq)
		}
	}
	for chain, s := range c {
		at, ok := moved(chain.At(s))
		if !ok || s <= at.Stayed {
			cover(chain.At(s))
			continue
		}
		cover(chain.At(at.Stayed))
		for _, d := range at.Covers {
			cover(d)
		}
	}
	return out
}
