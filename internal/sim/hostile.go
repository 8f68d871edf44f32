package sim

import (
	"context"
	"crypto/sha256"
	"time"

	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/identity"
	"otor/internal/wire"
)

// hostileName is the enrolled device that breaks every rule that it can.
const hostileName dot.Device = "D-900"

// hostile has the right key and no manners.
type hostile struct {
	w     *world
	dice  dice
	key   identity.SigningKey
	other identity.SigningKey // that no hub knows
	heads map[dot.Lane][]entry.Hash
	made  map[dot.Dot]entry.Raw    // what it said last under a name
	even  map[dot.Lane][]entry.Raw // of a life of its own in which it keeps to the order, so that it is heard
}

func newHostile(ctx context.Context, w *world) (*hostile, error) {
	h := &hostile{w: w, dice: newDice(w.cfg.Seed, "hostile"), heads: make(map[dot.Lane][]entry.Hash), made: make(map[dot.Dot]entry.Raw), even: make(map[dot.Lane][]entry.Raw)}
	var err error
	if h.key, err = keyOf(w.cfg.Seed, string(hostileName)); err != nil {
		return nil, err
	}
	if h.other, err = keyOf(w.cfg.Seed, "stranger"); err != nil {
		return nil, err
	}
	for _, l := range dot.Lanes() {
		h.heads[l] = []entry.Hash{entry.Genesis(h.chain(l))}
	}
	return h, w.hub.enrol(ctx, hostileName, h.key.Public())
}

func (h *hostile) chain(l dot.Lane) dot.Chain {
	return dot.Chain{Device: hostileName, Incarnation: 1, Lane: l}
}

// raw is an entry that may be anything: new, or one of before, in another history.
func (h *hostile) raw(at dot.Dot) (entry.Raw, error) {
	if r, ok := h.made[at]; ok && h.dice.is(0.5) {
		return r, nil
	}
	r, err := h.fresh(at)
	for err == nil && r.Size() > entry.MaxRaw { // no frame carries it
		r, err = h.fresh(at)
	}
	h.made[at] = r
	return r, err
}

func (h *hostile) fresh(at dot.Dot) (entry.Raw, error) {
	private := entry.Private{Fields: map[string]any{"words": words(h.dice, 60)}}
	if _, err := h.dice.Read(private.Salt[:]); err != nil {
		return entry.Raw{}, err
	}
	pub := entry.Public{
		Dot: at, HLC: hlc.Time{Millis: noon.UnixMilli()}, Wall: noon.UnixMilli(), Actor: "nobody", Form: entry.FormRef{ID: "sos", Version: 1},
	}
	if h.dice.is(0.7) {
		if at.Lane == dot.Record {
			pub.Form.ID, private.Fields = "edit", nil
		}
		h.write(&pub, &private)
		h.w.did("hostile", func(w *Work) { w.Odd += len(private.Writes) }, "writes to %.80s", pub.Refs)
	}
	priv, err := private.Encode()
	if err != nil {
		return entry.Raw{}, err
	}
	if at.Seq == 1 {
		pub.Origin = &entry.Origin{Reason: entry.Installed}
	}
	switch h.dice.IntN(12) {
	case 0: // it takes the name of somebody else's entry
		pub.Dot = dot.Chain{Device: h.w.devices[0].id, Incarnation: 1, Lane: at.Lane}.At(1 + max(1, at.Seq%dot.MaxSeq))
		pub.Origin = nil
	case 1:
		pub.Form = entry.FormRef{ID: "visit", Version: 1 << 30}
	case 2:
		b := make([]byte, 1+h.dice.IntN(80))
		_, err := h.dice.Read(b)
		return entry.NewRaw(b, priv), err
	}
	b, err := pub.Encode()
	return entry.NewRaw(b, priv), err
}

// frame seals entries of its own chain: in order, above a hole that it leaves,
// once more with other content, or at the end of all seqs.
func (h *hostile) frame() ([]byte, dot.Lane, error) {
	l := dot.Lanes()[h.dice.IntN(2)]
	c, heads := h.chain(l), h.heads[l]
	first := len(heads) // seq of the next entry
	switch h.dice.IntN(9) {
	case 2:
		return h.far(l)
	case 0: // a hole: entries that nobody will ever see
		for range 1 + h.dice.IntN(3) {
			r, err := h.raw(c.At(dot.Seq(len(heads))))
			if err != nil {
				return nil, 0, err
			}
			heads = append(heads, entry.Next(heads[len(heads)-1], r))
		}
		first = len(heads)
	case 1: // another history
		first = 1 + h.dice.IntN(len(heads))
		heads = heads[:first:first]
	}
	var raws []entry.Raw
	for range 1 + h.dice.IntN(4) {
		r, err := h.raw(c.At(dot.Seq(len(heads))))
		if err != nil {
			return nil, 0, err
		}
		raws = append(raws, r)
		heads = append(heads, entry.Next(heads[len(heads)-1], r))
	}
	h.heads[l] = heads
	b, _, err := batch.Seal(c, dot.Seq(first), heads[first-1], raws, h.key, batch.Small)
	return b, l, err
}

