package bench

import (
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nkeys"

	"otor/agent/link"
	"otor/hub/broker"
	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/hlc"
	"otor/internal/identity"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/receipt"
	"otor/internal/release"
	"otor/internal/wire"
)

// person is a device of a crowd: a real link, a real chain, and nothing on a disk.
type person struct {
	id      dot.Device
	scope   string
	home    entry.Ref
	seed    []byte // of its NATS key
	jwt     string
	key     identity.SigningKey
	hub     identity.PublicKey
	ca      []byte
	pack    *pack.Pack
	link    *link.Link
	news    chan struct{} // holds one
	settled chan dot.Seq  // holds one: the latest receipt
	pulls   atomic.Int64

	mu     sync.Mutex // one visit or pull at a time; guards what follows
	state  *merge.State
	last   dot.Seq
	head   entry.Hash
	cursor []byte
}

func (p *person) chain() dot.Chain { return dot.Chain{Device: p.id, Incarnation: 1, Lane: dot.Record} }

// crowdBatch is how many devices one transaction adds.
const crowdBatch = 500

// gather makes a hub's folder with n enrolled devices, each with a household of its own.
// They are put into the database as enrolment leaves them, without the rides to the office.
func (b *bench) gather(ctx context.Context, dir string, n int) ([]*person, error) {
	people := make([]*person, n)
	for i := range people {
		p := &person{
			id: dot.Device(fmt.Sprintf("C-%05d", i+1)), scope: fmt.Sprintf("gacha:G%04d", i/crowdPerScope), pack: b.pack,
			home: entry.Ref{Type: "household", ID: householdID(i)}, news: make(chan struct{}, 1), settled: make(chan dot.Seq, 1),
		}
		p.head = entry.Genesis(p.chain())
		var err error
		if p.key, err = identity.NewSigningKey(crand.Reader); err != nil {
			return nil, err
		}
		people[i] = p
	}
	if err := b.enlist(ctx, dir, people); err != nil {
		return nil, err
	}
	return people, issue(ctx, dir, people, b.Log)
}

