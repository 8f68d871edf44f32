package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/dot"
)

// listed is an item with what a decision about it must have had in view.
type listed struct {
	server.ItemLine
	Seen []dot.Dot `json:"seen"`
}

func newItems(app *cli.App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "items", Short: "List what a person must look at: conflicts and what the rules noticed", Args: cli.NoArgs,
		Long: "Lists items. SEEN are the entries that a decision about the item is about: give them to hub items decide --seen as\n" +
			"they stand here, so that nothing is decided that came in since. DECISION is what hub items undo takes back (--all).",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				items, err := o.Items(cmd.Context(), all)
				if err != nil {
					return err
				}
				return printItems(app, items)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "settled ones too")
	cmd.AddCommand(newItemsDecide(app), newItemsUndo(app), newItemsTake(app), newItemsRelease(app))
	return cmd
}

func printItems(app *cli.App, items []server.ItemLine) error {
	rows := [][]string{{"ITEM", "KIND", "ABOUT", "FIELD", "OPENED", "STATE", "WITH", "SEEN", "DECISION"}}
	for _, it := range items {
		seen, err := seenOf(it)
		if err != nil {
			return err
		}
		if app.JSON {
			if err := app.PrintJSON(listed{it, seen}); err != nil {
				return err
			}
			continue
		}
		decision := ""
		if it.Decision != nil {
			decision = it.Decision.String()
		}
		rows = append(rows, []string{
			strconv.FormatInt(it.ID, 10), it.Kind, it.Entity, it.Field, app.Clock(&it.OpenedAt), string(it.State), it.Owner, dotWords(seen), decision,
		})
	}
	switch {
	case app.JSON:
		return nil
	case len(items) == 0:
		return app.Printf("Nothing is open.\n")
	}
	return app.Table(rows)
}

// seenOf are the entries that whoever decides about the item must have had in view.
func seenOf(it server.ItemLine) ([]dot.Dot, error) {
	if it.Kind != store.Conflicts {
		return it.Entries, nil
	}
	var e reconcile.Dispute
	if err := json.Unmarshal(it.Evidence, &e); err != nil {
		return nil, fmt.Errorf("read the evidence of item %d: %w", it.ID, err)
	}
	return e.Displayed, nil
}

// dotWords writes dots as --seen takes them.
func dotWords(dots []dot.Dot) string {
	words := make([]string, len(dots))
	for i, d := range dots {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}
