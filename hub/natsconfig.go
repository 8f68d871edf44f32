package main

import (
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"otor/hub/broker"
	"otor/internal/cli"
)

func newNatsConfig(app *cli.App) *cobra.Command {
	var n broker.Node
	var out string
	var size byteSize
	cmd := &cobra.Command{
		Use: "nats-config --name NAME --listen HOST:PORT --out DIR", Short: "Write the configuration of a NATS server for the hub to work with", Args: cli.NoArgs,
		Long: "Writes what a nats-server (2.10 or later) needs to honour this hub's credentials: its configuration, a certificate of the\n" +
			"hub's authority, and the accounts. Run it once for each server, copy the folder there, start nats-server -c nats.conf in it,\n" +
			"and name the servers to the hubs: hub serve --nats HOST:PORT,HOST:PORT,HOST:PORT. The hub's keys stay in its folder.",
		Example: "  hub nats-config --name n1 --listen 10.0.0.1:4222 --cluster 10.0.0.1:6222 \\\n      --routes 10.0.0.1:6222,10.0.0.2:6222,10.0.0.3:6222 --out n1",
		RunE: func(_ *cobra.Command, _ []string) error {
			for _, f := range [][2]string{{"--out", out}, {"--name", n.Name}, {"--listen", n.Listen}} {
				if f[1] == "" {
					return cli.Misuse(f[0], f[0]+" is missing", "see hub nats-config --help")
				}
			}
			n.Store = int64(size)
			dir, err := filepath.Abs(out)
			if err != nil {
				return err
			}
			if err := broker.WriteNode(app.Data, dir, n, time.Now()); err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(struct {
					Dir string `json:"dir"`
				}{dir})
			}
			return app.Printf("%s is ready: copy it to the server's machine, and start nats-server -c nats.conf in it.\n", dir)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Name, "name", "", "`name` of the server, of its own")
	f.StringVar(&n.Listen, "listen", "", "`host:port` for devices and hubs")
	f.StringVar(&n.Cluster, "cluster", "", "`host:port` for the other servers (default: it stands alone)")
	f.StringSliceVar(&n.Routes, "routes", nil, "`addresses` of all servers' --cluster")
	f.StringSliceVar(&n.Hosts, "hosts", nil, "further `names` and addresses by which the server is reached")
	f.Var(&size, "max-store", "most `bytes` that the streams take on its disk (default 1GiB)")
	f.StringVar(&out, "out", "", "`folder` to write")
	return cmd
}
