package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/sheet"
)

func newRoster(app *cli.App) *cobra.Command {
	return cli.Group("roster", "Official lists: import them, see what became of each row, decide", newRosterList(app), newRosterImport(app), newRosterShow(app), newRosterDecide(app))
}

func newRosterList(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the kinds of lists, with the latest import of each", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				all, err := o.Rosters(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, all)
				}
				if len(all) == 0 {
					return app.Printf("The pack names no kind of list.\n")
				}
				rows := [][]string{{"KIND", "TITLE", "IMPORT", "AT", "BY", "FILE", "ROWS", "WAITING"}}
				for _, r := range all {
					open := int64(0)
					for _, n := range r.Open {
						open += n
					}
					rows = append(rows, []string{r.Kind, r.Title["en"], num(r.Import), app.Clock(r.At), r.By, r.File, strconv.Itoa(r.Rows), strconv.FormatInt(open, 10)})
				}
				return app.Table(rows)
			})
		},
	}
}

// rosterFlags are what roster import is told.
type rosterFlags struct {
	sheet, columns string
	header         int
	check          bool
}

func newRosterImport(app *cli.App) *cobra.Command {
	var f rosterFlags
	cmd := &cobra.Command{
		Use: "import KIND FILE", Short: "Import a list in place of the one before", Args: twoArgs("KIND and FILE"),
		Long: "Reads a list of people (.xlsx or .csv, in UTF-8, UTF-16 or GB18030), says what is wrong with it by row and\n" +
			"column, and imports it in one transaction: rows are added, changed, and gone; what they said before stays.\n" +
			"Then each row is compared with the persons whom the hub knows; two facts must agree.\n" +
			"Columns are found by their titles, and by those of last time; --columns says which they are:\n" +
			"  hub roster import pension_list list.xlsx --header 2 --columns name=B,resident_id=C,phone=E",
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := f.upload(args[0], args[1])
			if err != nil {
				return err
			}
			shown := ""
			u.Progress = func(stage string, rows int) {
				if text := fmt.Sprintf("%s %d", stage, rows); text != shown && !app.JSON {
					shown = text
					_, _ = fmt.Fprintln(cmd.ErrOrStderr(), text) // for whoever waits
				}
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if f.check {
					p, err := o.CheckRoster(cmd.Context(), u)
					if err != nil {
						return err
					}
					return tellPreview(app, p)
				}
				out, err := o.ImportRoster(cmd.Context(), u)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(out)
				}
				if err := tellPreview(app, out.RosterPreview); err != nil {
					return err
				}
				return app.Printf("Imported as number %d.\n", out.Import)
			})
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.check, "check", false, "only say what it would come to")
	fl.StringVar(&f.sheet, "sheet", "", "`name` of the sheet of a workbook (default: the first that has something in it)")
	fl.StringVar(&f.columns, "columns", "", "which column is which: name, resident_id, birth, phone, place, each with a `letter`")
	fl.IntVar(&f.header, "header", 1, "`row` with the titles, with --columns")
	return cmd
}

func twoArgs(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 2 {
			return cli.Misuse(what, "%d arguments", "give "+what, len(args))
		}
		return nil
	}
}

// upload reads the flags and the file.
func (f rosterFlags) upload(kind, file string) (u server.RosterUpload, err error) {
	u = server.RosterUpload{Kind: kind, File: filepath.Base(file), Sheet: f.sheet}
	if f.columns != "" {
		u.Columns = &server.RosterColumns{HeaderRow: f.header, Fields: reconcile.Mapping{}}
		for part := range strings.SplitSeq(f.columns, ",") {
			name, letter, _ := strings.Cut(part, "=")
			field := reconcile.Field(strings.TrimSpace(name))
			column := sheet.ColumnIndex(strings.TrimSpace(letter))
			if !slices.Contains(reconcile.Fields, field) || column < 0 {
				return u, cli.Misuse("--columns", "%q says no column", "write it like name=B,resident_id=C", part)
			}
			u.Columns.Fields[field] = column
		}
	}
	fi, err := os.Stat(file)
	if err != nil {
		return u, cli.Misuse("FILE", "the file cannot be read: %v", "name a list", err)
	}
	if fi.Size() > sheet.Usual.File {
		return u, &cli.Error{Exit: cli.Refused, Code: "roster_too_large", What: fmt.Sprintf("the file has more than %d MB", sheet.Usual.File>>20), Which: file, Do: "split the list"}
	}
	if u.Body, err = os.ReadFile(file); err != nil {
		return u, cli.Misuse("FILE", "the file cannot be read: %v", "name a list", err)
	}
	return u, nil
}

func tellPreview(app *cli.App, p server.RosterPreview) error {
	if app.JSON {
		return app.PrintJSON(p)
	}
	if p.Trouble != nil {
		rows := [][]string{{"COLUMN", "TITLE", "FIRST ROW"}}
		for i, title := range p.Header {
			first := ""
			if len(p.Sample) > 0 && i < len(p.Sample[0]) {
				first = p.Sample[0][i]
			}
			rows = append(rows, []string{sheet.ColumnName(i), title, first})
		}
		if err := app.Table(rows); err != nil {
			return err
		}
		return p.Trouble
	}
	for _, x := range p.Problems {
		at := fmt.Sprintf("row %d", x.Row)
		if x.Column != "" {
			at += " column " + x.Column
		}
		if err := app.Printf("%s: %s\n", at, x.Words); err != nil {
			return err
		}
	}
	if more := p.ProblemCount - len(p.Problems); more > 0 {
		if err := app.Printf("and %d more.\n", more); err != nil {
			return err
		}
	}
	var columns []string
	for _, f := range reconcile.Fields {
		if i, ok := p.Fields[f]; ok {
			columns = append(columns, fmt.Sprintf("%s=%s", f, sheet.ColumnName(i)))
		}
	}
	if err := app.Printf("%s: columns %s, titles in row %d\n%d rows: %d added, %d changed, %d as before; %d gone\n",
		p.File, strings.Join(columns, ","), p.HeaderRow, p.Rows, p.Added, p.Changed, p.Same, p.Gone); err != nil {
		return err
	}
	for _, s := range slices.Sorted(maps.Keys(p.Standings)) {
		if err := app.Printf("%6d %s\n", p.Standings[s], s); err != nil {
			return err
		}
	}
	return nil
}