// far is a frame of one entry as far up as there are seqs, or anywhere: the hole below it is a lie.
func (h *hostile) far(l dot.Lane) ([]byte, dot.Lane, error) {
	at := h.chain(l).At(dot.MaxSeq - dot.Seq(h.dice.IntN(4)))
	if h.dice.is(0.6) {
		at.Seq = dot.Seq(1 + h.dice.Int64N(1<<h.dice.IntN(50))) //nolint:gosec // positive
	}
	r, err := h.raw(at)
	if err != nil {
		return nil, 0, err
	}
	var before entry.Hash
	if _, err := h.dice.Read(before[:]); err != nil {
		return nil, 0, err
	}
	b, _, err := batch.Seal(at.Chain, at.Seq, before, []entry.Raw{r}, h.key, batch.Small)
	return b, l, err
}

// act lets it do its worst, by its own connection or in a carrier's hands: mostly a frame,
// and at times many, each above a hole of its own.
func (h *hostile) act() error {
	if h.dice.is(0.5) {
		return h.send(0, h.inOrder)
	}
	if !h.dice.is(0.25) {
		return h.send(0, h.frame)
	}
	l := dot.Lanes()[h.dice.IntN(2)]
	var after time.Duration // not at one moment: how many of them a worker takes must not be chance
	for range 5 + h.dice.IntN(20) {
		r, err := h.raw(h.chain(l).At(dot.Seq(len(h.heads[l]))))
		if err != nil {
			return err
		}
		h.heads[l] = append(h.heads[l], entry.Next(h.heads[l][len(h.heads[l])-1], r)) // nobody will ever see it
		after += h.dice.within(time.Millisecond, 100*time.Millisecond)
		if err := h.send(after, func() ([]byte, dot.Lane, error) { return h.one(l) }); err != nil {
			return err
		}
	}
	return nil
}

// inOrder is a frame of what the hub lacks of the life that has no holes.
func (h *hostile) inOrder() ([]byte, dot.Lane, error) {
	l := dot.Lanes()[h.dice.IntN(2)]
	c := dot.Chain{Device: hostileName, Incarnation: 2, Lane: l}
	h.w.mu.Lock()
	first := h.w.committed[c].Through() + 1
	h.w.mu.Unlock()
	for range 1 + h.dice.IntN(3) {
		r, err := h.raw(c.At(dot.Seq(len(h.even[l]) + 1)))
		if err != nil {
			return nil, 0, err
		}
		h.even[l] = append(h.even[l], r)
	}
	before := entry.Genesis(c)
	for _, r := range h.even[l][:first-1] {
		before = entry.Next(before, r)
	}
	raws := h.even[l][first-1:]
	b, _, err := batch.Seal(c, first, before, raws[:min(len(raws), 8)], h.key, batch.Small)
	return b, l, err
}

// one is a frame of the next entry of its chain.
func (h *hostile) one(l dot.Lane) ([]byte, dot.Lane, error) {
	c, heads := h.chain(l), h.heads[l]
	at := c.At(dot.Seq(len(heads)))
	r, err := h.raw(at)
	if err != nil {
		return nil, 0, err
	}
	h.heads[l] = append(heads, entry.Next(heads[len(heads)-1], r))
	b, _, err := batch.Seal(c, at.Seq, heads[at.Seq-1], []entry.Raw{r}, h.key, batch.Small)
	return b, l, err
}

func (h *hostile) send(after time.Duration, frame func() ([]byte, dot.Lane, error)) error {
	b, l, err := frame()
	if err != nil {
		return err
	}
	h.w.did("hostile", func(w *Work) { w.Hostile++ }, "%d bytes", len(b))
	m := message{sender: hostileName, frame: b}
	s := h.w.streamOf(l)
	if h.dice.is(0.3) {
		m.sender, m.relayed, s = h.w.devices[h.dice.IntN(len(h.w.devices))].id, true, h.w.records
	}
	w := h.w
	w.later(after, func() { s.put(m) })
	return nil
}

