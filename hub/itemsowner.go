package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"otor/hub/server"
	"otor/internal/cli"
)

// newItemsTake takes an item on, newItemsRelease gives it back.
func newItemsTake(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "take ID", Short: "Say that you look at an open item; from somebody who has it, it is taken over",
		Long: "Says that you look at an open item, so that others do not look at it as well. It keeps nobody from deciding it. If\n" +
			"somebody else takes it meanwhile nothing is changed.",
		Args: oneItem,
		RunE: func(cmd *cobra.Command, args []string) error {
			return ownItem(cmd, app, args[0], func(o office, it server.ItemLine) (server.ItemLine, error) {
				return o.Take(cmd.Context(), it.ID, it.Owner)
			})
		},
	}
}

func newItemsRelease(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "release ID", Short: "Give back an item that you took: somebody else may look at it", Args: oneItem,
		RunE: func(cmd *cobra.Command, args []string) error {
			return ownItem(cmd, app, args[0], func(o office, it server.ItemLine) (server.ItemLine, error) {
				return o.Release(cmd.Context(), it.ID)
			})
		},
	}
}

// ownItem changes whose an item is as it is listed now.
func ownItem(cmd *cobra.Command, app *cli.App, arg string, change func(office, server.ItemLine) (server.ItemLine, error)) error {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return cli.Misuse("ID", "%q is no item's number", "name it as hub items shows it", arg)
	}
	return reads().with(cmd.Context(), app, func(o office, _ bool) error {
		items, err := o.Items(cmd.Context(), false)
		if err != nil {
			return err
		}
		listed := server.ItemLine{ID: id}
		for _, it := range items {
			if it.ID == id {
				listed = it
			}
		}
		it, err := change(o, listed)
		if err != nil {
			return err
		}
		if app.JSON {
			return app.PrintJSON(it)
		}
		if it.Owner == "" {
			return app.Printf("Item %d, %s of %s: nobody looks at it.\n", it.ID, it.Field, it.Entity)
		}
		return app.Printf("Item %d, %s of %s: %s looks at it.\n", it.ID, it.Field, it.Entity, it.Owner)
	})
}
