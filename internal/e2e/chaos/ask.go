package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"otor/agent/enrol"
	"otor/agent/link"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// tame is a control: what a hostile device asks is in order after all, so the hub
// answers it, and the checks of the answers must say so.
const tame = "tame"

// question is something that a device must not ask, or not so, and what the hub
// has to make of it.
type question struct {
	kind    string
	subject string
	data    []byte
	judge   func(answer []byte) error // nil: no answer comes, or any
}

// code wants a refusal of that code.
func code[M wire.Message](want string, refused func(M) *wire.Refusal) func([]byte) error {
	return func(answer []byte) error {
		m, err := wire.Unmarshal[M](answer)
		if err != nil {
			return err
		}
		switch r := refused(m); {
		case r == nil:
			return fmt.Errorf("it was answered, and %s was due", want)
		case r.Code != want:
			return fmt.Errorf("it was refused with %s, and %s was due", r.Code, want)
		}
		return nil
	}
}

func noPage(p wire.FeedPage) *wire.Refusal     { return p.Refused }
func noRefill(p wire.RefillPage) *wire.Refusal { return p.Refused }
func noWelcome(w wire.Welcome) *wire.Refusal   { return w.Refused }

// turned wants a page without rows and with this turn: the cursors are worth nothing.
func turned(want wire.Turn) func([]byte) error {
	return func(answer []byte) error {
		p, err := wire.Unmarshal[wire.FeedPage](answer)
		if err == nil && (p.Refused != nil || p.Turn != want || len(p.Body) > 0) {
			err = fmt.Errorf("turn %d with %d bytes of rows (refused: %t), and turn %d was due", p.Turn, len(p.Body), p.Refused != nil, want)
		}
		return err
	}
}

// firstPage is what the hub gives a device of a scope of its own, with the cursor behind it.
func (t *T) firstPage(k *kit, scope string) []byte {
	t.Helper()
	b, err := wire.Marshal(wire.Pull{Scope: scope, Incarnation: 1})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := k.c.device.Link().Request(t.Context(), wire.PullOn(k.id), b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := wire.Unmarshal[wire.FeedPage](answer)
	if err != nil || p.Refused != nil || len(p.Next) == 0 {
		t.Fatalf("a pull that is in order: %+v %v", p, err)
	}
	return p.Next
}

// questions lists what a hostile device asks over its ordinary connection: pulls,
// refills and hellos, malformed, cut, of others' scopes, with cursors that it made,
// turned around, or has from elsewhere, and as large as they come.
func (t *T) questions(k *kit) []question {
	t.Helper()
	own, all := feed.ScopeOf(k.id), "all"
	genuine := t.firstPage(k, own)
	forged, err := feed.Cursor{Epoch: receipt.Epoch{1}, Scope: own, N: 7, Mark: feed.Mark{1}}.Sign(k.key)
	if err != nil {
		t.Fatal(err)
	}
	page := func(kind string, p wire.Pull, judge func([]byte) error) question {
		if t.Control == tame {
			p = wire.Pull{Scope: own, Incarnation: 1}
		}
		b, err := wire.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return question{kind, wire.PullOn(k.id), b, judge}
	}
	var many [][]byte
	for range feed.MaxCursors {
		many = append(many, forged)
	}
	names := make([]wire.RowName, wire.MaxNames)
	for i := range names {
		names[i] = wire.RowName{Slot: feed.Entity, Key: fmt.Sprintf("household/%d%s", i, t.noise(100))}
	}
	bad := code("bad_pull", noPage)
	good := page("", wire.Pull{Scope: own, Cursors: [][]byte{genuine}, Incarnation: 1}, nil).data
	qs := []question{
		{"noise as a pull", wire.PullOn(k.id), t.noise(1 + t.R.IntN(2000)), bad},
		{"a pull cut short", wire.PullOn(k.id), good[:1+t.R.IntN(len(good)-1)], bad},
		{"a pull over the limit", wire.PullOn(k.id), t.noise(wire.MaxMessage + 1), nil},
		page("too many cursors", wire.Pull{Scope: own, Cursors: append(many, forged), Incarnation: 1}, bad),
		page("another device's scope", wire.Pull{Scope: feed.ScopeOf("D-201"), Incarnation: 1}, code("not_granted", noPage)),
		page("another team's scope", wire.Pull{Scope: "team:d-201", Incarnation: 1}, code("not_granted", noPage)),
		page("no scope at all", wire.Pull{Scope: string(t.noise(60)), Incarnation: 1}, nil), // text that is none, or granted to nobody
		page("a cursor by an unknown key", wire.Pull{Scope: own, Cursors: [][]byte{forged}, Incarnation: 1}, turned(wire.Ask)),
		page("a cursor with a bit flipped", wire.Pull{Scope: own, Cursors: [][]byte{flipped(genuine, t.R.IntN(1<<20))}, Incarnation: 1}, turned(wire.Ask)),
		page("another scope's cursor", wire.Pull{Scope: all, Cursors: [][]byte{genuine}, Incarnation: 1}, turned(wire.Ask)),
		page("as many cursors as go, none good", wire.Pull{Scope: own, Cursors: many, All: true, Incarnation: 1}, turned(wire.Rebase)),
		{"noise as a refill", wire.RefillOn(k.id), t.noise(1 + t.R.IntN(2000)), code("bad_refill", noRefill)},
		{"noise as a hello", wire.HelloOn(k.id), t.noise(1 + t.R.IntN(2000)), code("bad_hello", noWelcome)},
	}
	// Names that nobody has, with a cursor again and again: answered, and bounded.
	replayed := page("replayed, with names of nothing", wire.Pull{Scope: own, Cursors: [][]byte{genuine}, Names: names, Bytes: 1<<32 - 1, Incarnation: 1}, nil)
	replayed.judge = func(answer []byte) error {
		_, err := wire.Unmarshal[wire.FeedPage](answer) // refuses what is over the limit
		return err
	}
	return append(qs, replayed)
}

// ask puts one question and judges the answer. Of many at once the hub lets some go
// unanswered, whoever asks; so a question is put again, as a device does.
func (t *T) ask(k *kit, q question) {
	again, patience := 4*time.Second, time.Minute // beside hundreds of other messages, on a small machine
	if q.judge == nil {
		again, patience = time.Second, time.Second
	}
	whole, end := context.WithTimeout(t.Context(), patience)
	defer end()
	var answer []byte
	err := context.DeadlineExceeded
	for whole.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		ctx, cancel := context.WithTimeout(whole, again)
		answer, err = k.c.device.Link().Request(ctx, q.subject, q.data)
		cancel()
	}
	switch {
	case t.Context().Err() != nil || err != nil && q.judge == nil && tolerated(err):
	case err != nil:
		t.Errorf("%s: %v", q.kind, err)
	case q.judge != nil:
		if err := q.judge(answer); err != nil {
			t.Errorf("%s: %v", q.kind, err)
		}
	}
}

