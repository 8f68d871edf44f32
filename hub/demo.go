package main

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"otor/hub/demo"
	"otor/internal/cli"
)

func newDemo(app *cli.App) *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use: "demo", Short: "Replay a scenario's day through real devices and a real hub", Args: cli.NoArgs,
		Long: "Six devices with databases of their own ride a day offline, find signal now and then, and a hub\n" +
			"receives and accounts for every entry. All of it runs on loopback in folders that are removed afterwards.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.JSON, o.Log = app.Out, app.JSON, app.Log
			o.Terminal = isTerminal(app.Out)
			if o.Terminal || !cmd.Flags().Changed("log-level") {
				o.Log = slog.New(slog.DiscardHandler) // lines cut and raised on purpose fill a log
			}
			err := demo.Run(cmd.Context(), o)
			switch {
			case err == nil || cmd.Context().Err() != nil && !errors.Is(err, demo.ErrMismatch):
				return nil
			case errors.Is(err, demo.ErrMismatch):
				return cli.Say(cli.Integrity, "mismatch", o.Scenario, "compare the report above with the scenario file", err)
			case errors.Is(err, demo.ErrScenario), errors.Is(err, fs.ErrNotExist):
				return cli.Say(cli.Refused, "bad_scenario", o.Scenario, "correct the scenario file; without --scenario the built-in day is shown", err)
			default:
				return err
			}
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Scenario, "scenario", "", "scenario `file` (default: the built-in day)")
	f.BoolVar(&o.Fast, "fast", false, "step from event to event as fast as each settles")
	f.Float64Var(&o.Speed, "speed", 0, "seconds of the day that pass in one `second` (default 900)")
	f.BoolVar(&o.Exit, "exit", false, "end after the report instead of staying up")
	f.StringVar(&o.Dir, "keep", "", "`folder` for the hub's and the devices' data, kept afterwards (default: a temporary one, removed)")
	return cli.WithoutFolder(cmd)
}

// isTerminal reports whether somebody watches.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
