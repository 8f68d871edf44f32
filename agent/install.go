package main

import (
	"github.com/spf13/cobra"

	"otor/internal/cli"
)

func newInstall(app *cli.App) *cobra.Command {
	return app.InstallService("agent", "run", func() (folders, flags []string, err error) { return nil, nil, nil })
}
