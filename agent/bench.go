package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"otor/agent/bench"
	"otor/internal/cli"
	"otor/internal/gauge"
)

func newBench(app *cli.App) *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure how fast records are saved on this device, against its bare disk", Args: cli.NoArgs,
		Long: `Measures P1 (durable captures a second, 16 and 64 writers), P2 (one capture) and P7
(start and memory with 100,000 entries, size of the program) of docs/performance.md,
each against references on the same disk in the same run. The
records are made up and are removed afterwards; nothing of this device is touched.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.JSON = app.Out, app.JSON
			err := bench.Run(cmd.Context(), o)
			if errors.Is(err, gauge.ErrUnknown) {
				return cli.Misuse("--only", "%v", "name one of "+strings.Join(bench.IDs, ", "), err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Only, "only", nil, "measure these `figures` alone, such as P1")
	f.StringVar(&o.Dir, "dir", "", "`folder` on the disk to measure (default: the system's folder for temporary files)")
	f.StringVar(&o.Profile, "profile", "", "write a CPU profile to `file`; of several figures, one file each")
	f.IntVar(&o.Runs, "runs", 0, "`number` of runs, whose median counts (default 5)")
	return cli.WithoutFolder(cmd)
}
