package merge

import (
	"fmt"
	"slices"

	"otor/internal/entry"
)

// Touch is what an entry does to one entity.
type Touch struct {
	Ref entry.Ref
	Change
}

// Changes reads what an entry does to the entities that it names, in the order
// in which it names them. An entity that it names and does not write to is
// among them with a change without writes. The error says what is wrong with
// the writes: such an entry is not applied.
func Changes(pub entry.Public, priv entry.Private) ([]Touch, error) {
	out := make([]Touch, len(pub.Refs))
	for i, r := range pub.Refs {
		if r.Type == "" || r.ID == "" || slices.Contains(pub.Refs[:i], r) {
			return nil, fmt.Errorf("entity %d has no type or id, or stands twice", i)
		}
		out[i] = Touch{Ref: r, Change: Change{Dot: pub.Dot, HLC: pub.HLC}}
		if pub.Was != nil {
			out[i].Also = append(out[i].Also, pub.Was.Dot)
		}
	}
	priors := make(map[uint32]*Prior, len(priv.Priors))
	for _, p := range priv.Priors {
		raw, err := encodeValue(p.Value)
		if err != nil {
			raw = rawNull // no fault of its author: it is what a state of before showed
		}
		if int(p.Write) >= len(priv.Writes) || priors[p.Write] != nil {
			return nil, fmt.Errorf("what was displayed for write %d: there is no such write, or it was said before", p.Write)
		}
		priors[p.Write] = &Prior{Dot: p.Dot, Raw: raw}
	}
	for i, w := range priv.Writes {
		if int(w.Ref) >= len(out) || int(w.Context) >= max(1, len(pub.Contexts)) {
			return nil, fmt.Errorf("write %d names an entity or a context that the entry does not have", i)
		}
		t := &out[w.Ref]
		x, err := readWrite(w)
		if err != nil {
			return nil, fmt.Errorf("write %d to %s: %w", i, t.Ref, err)
		}
		for _, o := range t.Writes {
			if o.Register == x.Register {
				return nil, fmt.Errorf("write %d to %s: %s is written twice", i, t.Ref, w.Field)
			}
		}
		if len(pub.Contexts) > 0 {
			x.Context = pub.Contexts[w.Context]
		}
		x.Prior = priors[uint32(i)]
		t.Writes = append(t.Writes, x)
	}
	return out, nil
}

func readWrite(w entry.Write) (Write, error) {
	out := Write{Register: w.Field, Op: w.Op}
	if err := checkRegister(w.Field); err != nil {
		return Write{}, err
	}
	switch w.Op {
	case entry.Move:
		n, ok := w.Value.(int64)
		if !ok || n > MaxMove || n < -MaxMove {
			return Write{}, fmt.Errorf("%s: expected a movement as a whole number within %d", w.Field, int64(MaxMove))
		}
		out.Move = n
		return out, nil
	case entry.Set, entry.Add:
		raw, err := encodeValue(w.Value)
		if err != nil {
			return Write{}, fmt.Errorf("%s: %w", w.Field, err)
		}
		out.Raw = raw
		return out, nil
	default:
		return Write{}, fmt.Errorf("%s: unknown operation %d", w.Field, w.Op)
	}
}

// Put adds the writes to one entity to an entry that is being made. ref is the
// entity's place in pub.Refs. Equal contexts are listed once.
func Put(pub *entry.Public, priv *entry.Private, ref int, writes []Write) {
	for _, w := range writes {
		out := entry.Write{Ref: uint32(ref), Field: w.Register, Op: w.Op, Value: decodeValue(w.Raw)}
		if w.Op == entry.Move {
			out.Value = w.Move
		} else {
			out.Context = contextOf(pub, w)
		}
		if w.Prior != nil {
			priv.Priors = append(priv.Priors, entry.Prior{Write: uint32(len(priv.Writes)), Dot: w.Prior.Dot, Value: w.Prior.Get()})
		}
		priv.Writes = append(priv.Writes, out)
	}
}

func contextOf(pub *entry.Public, w Write) uint32 {
	for i, c := range pub.Contexts {
		if c.Equal(w.Context) {
			return uint32(i)
		}
	}
	pub.Contexts = append(pub.Contexts, w.Context)
	return uint32(len(pub.Contexts) - 1)
}
