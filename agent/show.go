package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/cli"
)

func newShow(app *cli.App) *cobra.Command {
	var c choices
	return &cobra.Command{
		Use: "show ENTITY", Short: "Show a household, a person or another entity as this device has it",
		Long: "Shows an entity: what the hub sent at the last contact, with what was captured here since. Name it by its id, or by type and id, such as household H-NB-07.",
		Args: cli.SomeArgs("ENTITY", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.Join(args, "/")
			var v web.EntityView
			err := c.either(cmd.Context(), app, func(r *running) (err error) {
				v, err = ask[web.EntityView](cmd.Context(), r, http.MethodGet, "show", url.Values{"entity": {name}})
				return err
			}, func(d *device.Device) (err error) {
				v, err = d.Show(cmd.Context(), name)
				return err
			})
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(v)
			}
			return printEntity(app, v)
		},
	}
}

func printEntity(app *cli.App, v web.EntityView) error {
	age := "never updated by the hub"
	if v.AsOf != nil {
		age = "as of " + app.Clock(v.AsOf)
	}
	if v.Scope == "" {
		age = "known to this device alone"
	}
	if err := app.Printf("%s %s, %s\n", v.Type, v.ID, age); err != nil {
		return err
	}
	if v.Deleted {
		if err := app.Printf("  deleted\n"); err != nil {
			return err
		}
	}
	rows := [][]string{}
	for _, f := range v.Fields {
		words := valueWords(f.Value)
		if f.Conflict {
			var sides []string
			for _, s := range f.Sides {
				sides = append(sides, valueWords(s))
			}
			words = fmt.Sprintf("%s for now; in conflict: %s", words, strings.Join(sides, " or "))
		}
		rows = append(rows, []string{"  " + f.Name, words})
	}
	if err := app.Table(rows); err != nil {
		return err
	}
	if len(v.Own) > 0 {
		return app.Printf("%d records of this device are in it that the hub has not confirmed.\n", len(v.Own))
	}
	return nil
}

// valueWords writes a value as people read it.
func valueWords(v any) string {
	switch x := v.(type) {
	case nil:
		return "nothing"
	case string:
		return x
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func newFind(app *cli.App) *cobra.Command {
	var c choices
	var limit int
	cmd := &cobra.Command{
		Use: "find WORDS", Short: "Find entities by id, name, telephone or another text", Args: cli.SomeArgs("WORDS", 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > web.MaxFound {
				return cli.Misuse("--limit", "%d is no number from 1 to %d", "give such a number", limit, web.MaxFound)
			}
			words := strings.Join(args, " ")
			var found []web.Found
			err := c.either(cmd.Context(), app, func(r *running) (err error) {
				found, err = ask[[]web.Found](cmd.Context(), r, http.MethodGet, "find", url.Values{"words": {words}, "limit": {strconv.Itoa(limit)}})
				return err
			}, func(d *device.Device) (err error) {
				found, err = d.Find(cmd.Context(), words, limit)
				return err
			})
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(found)
			}
			if len(found) == 0 {
				return app.Printf("Nothing here holds all of these words.\n")
			}
			rows := [][]string{}
			for _, f := range found {
				rows = append(rows, []string{f.Type, f.ID, f.Words})
			}
			return app.Table(rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "list at most so many `entities`")
	return cmd
}