func newRosterShow(app *cli.App) *cobra.Command {
	q := store.RosterQuery{AfterLine: -1}
	cmd := &cobra.Command{
		Use: "show KIND", Short: "List what became of each row, and of who is not on the list", Args: cli.OneArg("KIND"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Kind = args[0]
			if q.Limit < 0 {
				return cli.Misuse("--limit", "it is a number of 0 or more", "correct it")
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				rows := [][]string{{"KEY", "ROW", "NAME", "STANDING", "PERSON", "EVIDENCE", "WAITS", "DECIDED", "SEEN"}}
				for l, err := range o.RosterLines(cmd.Context(), q) {
					if err != nil {
						return err
					}
					if app.JSON {
						err = app.PrintJSON(l)
					} else {
						rows = append(rows, rosterCells(l))
						if len(rows) > 1000 { // so long a list is told in parts
							err = app.Table(rows)
							rows = rows[:1]
						}
					}
					if err != nil {
						return err
					}
				}
				if app.JSON {
					return nil
				}
				return app.Table(rows)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Standing, "standing", "", "only lines with this `standing`: confirmed, unseen, differs, unsure, missing, repeated, unreadable, not_listed")
	f.BoolVar(&q.Open, "open", false, "only lines that wait for somebody")
	f.IntVar(&q.Limit, "limit", 0, "list at most so many `lines`, 0 for all")
	return cmd
}

func rosterCells(l server.RosterLine) []string {
	row, name, person, waits, decided := "-", "", "", "", ""
	if l.Listed != nil {
		row, name = strconv.Itoa(l.Row), l.Listed.Name
	}
	if l.Person != nil {
		person = l.Person.Ref + " " + l.Person.Name
	}
	var evidence []string
	for _, f := range l.Agree {
		evidence = append(evidence, "same "+string(f))
	}
	for _, d := range l.Differ {
		evidence = append(evidence, fmt.Sprintf("%s: %s here %s", d.Field, d.Listed, d.Known))
	}
	for _, c := range l.Candidates {
		evidence = append(evidence, "perhaps "+c.Ref+" "+c.Name)
	}
	if l.With > 0 {
		evidence = append(evidence, fmt.Sprintf("as row %d", l.With))
	}
	for _, c := range l.Checked {
		evidence = append(evidence, "checked "+c.What)
	}
	for _, p := range l.Problems {
		evidence = append(evidence, p.Words)
	}
	if l.Open {
		waits = "yes"
	}
	if l.Decided != nil {
		decided = l.Decided.Choice + " by " + l.Decided.By
	}
	return []string{l.Key, row, name, string(l.Standing), person, strings.Join(evidence, "; "), waits, decided, l.Seen}
}

func newRosterDecide(app *cli.App) *cobra.Command {
	var c server.RosterChoice
	cmd := &cobra.Command{
		Use: "decide KIND KEY CHOICE", Short: "Decide about a line: confirm, take, refuse, note, or undo within 24 hours",
		Long: "confirm says that the row is the person (--person when several were offered), refuse that it is none of them,\n" +
			"note that it is as it is and nothing is to be done here. Neither the list nor the person changes.\n" +
			"take says that it is the person and that the list is right: the values in which they differ are written here\n" +
			"and go to the devices; undo within 24 hours puts back what stood before. It needs --seen, as hub roster show\n" +
			"lists it: if the line changed since then nothing is decided (exit code 3). Of the other choices --seen may be left out.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 3 {
				return cli.Misuse("KIND KEY CHOICE", "%d arguments", "give the kind of list, a key as hub roster show lists it, and confirm, take, refuse, note or undo", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Key, c.Choice = args[1], args[2]
			if c.Seen == "" && c.Choice == reconcile.RosterTake {
				return cli.Misuse("--seen", "it is not said what you had in view of this line", "give what stands under SEEN: hub roster show "+args[0])
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if c.Seen == "" {
					var err error
					if c.Seen, err = lineSeen(cmd.Context(), o, args[0], c.Key); err != nil {
						return err
					}
				}
				l, err := o.RuleRoster(cmd.Context(), args[0], c)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(l)
				}
				return app.Printf("%s: %s.\n", c.Key, l.Standing)
			})
		},
	}
	cmd.Flags().StringVar(&c.Person, "person", "", "the `person` that the row is, of those who were offered")
	cmd.Flags().StringVar(&c.Reason, "reason", "", "`why`, for the ledger; needed")
	cmd.Flags().StringVar(&c.Seen, "seen", "", "what `SEEN` said of the line: if it is another by now nothing is decided; needed with take")
	return cmd
}

// lineSeen is what a line says now of how it is to be seen, for choices that need nobody
// to have looked at it.
func lineSeen(ctx context.Context, o office, kind, key string) (string, error) {
	for l, err := range o.RosterLines(ctx, store.RosterQuery{Kind: kind, AfterLine: -1}) {
		if err != nil {
			return "", err
		}
		if l.Key == key {
			return l.Seen, nil
		}
	}
	return "", nil
}
