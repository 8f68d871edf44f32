package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otor/hub/console"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/lane"
)

func newEntries(app *cli.App) *cobra.Command {
	var device, lane, verdict string
	var q store.EntryQuery
	cmd := &cobra.Command{
		Use: "entries", Short: "List the ledger: one JSON object a line, in order of arrival", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if device != "" {
				if q.Device, err = parseName(device); err != nil {
					return err
				}
			}
			if lane != "" {
				if q.Lane, err = dot.ParseLane(lane); err != nil {
					return cli.Misuse("--lane", "%v", "say alert or record, or leave it out", err)
				}
			}
			if q.Verdict, err = parseVerdict(verdict); err != nil {
				return err
			}
			if q.After < 0 || q.Limit < 0 {
				return cli.Misuse("", "--after and --limit are numbers of 0 or more", "correct them")
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				for line, err := range o.Entries(cmd.Context(), q) {
					if err != nil {
						return err
					}
					if err := app.PrintJSON(line); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&device, "device", "", "only entries of this `device`")
	f.StringVar(&lane, "lane", "", "only this `lane`: alert or record")
	f.StringVar(&verdict, "verdict", "", "only entries with this `verdict`")
	f.Int64Var(&q.After, "after", 0, "continue behind the entry with this `number`")
	f.IntVar(&q.Limit, "limit", 0, "list at most so many `entries`, 0 for all")
	return cmd
}

var verdicts = []store.Verdict{
	store.Held, store.Applied, store.Merged, store.Conflict, store.Duplicate, store.Review, store.Flagged, store.Quarantined, store.Refused,
}

func parseVerdict(s string) (store.Verdict, error) {
	names := make([]string, 0, len(verdicts))
	for _, v := range verdicts {
		if s == string(v) {
			return v, nil
		}
		names = append(names, string(v))
	}
	if s == "" {
		return "", nil
	}
	return "", cli.Misuse("--verdict", "%q is no verdict", "say one of "+strings.Join(names, ", "), s)
}

func newGaps(app *cli.App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "gaps", Short: "List what is missing below what arrived", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				gaps, err := o.Gaps(cmd.Context(), all)
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, gaps)
				}
				if len(gaps) == 0 {
					return app.Printf("No gaps.\n")
				}
				rows := [][]string{{"DEVICE", "LIFE", "LANE", "MISSING", "OPENED", "CLOSED"}}
				for _, g := range gaps {
					rows = append(rows, []string{
						string(g.Device), fmt.Sprint(g.Incarnation), g.Lane.String(), lane.Run(g.First, g.Last).String(), app.Clock(&g.OpenedAt), app.Clock(g.ClosedAt),
					})
				}
				return app.Table(rows)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "closed ones too")
	cmd.AddCommand(newGapsSeal(app))
	return cmd
}

func newUnattributed(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "unattributed", Short: "List what arrived and nobody known vouches for", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				us, err := o.Unattributed(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, us)
				}
				if len(us) == 0 {
					return app.Printf("Nothing unattributed.\n")
				}
				rows := [][]string{{"NUMBER", "RECEIVED", "BY WAY OF", "CLAIMS", "CODE", "BYTES", "WORDS"}}
				for _, u := range us {
					rows = append(rows, []string{
						fmt.Sprint(u.ID), app.Clock(&u.ReceivedAt), string(u.Via), string(u.Claims), u.Code, strconv.Itoa(u.Size), u.Words,
					})
				}
				return app.Table(rows)
			})
		},
	}
}

func newFindings(app *cli.App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "findings", Short: "List what the hub noticed about devices", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				fs, err := o.Findings(cmd.Context(), all)
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, fs)
				}
				if len(fs) == 0 {
					return app.Printf("No findings.\n")
				}
				rows := [][]string{{"DEVICE", "CODE", "SINCE", "UNTIL", "WORDS"}}
				for _, f := range fs {
					rows = append(rows, []string{string(f.Device), f.Code, app.Clock(&f.OpenedAt), app.Clock(f.ClosedAt), f.Words})
				}
				return app.Table(rows)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "settled ones too")
	return cmd
}

func newStatus(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say for each device what it declared and what is here", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				fleet, err := o.Fleet(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(fleet)
				}
				if err := printFleet(app, fleet); err != nil {
					return err
				}
				return printRegained(cmd, app, o)
			})
		},
	}
}

func printFleet(app *cli.App, f console.Fleet) error {
	rows := [][]string{{"DEVICE", "DECLARED", "RECEIVED", "WAITING", "GAPS", "HELD", "SET ASIDE", "CLOCK", "LAST SEEN", "PLAN"}}
	for _, d := range f.Devices {
		clock := "-"
		if d.Skew.Known {
			clock = d.Skew.Ahead.Round(time.Second).String()
		}
		rows = append(rows, []string{
			string(d.Device), num(d.Declared), num(d.Received), num(d.Waiting), num(d.GapsOpen), num(d.Held), num(d.SetAside), clock, app.Clock(d.LastSeen), silence(app, d),
		})
	}
	if err := app.Table(rows); err != nil {
		return err
	}
	err := app.Printf("\n%d unattributed, %d transport duplicates, epoch %s, as of %s\n",
		f.Unattributed, f.TransportDuplicates, f.Epoch, app.Clock(&f.AsOf))
	for _, w := range f.Warnings {
		if err == nil {
			err = app.Printf("WARNING: %s\n", w)
		}
	}
	return err
}

// printRegained says what still comes back after a restore.
func printRegained(cmd *cobra.Command, app *cli.App, o office) error {
	fs, err := o.Findings(cmd.Context(), false)
	if err != nil {
		return err
	}
	for _, f := range fs {
		if f.Code != server.Regained {
			continue
		}
		if err := app.Printf("%s: %s\n", f.Device, f.Words); err != nil {
			return err
		}
	}
	return nil
}

func num(n uint64) string { return strconv.FormatUint(n, 10) }
