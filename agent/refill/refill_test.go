package refill_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"otor/agent/refill"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

var chain = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}

// history is a chain of n entries of about so many bytes, with its heads.
func history(t testing.TB, n, size int) (raws []entry.Raw, heads []entry.Hash) {
	t.Helper()
	heads = append(heads, entry.Genesis(chain))
	for i := range n {
		pub := entry.Public{Dot: chain.At(dot.Seq(i + 1)), Wall: 1758160020000 + int64(i), System: "test"}
		pub.HLC.Millis = pub.Wall
		if i == 0 {
			pub.Origin = &entry.Origin{Reason: entry.Installed}
		}
		b, err := pub.Encode()
		if err != nil {
			t.Fatal(err)
		}
		private := append([]byte(fmt.Sprintf("%08d", i)), make([]byte, size)...)
		r := entry.NewRaw(b, private)
		raws, heads = append(raws, r), append(heads, entry.Next(heads[i], r))
	}
	return raws, heads
}

// device has holes, and notes what was put into them.
type device struct {
	holes []refill.Hole
	got   map[dot.Seq]entry.Raw
}

func (d *device) Holes() []refill.Hole { return d.holes }

func (d *device) Refill(_ context.Context, _ dot.Chain, first dot.Seq, _ entry.Hash, es []entry.Raw) error {
	for i, e := range es {
		d.got[first+dot.Seq(i)] = e
	}
	return nil
}

// hub answers from raws, page by page; twist may change a page.
type hub struct {
	raws   []entry.Raw
	page   int
	asked  int
	twist  func(asked int, p *wire.RefillPage)
	closes int // the link breaks at this request
}

func (h *hub) Refill(_ context.Context, r wire.Refill) (wire.RefillPage, error) {
	h.asked++
	if h.asked == h.closes {
		return wire.RefillPage{}, errors.New("the link broke")
	}
	p := wire.RefillPage{First: r.First}
	for seq := r.First; seq <= r.Last && int(seq) <= len(h.raws) && len(p.Entries) < h.page; seq++ {
		if h.raws[seq-1].Public == nil {
			break // the hub does not have it
		}
		p.Entries = append(p.Entries, h.raws[seq-1].Encode())
	}
	if h.twist != nil {
		h.twist(h.asked, &p)
	}
	return p, nil
}

// What comes back is what was there, whatever the pages; and what was twisted
// on its way is not taken.
func TestFill(t *testing.T) {
	raws, heads := history(t, 60, 100)
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.IntRange(1, 60).Draw(rt, "first")
		last := rapid.IntRange(first, 60).Draw(rt, "last")
		d := &device{got: map[dot.Seq]entry.Raw{}, holes: []refill.Hole{{
			Chain: chain, Run: lane.Run(dot.Seq(first), dot.Seq(last)), Before: heads[first-1], After: heads[last],
		}}}
		h := &hub{raws: raws, page: rapid.IntRange(1, 70).Draw(rt, "page")}
		kind := rapid.SampledFrom([]string{"", "flip", "drop", "swap", "erase", "more", "garbage"}).Draw(rt, "twist")
		at := rapid.IntRange(1, (last-first)/h.page+1).Draw(rt, "at")
		h.twist = func(asked int, p *wire.RefillPage) {
			if asked != at || len(p.Entries) == 0 {
				return
			}
			i := rapid.IntRange(0, len(p.Entries)-1).Draw(rt, "entry")
			switch kind {
			case "flip":
				b := append([]byte{}, p.Entries[i]...)
				b[len(b)-1] ^= 1
				p.Entries[i] = b
			case "drop":
				p.Entries = append(append([][]byte{}, p.Entries[:i]...), p.Entries[i+1:]...)
			case "swap":
				p.Entries[i] = raws[(int(p.First)+i+1)%60].Encode()
			case "erase": // another content under the same public part
				p.Entries[i] = entry.NewRaw(raws[int(p.First)+i-1].Public, []byte("another")).Encode()
			case "more":
				p.Entries = append(p.Entries, raws[0].Encode())
			case "garbage":
				p.Entries[i] = []byte{0xff, 0x00}
			}
		}
		r, err := refill.Fill(t.Context(), d, h)
		if err != nil {
			rt.Fatal(err)
		}
		for seq, e := range d.got {
			if !e.Equal(raws[seq-1]) || int(seq) < first || int(seq) > last {
				rt.Fatalf("%d was refilled with something else", seq)
			}
		}
		whole := last - first + 1
		if kind == "" && (len(d.got) != whole || r.Back != uint64(whole) || len(r.Left) != 0) {
			rt.Fatalf("%d of %d came back: %+v", len(d.got), whole, r)
		}
		if len(d.got) != whole && len(r.Left) != 1 {
			rt.Fatalf("%d of %d came back, and nobody says why: %+v", len(d.got), whole, r)
		}
	})
}

