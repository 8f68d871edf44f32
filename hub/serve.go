package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"otor/hub/broker"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
)

func newServe(app *cli.App) *cobra.Command {
	c := &choices{make: true}
	var elsewhere []string
	var horizon time.Duration
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the hub", Args: cli.NoArgs,
		Long: "Runs the NATS server, the database, the devices' enrolment and the operators' pages.\nAs long as nobody can sign in to the pages, it prints a link for the first administrator, good once.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := c.check(); err != nil {
				return err
			}
			if _, err := broker.ServerURLs(elsewhere); err != nil {
				return cli.Misuse("--nats", "%v", "correct it", err)
			}
			cfg, err := c.config(app)
			if err != nil {
				return err
			}
			var s *server.Server
			if horizon < 24*time.Hour {
				return cli.Misuse("--feed-horizon", "%s is too short: every device that was away for longer would load everything anew", "write it like 4320h, at least 24h", horizon)
			}
			cfg.FeedHorizon, cfg.Servers = horizon, elsewhere
			cfg.Ready = func() { announce(cmd.Context(), app, s) }
			if s, err = openPatiently(cmd.Context(), app, cfg); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			return s.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	c.addresses(cmd)
	f.StringVar(&c.pack, "pack", "", "`folder` of the form pack (default: the built-in one)")
	f.BoolVar(&c.demo, "demo-numbers", false, "take fictional resident numbers as good ones")
	f.Var(&c.maxStore, "max-store", "most `bytes` that wait in the NATS streams, such as 512MiB (default 1GiB)")
	f.StringVar(&c.photos, "photos", "", "`address` of a bucket for whole photos, like https://s3.example.org/BUCKET, with its keys in the environment (default: where it was, else a folder in --data)")
	f.DurationVar(&horizon, "feed-horizon", 180*24*time.Hour, "how long feeds remember what went away (`time` such as 4320h)")
	f.StringSliceVar(&elsewhere, "nats", nil, "`addresses` of NATS servers that hub nats-config has configured, nats://HOST:PORT, at least three of them to keep each message on three (default: those of the last time, else a server of its own)")
	f.StringVar(&c.database, "db", "", "`address` of a PostgreSQL database, postgres://USER@HOST/NAME, with the password in PGPASSWORD or a pgpass file (default: where it was, else a file in --data)")
	return app.KeepsRunning(cmd)
}

// openPatiently opens the hub. A list command may hold the folder for a moment;
// a hub that answers is another matter.
func openPatiently(ctx context.Context, app *cli.App, cfg server.Config) (*server.Server, error) {
	deadline := time.Now().Add(patience)
	for {
		s, err := server.Open(ctx, cfg)
		if !errors.Is(err, store.ErrLocked) || time.Now().After(deadline) {
			return s, err
		}
		if _, running, dialErr := server.Dial(ctx, app.Data); running || dialErr != nil {
			return s, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// announce says where the hub is, once it answers, and how the first
// administrator comes in.
func announce(ctx context.Context, app *cli.App, s *server.Server) {
	first, err := s.FirstLink(ctx)
	if err != nil {
		app.Log.Error("no link for the first administrator could be made; hub operator reset admin makes one", "err", err)
	}
	if app.JSON {
		err = app.PrintJSON(struct {
			Console string `json:"console"`
			First   string `json:"first_link,omitempty"` // lets the first administrator in, once
			HTTP    string `json:"http"`
			NATS    string `json:"nats"`
			Enrol   string `json:"enrol"`
		}{s.ConsoleURL(), first, s.HTTPAddr(), s.NatsAddr(), s.PublicURL()})
	} else {
		err = app.Printf("The operators' pages: %s\nDevices enrol at:     %s\nDevices connect to:   %s\n", s.ConsoleURL(), s.PublicURL(), s.NatsAddr())
		if first != "" && err == nil {
			err = app.Printf("\nNobody can sign in yet. The first administrator, admin, sets a password here (once, within 24 h):\n  %s\n", first)
		}
	}
	if err != nil {
		app.Log.Warn("the hub's addresses could not be said", "err", err)
	}
}