// enlist writes devices and households into the database.
func (b *bench) enlist(ctx context.Context, dir string, people []*person) (err error) {
	s, err := server.Open(ctx, server.Config{
		Dir: dir, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Forms: b.forms, Domain: b.pack.Domain(), Zone: zone, Version: release.Version, Log: b.Log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	now := time.Now().UnixMilli()
	for some := range slices.Chunk(people, crowdBatch) {
		var homes []ingest.Fixture
		err := s.Store().Ingest(ctx, func(tx store.Tx) error {
			for _, p := range some {
				user, err := nkeys.CreateUser()
				if err != nil {
					return err
				}
				if p.seed, err = user.Seed(); err != nil {
					return err
				}
				pub, err := user.PublicKey()
				if err != nil {
					return err
				}
				code := sha256.Sum256([]byte(p.id))
				if err := tx.Invite(store.Invitation{Device: p.id, Scopes: []string{p.scope}, CodeHash: code, AddedAt: now, ExpiresAt: now + 1}, false); err != nil {
					return err
				}
				if _, err := tx.Redeem(store.Enrolment{CodeHash: code, SignKey: p.key.Public(), NatsKey: pub, At: now}); err != nil {
					return err
				}
				homes = append(homes, ingest.Fixture{Ref: p.home, Fields: map[string]any{"gacha": p.scope[len("gacha:"):], "ger_count": int64(2)}})
			}
			return nil
		})
		if err == nil {
			err = s.Author().Import(ctx, "office", homes)
		}
		if err != nil {
			return fmt.Errorf("enlist devices: %w", err)
		}
		for _, p := range some {
			row, err := s.Store().Entity(ctx, p.home)
			if err == nil {
				p.state, err = merge.Decode(row.State)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// issue gives devices their credentials.
func issue(ctx context.Context, dir string, people []*person, log *slog.Logger) (err error) {
	br, err := broker.Open(ctx, broker.Config{Dir: dir, Listen: "127.0.0.1:0", Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, br.Close()) }()
	ca, _ := br.CA()
	for _, p := range people {
		pair, err := nkeys.FromSeed(p.seed)
		if err != nil {
			return err
		}
		pub, err := pair.PublicKey()
		if err != nil {
			return err
		}
		c, err := br.Issue(p.id, pub, []string{p.scope})
		if err != nil {
			return err
		}
		p.jwt, p.ca, p.hub = c.JWT, ca, br.HubKey().Public()
	}
	return nil
}

// connect brings everybody online, some at a time.
func connect(ctx context.Context, running *sync.WaitGroup, people []*person, nats string, log *slog.Logger) error {
	doors := make(chan struct{}, crowdDoors)
	errs := make(chan error, len(people))
	for _, p := range people {
		doors <- struct{}{}
		go func() {
			errs <- p.connect(ctx, running, nats, log)
			<-doors
		}()
	}
	var all []error
	for range people {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func (p *person) connect(ctx context.Context, running *sync.WaitGroup, nats string, log *slog.Logger) (err error) {
	p.link, err = link.New(link.Config{
		URLs: []string{"tls://" + nats}, JWT: p.jwt, NkeySeed: p.seed, CA: p.ca, Device: p.id, Log: log, Now: time.Now, ConnectTimeout: time.Minute,
	})
	if err != nil {
		return err
	}
	p.link.OnReceipt(p.takeReceipts)
	p.link.OnNews(func(string, []byte) {
		select {
		case p.news <- struct{}{}:
		default:
		}
	})
	running.Go(func() { _ = p.link.Run(ctx) }) // it ends with ctx
	if _, err := p.link.Online(ctx, 0); err != nil {
		return fmt.Errorf("connect %s: %w", p.id, err)
	}
	running.Go(func() { p.listens(ctx) })
	return nil
}

// listens pulls what others brought, as a device does that hears of it.
func (p *person) listens(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.news:
		}
		p.mu.Lock()
		err := p.pull(ctx)
		p.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			select { // the next news, or contact, brings it
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}

func (p *person) takeReceipts(b []byte) {
	n, err := wire.Unmarshal[wire.ReceiptNews](b)
	if err != nil {
		return
	}
	for _, signed := range n.Receipts {
		r, err := receipt.Open(signed, p.hub)
		if err != nil || r.Chain != p.chain() {
			continue
		}
		select {
		case <-p.settled:
		default:
		}
		p.settled <- r.Through
	}
}

// contactLimit bounds one contact.
const contactLimit = 2 * time.Minute

// visit makes a contact: hello, some new entries, their receipt, and what is new.
func (p *person) visit(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, contactLimit)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	first, before := p.last+1, p.head
	raws, err := p.write(crowdEntries)
	if err != nil {
		return 0, err
	}
	frame, _, err := batch.Seal(p.chain(), first, before, raws, p.key, batch.Small)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	hello := wire.Hello{
		Lanes: []wire.LaneHead{{Incarnation: 1, Lane: dot.Record, Last: p.last, Head: p.head, Received: first - 1}}, Clock: began.UnixMilli(), Version: release.Version,
	}
	w, err := ask[wire.Welcome](ctx, p.link, wire.HelloOn(p.id), hello)
	if err != nil {
		return 0, err
	}
	if w.Refused != nil {
		return 0, w.Refused
	}
	if err := p.link.Send(ctx, wire.Up(dot.Record, p.id), frame); err != nil {
		return 0, err
	}
	for through := dot.Seq(0); through < p.last; {
		select {
		case through = <-p.settled:
		case <-ctx.Done():
			return 0, fmt.Errorf("no receipt for %d: %w", p.last, ctx.Err())
		}
	}
	if err := p.pull(ctx); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// write captures n records of visits that change the household's next one.
func (p *person) write(n int) ([]entry.Raw, error) {
	f, ok := p.pack.Forms.Latest("visit")
	if !ok {
		return nil, errors.New("the pack has no form of visits")
	}
	var out []entry.Raw
	for range n {
		now := time.Now()
		seq := p.last + 1
		fields := map[string]any{"topics": []any{"policy_grass_livestock"}, "minutes": int64(15), "next_visit": now.AddDate(0, 0, int(seq%300)+1).Format(time.DateOnly)}
		pub := entry.Public{
			Dot: p.chain().At(seq), HLC: hlc.Time{Millis: now.UnixMilli(), Counter: uint32(seq % 1000)}, Wall: now.UnixMilli(), //nolint:gosec // small
			Form: entry.FormRef{ID: f.ID, Version: f.Version}, Refs: []entry.Ref{p.home}, Actor: "U-" + string(p.id),
		}
		if seq == 1 {
			pub.Origin = &entry.Origin{Reason: entry.Installed}
		}
		priv := entry.Private{Fields: fields}
		_, _ = crand.Read(priv.Salt[:]) // never fails
		saved, err := f.Saved(p.home.ID, fields, form.MomentOf(now))
		if err != nil {
			return nil, err
		}
		desk := merge.Desk{
			Type: p.pack.Domain().Type, Displayed: func(entry.Ref) (*merge.State, error) { return p.state, nil }, Settles: func(entry.Ref, string) bool { return false },
		}
		if err := desk.Fill(&pub, &priv, saved); err != nil {
			return nil, err
		}
		raw, err := sealed(pub, priv)
		if err != nil {
			return nil, err
		}
		touches, err := merge.Changes(pub, priv)
		if err != nil {
			return nil, err
		}
		for _, t := range touches {
			if t.Ref == p.home {
				p.state.Apply(t.Change)
			}
		}
		out, p.last, p.head = append(out, raw), seq, entry.Next(p.head, raw)
	}
	return out, nil
}

func sealed(pub entry.Public, priv entry.Private) (entry.Raw, error) {
	a, err := pub.Encode()
	if err != nil {
		return entry.Raw{}, err
	}
	b, err := priv.Encode()
	return entry.NewRaw(a, b), err
}

// pull fetches what is new in the device's scope. mu is held.
func (p *person) pull(ctx context.Context) error {
	for more := true; more; {
		q := wire.Pull{Scope: p.scope, Incarnation: 1, All: true}
		if p.cursor != nil {
			q.Cursors = [][]byte{p.cursor}
		}
		page, err := ask[wire.FeedPage](ctx, p.link, wire.PullOn(p.id), q)
		if err != nil {
			return err
		}
		if page.Refused != nil {
			return page.Refused
		}
		if page.Turn != wire.Onward {
			return fmt.Errorf("pull %s: the hub does not go on from its own cursor", p.scope)
		}
		p.pulls.Add(1)
		p.cursor, more = page.Next, page.More
	}
	return nil
}

// ask sends a request and reads its answer.
func ask[T, Q wire.Message](ctx context.Context, l *link.Link, subject string, q Q) (out T, err error) {
	b, err := wire.Marshal(q)
	if err != nil {
		return out, err
	}
	reply, err := l.Request(ctx, subject, b)
	if err != nil {
		return out, err
	}
	return wire.Unmarshal[T](reply)
}
