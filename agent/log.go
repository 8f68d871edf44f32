package main

import (
	"context"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/cli"
	"otor/internal/dot"
)

// pageSize is how many entries are asked for at a time.
const pageSize = 500

func newLog(app *cli.App) *cobra.Command {
	var limit int
	var lane, after string
	var c choices
	cmd := &cobra.Command{
		Use: "log", Short: "List what was captured, newest first",
		Long: "Lists entries, newest first. With --json, one JSON object a line.",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if limit < 0 {
				return cli.Misuse("--limit", "%d is no number of entries", "give 1 or more, or 0 for all", limit)
			}
			l := &lister{app: app, left: limit, all: limit == 0}
			if lane != "" {
				if l.lane, err = dot.ParseLane(lane); err != nil {
					return cli.Misuse("--lane", "%v", "say alert or record, or leave it out", err)
				}
			}
			if after != "" {
				if l.after, err = dot.Parse(after); err != nil {
					return cli.Misuse("--after", "%v", "give a dot as an earlier list has it, such as D-101/3/record/17", err)
				}
			}
			ctx := cmd.Context()
			return c.either(ctx, app,
				func(r *running) error { return l.fromRunning(ctx, r) },
				func(d *device.Device) error { return l.fromDevice(ctx, d) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&limit, "limit", 100, "list at most so many `entries`, 0 for all")
	f.StringVar(&lane, "lane", "", "only this `lane`: alert or record")
	f.StringVar(&after, "after", "", "continue behind this `dot`, towards older ones")
	return cmd
}

// lister prints pages of the log until enough is printed.
type lister struct {
	app   *cli.App
	lane  dot.Lane
	after dot.Dot
	left  int
	all   bool

	headed bool
}

// want is how many entries the next page should have; 0: enough.
func (l *lister) want() int {
	if l.all {
		return pageSize
	}
	return min(l.left, pageSize)
}

func (l *lister) fromRunning(ctx context.Context, r *running) error {
	lane, after := "", ""
	if l.lane != 0 {
		lane = l.lane.String()
	}
	if !l.after.IsZero() {
		after = l.after.String()
	}
	for l.want() > 0 {
		page, err := r.log(ctx, lane, after, l.want())
		if err != nil {
			return err
		}
		if err := l.print(page.Entries); err != nil {
			return err
		}
		if page.Next == "" {
			return l.end(r.status)
		}
		after = page.Next
	}
	return nil
}

func (l *lister) fromDevice(ctx context.Context, d *device.Device) error {
	after := l.after
	for l.want() > 0 {
		want := l.want()
		rows, err := d.Log(ctx, web.LogQuery{After: after, Lane: l.lane, Limit: want})
		if err != nil {
			return err
		}
		if err := l.print(rows); err != nil {
			return err
		}
		if len(rows) < want {
			s, err := d.Status(ctx)
			if err != nil {
				return err
			}
			return l.end(s)
		}
		after = rows[len(rows)-1].Dot
	}
	return nil
}

// end says, behind the oldest entry, what is no longer here.
func (l *lister) end(s web.Status) error {
	if l.app.JSON {
		return nil
	}
	return printPruned(l.app, s)
}

// verdictWords says in a line what the hub made of an entry.
func verdictWords(v *web.Verdict) string {
	if v == nil {
		return ""
	}
	words := v.Name
	if v.Code != "" {
		words += " (" + v.Code + ")"
	}
	if v.Words != "" {
		words += ": " + v.Words
	}
	return words
}

func (l *lister) print(rows []web.EntryRow) error {
	l.left -= len(rows)
	if l.app.JSON {
		for _, r := range rows {
			if err := l.app.PrintJSON(r); err != nil {
				return err
			}
		}
		return nil
	}
	const line = "%-28s  %-19s  %-9s  %-26s  %-14s  %-8s  %s\n"
	if !l.headed {
		l.headed = true
		if err := l.app.Printf(line, "ENTRY", "DEVICE TIME", "STATE", "FORM", "ABOUT", "BY", "THE HUB SAYS"); err != nil {
			return err
		}
	}
	for _, r := range rows {
		form := r.Form
		if form == "" {
			form = "(of the device itself)"
		}
		err := l.app.Printf(line, r.Dot, r.DeviceTime.Format("2006-01-02 15:04:05"), r.State, form, r.Entity, r.User, verdictWords(r.Verdict))
		if err != nil {
			return err
		}
	}
	return nil
}
