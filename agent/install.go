package main

import (
	"github.com/spf13/cobra"

	"otor/internal/cli"
)

func newInstall(app *cli.App) *cobra.Command {
	return app.InstallService("agent", "run", nil)
}
