package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/lane"
)

func newGapsSeal(app *cli.App) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "seal CHAIN RANGE", Short: "Give up waiting for missing entries, so that those above them are applied",
		Long: "Seals a hole, such as: hub gaps seal D-101/3/record 5-7 --reason \"the phone drowned\".\n" +
			"What was held above it is applied. What still comes for it is received and set aside as late, for an\n" +
			"operator to decide. It cannot be taken back.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return cli.Misuse("CHAIN RANGE", "%d arguments", "name a chain and a range, as hub gaps shows them: D-101/3/record 5-7", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			first, err := dot.Parse(args[0] + "/1")
			if err != nil {
				return cli.Misuse("CHAIN", "%v", "write it as D-101/3/record", err)
			}
			run, err := parseRange(args[1])
			if err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if err := o.Seal(cmd.Context(), first.Chain, run, reason); err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(struct {
						Chain  string     `json:"chain"`
						Sealed lane.Range `json:"sealed"`
					}{first.Chain.String(), run})
				}
				return app.Printf("Sealed %s %s: the hub waits for it no more.\n", first.Chain, run)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the ledger; needed")
	return cmd
}

// parseRange reads "5" or "5-7".
func parseRange(s string) (lane.Range, error) {
	from, to, two := strings.Cut(s, "-")
	if !two {
		to = from
	}
	first, err1 := strconv.ParseUint(from, 10, 53)
	last, err2 := strconv.ParseUint(to, 10, 53)
	r := lane.Run(dot.Seq(first), dot.Seq(last))
	if err1 != nil || err2 != nil || !r.Valid() {
		return r, cli.Misuse("RANGE", "%q is no range of seqs", "write 5 or 5-7", s)
	}
	return r, nil
}
