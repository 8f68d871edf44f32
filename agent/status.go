package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/cli"
)

func newStatus(app *cli.App) *cobra.Command {
	var c choices
	return &cobra.Command{
		Use: "status", Short: "Say what this device holds and how far it has got", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.status(cmd.Context(), app)
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(s)
			}
			return printStatus(app, s)
		},
	}
}

// status asks the running agent, or the folder.
func (c *choices) status(ctx context.Context, app *cli.App) (s web.Status, err error) {
	err = c.either(ctx, app, func(r *running) error {
		s = r.status
		return nil
	}, func(d *device.Device) (err error) {
		s, err = d.Status(ctx)
		return err
	})
	if errors.Is(err, enrol.ErrNotEnrolled) {
		return unenrolled(app.Data), nil
	}
	return s, err
}

// unenrolled is the status of a folder that is no device yet: it can have lost nothing.
func unenrolled(dir string) web.Status {
	free, _ := store.DiskFree(dir) // a folder that is not there yet has no disk to ask
	return web.Status{NothingLost: true, DiskFree: free, Link: web.Link{State: web.Unenrolled, Words: enrol.ErrNotEnrolled.Error()}}
}

func printStatus(app *cli.App, s web.Status) error {
	if s.Link.State == web.Unenrolled {
		return app.Printf("Not a device yet. Ask the hub's operator for a code and run: agent enrol CODE --hub URL\n")
	}
	words := "Nothing is lost."
	if !s.NothingLost {
		words = "SOMETHING IS MISSING: run agent doctor."
	}
	carried := "Everything is at the hub."
	if s.Waiting > 0 {
		carried = fmt.Sprintf("Saved here and waiting for the hub: %d.", s.Waiting)
	}
	if s.Returned > 0 {
		carried += fmt.Sprintf(" Returned by the hub, to be put right: %d, see agent log.", s.Returned)
	}
	if err := app.Printf("Device %s. %s %s\n", s.Device, words, carried); err != nil {
		return err
	}
	if err := printLife(app, s.Life); err != nil {
		return err
	}
	link := linkWords(s.Link)
	if s.Link.Words != "" {
		link += " (" + s.Link.Words + ")"
	}
	if err := app.Printf("Link: %s. Last contact: %s. Free on the disk: %d MB.\n\n", link, app.Clock(s.LastContact), s.DiskFree>>20); err != nil {
		return err
	}
	rows := [][]string{{"LIFE", "LANE", "SAVED", "AT THE HUB", "ARCHIVED", "HEAD"}}
	for _, l := range s.Lanes {
		rows = append(rows, []string{
			num(l.Incarnation), l.Lane.String(), num(l.Last), num(l.Received), num(l.Archived), l.Head.String()[:16],
		})
	}
	if err := app.Table(rows); err != nil {
		return err
	}
	if err := printPruned(app, s); err != nil {
		return err
	}
	if err := printPhotos(app, s); err != nil {
		return err
	}
	return printFindings(app, s.Findings)
}

// printPhotos says how much room photos take, and how many went.
func printPhotos(app *cli.App, s web.Status) error {
	k := s.PhotosKept
	if k.Here+k.Removed == 0 {
		return nil
	}
	return app.Printf("\nPhotos here: %d, %.1f MB, of which %d wait for the hub. In the hub's archive and no longer here: %d (see --keep-photos).\n", k.Here, float64(k.Bytes)/1e6, s.Photos, k.Removed)
}

// printPruned says how many records are no longer here, and where they are.
func printPruned(app *cli.App, s web.Status) error {
	if n := s.Pruned(); n > 0 {
		return app.Printf("\n%d records are safe in the hub's archive and no longer on this device (see --keep).\n", n)
	}
	return nil
}

// linkWords says in a sentence what the link does.
func linkWords(l web.Link) string {
	words := map[web.Doing]string{
		web.NoSignal: "no signal", web.HubAway: "the hub is away", web.Connects: "connecting", web.Connected: "connected",
		web.Sending:  fmt.Sprintf("connected, %d of %d sent", l.Done, l.Of),
		web.DaySpent: "connected, today's budget is used up until tomorrow; alerts still go", web.HubRefuses: "the hub refuses this device",
		web.ContactSpent: "connected, the budget of this contact is used up; alerts still go",
	}[l.Doing]
	if words == "" {
		words = string(l.State)
	}
	if l.ClockOff != 0 {
		words += fmt.Sprintf("; this device's clock is off by %s, set it", (time.Duration(l.ClockOff) * time.Second).Abs())
	}
	return words
}

func printFindings(app *cli.App, found []web.Finding) error {
	for _, f := range found {
		if err := app.Printf("\n%s: %s\n  %s\n  what to do: %s\n", f.Code, f.Which, f.What, f.Do); err != nil {
			return err
		}
	}
	return nil
}

func num[N ~uint32 | ~uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }

// printLife says what is unusual about the folder's life.
func printLife(app *cli.App, l web.Life) error {
	if l.Rehomed > 0 || l.UplinkOnly {
		words := fmt.Sprintf("This folder lives life %d, since %s.", l.Incarnation, l.Why)
		if l.Rehomed > 0 {
			words += fmt.Sprintf(" The hub had another history: %d records go on under other names, none is lost.", l.Rehomed)
		}
		if l.UplinkOnly {
			words += " It is a copy of one that is in use: what is captured here is sent, and nothing comes until the hub's operator confirms it."
		}
		return app.Printf("%s\n", words)
	}
	return nil
}
