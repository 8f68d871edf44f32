package main

import (
	"github.com/spf13/cobra"

	"otor/hub/server"
	"otor/internal/cli"
)

func newInstall(app *cli.App) *cobra.Command {
	var journal string
	cmd := app.InstallService("hub", "serve", func() (folders, flags []string, err error) {
		dir, err := server.JournalFolder(app.Data, journal)
		return []string{dir}, []string{"--journal", dir}, err
	})
	cmd.Flags().StringVar(&journal, "journal", "", "`folder` of the journal of what the hub decides; on another disk (default: where it was, else beside --data)")
	return cmd
}
