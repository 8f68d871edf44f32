package main

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/cli"
)

func newDue(app *cli.App) *cobra.Command {
	var c choices
	var from string
	cmd := &cobra.Command{
		Use: "due", Short: "List what is due, in the order of the route", Args: cli.NoArgs,
		Long: "Lists what the pack's rules say is due, by what this device knows: whom the team comes by first on the route\n" +
			"stands first. --from names the stop to begin at. The last column says how old what is known is.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var lines []web.DueLine
			err := c.either(cmd.Context(), app, func(r *running) (err error) {
				lines, err = ask[[]web.DueLine](cmd.Context(), r, http.MethodGet, "due", url.Values{"from": {from}})
				return err
			}, func(d *device.Device) (err error) {
				lines, err = d.Due(cmd.Context(), from)
				return err
			})
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(lines)
			}
			if len(lines) == 0 {
				return app.Printf("Nothing is due by what this device knows.\n")
			}
			rows := [][]string{{"STOP", "VISIT", "WHAT", "OF", "BY", "DAYS", "STATE", "AS OF"}}
			for _, l := range lines {
				rows = append(rows, []string{l.Stop, l.Visited, l.Label, l.Entity, l.Date, strconv.Itoa(l.Days), l.Bucket, app.Clock(l.AsOf)})
			}
			return app.Table(rows)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`stop` of the route to begin at")
	return cmd
}

func newDone(app *cli.App) *cobra.Command {
	var c choices
	var answers map[string]string
	cmd := &cobra.Command{
		Use: "done FORM ENTITY", Short: "Say whether this work was done already, by whom and when", Args: cli.TwoArgs("FORM", "ENTITY"),
		Long: "Says before the work whether it was done already within the time that the pack's rules give, by what this device\n" +
			"knows. --answer tells apart what the rules tell apart, such as an item and a year.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"form": {args[0]}, "entity": {args[1]}}
			for k, v := range answers {
				q.Set(k, v)
			}
			var a web.DoneAnswer
			err := c.either(cmd.Context(), app, func(r *running) (err error) {
				a, err = ask[web.DoneAnswer](cmd.Context(), r, http.MethodGet, "done", q)
				return err
			}, func(d *device.Device) (err error) {
				a, err = d.Done(cmd.Context(), args[0], args[1], answers)
				return err
			})
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(a)
			}
			age := "known to this device alone"
			if a.AsOf != nil {
				age = "as of " + app.Clock(a.AsOf)
			}
			switch {
			case !a.Known:
				return app.Printf("The pack has no rule that says when %s was done already.\n", a.Form)
			case !a.Done:
				return app.Printf("Not done yet, %s.\n", age)
			}
			for _, b := range a.By {
				when, who := b.Day, "somebody"
				if b.Device != "" {
					when, who = app.Clock(&b.At), b.Device
				}
				if err := app.Printf("Done %s by %s (%s %s), %s.\n", when, who, b.Type, b.Entity, age); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringToStringVar(&answers, "answer", nil, "`name=value` of an answer that tells such work apart, such as year=2025; may be repeated")
	return cmd
}
