package sim

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"otor/hub/reconcile"
	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/form"
	"otor/internal/merge"
	"otor/internal/vv"
)

// What the hostile device writes that is in order takes effect, as anybody's does who is
// enrolled; it says of whatever it likes that it had it in view. Of the places where it did
// so the oracle knows nothing. So it does that to one household and one person, and writes
// what must be refused to all.

// victims are whom it writes to in order.
var victims = map[string]string{"household": "H-0", "person": "P-0"}

// oddRefs are what an entry says that it is about: an honest entity, and something that is
// none, or somebody else as well.
func oddRefs(d dice, honest entry.Ref) []entry.Ref {
	other := entry.Ref{Type: "household", ID: "H-1"}
	switch d.IntN(8) {
	case 0:
		other.ID = strings.Repeat("H", 300)
	case 1:
		other.ID = "H 1"
	case 2:
		other.ID = ""
	case 3:
		other = honest // twice
	case 4:
		other.Type = "house/hold"
	default:
		return []entry.Ref{honest}
	}
	return []entry.Ref{honest, other}
}

// oddValue is a value that must not get anywhere.
func oddValue(d dice) any {
	switch d.IntN(8) {
	case 0:
		return cbor.SimpleValue(32 + d.IntN(200)) //nolint:gosec // a byte
	case 1:
		return math.NaN()
	case 2:
		return math.Inf(1 - 2*d.IntN(2))
	case 3:
		var deep any = "deep"
		for range 13 + d.IntN(8) {
			deep = []any{deep}
		}
		return deep
	case 4:
		return []byte(words(d, 40))
	case 5:
		return uint64(math.MaxUint64)
	case 6:
		return "no text \xff"
	default:
		return map[string]any{"a": map[string]any{"b": float32(math.Inf(1))}}
	}
}

// lawfulValue is one that is strange and in order.
func lawfulValue(d dice) any {
	switch d.IntN(8) {
	case 0:
		return strings.Repeat(words(d, 40)+"x", 60<<10)[:60<<10-600]
	case 1:
		return map[string]any{"": nil, strings.Repeat("k", 300): []any{}}
	case 2:
		return 1e308
	case 3:
		return int64(math.MinInt64)
	case 4:
		return cbor.RawMessage{0xf7} // undefined, which is read as nothing
	case 5:
		return scopes[d.IntN(len(scopes))]
	default:
		return words(d, 60)
	}
}

// oddContext says what its author claims to have seen.
func oddContext(w *world, d dice) vv.Vector {
	switch d.IntN(4) {
	case 0: // thousands of devices that there are not
		v := make(vv.Vector)
		for i := range 1000 + d.IntN(2500) {
			v[dot.Chain{Device: dot.Device(fmt.Sprintf("X-%d", i)), Incarnation: 1, Lane: dot.Record}] = 1
		}
		return v
	case 1: // all that somebody will ever write
		return vv.Vector{{Device: w.devices[d.IntN(len(w.devices))].id, Incarnation: 1, Lane: dot.Record}: dot.MaxSeq}
	case 2:
		return vv.Vector{{Device: w.devices[0].id, Incarnation: 1, Lane: dot.Record}: dot.Seq(1 + d.IntN(60))}
	}
	return nil
}

