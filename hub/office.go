package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"otor/hub/backup"
	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/pack"
	"otor/internal/release"
)

// office is what commands ask of a hub, in this process or in another.
type office interface {
	Invite(ctx context.Context, d dot.Device, scopes []string, ttl time.Duration, again bool) (server.Invited, error)
	Revoke(ctx context.Context, d dot.Device) error
	Plan(ctx context.Context, d dot.Device, in server.PlanOrder) (console.Absence, error)
	Unplan(ctx context.Context, d dot.Device) error
	Regrant(ctx context.Context, d dot.Device, add, remove []string) (server.Regranted, error)
	Devices(ctx context.Context) ([]server.Enrolled, error)
	Fleet(ctx context.Context) (console.Fleet, error)
	Gaps(ctx context.Context, closed bool) ([]server.GapLine, error)
	Items(ctx context.Context, all bool) ([]server.ItemLine, error)
	Photos(ctx context.Context, all bool) ([]server.PhotoLine, error)
	Photo(ctx context.Context, name string, preview bool) (io.ReadCloser, string, error)
	CheckPhotos(ctx context.Context) (server.PhotoCheck, error)
	Take(ctx context.Context, id int64, from string) (server.ItemLine, error)
	Release(ctx context.Context, id int64) (server.ItemLine, error)
	Decide(ctx context.Context, id int64, ru server.Ruling) (server.ItemLine, error)
	Export(ctx context.Context, in server.ExportOrder) (server.Exported, io.ReadCloser, error)
	Rosters(ctx context.Context) ([]server.RosterSummary, error)
	RosterLines(ctx context.Context, q store.RosterQuery) iter.Seq2[server.RosterLine, error]
	CheckRoster(ctx context.Context, u server.RosterUpload) (server.RosterPreview, error)
	ImportRoster(ctx context.Context, u server.RosterUpload) (server.RosterImported, error)
	RuleRoster(ctx context.Context, kind string, c server.RosterChoice) (server.RosterLine, error)
	Statement(ctx context.Context, t reconcile.Terms) (reconcile.Signed, error)
	Unattributed(ctx context.Context) ([]server.UnattributedLine, error)
	Findings(ctx context.Context, closed bool) ([]server.FindingLine, error)
	Entries(ctx context.Context, q store.EntryQuery) iter.Seq2[server.EntryLine, error]
	Records(ctx context.Context, q console.RecordQuery) (console.RecordList, error)
	Record(ctx context.Context, d dot.Dot, lang string) (console.Record, error)
	Things(ctx context.Context, q console.ThingQuery) (console.ThingList, error)
	Thing(ctx context.Context, ref, before, lang string) (console.Thing, error)
	Reveal(ctx context.Context, r console.Reveal) (console.Revealed, error)
	Backup(ctx context.Context, dir string, keep int) (backup.Made, error)
	Confirm(ctx context.Context, devices []dot.Device) ([]dot.Device, error)
	ConfirmLife(ctx context.Context, d dot.Device, i dot.Incarnation) error
	Seal(ctx context.Context, c dot.Chain, run lane.Range, reason string) error
	RuleAside(ctx context.Context, in server.AsideRuling) (server.AsideAnswer, error)
	Facts(ctx context.Context, q store.FactQuery, signed bool) iter.Seq2[server.FactLine, error]
	Packs(ctx context.Context) ([]server.PackLine, error)
	CheckPack(ctx context.Context, zip []byte) (server.PackLine, error)
	PublishPack(ctx context.Context, zip []byte) (server.Published, error)
	CheckLedger(ctx context.Context) (server.LedgerCheck, error)
	Operators(ctx context.Context) ([]server.OperatorLine, error)
	AddOperator(ctx context.Context, n server.NewOperator) (server.Linked, error)
	DisableOperator(ctx context.Context, name string) error
	EnableOperator(ctx context.Context, name string) (server.Linked, error)
	ResetOperator(ctx context.Context, name string) (server.Linked, error)
}

