package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/startup"
)

func newInstall(app *cli.App) *cobra.Command {
	var journal string
	var backups []string
	cmd := app.InstallService("hub", "serve", func(p *startup.Plan) error {
		dir, err := server.JournalFolder(app.Data, journal)
		if err != nil {
			return err
		}
		p.Folders = append(p.Folders, dir)
		p.Args = append(p.Args, "--journal", dir)
		for _, b := range backups {
			if dir, err = filepath.Abs(b); err != nil {
				return err
			}
			if server.OwnTemporary(dir) {
				return cli.Misuse("--backups", "%s is no place for backups: a service has a folder for temporary files of its own, which goes when it ends", "name a folder on another disk", dir)
			}
			p.Aside = append(p.Aside, dir)
		}
		return nil
	})
	cmd.Flags().StringVar(&journal, "journal", "", "`folder` of the journal of what the hub decides; on another disk (default: where it was, else beside --data)")
	cmd.Flags().StringSliceVar(&backups, "backups", nil, "`folders` that hub backup is to write into: a service writes nowhere else (systemd)")
	return cmd
}
