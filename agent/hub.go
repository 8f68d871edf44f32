package main

import (
	"strings"

	"github.com/spf13/cobra"

	"otor/agent/enrol"
	"otor/agent/link"
	"otor/internal/cli"
)

func newHub(app *cli.App) *cobra.Command {
	return cli.Group("hub", "The hub that this device belongs to", newHubSet(app))
}

func newHubSet(app *cli.App) *cobra.Command {
	var c choices
	cmd := &cobra.Command{
		Use: "set ADDRESS", Short: "Tell the device where its hub is by now", Args: cli.OneArg("ADDRESS"),
		Long: "Asks at the new address, host or host:port of the hub's pages, and stores it when the hub that enrolled this device\n" +
			"answers there: its certificate authority decides. Records, keys and credentials stay as they are.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, ok := findRunning(cmd.Context(), app); ok {
				return &cli.Error{
					Exit: cli.Storage, Code: "locked", What: "an agent runs on this folder, and goes by the old address until it is started again", Which: app.Data,
					Do: "stop it, run this command again, then start it",
				}
			}
			moved, err := enrol.Move{Dir: app.Data, Hub: args[0], Dialer: link.NewDialer(c.dns)}.Do(cmd.Context())
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(moved)
			}
			return app.Printf("The hub is at %s, for records at %s.\n", moved.Hub, strings.Join(moved.NatsURLs, ", "))
		},
	}
	c.connects(cmd)
	return cmd
}
