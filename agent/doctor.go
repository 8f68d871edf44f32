package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/cli"
	"otor/internal/dot"
)

// diagnosis is the doctor's answer.
type diagnosis struct {
	Device   dot.Device       `json:"device"`
	Well     bool             `json:"well"`
	Lanes    []web.LaneStatus `json:"lanes"`
	Findings []store.Finding  `json:"findings"`
}

func newDoctor(app *cli.App) *cobra.Command {
	var c choices
	return &cobra.Command{
		Use: "doctor", Short: "Check every entry of this device against its chain", Args: cli.NoArgs,
		Long: "Opens the store and checks it: every entry is there, opens, and joins its neighbours,\nup to the end that is noted apart. Says exactly what is wrong; exit code 7 if anything is.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, ok := findRunning(cmd.Context(), app); ok {
				return &cli.Error{
					Exit: cli.Storage, Code: "locked", What: "an agent runs on this folder", Which: app.Data,
					Do: "stop the agent first, then run the doctor again",
				}
			}
			d, err := c.open(app)
			if err != nil {
				return err
			}
			v, err := diagnose(cmd, d)
			if err = errors.Join(err, d.Close()); err != nil {
				return err
			}
			if app.JSON {
				err = app.PrintJSON(v)
			} else {
				err = printDiagnosis(app, v)
			}
			if err != nil || v.Well {
				return err
			}
			return &cli.Error{
				Exit: cli.Integrity, Code: string(v.Findings[0].Code), What: fmt.Sprintf("the doctor found %d things", len(v.Findings)), Which: app.Data,
				Do: "follow what stands with each; keep the folder until it is settled",
			}
		},
	}
}

func diagnose(cmd *cobra.Command, d *device.Device) (diagnosis, error) {
	v := diagnosis{Device: d.ID(), Findings: []store.Finding{}}
	if _, err := d.Store().Verify(cmd.Context(), store.All, nil); err != nil {
		return v, err
	}
	v.Findings = append(v.Findings, d.Store().Findings()...)
	s, err := d.Status(cmd.Context())
	v.Lanes, v.Well = s.Lanes, len(v.Findings) == 0
	if v.Lanes == nil {
		v.Lanes = []web.LaneStatus{}
	}
	return v, err
}

func printDiagnosis(app *cli.App, v diagnosis) error {
	var entries uint64
	rows := [][]string{{"CHAIN", "ENTRIES", "AT THE HUB", "HEAD"}}
	for _, l := range v.Lanes {
		entries += uint64(l.Last)
		chain := dot.Chain{Device: v.Device, Incarnation: l.Incarnation, Lane: l.Lane}
		rows = append(rows, []string{chain.String(), num(l.Last), num(l.Received), l.Head.String()[:16]})
	}
	words := fmt.Sprintf("All is well: %d entries of %s were checked, each is whole and in its place.", entries, v.Device)
	if !v.Well {
		words = fmt.Sprintf("NOT WELL: %d things were found in the store of %s.", len(v.Findings), v.Device)
	}
	if err := app.Printf("%s\n\n", words); err != nil {
		return err
	}
	if err := app.Table(rows); err != nil {
		return err
	}
	for _, f := range v.Findings {
		if err := app.Printf("\n%s: %s\n  %s\n  what to do: %s\n", f.Code, f.Which, f.What, f.Do); err != nil {
			return err
		}
	}
	return nil
}
