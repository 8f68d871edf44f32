package feed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	hubfeed "otor/hub/feed"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// desk is a desk on a database of its own, with a device D-101 that is granted "team".
type desk struct {
	*hubfeed.Desk
	st      store.Store
	epoch   receipt.Epoch
	rewound int // children
	earlier int // proofs from epochs before
	only    string
	now     time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	key, err := identity.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	k := &desk{st: st, epoch: receipt.Epoch{1}, now: time.UnixMilli(1_774_000_000_000)}
	k.Desk = &hubfeed.Desk{
		Store: st, Key: key, Epoch: func() receipt.Epoch { return k.epoch }, Now: func() time.Time { return k.now }, Log: slog.New(slog.DiscardHandler),
		Rewound: func(_ context.Context, _ dot.Device, c feed.Cursor, _ int64) error {
			if c.Epoch != k.epoch {
				k.earlier++
				return nil
			}
			k.rewound++
			k.epoch[0]++
			return nil
		},
		UplinkOnly: func(context.Context, dot.Device, dot.Incarnation) (string, error) { return k.only, nil },
	}
	in := store.Invitation{Device: "D-101", Scopes: []string{"team"}, CodeHash: [32]byte{1}, ExpiresAt: 1}
	if err := st.Invite(t.Context(), in, false); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *desk) publish(t *testing.T, scope string, cs ...store.FeedChange) {
	t.Helper()
	for i := range cs {
		cs[i].Scope = scope
	}
	err := k.st.Ingest(t.Context(), func(tx store.Tx) error { return tx.Publish(k.now.UnixMilli(), cs...) })
	if err != nil {
		t.Fatal(err)
	}
}

func house(id int, body string) store.FeedChange {
	return store.FeedChange{Kind: feed.Entity, Key: fmt.Sprintf("household/H-%d", id), Body: []byte(body)}
}

func gone(id int) store.FeedChange {
	return store.FeedChange{Kind: feed.Gone, Key: fmt.Sprintf("household/H-%d", id)}
}

