package main

import (
	"time"

	"github.com/spf13/cobra"

	"otor/hub/console"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/dot"
)

// planFlags are what `device plan` is asked for.
type planFlags struct {
	from, until, words string
	clear              bool
}

func newDevicePlan(app *cli.App) *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use: "plan NAME", Short: "Say when a device is expected to be out of reach", Args: cli.OneArg("NAME"),
		Long: "Says when a device is expected to be out of reach. The fleet's account then tells a device that is\n" +
			"expected back from one that is overdue. An absence that starts at the same moment as one before\n" +
			"takes its place; past ones fall away.",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := parseName(args[0])
			if err != nil {
				return err
			}
			in, err := f.order(app, time.Now())
			if err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if f.clear {
					return clearPlan(cmd, app, o, d)
				}
				a, err := o.Plan(cmd.Context(), d, in)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(a)
				}
				return app.Printf("Device %s is expected to be out of reach from %s until %s.\n", d, app.Clock(&a.From), app.Clock(&a.Until))
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.from, "from", "", "out of reach from this `time` on, such as \"2025-09-18 08:00\", or 08:00 today; now when left out")
	fl.StringVar(&f.until, "until", "", "expected back at this `time`")
	fl.StringVar(&f.words, "words", "", "why, in a few `words`")
	fl.BoolVar(&f.clear, "clear", false, "take back all that is planned for the device")
	return cmd
}

// order reads the flags.
func (f planFlags) order(app *cli.App, now time.Time) (in server.PlanOrder, err error) {
	if f.clear {
		if f.from+f.until+f.words != "" {
			return in, cli.Misuse("--clear", "a plan is made or taken back, not both", "leave the other flags out")
		}
		return in, nil
	}
	if f.until == "" {
		return in, cli.Misuse("--until", "it is not said when the device is expected back", "add --until \"2025-09-18 18:30\", or --clear")
	}
	in.Words = f.words
	if f.from != "" {
		if in.From, err = moment(app.Zone, now, "--from", f.from); err != nil {
			return in, err
		}
	}
	in.Until, err = moment(app.Zone, now, "--until", f.until)
	return in, err
}

// moment reads a time of the zone; one without a day is today's.
func moment(zone *time.Location, now time.Time, flag, s string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t, nil
		}
	}
	t, err := time.ParseInLocation("2006-01-02 15:04", now.In(zone).Format(time.DateOnly)+" "+s, zone)
	if err != nil {
		return t, cli.Misuse(flag, "%q is no time", "write it like \"2025-09-18 18:30\", or 18:30 for today", s)
	}
	return t, nil
}

func clearPlan(cmd *cobra.Command, app *cli.App, o office, d dot.Device) error {
	if err := o.Unplan(cmd.Context(), d); err != nil {
		return err
	}
	if app.JSON {
		return app.PrintJSON(struct {
			Device  dot.Device `json:"device"`
			Cleared bool       `json:"cleared"`
		}{d, true})
	}
	return app.Printf("Nothing is planned for %s any more.\n", d)
}

// silence says what a device's silence means by its plan.
func silence(app *cli.App, d console.DeviceRow) string {
	switch {
	case d.OverdueSince != nil:
		return "overdue since " + app.Clock(d.OverdueSince)
	case d.ExpectedBack != nil:
		return "back at " + app.Clock(d.ExpectedBack)
	}
	return "-"
}
