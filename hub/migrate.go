package main

import (
	"github.com/spf13/cobra"

	"otor/hub/server"
	"otor/hub/store/tables"
	"otor/internal/cli"
)

func newMigrate(app *cli.App) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "migrate --to PLACE", Short: "Move the hub's database to PostgreSQL, or back into a file", Args: cli.NoArgs,
		Long: "Copies every table of the stopped hub's database into an empty one, reads it there again and compares numbers and\n" +
			"hashes of rows. Then the hub works there: start it as before. It happens whole or not at all, and the old database stays\n" +
			"as it is: delete it once you are content. Streams, keys, journal and photos are in the hub's folder and stay there.",
		Example: "  hub migrate --to postgres://otor@db.example.org/hub\n  hub migrate --to sqlite",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return cli.Misuse("--to", "it is not said where the database is to be moved", "write --to postgres://USER@HOST:PORT/NAME, or --to sqlite")
			}
			if there, err := server.IsHub(app.Data); err != nil || !there && from == "" {
				return noHub(app, err)
			}
			moved, err := server.Migrate(cmd.Context(), server.Config{Dir: app.Data, Database: from, Log: app.Log}, to, func(c tables.Copied) {
				app.Log.Info("table copied and compared", "table", c.Table, "rows", c.Rows, "hash", c.Hash)
			})
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(moved)
			}
			return printMoved(app, moved)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`address` of the database (default: where the hub has it)")
	cmd.Flags().StringVar(&to, "to", "", "`address` of an empty PostgreSQL database, or sqlite for a file in the hub's folder")
	return cmd
}

func printMoved(app *cli.App, m server.Moved) error {
	for _, t := range m.Tables {
		if err := app.Printf("%-16s %10d rows  %.16s\n", t.Table, t.Rows, t.Hash); err != nil {
			return err
		}
	}
	if err := app.Printf("%d rows of %d tables are now in %s, and the same as in %s.\n", m.Rows, len(m.Tables), m.To, m.From); err != nil {
		return err
	}
	if m.Kept != "" {
		return app.Printf("The old database is kept as %s.\n", m.Kept)
	}
	return nil
}