// ask pulls and says what came, with the cursor behind it.
func (k *desk) ask(t *testing.T, p wire.Pull) (words string, page wire.FeedPage, c feed.Cursor) {
	t.Helper()
	p.Incarnation = 1
	b, err := wire.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if page, err = k.Pull(t.Context(), "D-101", b); err != nil {
		t.Fatal(err)
	}
	if page.Refused != nil {
		return "refused: " + page.Refused.Code, page, c
	}
	if page.Next != nil {
		if c, err = feed.OpenCursor(page.Next, k.Key.Public()); err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	if len(page.Body) > 0 {
		rows, err := feed.Unpack(page.After, page.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			out = append(out, fmt.Sprintf("%d:%s", r.N, strings.TrimPrefix(r.Key, "household/")))
		}
	}
	return fmt.Sprintf("turn %d, %s, more %t", page.Turn, strings.Join(out, " "), page.More), page, c
}

func is(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestWhoMayPull(t *testing.T) {
	k := newDesk(t)
	for scope, want := range map[string]string{
		"team": "turn 0, , more false", "all": "turn 0, , more false", "device:D-101": "turn 0, , more false",
		"north": "refused: not_granted", "device:D-102": "refused: not_granted",
	} {
		got, _, _ := k.ask(t, wire.Pull{Scope: scope})
		is(t, scope, got, want)
	}
	k.only = "the hub was restored without its journal"
	got, _, _ := k.ask(t, wire.Pull{Scope: "team"})
	is(t, "a device in doubt", got, "refused: uplink_only")
	if p, err := k.Pull(t.Context(), "D-101", []byte{0xff}); err != nil || p.Refused == nil || p.Refused.Code != "bad_pull" {
		t.Errorf("garbage: %+v %v", p, err)
	}
	k.only = ""
	if _, err := k.st.Revoke(t.Context(), "D-101", 5); err != nil {
		t.Fatal(err)
	}
	got, _, _ = k.ask(t, wire.Pull{Scope: "team"})
	is(t, "a revoked device", got, "refused: revoked")
}

func TestPagesKeepToTheBudget(t *testing.T) {
	k := newDesk(t)
	for i := range 60 {
		k.publish(t, "team", house(i, strings.Repeat(fmt.Sprint(i*7919), 60)))
	}
	var cursors [][]byte
	rows := 0
	for range 200 {
		_, page, c := k.ask(t, wire.Pull{Scope: "team", Cursors: cursors, Bytes: 600})
		got, err := feed.Unpack(page.After, page.Body)
		if err != nil || len(page.Body) > 600 && len(got) > 1 {
			t.Fatalf("a body of %d bytes with %d rows: %v", len(page.Body), len(got), err)
		}
		rows += len(got)
		if page.More && c.Anchored() != 60 {
			t.Fatalf("a page in between is not anchored at the feed's end: %+v", c)
		}
		if cursors = [][]byte{page.Next}; !page.More {
			break
		}
	}
	if rows != 60 {
		t.Errorf("%d rows", rows)
	}
	got, _, _ := k.ask(t, wire.Pull{Scope: "team", Cursors: cursors})
	is(t, "nothing new", got, "turn 0, , more false")
}

func TestALostMarkProvesARollback(t *testing.T) {
	k := newDesk(t)
	k.publish(t, "team", house(1, "x"))
	_, _, common := k.ask(t, wire.Pull{Scope: "team"})
	old, err := common.Sign(k.Key)
	if err != nil {
		t.Fatal(err)
	}
	k.publish(t, "team", house(2, "y"))
	lost := feed.Cursor{Epoch: k.epoch, Scope: "team", N: 2, Mark: feed.Mark{0xff}}
	signed, err := lost.Sign(k.Key)
	if err != nil {
		t.Fatal(err)
	}
	got, _, _ := k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{signed}})
	is(t, "the newest alone", got, "turn 1, , more false")
	if k.rewound != 1 || k.earlier != 0 {
		t.Errorf("a child began %d times, %d proofs of before", k.rewound, k.earlier)
	}
	got, _, c := k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{signed, old}, All: true})
	is(t, "all", got, "turn 2, , more false")
	if c.N != 1 || c.Mark != common.Mark || c.Epoch != k.epoch || k.rewound != 1 || k.earlier != 1 {
		t.Errorf("resumes at %+v, children %d, proofs of before %d", c, k.rewound, k.earlier)
	}
	got, _, _ = k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{signed}, All: true})
	is(t, "none is common", got, "turn 3, , more false")
	got, _, _ = k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{{1, 2, 3}}, All: true})
	is(t, "a cursor of nobody", got, "turn 3, , more false")
	got, _, _ = k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{old}, Names: []wire.RowName{
		{Slot: feed.Entity, Key: "household/H-2"}, {Slot: feed.Entity, Key: "household/H-9"},
	}})
	is(t, "rows by name", got, "turn 0, 2:H-2, more false")
}

func TestBeyondTheHorizon(t *testing.T) {
	k := newDesk(t)
	k.publish(t, "team", house(1, "x"), house(2, "y"))
	_, away, _ := k.ask(t, wire.Pull{Scope: "team"})
	k.publish(t, "team", gone(1))
	_, fresh, _ := k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{away.Next}})
	if _, err := k.st.CollectFeeds(t.Context(), k.now.UnixMilli()+1); err != nil {
		t.Fatal(err)
	}
	got, _, _ := k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{away.Next}})
	is(t, "who missed what was forgotten", got, "turn 3, , more false")
	got, _, _ = k.ask(t, wire.Pull{Scope: "team", Cursors: [][]byte{fresh.Next}})
	is(t, "who saw it", got, "turn 0, , more false")
	for i := range 20 { // a load from the beginning passes forgotten numbers
		k.publish(t, "team", house(10+i, strings.Repeat(fmt.Sprint(i), 200)))
	}
	var cursors [][]byte
	for range 100 {
		_, page, c := k.ask(t, wire.Pull{Scope: "team", Cursors: cursors, Bytes: 64})
		if page.Turn != wire.Onward {
			t.Fatalf("the load was cut off: %+v", page)
		}
		if c.N < 3 && c.Complete() < 3 {
			t.Fatalf("a load at %d is complete from %d", c.N, c.Complete())
		}
		if cursors = [][]byte{page.Next}; !page.More {
			break
		}
	}
	if k.rewound != 0 || k.earlier != 0 {
		t.Errorf("%d children began, %d proofs of before", k.rewound, k.earlier)
	}
}

