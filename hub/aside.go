package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/dot"
)

// newAside lists what was set aside, and rules on it.
func newAside(app *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "aside", Short: "List the entries that were set aside, to put right, return or reject", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				list, err := asides(cmd, o)
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, list)
				}
				if len(list) == 0 {
					return app.Printf("Nothing is set aside.\n")
				}
				rows := [][]string{{"ENTRY", "FORM", "ABOUT", "BY", "CODE", "WHY"}}
				for _, e := range list {
					rows = append(rows, []string{e.Dot.String(), e.Form, e.Entity, e.User, e.Code, e.Words})
				}
				return app.Table(rows)
			})
		},
	}
	cmd.AddCommand(
		newAsideRule(app, ingest.AsideAccept, "Put a record right and apply it, as of the day that it says",
			"Applies a record that was set aside, with --answers in place of its own, such as\n"+
				`  hub aside accept D-101/1/record/7 --answers '{"count": 12}' --reason "he wrote 21 for 12"`+"\n"+
				"The hub makes the record; the original stays, and names it. An answer null takes one out. What waits for its\n"+
				"form is judged again by itself once that is published. It cannot be taken back: decide otherwise by a new record."),
		newAsideRule(app, ingest.AsideReturn, "Tell its author what to do; --reason is what the author reads", ""),
		newAsideRule(app, ingest.AsideReject, "Reject a record: its author is told why", ""),
		newAsideRule(app, ingest.AsideReopen, "Take a return or a rejection back", ""),
		newAsideRule(app, ingest.AsideJudge, "Judge a record again by the forms of today: one that is in order now is applied as it is", ""),
	)
	return cmd
}

func asides(cmd *cobra.Command, o office) (out []server.EntryLine, err error) {
	for _, v := range []store.Verdict{store.Quarantined, store.Refused} {
		for e, err := range o.Entries(cmd.Context(), store.EntryQuery{Verdict: v}) {
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
	}
	return out, nil
}

func newAsideRule(app *cli.App, choice, short, long string) *cobra.Command {
	var answers, reason, seen string
	cmd := &cobra.Command{
		Use: choice + " ENTRY", Short: short, Long: long,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.Misuse("ENTRY", "%d arguments", "name one entry, as hub aside shows it", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := dot.Parse(args[0])
			if err != nil {
				return cli.Misuse("ENTRY", "%v", "name it as hub aside shows it: D-101/1/record/7", err)
			}
			in := server.AsideRuling{Dot: d, Choice: choice, Reason: reason, Seen: seen}
			if answers != "" {
				dec := json.NewDecoder(strings.NewReader(answers))
				dec.UseNumber()
				if err := dec.Decode(&in.Fields); err != nil {
					return cli.Misuse("--answers", "%v", `write a JSON object: '{"count": 12}'`, err)
				}
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if in.Seen == "" {
					list, err := asides(cmd, o)
					if err != nil {
						return err
					}
					for _, e := range list {
						if e.Dot == d {
							in.Seen = e.Code
						}
					}
				}
				out, err := o.RuleAside(cmd.Context(), in)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(out)
				}
				return app.Printf("%s: %s.\n", d, fmt.Sprintf("%s, %s", out.Verdict, out.Words))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "`why`, for the ledger and for its author; needed")
	f.StringVar(&seen, "seen", "", "the `CODE` that hub aside listed: if it is another by now nothing is decided")
	if choice == ingest.AsideAccept {
		f.StringVar(&answers, "answers", "", "corrected answers as a JSON `object`")
	}
	return cmd
}
