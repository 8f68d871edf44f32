// Package server puts the hub together.
//
// It opens the rooms in order (folder, broker, database, epoch, forms), wires
// them by hand, runs one loop for each, and closes them in reverse. Nothing is
// decided here but who talks to whom.
//
//   - [Server] is the hub; [Open], [Server.Run], [Server.Close] are its life.
//   - [Office] is what the command line and the console ask of it; a [Client]
//     asks the same of a hub that runs in another process.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"otor/hub/access"
	"otor/hub/backup"
	"otor/hub/blob"
	"otor/hub/broker"
	"otor/hub/contact"
	"otor/hub/feed"
	"otor/hub/ingest"
	"otor/hub/land"
	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/hub/watch"
	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/identity"
	"otor/internal/pack"
	"otor/internal/receipt"
	"otor/internal/webui"
	"otor/internal/wire"
)

// Config says how to open a hub. Dir, Log, and Packs or Forms are needed.
type Config struct {
	Dir        string
	NatsListen string   // host:port, default 127.0.0.1:4222
	HTTP       string   // host:port, default 127.0.0.1:8480
	Hosts      []string // names and addresses by which devices reach the hub
	MaxStore   int64    // bytes of both streams
	// Servers are NATS servers elsewhere, nats://host:port; empty: those of the last
	// time, else one of the hub's own.
	Servers []string
	// Database is the address of a PostgreSQL database, postgres://USER@HOST/NAME;
	// empty: where it was, else a file in Dir.
	Database string
	// Journal is the folder of the journal; empty: where it was, else beside Dir.
	Journal string
	// Packs are the form packs that the hub works with; it adds those that were
	// published. nil: Forms and Domain stay as they are, and nothing is published.
	Packs *pack.Shelf
	Forms ingest.FormBook
	// Pack is what charts and the map of the route go by when there are no Packs; nil: there
	// are none of them.
	Pack *pack.Pack
	// Domain is what packs say of entities; nil: entries are kept and no entities.
	Domain   reconcile.Domain
	Now      func() time.Time
	Zone     *time.Location // where dates are reckoned and times shown
	Demo     bool           // accept fictional resident numbers
	SkewFlag time.Duration  // clock errors from here on are findings; default 5 min
	// FeedHorizon is how long feeds remember what went away: a device that was
	// away for longer loads its scopes anew. Default 180 days.
	FeedHorizon time.Duration
	// CredentialTTL is how long devices' credentials last unless a contact renews
	// them; default and at most 30 days.
	CredentialTTL time.Duration
	// Photos is the address of a bucket for whole photos and files, see [bucket.Open];
	// empty: where they were, else a folder in Dir.
	Photos  string
	Version string
	Log     *slog.Logger
	// OwnerEnters lets whoever has EnterURL in as the owner of this machine: for a
	// demonstration, where nobody has a password.
	OwnerEnters bool
	// PublicPort is the port that invitations name, for a hub that is opened
	// without being served; empty: the one listened on.
	PublicPort string
	// Ready is called once the hub is announced and answers devices; may be nil.
	Ready func()
}

// Defaults of page "Contracts at the edges".
const (
	DefaultNats = "127.0.0.1:4222"
	DefaultHTTP = "127.0.0.1:8480"
)

// Server is a running hub.
type Server struct {
	cfg    Config
	broker *broker.Broker
	store  store.Store
	ledger *ledger.Ledger
	ingest *ingest.Ingest
	author *ingest.Author
	desk   *contact.Desk
	epochs *contact.Epochs
	caller *contact.Caller
	feeds  *feed.Desk
	herald *feed.Herald
	blobs  *blob.Room
	albums *blob.Desk
	office *Office
	drafts *drafts // lists that were uploaded
	// operators lets them in.
	operators *access.Desk
	watch     *watch.Room
	land      *land.Room
	bell      webui.Bell
	http      *http.Server
	listen    net.Listener
	secret    string
	token     string
	closers   []func() error
	// reconciler makes entities of entries; nil without a Domain.
	reconciler *reconcile.Reconciler
	key        identity.SigningKey // the hub's

	leads    atomic.Bool // of the hubs that share the database, this one does what one has to do
	troubled atomic.Bool // a finding about ingest may be open
	stuck    atomic.Bool // what was held is not released: that finding stays, whatever frames come
	suspect  atomic.Bool // something is proved about epochs that is not recorded yet
	notes    epochNotes

	pause      func(ctx context.Context, d time.Duration) bool // between attempts
	unreleased chan struct{}                                   // something held is to be released
}