// door has a device whose ordinary credentials are refused knock, and say at the
// door what it must not: it returns how many questions it put.
func (t *T) door(dir string, foreign identity.SigningKey, rounds int) (asked int) {
	t.Helper()
	id, err := enrol.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	over := errors.New("enough")
	l, err := link.New(link.Config{
		URLs: id.NatsURLs, JWT: id.JWT[:len(id.JWT)-8] + "AAAAAAAA", Door: id.Door, NkeySeed: []byte(id.Secrets.NatsSeed),
		CA: []byte(id.CA), Device: id.Device, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Knock: func(ctx context.Context, ask func(context.Context, []byte) ([]byte, error)) (wire.Credentials, error) {
			defer cancel()
			for range rounds {
				for _, q := range t.knocks(ctx, id, foreign, ask) {
					asked++
					answer, err := ask(ctx, q.data)
					if err == nil {
						err = q.judge(answer)
					}
					if err != nil {
						t.Errorf("at the door, %s: %v", q.kind, err)
					}
				}
			}
			// Beyond what its credentials let it send the server ends the connection.
			asked++
			if _, err := ask(ctx, t.noise(5000)); err == nil {
				t.Error("at the door, over the limit: it was answered")
			}
			return wire.Credentials{}, over
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Run(ctx) // ends with ctx
	return asked
}

func noDoor(a wire.DoorAnswer) *wire.Refusal { return a.Refused }

// challenged wants a challenge and no credentials: what was shown proves nothing now.
func challenged(answer []byte) error {
	a, err := wire.Unmarshal[wire.DoorAnswer](answer)
	if err == nil && (a.Credentials != nil || a.Refused != nil || len(a.Challenge) == 0) {
		err = fmt.Errorf("a challenge was due, and no credentials (given: %t, refused: %t)", a.Credentials != nil, a.Refused != nil)
	}
	return err
}

// knocks lists what is said at the door; on the way it knocks once in order, so
// that a proof that was taken can be shown again.
func (t *T) knocks(ctx context.Context, id *enrol.Identity, foreign identity.SigningKey, ask func(context.Context, []byte) ([]byte, error)) []question {
	var said [][]byte
	if _, err := id.Knock(ctx, func(ctx context.Context, b []byte) ([]byte, error) {
		said = append(said, b)
		return ask(ctx, b)
	}); err != nil {
		t.Errorf("at the door, in order: %v", err)
		return nil
	}
	proof := said[len(said)-1]
	genuine, err := wire.Unmarshal[wire.DoorHello](proof)
	if err != nil {
		t.Error(err)
		return nil
	}
	hello := func(h wire.DoorHello) []byte {
		b, err := wire.Marshal(h)
		if err != nil {
			t.Error(err)
		}
		return b
	}
	forged, made := genuine, genuine
	forged.Proof = foreign.Sign(identity.ForDoor, genuine.Challenge)
	made.Challenge = t.noise(wire.ChallengeSize)
	life := genuine
	life.Incarnation = dot.Incarnation(1 << 20)
	qs := []question{
		{"noise", "", t.noise(1 + t.R.IntN(2000)), code("bad_hello", noDoor)},
		{"a hello cut short", "", proof[:1+t.R.IntN(len(proof)-1)], code("bad_hello", noDoor)},
		{"a life that nobody knows", "", hello(life), code("unknown_device", noDoor)},
		{"a proof by an unknown key", "", hello(forged), code("bad_proof", noDoor)},
		{"a challenge of its own", "", hello(made), code("bad_proof", noDoor)},
		{"a proof shown again", "", proof, challenged},
	}
	if t.Control == tame {
		for i := range qs {
			qs[i].data = hello(wire.DoorHello{Incarnation: genuine.Incarnation})
		}
	}
	return qs
}
