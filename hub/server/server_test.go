package server_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/hlc"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/wire"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func notes(t *testing.T) *form.Registry {
	t.Helper()
	f, err := form.New(form.Form{ID: "note", Version: 1, Lane: dot.Record, Fields: []form.Field{{Name: "text", Kind: form.Text}}})
	check(t, err)
	r, err := form.NewRegistry(f)
	check(t, err)
	return r
}

// open opens a hub on loopback; it serves nothing yet.
func open(t *testing.T) (*server.Server, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := server.Open(t.Context(), server.Config{
		Dir: dir, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Forms: notes(t), MaxStore: 16 << 20, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

// serve opens a hub and runs it until the test ends.
func serve(t *testing.T) (*server.Server, string) {
	t.Helper()
	s, dir := open(t)
	running(t, s)
	return s, dir
}

// running runs a hub until the test ends.
func running(t *testing.T, s *server.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// device is a chain that a hub knows the key of.
type device struct {
	chain dot.Chain
	key   identity.SigningKey
	raws  []entry.Raw
	heads []entry.Hash
}

func enrol(t *testing.T, s *server.Server, d dot.Device, entries int, wall int64) *device {
	t.Helper()
	invited, err := s.Office().Invite(t.Context(), d, nil, 0, false)
	check(t, err)
	code, err := identity.ParseCode(invited.Code)
	check(t, err)
	x := &device{chain: dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}}
	x.key, err = identity.NewSigningKey(rand.Reader)
	check(t, err)
	_, err = s.Store().Redeem(t.Context(), store.Enrolment{CodeHash: code.Secret.Hash(), SignKey: x.key.Public(), NatsKey: "U" + string(d), At: time.Now().UnixMilli()})
	check(t, err)
	x.heads = []entry.Hash{entry.Genesis(x.chain)}
	for i := range dot.Seq(entries) {
		pub := entry.Public{Dot: x.chain.At(i + 1), HLC: hlc.Time{Millis: wall}, Wall: wall, Form: entry.FormRef{ID: "note", Version: 1}}
		if i == 0 {
			pub.Origin = &entry.Origin{Reason: entry.Installed}
		}
		b, err := pub.Encode()
		check(t, err)
		priv, err := entry.Private{Fields: map[string]any{"text": "as told"}}.Encode()
		check(t, err)
		raw := entry.NewRaw(b, priv)
		x.raws, x.heads = append(x.raws, raw), append(x.heads, entry.Next(x.heads[i], raw))
	}
	return x
}

func (x *device) delivery(t *testing.T, first, last dot.Seq) broker.Delivery {
	t.Helper()
	f, _, err := batch.Seal(x.chain, first, x.heads[first-1], x.raws[first-1:last], x.key, batch.Small)
	check(t, err)
	return broker.Delivery{Subject: wire.Up(dot.Record, x.chain.Device), Data: f, Delivered: 1}
}

func received(t *testing.T, s store.Store, c dot.Chain) lane.Set {
	t.Helper()
	ls, err := s.LanesOf(t.Context(), c.Device)
	check(t, err)
	for _, l := range ls {
		if l.Chain == c {
			return l.Received
		}
	}
	return nil
}
