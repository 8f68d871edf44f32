package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otor/hub/console"
	"otor/internal/cli"
	"otor/internal/dot"
)

func newRecords(app *cli.App) *cobra.Command {
	var q console.RecordQuery
	var from, until string
	limit := 0
	cmd := &cobra.Command{
		Use: "records [WORDS]", Short: "Find records: by words of their answers, the newest first", Args: cobra.ArbitraryArgs,
		Long: `Finds records. WORDS are parts of answers, all of which a record must have; two
letters are enough. With --json one object a record. Numbers of persons are masked:
see hub records show, and hub records reveal.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q.Text = strings.Join(args, " ")
			if q.From, err = day(app, "--from", from); err != nil {
				return err
			}
			if q.Until, err = day(app, "--until", until); err != nil {
				return err
			}
			if !q.Until.IsZero() {
				q.Until = q.Until.AddDate(0, 0, 1)
			}
			if limit < 0 {
				return cli.Misuse("--limit", "%d is below 0", "give a number of records, 0 for all", limit)
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error { return printRecords(cmd, app, o, q, limit) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Device, "device", "", "only of this `device`")
	f.StringVar(&q.Team, "team", "", "only of the devices of this `team`")
	f.StringVar(&q.Form, "form", "", "only answers to this `form`")
	f.StringVar(&q.Verdict, "verdict", "", "only with this `verdict`")
	f.StringVar(&q.Entity, "entity", "", "only about this `entity`: an id, or type/id")
	f.StringVar(&from, "from", "", "only from this `day` on, such as 2025-09-18")
	f.StringVar(&until, "until", "", "only up to this `day`, included")
	f.StringVar(&q.Lang, "lang", "", "`language` of the titles: zh, mn or en")
	f.IntVar(&limit, "limit", 50, "at most so many `records`, 0 for all")
	cmd.AddCommand(newRecordsShow(app), newRecordsReveal(app))
	return cmd
}

func day(app *cli.App, flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, app.Zone)
	if err != nil {
		return t, cli.Misuse(flag, "%q is no day", "write it like 2025-09-18", s)
	}
	return t, nil
}

func printRecords(cmd *cobra.Command, app *cli.App, o office, q console.RecordQuery, limit int) error {
	rows := [][]string{{"RECORD", "WHEN", "FORM", "ABOUT", "WHO", "VERDICT"}}
	for n := 0; limit == 0 || n < limit; {
		if q.Limit = 200; limit > 0 {
			q.Limit = min(q.Limit, limit-n)
		}
		page, err := o.Records(cmd.Context(), q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			n++
			if app.JSON {
				if err := app.PrintJSON(r); err != nil {
					return err
				}
				continue
			}
			about := cmp.Or(r.Name, r.Entity)
			rows = append(rows, []string{r.Dot.String(), app.Clock(&r.HubAt), r.Title, about, r.Actor, r.Verdict})
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	switch {
	case app.JSON:
		return nil
	case len(rows) == 1:
		return app.Printf("No record fits.\n")
	}
	return app.Table(rows)
}

func newRecordsShow(app *cli.App) *cobra.Command {
	lang := ""
	cmd := &cobra.Command{
		Use: "show RECORD", Short: "Show one record, such as D-101/3/record/17", Args: cli.OneArg("RECORD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := dotOf(args[0])
			if err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				r, err := o.Record(cmd.Context(), d, lang)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(r)
				}
				return printRecord(app, r)
			})
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "", "`language` of the questions: zh, mn or en")
	return cmd
}

func printRecord(app *cli.App, r console.Record) error {
	rows := [][]string{
		{"record", r.Dot.String()},
		{"form", r.Title},
		{"about", strings.TrimSpace(r.Entity + " " + r.Name)},
		{"who", r.Actor},
		{"when", app.Clock(&r.HubAt)},
		{"device's clock", app.Clock(&r.DeviceAt)},
		{"arrived", strings.TrimSpace(app.Clock(&r.ReceivedAt) + " " + r.Via)},
		{"verdict", strings.TrimSpace(r.Verdict + " " + r.Code + " " + r.Words)},
	}
	for _, a := range r.Answers {
		rows = append(rows, []string{a.Label, a.Value})
	}
	for _, w := range r.Writes {
		rows = append(rows, []string{w.Ref + "#" + w.Name, w.Value})
	}
	for _, x := range r.Rulings {
		rows = append(rows, []string{x.Choice + " by " + x.By, x.Reason})
	}
	return app.Table(rows)
}

func newRecordsReveal(app *cli.App) *cobra.Command {
	var r console.Reveal
	cmd := &cobra.Command{
		Use: "reveal RECORD|TYPE/ID FIELD", Short: "Show a masked field of a record or an entity; who looked and why stays in the ledger",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return cli.Misuse("", "it takes a record or an entity, and a field", "such as: hub records reveal household/H-001 phone --reason WHY")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Field = args[1]
			if d, err := dot.Parse(args[0]); err == nil {
				r.Record = d
			} else {
				r.Entity = args[0]
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				v, err := o.Reveal(cmd.Context(), r)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(v)
				}
				return app.Printf("%s\n", strings.Join(v.Values, "\n"))
			})
		},
	}
	cmd.Flags().StringVar(&r.Reason, "reason", "", "`why` it is looked at")
	return cmd
}

func dotOf(s string) (dot.Dot, error) {
	d, err := dot.Parse(s)
	if err != nil {
		return d, cli.Misuse("", "%q is no name of a record", "write it like D-101/3/record/17", s)
	}
	return d, nil
}

func newFind(app *cli.App) *cobra.Command {
	var q console.ThingQuery
	cmd := &cobra.Command{
		Use: "find WORDS", Short: "Find households, persons and other entities by name, id or whole number",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Misuse("WORDS", "nothing to look for", "give a part of a name, an id, or a whole number")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Text = strings.Join(args, " ")
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				list, err := o.Things(cmd.Context(), q)
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, list.Things)
				}
				if len(list.Things) == 0 {
					return app.Printf("Nothing is called like this.\n")
				}
				rows := [][]string{{"ENTITY", "KIND", "NAME"}}
				for _, t := range list.Things {
					rows = append(rows, []string{t.Ref, t.Type, t.Name})
				}
				return app.Table(rows)
			})
		},
	}
	cmd.Flags().StringVar(&q.Type, "type", "", "only of this `type`, such as household")
	cmd.Flags().StringVar(&q.Lang, "lang", "", "`language` of the names: zh, mn or en")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "at most so many `entities`")
	cmd.AddCommand(newFindShow(app))
	return cmd
}

func newFindShow(app *cli.App) *cobra.Command {
	lang, before := "", ""
	cmd := &cobra.Command{
		Use: "show TYPE/ID", Short: "Show an entity: each value, who wrote it, and what was decided", Args: cli.OneArg("ENTITY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				t, err := o.Thing(cmd.Context(), args[0], before, lang)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(t)
				}
				rows := [][]string{{"FIELD", "VALUE", "BY", "RECORD", "DECIDED"}}
				for _, f := range t.Fields {
					rows = append(rows, []string{f.Name, f.Value, "", "", ""})
					for _, v := range f.Values {
						rows = append(rows, []string{"", v.Value, v.Actor, v.Dot.String(), strings.TrimSpace(v.Choice + " " + v.Reason)})
					}
				}
				return app.Table(rows)
			})
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "", "`language`: zh, mn or en")
	cmd.Flags().StringVar(&before, "before", "", "history before this `place`, as next says with --json")
	return cmd
}
