package wire_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/golden"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/wire"
)

func lives() (wire.Hello, wire.Welcome) {
	var head entry.Hash
	for i := range head {
		head[i] = byte(i)
	}
	seed := sha256.Sum256([]byte("life"))
	key, err := identity.SigningKeyFromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	claim := wire.LifeClaim{Incarnation: 2, ID: bytes.Repeat([]byte{0x1d}, wire.LifeIDSize), Reason: entry.Diverged, Previous: 1}
	claim.Proof = key.Sign(identity.ForLife, claim.Message("D-101"))
	h := wire.Hello{
		Clock: 1758160020000, Version: "0.3.0", Lives: []wire.LifeClaim{claim},
		Lanes:   []wire.LaneHead{{Incarnation: 1, Lane: dot.Record, Last: 10, Head: head, Received: 10}},
		Ended:   []wire.Ended{{Incarnation: 1, Lane: dot.Record, Last: 13, Head: head}},
		Compare: []wire.Comparison{{Incarnation: 1, Lane: dot.Record, Runs: []lane.Range{lane.Run(1, 8), lane.Run(9, 13)}}},
	}
	w := wire.Welcome{
		Time: 1758157200000, Epoch: []byte{0x82, 0x40, 0x40}, Receipts: [][]byte{},
		Lives:    []wire.LifeAnswer{{Incarnation: 2, State: wire.LifeTaken, Next: 4}, {Incarnation: 3, State: wire.LifeUplinkOnly}},
		Compared: []wire.Compared{{Incarnation: 1, Lane: dot.Record, Digests: []entry.Hash{head, sha256.Sum256(nil)}}},
	}
	return h, w
}

func TestLifeVectors(t *testing.T) {
	h, w := lives()
	found := 0
	for _, v := range committed(t) {
		switch v.Name {
		case "hello of a device that goes on in another life":
			equal(t, golden.Unhex(t, v.Bytes), h)
			found++
		case "welcome about lives":
			equal(t, golden.Unhex(t, v.Bytes), w)
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d vectors, want 2", found)
	}
}

func TestLivesAreChecked(t *testing.T) {
	good, _ := lives()
	spoil := map[string]func(h *wire.Hello){
		"no number":       func(h *wire.Hello) { h.Lives[0].Incarnation = 0 },
		"short id":        func(h *wire.Hello) { h.Lives[0].ID = h.Lives[0].ID[1:] },
		"short proof":     func(h *wire.Hello) { h.Lives[0].Proof = h.Lives[0].Proof[1:] },
		"before itself":   func(h *wire.Hello) { h.Lives[0].Previous = 2 },
		"too many":        func(h *wire.Hello) { h.Lives = append(h.Lives, make([]wire.LifeClaim, wire.MaxLives)...) },
		"end of no lane":  func(h *wire.Hello) { h.Ended[0].Lane = 7 },
		"runs overlap":    func(h *wire.Hello) { h.Compare[0].Runs[1].First = 8 },
		"run upside down": func(h *wire.Hello) { h.Compare[0].Runs[1].Last = 8 },
		"one chain twice": func(h *wire.Hello) { h.Compare = append(h.Compare, h.Compare[0]) },
		"too many runs": func(h *wire.Hello) {
			for i := range dot.Seq(wire.MaxRuns) {
				h.Compare[0].Runs = append(h.Compare[0].Runs, lane.Run(20+2*i, 20+2*i))
			}
		},
	}
	for name, f := range spoil {
		h, _ := lives()
		f(&h)
		b, err := wire.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Unmarshal[wire.Hello](b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := wire.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Unmarshal[wire.Hello](b); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// A hole is not the same as an entry, nor an entry at another place.
func TestDigest(t *testing.T) {
	one, two := entry.Hash{1}, entry.Hash{2}
	sum := func(at dot.Seq, hs ...entry.Hash) entry.Hash {
		d := wire.NewDigest()
		for i, h := range hs {
			d.Add(at+dot.Seq(i), h)
		}
		return d.Sum()
	}
	want := sha256.Sum256(append(append([]byte{0, 0, 0, 0, 0, 0, 1, 4}, one[:]...), append([]byte{0, 0, 0, 0, 0, 0, 1, 5}, two[:]...)...))
	if got := sum(260, one, two); got != want {
		t.Errorf("got %s", got)
	}
	if sum(1, one) == sum(2, one) || sum(1, one, two) == sum(1, two, one) || sum(1) == sum(1, one) {
		t.Error("what differs does not show")
	}
}
