package blob_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"otor/agent/blob"
	"otor/internal/entry"
	"otor/internal/wire"
)

// office takes files as a hub does, over a line that breaks now and then. resends
// makes it forget what it has, as a control.
type office struct {
	named, previews map[entry.Hash]bool
	have            map[entry.Hash][]byte
	size            map[entry.Hash]uint64
	breaks          func() bool

	got, lost int // bytes of pieces that were taken, and that a break took
	order     []string
	rate      int           // bytes a second that its line moves, 0: any number at once
	delay     time.Duration // of a round trip
	pieces    []int         // bytes of each that came
}

var errCut = errors.New("the line was cut")

func (o *office) at(h entry.Hash) wire.BlobAt {
	n := uint64(len(o.have[h]))
	switch {
	case !o.named[h]:
		return wire.BlobAt{Hash: h, Preview: true}
	case n == o.size[h]:
		return wire.BlobAt{Hash: h, State: wire.BlobWhole, At: n, Preview: true}
	}
	return wire.BlobAt{Hash: h, State: wire.BlobWanted, At: n, Preview: o.previews[h]}
}

func (o *office) Blob(_ context.Context, ask wire.BlobAsk) (a wire.BlobAnswer, err error) {
	cut, before := o.breaks(), o.breaks()
	if o.rate > 0 {
		time.Sleep(o.delay)
		if p := cmp.Or(ask.Piece, ask.Preview); p != nil {
			time.Sleep(time.Duration(len(p.Bytes)) * time.Second / time.Duration(o.rate))
		}
	}
	if p := ask.Piece; p != nil {
		o.pieces = append(o.pieces, len(p.Bytes))
		if cut && before {
			o.lost += len(p.Bytes)
			return a, errCut
		}
		if n := uint64(len(o.have[p.Hash])); n == p.Offset {
			o.have[p.Hash] = append(o.have[p.Hash], p.Bytes...)
			o.got += len(p.Bytes)
			o.order = append(o.order, "piece")
		} else {
			o.lost += len(p.Bytes)
		}
		a.At = []wire.BlobAt{o.at(p.Hash)}
	}
	if p := ask.Preview; p != nil {
		o.previews[p.Hash] = true
		o.order = append(o.order, "preview")
		a.At = []wire.BlobAt{o.at(p.Hash)}
	}
	for _, h := range ask.Offers {
		a.At = append(a.At, o.at(h))
	}
	if cut {
		return wire.BlobAnswer{}, errCut
	}
	return a, nil
}

// album is a queue in memory.
type album struct {
	all []entry.Blob
	at  map[entry.Hash]bool
}

func (a *album) Waiting() (out []entry.Blob) {
	for _, b := range a.all {
		if !a.at[b.Hash] {
			out = append(out, b)
		}
	}
	return out
}

func (a *album) Arrived(_ context.Context, hashes ...entry.Hash) error {
	for _, h := range hashes {
		a.at[h] = true
	}
	return nil
}

