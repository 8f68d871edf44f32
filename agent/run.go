package main

import (
	"errors"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/internal/cli"
	"otor/internal/runfile"
)

func newRun(app *cli.App) *cobra.Command {
	var c choices
	cmd := &cobra.Command{
		Use: "run", Short: "Keep the link, carry what is captured, serve the team's page", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := cli.CheckListen("http", c.http); err != nil {
				return err
			}
			if c.lang != "" && c.lang != "zh" && c.lang != "mn" && c.lang != "en" {
				return cli.Misuse("--lang", "the page does not speak %q", "say zh, mn or en, or leave it out", c.lang)
			}
			c.ready = func(page string) { announce(app, page) }
			d, err := c.open(app)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			return d.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.http, "http", device.DefaultHTTP, "`host:port` of the team's page; port 0 picks a free one")
	f.StringVar(&c.lang, "lang", "", "`language` of the page: zh, mn or en (default: as the browser asks)")
	c.captures(cmd)
	c.connects(cmd)
	c.prunes(cmd)
	return app.KeepsRunning(cmd)
}

// announce says where the page is, once it is served.
func announce(app *cli.App, page string) {
	info, _, err := runfile.Read(app.Data)
	if err == nil && app.JSON {
		err = app.PrintJSON(struct {
			Page string `json:"page"`
			HTTP string `json:"http"`
		}{page, info.HTTP})
	} else if err == nil {
		err = app.Printf("The team's page: %s\n", page)
	}
	if err != nil {
		app.Log.Warn("the page's address could not be said", "err", err)
	}
}
