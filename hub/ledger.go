package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"otor/hub/store"
	"otor/internal/cli"
)

func newLedger(app *cli.App) *cobra.Command {
	return cli.Group("ledger", "What the hub itself decided: look through it, check it, take it out", newLedgerList(app), newLedgerVerify(app), newLedgerExport(app))
}

func factFlags(cmd *cobra.Command, q *store.FactQuery) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&q.Kind, "kind", "", "only facts of this `kind`, such as revoked")
	f.StringVar(&q.Subject, "about", "", "only facts about this `subject`, such as D-101")
	f.Uint64Var(&q.After, "after", 0, "continue behind the fact with this `number`")
	f.IntVar(&q.Limit, "limit", 0, "list at most so many `facts`, 0 for all")
	return cmd
}

func newLedgerList(app *cli.App) *cobra.Command {
	var q store.FactQuery
	return factFlags(&cobra.Command{
		Use: "list", Short: "List the facts, oldest first", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFacts(q); err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				rows := [][]string{{"NUMBER", "AT", "BY", "KIND", "ABOUT", "SAYS"}}
				for f, err := range o.Facts(cmd.Context(), q, false) {
					if err != nil {
						return err
					}
					if app.JSON {
						if err := app.PrintJSON(f); err != nil {
							return err
						}
						continue
					}
					rows = append(rows, []string{fmt.Sprint(f.Number), app.Clock(&f.At), f.By, f.Kind, f.Subject, short(f.Body)})
				}
				if app.JSON {
					return nil
				}
				return app.Table(rows)
			})
		},
	}, &q)
}

func checkFacts(q store.FactQuery) error {
	if q.Limit < 0 {
		return cli.Misuse("--limit", "--limit is a number of 0 or more", "correct it")
	}
	return nil
}

// short cuts a body for a table.
func short(body json.RawMessage) string {
	const most = 80
	r := []rune(string(body))
	if len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return string(r)
}

func newLedgerVerify(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check every signature and link of ledger and journal", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				c, err := o.CheckLedger(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(c)
				}
				err = app.Printf("%d facts, every one signed by this hub and linked to the one before; head %s\nThe journal in %s tells the same story.\n", c.Facts, c.Head, c.Dir)
				if err == nil && c.Unapplied > 0 {
					err = app.Printf("%d more are decided and come into effect with the next act.\n", c.Unapplied)
				}
				if err == nil && c.SameDisk {
					err = app.Printf("WARNING: the journal lies on the same disk as the database. Name a folder on another one: hub serve --journal DIR\n")
				}
				return err
			})
		},
	}
}

func newLedgerExport(app *cli.App) *cobra.Command {
	var q store.FactQuery
	return factFlags(&cobra.Command{
		Use: "export", Short: "Write the facts out as they were signed: one JSON object a line", Args: cli.NoArgs,
		Long: "Writes the facts as JSON, one a line, each with its signed form (CBOR, base64). Whoever has the hub's public key\n(hub ledger verify --json shows it) can check the export without the hub.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFacts(q); err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				for f, err := range o.Facts(cmd.Context(), q, true) {
					if err != nil {
						return err
					}
					if err := app.PrintJSON(f); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}, &q)
}
