package main

import (
	"context"

	"github.com/spf13/cobra"

	"otor/hub/console"
	"otor/internal/cli"
	"otor/internal/support"
)

func newBundle(app *cli.App) *cobra.Command {
	return app.SupportBundle("hub", func(ctx context.Context) (parts []support.Part) {
		err := reads().with(ctx, app, func(o office, running bool) error {
			add := func(name string, v any, err error) {
				parts = append(parts, support.Part{Name: name, Value: v, Err: err})
			}
			add("running", running, nil)
			fleet, err := o.Fleet(ctx)
			unnamed(fleet)
			add("status", fleet, err)
			devices, err := o.Devices(ctx)
			add("devices", devices, err)
			findings, err := o.Findings(ctx, true)
			add("findings", findings, err)
			gaps, err := o.Gaps(ctx, true)
			add("gaps", gaps, err)
			frames, err := o.Unattributed(ctx)
			add("unattributed", frames, err)
			ledger, err := o.CheckLedger(ctx)
			add("ledger", ledger, err)
			return nil
		})
		if err != nil {
			parts = append(parts, support.Part{Name: "hub", Err: err})
		}
		return parts
	})
}

// unnamed takes out of plans who made them, and why in their own words. The times stay:
// they say what a device's silence means.
func unnamed(f console.Fleet) {
	for _, d := range f.Devices {
		for i := range d.Plan {
			d.Plan[i].Words, d.Plan[i].By = "", ""
		}
	}
}