// Open acquires everything the hub needs, in order; on an error what was
// acquired is released.
func Open(ctx context.Context, cfg Config) (_ *Server, err error) {
	cfg.fill()
	s := &Server{cfg: cfg, secret: webui.NewSecret(), pause: pause, unreleased: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open hub folder %s: %w", cfg.Dir, err)
	}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	if s.token, err = ownToken(cfg.Dir); err != nil {
		return nil, err
	}
	if err := s.keysFit(ctx); err != nil {
		return nil, err
	}
	key, err := broker.HubKey(cfg.Dir, time.Now())
	if err != nil {
		return nil, err
	}
	if err := s.openPacks(ctx, key.Public()); err != nil {
		return nil, err
	}
	if err := s.openLedger(ctx, key); err != nil {
		return nil, err
	}
	revoked, err := s.revokedKeys(ctx)
	if err != nil {
		return nil, err
	}
	elsewhere, err := natsServers(cfg.Dir, cfg.Servers)
	if err != nil {
		return nil, err
	}
	s.broker, err = broker.Open(ctx, broker.Config{
		Servers: elsewhere,
		Dir:     cfg.Dir, Listen: cfg.NatsListen, Hosts: cfg.Hosts, MaxStore: cfg.MaxStore, CredentialTTL: cfg.CredentialTTL,
		Revoked: revoked, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.broker.Close)
	if s.epochs, err = contact.OpenEpochs(ctx, s.store, s.broker.HubKey(), cfg.Now().UnixMilli(), control().NoChild, cfg.Log); err != nil {
		return nil, err
	}
	s.epochs.OnChild, s.epochs.OnProof = s.childBegan, s.proved
	s.callBy(s.broker.Publish)
	if err := s.settleEpochs(ctx); err != nil {
		return nil, err
	}
	if err := s.wire(); err != nil {
		return nil, err
	}
	if _, err := s.ingest.Replay(ctx, s.store); err != nil { // the journal may have brought a pack back
		cfg.Log.Error("entries that wait for their form stay set aside until the hub starts again", "err", err)
	}
	return s, s.openHTTP(ctx)
}

func (s *Server) openStore(ctx context.Context) error {
	st, err := openDatabase(ctx, s.cfg)
	if err != nil {
		return err
	}
	s.store = hurried(st)
	s.closers = append(s.closers, st.Close)
	return nil
}

func (cfg *Config) fill() {
	if cfg.Packs != nil {
		cfg.Forms, cfg.Domain = cfg.Packs, cfg.Packs
	}
	if cfg.NatsListen == "" {
		cfg.NatsListen = DefaultNats
	}
	if cfg.HTTP == "" {
		cfg.HTTP = DefaultHTTP
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
		if off := control().Now; off != nil {
			cfg.Now = off
		}
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	if cfg.FeedHorizon == 0 {
		cfg.FeedHorizon = 180 * 24 * time.Hour
	}
	if cfg.SkewFlag == 0 {
		cfg.SkewFlag = 5 * time.Minute
	}
}

// wire makes the rooms that need others.
func (s *Server) wire() error {
	icfg := s.ingestConfig()
	s.ingest = ingest.New(icfg)
	var err error
	if s.author, err = ingest.NewAuthor(icfg, s.cfg.Forms, rand.Reader); err != nil {
		return err
	}
	s.author.RecordBy(s.authored)
	decider, err := ingest.NewAuthor(icfg, s.cfg.Forms, rand.Reader)
	if err != nil {
		return err
	}
	s.feeds = &feed.Desk{
		Store: s.store, Key: s.broker.HubKey(), Epoch: s.epochs.Epoch, Rewound: s.epochs.Rewound, Now: s.cfg.Now, Log: s.cfg.Log,
		UplinkOnly: func(ctx context.Context, d dot.Device, i dot.Incarnation) (string, error) {
			if twin, err := s.store.UplinkOnly(ctx, d, i); err != nil || twin {
				return "it is a copy of a folder that is in use", err
			}
			return s.UplinkOnly(ctx, d)
		},
	}
	s.herald = feed.NewHerald(s.store.FeedHeads, s.broker.Publish, s.cfg.Log)
	s.openLand()
	s.store.OnPublish(func(scopes []string) {
		s.herald.Moved(scopes)
		s.land.Changed()
	})
	if s.blobs, err = openPhotos(s.cfg.Dir, s.cfg.Photos); err != nil {
		return err
	}
	s.albums = &blob.Desk{Ledger: s.store, Room: s.blobs, Now: s.cfg.Now, Log: s.cfg.Log, Arrived: s.bell.Ring}
	s.desk = &contact.Desk{
		Heads: s.feeds.Heads, Lost: s.albums.Lost,
		Store: s.store, Epochs: s.epochs, Now: s.cfg.Now, SkewFlag: s.cfg.SkewFlag, Log: s.cfg.Log, Issuer: s.broker,
		Sign: func(e receipt.Epoch, l store.Lane) ([]byte, error) {
			return ingest.ReceiptOf(e, l).Sign(s.broker.HubKey())
		},
	}
	if s.operators, err = openDesk(s.store, s.key, s.ledger, s.cfg.Now); err != nil {
		return err
	}
	_, pin := s.broker.CA()
	s.office = &Office{
		keeper: &backup.Keeper{
			Source: s.store, Keys: filepath.Join(s.cfg.Dir, "keys"), Photos: photosOf(s.blobs), Open: openCopy, Now: time.Now, Log: s.cfg.Log,
		},
		dir: s.cfg.Dir, store: s.store, blobs: s.blobs, ledger: s.ledger, epochs: s.epochs, now: s.cfg.Now, zone: s.cfg.Zone, pin: pin, hubKey: s.broker.HubKey().Public(), key: s.key, cutOff: s.cutOffDevice,
		address: s.PublicURL, console: s.ConsoleURL, operators: s.operators, domain: s.cfg.Domain, reconciler: s.reconciler, decider: decider, author: s.author, forms: s.cfg.Forms, packs: s.cfg.Packs, replay: s.ingest.Replay,
		rosters: &rosterDesk{stale: make(chan struct{}, 1), uploads: make(chan struct{}, rosterUploads)}, demo: s.cfg.Demo,
	}
	if s.drafts, err = openDrafts(filepath.Join(s.cfg.Dir, "drafts"), s.office, s.bell.Ring, s.cfg.Log); err != nil {
		return err
	}
	s.closers = append(s.closers, s.drafts.Close)
	return nil
}

// ingestConfig is what rooms that take entries in are made of. It holds before
// they are wired, when the journal is replayed.
func (s *Server) ingestConfig() ingest.Config {
	icfg := ingest.Config{
		Store: s.store, Forms: s.cfg.Forms, Key: s.key, Epoch: func() receipt.Epoch { return s.epochs.Epoch() },
		Now: s.cfg.Now, Zone: s.cfg.Zone, Demo: s.cfg.Demo, Log: s.cfg.Log, NoDedup: control().NoDedup,
	}
	if s.cfg.Domain != nil {
		icfg.Types = s.cfg.Domain.Type
		if w, ok := s.cfg.Domain.(worded); ok {
			icfg.Masks = w.Mask
		}
		if n, ok := s.cfg.Domain.(reconcile.Noticing); ok {
			icfg.Rules = n.RulesFor
		}
		icfg.Begin = func(tx store.Tx, at int64) ingest.Round { return s.reconciler.Begin(tx, at) }
	}
	return icfg
}

// Run serves until ctx ends. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.writeRunFile(); err != nil {
		return err
	}
	defer s.removeRunFile()
	epoch, _ := s.epochs.Certificate()
	_, err := s.ledger.Record(ctx, ledger.Act{By: byHub, Kind: kindOpened, Body: openedFact{Version: s.cfg.Version, Epoch: epoch.Epoch.String()}}, nil)
	if err != nil {
		return fmt.Errorf("record that the hub starts: %w", err)
	}
	if err := s.broker.Serve(wire.HelloAny, s.hello); err != nil {
		return err
	}
	if err := s.broker.Serve(wire.DoorAny, s.door); err != nil {
		return err
	}
	if err := s.broker.Serve(wire.RefillAny, s.refill); err != nil {
		return err
	}
	if err := s.broker.Serve(wire.PullAny, s.pull); err != nil {
		return err
	}
	if !s.shared() {
		s.leads.Store(true)
		if _, err := s.servePhotos(ctx); err != nil {
			return err
		}
	}
	if s.cfg.Ready != nil {
		s.cfg.Ready()
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, stream := range []string{wire.AlertStream, wire.UpStream} {
		group.Go(func() error {
			return s.broker.Consume(ctx, stream, broker.Slice{}, s.take)
		})
	}
	if s.shared() {
		group.Go(func() error { s.follow(ctx); return nil })
	}
	group.Go(func() error { s.caller.Run(ctx); return nil })
	group.Go(func() error { return s.herald.Run(ctx) })
	group.Go(func() error { s.forget(ctx); return nil })
	group.Go(func() error { s.release(ctx); return nil })
	group.Go(func() error { s.match(ctx); return nil })
	group.Go(func() error {
		changed, stop := s.bell.Listen()
		defer stop()
		s.watch.Run(ctx, changed)
		return nil
	})
	group.Go(func() error { s.index(ctx); return nil })
	group.Go(func() error { s.glance(ctx); return nil })
	group.Go(func() error {
		if err := s.http.Serve(s.listen); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the console: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := s.http.Shutdown(stop); err != nil {
			return s.http.Close()
		}
		return nil
	})
	return group.Wait()
}

// Close releases what Open acquired, in reverse.
func (s *Server) Close() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		if err := closer(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.closers = nil
	return errors.Join(errs...)
}

// forget has feeds forget, once a day, what went away before the horizon.
func (s *Server) forget(ctx context.Context) {
	for {
		if !s.leads.Load() { // or another hub does it; one that begins to lead does it within a day
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Minute):
			}
			continue
		}
		n, err := s.store.CollectFeeds(ctx, s.cfg.Now().Add(-s.cfg.FeedHorizon).UnixMilli())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.cfg.Log.Error("feeds keep what went away long ago", "err", err)
		case n > 0:
			s.cfg.Log.Info("feeds forgot what went away long ago", "rows", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(24 * time.Hour):
		}
	}
}

// Office answers questions about the hub.
func (s *Server) Office() *Office { return s.office }

// Author mints operators' entries.
func (s *Server) Author() *ingest.Author { return s.author }

// Store is the hub's database.
func (s *Server) Store() store.Store { return s.store }

// NatsAddr is where devices connect, host:port.
func (s *Server) NatsAddr() string { return s.broker.Addr() }