// greet says a hello: one that no hub may take for good, or lies that it cannot know for such.
func (h *hostile) greet(ctx context.Context) error {
	b := make([]byte, h.dice.IntN(200))
	if _, err := h.dice.Read(b); err != nil {
		return err
	}
	lies := wire.Hello{Clock: int64(h.dice.Uint64()), Lanes: []wire.LaneHead{
		{Incarnation: 1, Lane: dot.Record, Last: dot.Seq(h.dice.Int64N(int64(dot.MaxSeq))), Received: 9, Archived: 12},
		{Incarnation: 1, Lane: dot.Record, Last: 3, Head: entry.Hash(h.key.Public())},
	}}
	refused := true
	switch h.dice.IntN(4) {
	case 0:
	case 1:
		lies.Lanes[0].Incarnation = dot.Incarnation(2 + h.dice.IntN(1000))
		fallthrough
	default:
		refused = false // a life that nobody knows is passed over
		var err error
		if b, err = wire.Marshal(lies); err != nil {
			return err
		}
	}
	reply := h.w.hub.hello(ctx, hostileName, b)
	if reply == nil {
		return nil
	}
	if w, err := wire.Unmarshal[wire.Welcome](reply); err != nil || (w.Refused != nil) != refused {
		h.w.violate("a hello got the wrong answer (%v, refused %t): %x", err, w.Refused != nil, b)
	}
	return nil
}

// forgery is a frame that nobody vouches for.
type forgery struct {
	// of is the genuine frame that it was made from; nil: it was made up. The
	// packing of a body is not signed, only what it holds: a change that
	// leaves header and content as they were makes another copy, and no forgery.
	of    *batch.Header
	aside bool // the hub has set it aside
}

// harmless reports whether a changed frame still says what the genuine one said.
func (f *forgery) harmless(frame []byte) bool {
	if f.of == nil {
		return false
	}
	opened, err := batch.Open(frame)
	if err != nil || opened.Header != *f.of {
		return false
	}
	_, err = opened.Entries() // holds them against the heads
	return err == nil
}

// forge makes a frame that nobody vouches for and sends it by somebody's connection.
func (h *hostile) forge() error {
	b, of, err := h.forgery()
	if err != nil || b == nil {
		return err
	}
	w := h.w
	sum := sha256.Sum256(b)
	w.mu.Lock()
	if w.forged[sum] == nil {
		w.forged[sum] = &forgery{of: of}
	}
	w.mu.Unlock()
	w.did("hostile", func(n *Work) { n.Forged++ }, "forged %x", sum[:4])
	m := message{sender: w.devices[h.dice.IntN(len(w.devices))].id, relayed: h.dice.is(0.5), frame: b}
	w.streamOf(dot.Lanes()[h.dice.IntN(2)]).put(m)
	return nil
}

func (h *hostile) forgery() (frame []byte, of *batch.Header, err error) {
	victim := dot.Chain{Device: h.w.devices[h.dice.IntN(len(h.w.devices))].id, Incarnation: 1, Lane: dot.Lanes()[h.dice.IntN(2)]}
	key := h.other
	switch h.dice.IntN(6) {
	case 0:
		b := make([]byte, h.dice.IntN(400))
		_, err := h.dice.Read(b)
		return b, nil, err
	case 1:
		victim.Device = "D-999" // nobody has this name
	case 2:
		victim.Incarnation = 7
	case 3:
		key = h.key // enrolled, for another name
	default:
		return h.tampered()
	}
	n := dot.Seq(1 + h.dice.IntN(40))
	r, err := h.raw(victim.At(n))
	if err != nil {
		return nil, nil, err
	}
	frame, _, err = batch.Seal(victim, n, entry.Genesis(victim), []entry.Raw{r}, key, batch.Small)
	return frame, nil, err
}

// tampered is a genuine frame with something changed; nil: there is none yet.
func (h *hostile) tampered() ([]byte, *batch.Header, error) {
	t, ok := h.w.taped(h.dice)
	if !ok {
		return nil, nil, nil
	}
	genuine, err := batch.Open(t.frame)
	if err != nil {
		return nil, nil, err
	}
	b := append([]byte(nil), t.frame...)
	switch h.dice.IntN(4) {
	case 0:
		b = b[:h.dice.IntN(len(b))]
	case 1:
		b = append(b, byte(h.dice.IntN(256)))
	default:
		b[h.dice.IntN(len(b))] ^= byte(1 + h.dice.IntN(255))
	}
	return b, &genuine.Header, nil
}

// taped draws a frame from the tape.
func (w *world) taped(d dice) (taped, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tape) == 0 {
		return taped{}, false
	}
	return w.tape[d.IntN(len(w.tape))], true
}
