package main

import (
	"strings"

	"github.com/spf13/cobra"

	"otor/internal/cli"
)

func newDeviceScopes(app *cli.App) *cobra.Command {
	var add, remove []string
	cmd := &cobra.Command{
		Use: "scopes NAME", Short: "Say what a device may see: give it scopes, or take some", Args: cli.OneArg("NAME"),
		Long: "Gives a device scopes and takes some from it. A connected device hears of it at once,\nothers with their next contact. What a device holds of a scope that was taken, it\nforgets; what it captured, it keeps and still sends.",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := parseName(args[0])
			if err != nil {
				return err
			}
			if len(add)+len(remove) == 0 {
				return cli.Misuse("--add", "it is not said what changes", "name scopes with --add and --remove; hub device list shows what a device has")
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				got, err := o.Regrant(cmd.Context(), d, add, remove)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(got)
				}
				scopes := strings.Join(got.Scopes, ", ")
				if scopes == "" {
					scopes = "nothing"
				}
				return app.Printf("Device %s is granted: %s.\n", got.Device, scopes)
			})
		},
	}
	cmd.Flags().StringSliceVar(&add, "add", nil, "`scopes` to give, such as gacha:ulaanchulu")
	cmd.Flags().StringSliceVar(&remove, "remove", nil, "`scopes` to take")
	return cmd
}