var (
	_ office = (*server.Office)(nil)
	_ office = (*server.Client)(nil)
)

// choices are the flags that say how the hub is set up.
type choices struct {
	nats, http string
	hosts      []string
	pack       string
	demo       bool
	maxStore   byteSize
	journal    string
	database   string
	photos     string

	// make lets a command make the hub's folder when there is none.
	make bool
}

// addresses adds the flags that say where the hub is reached.
func (c *choices) addresses(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.nats, "nats-listen", server.DefaultNats, "`host:port` for devices; port 0 picks a free one")
	f.StringVar(&c.http, "http", server.DefaultHTTP, "`host:port` for operators' pages and enrolment; port 0 picks a free one")
	f.StringVar(&c.journal, "journal", "", "`folder` of the journal of what the hub decides; on another disk (default: where it was, else beside --data)")
	f.StringSliceVar(&c.hosts, "hosts", nil, "`names` and addresses by which devices reach the hub, the first one goes into codes")
}

func (c *choices) check() error {
	return errors.Join(cli.CheckListen("nats-listen", c.nats), cli.CheckListen("http", c.http))
}

func (c *choices) config(app *cli.App) (server.Config, error) {
	forms, err := loadPack(c.pack)
	if err != nil {
		return server.Config{}, err
	}
	return server.Config{
		Photos: c.photos, Database: c.database,
		Dir: app.Data, Journal: c.journal, NatsListen: c.nats, HTTP: c.http, Hosts: c.hosts, MaxStore: int64(c.maxStore), Packs: pack.NewShelf(forms),
		Zone: app.Zone, Demo: c.demo, Version: release.Version, Log: app.Log,
	}, nil
}

func loadPack(dir string) (*pack.Pack, error) {
	if dir == "" {
		return pack.Transhumance()
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return nil, cli.Misuse("--pack", "there is no folder %s", "name the folder that has the pack.toml", dir)
	}
	return pack.Load(os.DirFS(dir))
}

// patience is how long a command waits for a folder that is locked by a program
// that does not answer: a hub that is just starting, or another command.
const patience = 5 * time.Second

// with asks the hub that runs in the data folder, or opens the folder for the
// time of the question. The question is told whether a hub runs.
func (c *choices) with(ctx context.Context, app *cli.App, question func(o office, running bool) error) error {
	deadline := time.Now().Add(patience)
	for {
		client, ok, err := server.Dial(ctx, app.Data)
		if err != nil {
			return err
		}
		if ok {
			return question(client, true)
		}
		err = c.open(ctx, app, question)
		if !errors.Is(err, store.ErrLocked) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// open opens the hub on ports of its own, so that it disturbs nobody, without
// serving; invitations still name the port at which it will be served.
func (c *choices) open(ctx context.Context, app *cli.App, question func(o office, running bool) error) (err error) {
	if there, err := server.IsHub(app.Data); err != nil || !there && !c.make {
		return noHub(app, err)
	}
	cfg, err := c.config(app)
	if err != nil {
		return err
	}
	if _, cfg.PublicPort, err = net.SplitHostPort(c.http); err != nil {
		return err
	}
	cfg.NatsListen, cfg.HTTP = freePort(c.nats), freePort(c.http)
	s, err := server.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return question(s.Office(), false)
}

// noHub says that no hub has its folder there, unless something kept us from looking.
func noHub(app *cli.App, err error) error {
	if err != nil {
		return err
	}
	return &cli.Error{
		Exit: cli.Usage, Code: "no_hub", What: "there is no hub in this folder", Which: app.Data,
		Do: "name the hub's folder with --data, or start one: hub serve",
	}
}

func freePort(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort(host, "0")
}

// reads is a choice of flags for commands that only look.
func reads() *choices { return &choices{nats: server.DefaultNats, http: server.DefaultHTTP} }

// printLines writes a list as one JSON object a line.
func printLines[T any](app *cli.App, lines []T) error {
	for _, l := range lines {
		if err := app.PrintJSON(l); err != nil {
			return err
		}
	}
	return nil
}
