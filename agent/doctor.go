package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/lane"
)

// diagnosis is the doctor's answer.
type diagnosis struct {
	Device   dot.Device       `json:"device"`
	Well     bool             `json:"well"`
	Lanes    []web.LaneStatus `json:"lanes"`
	Findings []store.Finding  `json:"findings"`
	Repairs  []string         `json:"repairs,omitempty"` // what was done, in words
}

func newDoctor(app *cli.App) *cobra.Command {
	var c choices
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check every entry of this device against its chain, and repair what can be", Args: cli.NoArgs,
		Long: "Opens the store and checks it: every entry is there, opens, and joins its neighbours,\nup to the end that is noted apart. Says exactly what is wrong; exit code 7 if anything is.\n\n" +
			"With --repair it does what loses nothing: a lost list of files is made anew from the tables,\nentries that the hub received are fetched from there, a new life begins where nothing proves where the\nlast one ended, and findings that are settled are put away.\nWhat it set apart stays in the folder apart. It says what it did.",
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
			v, err := diagnose(cmd.Context(), d)
			if err == nil && c.repair && !v.Well {
				v, err = repair(cmd.Context(), d, v, timeout)
			}
			if err = errors.Join(err, d.Close()); err != nil {
				return err
			}
			return tell(app, v, c.repair)
		},
	}
	cmd.Flags().BoolVar(&c.repair, "repair", false, "repair what can be repaired without losing anything")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "give up the hub after this `time`, when something has to be fetched from it")
	c.connects(cmd)
	return cmd
}

// tell prints the diagnosis; what is still wrong is an error.
func tell(app *cli.App, v diagnosis, repaired bool) (err error) {
	if app.JSON {
		err = app.PrintJSON(v)
	} else {
		err = printDiagnosis(app, v)
	}
	if err != nil || v.Well {
		return err
	}
	do := "follow what stands with each; keep the folder until it is settled"
	if !repaired {
		do = "run: agent doctor --repair, with the hub in reach; keep the folder until it is settled"
	}
	return &cli.Error{
		Exit: cli.Integrity, Code: string(v.Findings[0].Code), What: fmt.Sprintf("the doctor found %d things", len(v.Findings)), Which: app.Data, Do: do,
	}
}

func diagnose(ctx context.Context, d *device.Device) (diagnosis, error) {
	v := diagnosis{Device: d.ID(), Findings: []store.Finding{}}
	if _, err := d.Store().Verify(ctx, store.All, nil); err != nil {
		return v, err
	}
	v.Findings = append(v.Findings, d.Store().Findings()...)
	s, err := d.Status(ctx)
	v.Lanes, v.Well = s.Lanes, len(v.Findings) == 0
	if v.Lanes == nil {
		v.Lanes = []web.LaneStatus{}
	}
	return v, err
}

// repair does what loses nothing, and diagnoses again.
func repair(ctx context.Context, d *device.Device, before diagnosis, timeout time.Duration) (diagnosis, error) {
	var did []string
	for _, f := range before.Findings {
		if f.Code == store.CodeFileDamaged || f.Code == store.CodeFileExtra {
			did = append(did, fmt.Sprintf("%s: %s; %s", f.Which, f.What, f.Do))
		}
	}
	if holes := d.Store().Holes(); len(holes) > 0 {
		did = append(did, fetch(ctx, d, holes, timeout)...)
	}
	renewed, err := d.Renew(ctx)
	if err != nil {
		return before, err
	}
	if renewed {
		did = append(did, fmt.Sprintf("nothing proves where the lanes of the last life ended: from now on records are saved in life %d", d.Store().Current()))
	}
	if _, err := d.Store().Verify(ctx, store.All, nil); err != nil {
		return before, err
	}
	gone, err := d.Store().Dismiss(ctx)
	if err != nil {
		return before, err
	}
	if len(gone) > 0 {
		did = append(did, fmt.Sprintf("every entry is there: %d findings about files and rows are settled", len(gone)))
	}
	v, err := diagnose(ctx, d)
	v.Repairs = did
	return v, err
}

// fetch has the hub refill the holes. That it is out of reach is no failure: the
// agent fetches by itself at the next contact.
func fetch(ctx context.Context, d *device.Device, holes []store.Hole, timeout time.Duration) []string {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := d.Contact(ctx)
	var words []string
	left := make(map[dot.Chain]lane.Set)
	for _, h := range d.Store().Holes() {
		left[h.Chain] = left[h.Chain].Add(h.Run)
	}
	for _, h := range holes {
		still := uint64(0)
		for seq := h.Run.First; seq <= h.Run.Last; seq++ {
			if left[h.Chain].Contains(seq) {
				still++
			}
		}
		if n := h.Run.Len() - still; n > 0 {
			words = append(words, fmt.Sprintf("%s %s: %d of %d entries were fetched from the hub", h.Chain, h.Run, n, h.Run.Len()))
		}
		if still > 0 {
			why := "the hub did not give the others"
			if err != nil {
				why = "the others are fetched at the next contact: " + err.Error()
			}
			words = append(words, fmt.Sprintf("%s %s: %d entries are not back yet; %s", h.Chain, h.Run, still, why))
		}
	}
	return words
}

func printDiagnosis(app *cli.App, v diagnosis) error {
	var entries, pruned uint64
	rows := [][]string{{"CHAIN", "ENTRIES", "AT THE HUB", "HEAD"}}
	for _, l := range v.Lanes {
		entries += uint64(l.Last)
		pruned += l.Pruned
		chain := dot.Chain{Device: v.Device, Incarnation: l.Incarnation, Lane: l.Lane}
		rows = append(rows, []string{chain.String(), num(l.Last), num(l.Received), l.Head.String()[:16]})
	}
	words := fmt.Sprintf("All is well: %d entries of %s were checked, each is whole and in its place.", entries-pruned, v.Device)
	if pruned > 0 {
		words += fmt.Sprintf("\n%d more are in the hub's archive and were removed here; the chains hold across them.", pruned)
	}
	if !v.Well {
		words = fmt.Sprintf("NOT WELL: %d things were found in the store of %s.", len(v.Findings), v.Device)
	}
	if err := app.Printf("%s\n\n", words); err != nil {
		return err
	}
	if err := app.Table(rows); err != nil {
		return err
	}
	for _, done := range v.Repairs {
		if err := app.Printf("\nrepaired: %s\n", done); err != nil {
			return err
		}
	}
	for _, f := range v.Findings {
		if err := app.Printf("\n%s: %s\n  %s\n  what to do: %s\n", f.Code, f.Which, f.What, f.Do); err != nil {
			return err
		}
	}
	return nil
}