func scene(t interface {
	Fatal(...any)
}, dir string, photos ...[]byte,
) (*office, *album, *blob.Room) {
	r, err := blob.New(dir, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{
		named: map[entry.Hash]bool{}, previews: map[entry.Hash]bool{}, have: map[entry.Hash][]byte{}, size: map[entry.Hash]uint64{},
		breaks: func() bool { return false },
	}
	q := &album{at: map[entry.Hash]bool{}}
	for _, p := range photos {
		name, err := r.Keep("image/jpeg", p)
		if err != nil {
			t.Fatal(err)
		}
		b, ok := r.Find(name)
		if !ok || b.Size != uint64(len(p)) || b.Mime != "image/jpeg" {
			t.Fatal("found ", b, ok)
		}
		q.all = append(q.all, b)
		o.named[b.Hash], o.size[b.Hash] = true, b.Size
	}
	return o, q, r
}

// Over a line that breaks at any moment everything arrives, and no byte goes twice
// but those of the piece in flight.
func TestSenderOverABadLine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var photos [][]byte
		for i := range rapid.IntRange(1, 6).Draw(rt, "photos") {
			photos = append(photos, bytes.Repeat([]byte{byte(i), 1}, rapid.IntRange(1, 100_000).Draw(rt, "half size")))
		}
		o, q, r := scene(t, t.TempDir(), photos...)
		cuts := 0
		o.breaks = func() bool {
			if cuts < 30 && rapid.IntRange(0, 3).Draw(rt, "break") == 0 {
				cuts++
				return true
			}
			return false
		}
		s := blob.NewSender(blob.SenderConfig{Queue: q, Room: r, Port: o, Log: slog.New(slog.DiscardHandler)})
		for range 100 {
			if left, err := s.Drain(t.Context()); !left && err == nil {
				break
			}
		}
		total := 0
		for i, b := range q.all {
			if !bytes.Equal(o.have[b.Hash], photos[i]) {
				rt.Fatalf("photo %d is not at the hub", i)
			}
			total += len(photos[i])
		}
		if o.got != total || len(q.Waiting()) != 0 {
			rt.Fatalf("%d bytes taken of %d, %d wait", o.got, total, len(q.Waiting()))
		}
		if o.lost > cuts*wire.MaxPiece {
			rt.Fatalf("%d bytes went in vain over %d cuts", o.lost, cuts)
		}
	})
}

// An alert that is saved while a piece is under way stands behind it: over any line a
// piece takes a few seconds at most, and over a quick one pieces are as large as may be.
func TestPiecesGoByTheLine(t *testing.T) {
	for _, line := range []struct {
		name        string
		rate        int // bytes a second
		delay       time.Duration
		first, most int // bytes of the first piece, and of those after the third
		least       int // bytes of the largest
	}{
		{"8 kbit/s", 1000, 600 * time.Millisecond, 8 << 10, 4 << 10, 4 << 10},
		{"64 kbit/s", 8000, 600 * time.Millisecond, 8 << 10, 16 << 10, 9 << 10},
		{"8 Mbit/s", 1_000_000, 50 * time.Millisecond, 8 << 10, wire.MaxPiece, wire.MaxPiece},
		{"2 Mbit/s by satellite", 250_000, 3 * time.Second, 8 << 10, wire.MaxPiece, wire.MaxPiece},
	} {
		t.Run(line.name, func(t *testing.T) {
			o, q, r := scene(t, t.TempDir(), bytes.Repeat([]byte{1, 2, 3, 4}, 75_000))
			synctest.Test(t, func(t *testing.T) {
				o.rate, o.delay = line.rate, line.delay
				s := blob.NewSender(blob.SenderConfig{Queue: q, Room: r, Port: o, Log: slog.New(slog.DiscardHandler)})
				if left, err := s.Drain(t.Context()); left || err != nil {
					t.Fatal(left, err)
				}
			})
			if o.pieces[0] > line.first || slices.Max(o.pieces[3:]) > line.most || slices.Max(o.pieces) < line.least {
				t.Errorf("pieces of %v bytes", o.pieces)
			}
		})
	}
}

