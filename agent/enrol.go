package main

import (
	"github.com/spf13/cobra"

	"otor/agent/enrol"
	"otor/agent/link"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/release"
)

func newEnrol(app *cli.App) *cobra.Command {
	var hub string
	var c choices
	cmd := &cobra.Command{
		Use: "enrol CODE", Short: "Make this folder a device, with a one-time code of the hub's operator",
		Long: "Trades a one-time code for this device's credentials. CODE is what the hub's screen\nshows, or the text of its QR picture, which names the hub as well.",
		Args: cli.OneArg("CODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			got, err := enrol.Enrol(cmd.Context(), enrol.Config{
				Dir: app.Data, Hub: hub, Code: args[0], Version: release.Version, Dialer: link.NewDialer(c.dns), Log: app.Log,
			})
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(struct {
					Device      dot.Device      `json:"device"`
					Incarnation dot.Incarnation `json:"incarnation"`
				}{got.Device, got.Incarnation})
			}
			return app.Printf("This is now device %s, in its life number %d. Start it with: agent run\n", got.Device, got.Incarnation)
		},
	}
	cmd.Flags().StringVar(&hub, "hub", "", "the hub's `address`: host, host:port or URL (default: as the QR text says)")
	c.connects(cmd)
	return cmd
}
