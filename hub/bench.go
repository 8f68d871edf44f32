package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/demo/bench"
	"otor/internal/cli"
	"otor/internal/gauge"
)

func newBench(app *cli.App) *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure how fast and how small a device's backlog reaches a hub", Args: cli.NoArgs,
		Long: `Measures P3 (drain of a backlog of 100,000 entries), P4 (bytes on the wire an
entry), P5 (drain of 1,000 entries over a line of 64 kbit/s, 600 ms, 5 % loss; as root
on Linux), P6 (a contact with nothing new), P8 (5,000 and 10,000 connected devices, each
with a contact an hour; on Linux), P9 (capture to visible on another device), P10 (first
load and a season's changes of a scope of 60,000 entities) and FIND (finding one of them
on a device) of docs/performance.md, each against a reference in the same run. Hub and
devices are real, run on loopback in this process (P8's hub in one of its own), and are
removed afterwards; nothing of this hub is touched.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.JSON, o.Log = app.Out, app.JSON, app.Log
			err := bench.Run(cmd.Context(), o)
			if errors.Is(err, gauge.ErrUnknown) {
				return cli.Misuse("--only", "%v", "name one of "+strings.Join(bench.IDs, ", "), err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Only, "only", nil, "measure these `figures` alone, such as P3")
	f.StringVar(&o.Dir, "dir", "", "`folder` on the disk to measure (default: the system's folder for temporary files)")
	f.StringVar(&o.Profile, "profile", "", "write a CPU profile to `file`; of several figures, one file each")
	f.IntVar(&o.Runs, "runs", 0, "`number` of runs of P3, whose median counts (default 3)")
	f.IntVar(&o.Entries, "entries", 0, "`number` of entries that P3 drains (default 100,000)")
	f.IntVar(&o.Crowd, "crowd", 0, "`number` of devices that P8 connects, and then twice as many (default 5,000)")
	f.DurationVar(&o.Window, "window", 0, "for how long P8 measures each (`time` such as 2m; default 5m)")
	f.IntVar(&o.SlowRuns, "slow-runs", 0, "`number` of runs of P5, whose median counts (default 21)")
	return cli.WithoutFolder(cmd)
}