// A hole beyond the memory that a walk may take is asked for twice in part, and
// a hub that says something else the second time is not believed.
func TestFillLarge(t *testing.T) {
	const n = 120
	raws, heads := history(t, n, 60<<10) // 7 MB
	hole := []refill.Hole{{Chain: chain, Run: lane.Run(1, n), Before: heads[0], After: heads[n]}}
	d := &device{holes: hole, got: map[dot.Seq]entry.Raw{}}
	h := &hub{raws: raws, page: 2}
	r, err := refill.Fill(t.Context(), d, h)
	if err != nil || r.Back != n || len(d.got) != n {
		t.Fatalf("%+v, %v", r, err)
	}
	if h.asked <= n/2 || h.asked >= n {
		t.Errorf("asked %d times for %d pages: some, not all, are asked for twice", h.asked, n/2)
	}
	for seq, e := range d.got {
		if !e.Equal(raws[seq-1]) {
			t.Fatalf("%d came back with other bytes", seq)
		}
	}
	d = &device{holes: hole, got: map[dot.Seq]entry.Raw{}}
	h = &hub{raws: raws, page: 2, twist: func(asked int, p *wire.RefillPage) {
		if asked > n/2 {
			p.Entries[0] = entry.NewRaw(raws[p.First-1].Public, []byte("another")).Encode()
		}
	}}
	if r, err = refill.Fill(t.Context(), d, h); err != nil || len(r.Left) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	for seq, e := range d.got {
		if !e.Equal(raws[seq-1]) {
			t.Fatalf("%d was refilled with something else", seq)
		}
	}
}

// What the hub lacks, a refusal, and a link that breaks.
func TestFillNot(t *testing.T) {
	raws, heads := history(t, 40, 10)
	holes := []refill.Hole{
		{Chain: chain, Run: lane.Run(1, 10), Before: heads[0], After: heads[10]},
		{Chain: chain, Run: lane.Run(20, 40), Before: heads[19], After: heads[40]},
	}
	less := append([]entry.Raw{}, raws...)
	less[4] = entry.Raw{}
	d := &device{holes: holes, got: map[dot.Seq]entry.Raw{}}
	r, err := refill.Fill(t.Context(), d, &hub{raws: less, page: 100})
	if err != nil || r.Back != 21 || len(r.Left) != 1 || r.Left[0].Run != lane.Run(1, 10) {
		t.Fatalf("%+v, %v", r, err)
	}
	no := &wire.Refusal{Code: "revoked", What: "this device was revoked"}
	r, err = refill.Fill(t.Context(), d, &hub{raws: raws, page: 5, twist: func(_ int, p *wire.RefillPage) { p.Refused = no }})
	if !errors.Is(err, refill.ErrRefused) || r.Refused != no {
		t.Fatalf("%+v, %v", r, err)
	}
	d.got = map[dot.Seq]entry.Raw{}
	r, err = refill.Fill(t.Context(), d, &hub{raws: raws, page: 5, closes: 4})
	if err == nil || r.Back != 10 || len(d.got) != 10 {
		t.Fatalf("%+v, %v", r, err)
	}
}