// write adds writes to an entity that others write to.
func (h *hostile) write(pub *entry.Public, private *entry.Private) {
	d := h.dice
	honest := someEntity(d)
	odd := d.is(0.6)
	if odd {
		pub.Refs = oddRefs(d, honest)
	} else {
		honest.ID = victims[honest.Type]
		pub.Refs = []entry.Ref{honest}
	}
	if v := oddContext(h.w, d); v != nil {
		pub.Contexts = []vv.Vector{v}
	}
	may := []string{"name", "phone", "last", "area", "colour", "household", merge.Deleted}
	if odd {
		may = append(may, "", "/else", strings.Repeat("r", 300))
	}
	taken := make(map[string]bool)
	for range 1 + d.IntN(3) {
		w := entry.Write{Field: may[d.IntN(len(may))], Value: lawfulValue(d)}
		if taken[w.Field] {
			continue
		}
		taken[w.Field] = true
		switch {
		case odd && d.is(0.7):
			w.Value = oddValue(d)
		case odd && d.is(0.2):
			w.Ref, w.Context = uint32(d.IntN(4)), uint32(d.IntN(3)) //nolint:gosec // small
		}
		if w.Op = entry.Set; d.is(0.1) {
			w.Op = entry.Add
		}
		private.Writes = append(private.Writes, w)
		if d.is(0.2) {
			p := entry.Prior{Write: uint32(len(private.Writes) - 1), Dot: h.chain(dot.Record).At(1), Value: lawfulValue(d)} //nolint:gosec // small
			if odd || d.is(0.5) {
				p.Value = oddValue(d) // it is shown as nothing
			}
			private.Priors = append(private.Priors, p)
		}
	}
	if !odd && honest.Type == "household" && d.is(0.3) {
		private.Writes = append(private.Writes, entry.Write{Field: "stock", Op: entry.Move, Value: int64(d.IntN(2000) - 1000)})
	}
}

// notes what the hostile device wrote that takes effect: the oracle has no say there.
func (o *oracle) believe(touches []merge.Touch) {
	for _, t := range touches {
		for _, w := range t.Writes {
			o.lied[place{t.Ref, w.Register}] = true
		}
	}
}

// nameable reports whether something can be an entity.
func nameable(r entry.Ref) bool {
	return form.ValidEntityID(r.ID) && form.ValidEntityID(r.Type) && len(r.Type) <= 64 && !strings.Contains(r.Type, "/")
}

// checkReadable asks that all that the hub and the devices hold of entities can be read,
// whatever somebody wrote there.
func (w *world) checkReadable(ctx context.Context) error {
	for e, err := range w.hub.life.ledger.EntitiesOf(ctx, "") {
		if err != nil {
			return err
		}
		if _, err := merge.Decode(e.State); err != nil {
			w.violate("the hub's state of %s cannot be read: %v", e.Ref, err)
		}
		if !nameable(e.Ref) {
			w.violate("the hub has an entity that is none: %.48q", e.Ref)
		}
	}
	for _, d := range w.devices {
		for _, st := range d.proc.store.Feeds() {
			for r, err := range d.proc.store.Rows(ctx, st.Scope, feed.Entity, "") {
				if err != nil {
					return err
				}
				if ref, ok := feed.RefOf(r.Key); !ok || ref.Type == madeUp {
					continue
				}
				if _, err := merge.Decode(r.Body); err != nil {
					w.violate("%s cannot read its state of %s: %v", d.name, r.Key, err)
				}
			}
		}
	}
	return nil
}

// unsent are the entities of which devices do not get what is known, since no feed carries so much.
func (w *world) unsent(ctx context.Context) (map[entry.Ref]bool, error) {
	out := make(map[entry.Ref]bool)
	for e, err := range w.hub.life.ledger.EntitiesOf(ctx, "") {
		if err != nil {
			return nil, err
		}
		if len(e.State) > feed.MaxBody {
			out[e.Ref] = true
		}
	}
	return out, nil
}

// tooLarge reports whether devices do not get what is known of an entity since no feed
// carries so much, which the office must have been told.
func (w *world) tooLarge(ctx context.Context, l *ledger, e hubstore.Entity) (bool, error) {
	if len(e.State) <= feed.MaxBody {
		return false, nil
	}
	found, err := l.Findings(ctx, false)
	for _, f := range found {
		if f.Device == dot.Hub && f.Code == reconcile.UnsentFinding {
			return true, err
		}
	}
	w.violate("%s is too large for a feed (%d bytes), and nobody was told", e.Ref, len(e.State))
	return true, err
}
