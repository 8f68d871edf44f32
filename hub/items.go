package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"otor/internal/cli"
)

func newItems(app *cli.App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "items", Short: "List what a person must look at: conflicts and what the rules noticed", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				items, err := o.Items(cmd.Context(), all)
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, items)
				}
				if len(items) == 0 {
					return app.Printf("Nothing is open.\n")
				}
				rows := [][]string{{"ITEM", "KIND", "ABOUT", "FIELD", "ENTRIES", "OPENED", "STATE", "WITH"}}
				for _, it := range items {
					entries := make([]string, len(it.Entries))
					for i, d := range it.Entries {
						entries[i] = d.String()
					}
					rows = append(rows, []string{
						strconv.FormatInt(it.ID, 10), it.Kind, it.Entity, it.Field, strings.Join(entries, " "), app.Clock(&it.OpenedAt), string(it.State), it.Owner,
					})
				}
				return app.Table(rows)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "settled ones too")
	cmd.AddCommand(newItemsDecide(app), newItemsUndo(app), newItemsTake(app), newItemsRelease(app))
	return cmd
}