func TestHeads(t *testing.T) {
	k := newDesk(t)
	k.publish(t, "team", house(1, "x"))
	dev, err := k.st.Device(t.Context(), "D-101")
	if err != nil {
		t.Fatal(err)
	}
	heads, err := k.Heads(t.Context(), dev, 1)
	if err != nil || len(heads) != 3 || heads[0].Scope != "device:D-101" || heads[2].N != 1 || heads[2].Mark.IsZero() {
		t.Errorf("%+v %v", heads, err)
	}
	k.only = "in doubt"
	if heads, err := k.Heads(t.Context(), dev, 1); err != nil || heads != nil {
		t.Errorf("in doubt: %+v %v", heads, err)
	}
}

// TestHerald: many commits, one piece of news each scope, and the last word right.
func TestHerald(t *testing.T) {
	k := newDesk(t)
	heard := make(chan string, 100)
	h := hubfeed.NewHerald(k.st.FeedHeads, func(subject string, b []byte) error {
		n, err := wire.Unmarshal[wire.FeedNews](b)
		heard <- fmt.Sprintf("%s %d", subject, n.N)
		return err
	}, slog.New(slog.DiscardHandler))
	k.st.OnPublish(h.Moved)
	for i := range 5 {
		k.publish(t, "team", house(i, "x"))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	is(t, "news", <-heard, "otor.1.news.team 5")
	k.publish(t, "all", house(1, "x"))
	is(t, "news", <-heard, "otor.1.news.all 1")
	stop()
	if err := <-done; err != nil || len(heard) > 0 {
		t.Errorf("%v, %d more", err, len(heard))
	}
}

// TestHeraldTellsAgain: news that got lost are told again, a few times, each time as the
// scope is by then; what moves anew begins anew; and then it is quiet.
func TestHeraldTellsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type told struct {
			after time.Duration
			scope string
			n     uint64
		}
		var all []told
		var n atomic.Uint64
		fails := true
		began := time.Now()
		h := hubfeed.NewHerald(func(_ context.Context, scopes []string) ([]store.FeedHead, error) {
			if fails {
				fails = false
				return nil, errors.New("the database is away")
			}
			out := make([]store.FeedHead, len(scopes))
			for i, s := range scopes {
				out[i] = store.FeedHead{Scope: s, N: n.Load()}
			}
			return out, nil
		}, func(subject string, b []byte) error {
			news, err := wire.Unmarshal[wire.FeedNews](b)
			all = append(all, told{time.Since(began).Round(20 * time.Second), subject, news.N})
			return err
		}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		n.Store(7)
		h.Moved([]string{"team"}) // told to nobody: the database is away
		time.Sleep(2 * time.Minute)
		n.Store(8)
		h.Moved([]string{"team"})
		time.Sleep(5 * time.Hour)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		const s = "otor.1.news.team"
		want := []told{{40 * time.Second, s, 7}, {2 * time.Minute, s, 8}, {160 * time.Second, s, 8}, {460 * time.Second, s, 8}, {2260 * time.Second, s, 8}}
		if !slices.Equal(all, want) {
			t.Errorf("told %v, want %v", all, want)
		}
	})
}