// A line that becomes slow makes pieces small at once, and a new connection begins
// with small ones.
func TestPiecesFollowTheLine(t *testing.T) {
	o, q, r := scene(t, t.TempDir(), bytes.Repeat([]byte{1, 2, 3, 4}, 100_000), bytes.Repeat([]byte{1, 2, 3}, 20_000))
	o.named[q.all[1].Hash] = false // not yet
	synctest.Test(t, func(t *testing.T) {
		o.rate = 1_000_000
		cfg := blob.SenderConfig{Queue: q, Room: r, Port: o, Log: slog.New(slog.DiscardHandler)}
		slows := true
		cfg.Spent = func(int) {
			if slows && o.got >= 200_000 {
				o.rate = 1000
			}
		}
		s := blob.NewSender(cfg)
		if _, err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow := slices.Index(o.pieces, wire.MaxPiece)
		for slow < len(o.pieces) && o.pieces[slow] == wire.MaxPiece {
			slow++
		}
		if rest := o.pieces[slow:]; len(rest) == 0 || slices.Max(rest) > 8<<10 {
			t.Errorf("pieces of %v bytes", o.pieces)
		}
		slows, o.rate, o.pieces = false, 1_000_000, nil
		delete(o.have, q.all[0].Hash) // once more
		delete(q.at, q.all[0].Hash)
		if _, err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(o.pieces, wire.MaxPiece) {
			t.Errorf("over a line that is quick again, pieces of %v bytes", o.pieces)
		}
		o.named[q.all[1].Hash], o.pieces = true, nil
		ctx, cancel := context.WithCancel(t.Context())
		go s.Session(ctx)
		synctest.Wait()
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if len(o.pieces) == 0 || o.pieces[0] > 8<<10 {
			t.Errorf("a new connection began with pieces of %v bytes", o.pieces)
		}
	})
}

// The control of the property above: a hub that loses what it has makes bytes go
// twice, and the count shows it.
func TestBytesThatGoTwiceAreCounted(t *testing.T) {
	big := bytes.Repeat([]byte{1, 2, 3}, 100_000)
	o, q, r := scene(t, t.TempDir(), big)
	n := 0
	o.breaks = func() bool {
		if n++; n == 6 { // after some pieces
			clear(o.have)
			return true
		}
		return false
	}
	s := blob.NewSender(blob.SenderConfig{Queue: q, Room: r, Port: o, Log: slog.New(slog.DiscardHandler)})
	for range 10 {
		_, _ = s.Drain(t.Context())
	}
	if o.got <= len(big) {
		t.Errorf("%d bytes were taken of %d: the loss was not noticed", o.got, len(big))
	}
}

func TestSenderWaits(t *testing.T) {
	photos := [][]byte{photo(t, 900, 600), photo(t, 800, 500)}
	o, q, r := scene(t, t.TempDir(), photos...)
	quiet, left := true, uint64(1<<30)
	spent := 0
	s := blob.NewSender(blob.SenderConfig{
		Queue: q, Room: r, Port: o, Log: slog.New(slog.DiscardHandler), Quiet: func() bool { return quiet },
		Left: func() (uint64, bool) { return left, true }, Spent: func(n int) { spent += n; left -= uint64(min(n, int(left))) }, //nolint:gosec // small
	})
	drain := func(what string, want bool) {
		t.Helper()
		if more, err := s.Drain(t.Context()); err != nil || more != want {
			t.Fatalf("%s: left %t, %v", what, more, err)
		}
	}
	quiet = false
	drain("an entry waits", true)
	if len(o.order) > 0 {
		t.Fatal("a photo went before an entry: ", o.order)
	}
	quiet, left = true, 2000
	drain("nothing of the budget is left", true)
	if o.got > 0 {
		t.Fatal("the budget was not kept")
	}
	left = 1 << 30
	o.named[q.all[1].Hash] = false // its entry is not there yet
	drain("one that no entry names", true)
	if q.at[q.all[1].Hash] || !q.at[q.all[0].Hash] {
		t.Fatal("which photos are at the hub:", q.at)
	}
	o.named[q.all[1].Hash] = true
	drain("everything", false)
	if o.order[0] != "preview" || o.got != len(photos[0])+len(photos[1]) || spent < o.got {
		t.Errorf("%v, %d bytes taken, %d spent", o.order, o.got, spent)
	}
	for i, b := range q.all {
		if got, err := r.Read(hex.EncodeToString(b.Hash[:])); err != nil || !bytes.Equal(got, photos[i]) {
			t.Errorf("photo %d is not here any more: %v", i, err)
		}
	}
}
