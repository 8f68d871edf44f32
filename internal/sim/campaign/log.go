package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"otor/internal/sim"
)

// appendLine adds a campaign to the log, which is the table at the end of the file.
func appendLine(path string, p progress, at time.Time) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("log the campaign: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := p.Work
	result := "0"
	if len(p.Failures) > 0 {
		result = fmt.Sprintf("%d (first: seed %d)", len(p.Failures), p.Failures[0].Seed)
	}
	_, err = fmt.Fprintf(f, "| %s | %d to %d | %d | %d of %d | %d | %d | %d (%d) | %d | %d (%d) | %d | %d | %d | %s | %s | %d | %d | %d |\n",
		at.Format("2006-01-02"), p.From, p.Next-1, p.Done, p.Controls, len(sim.Controls()), w.Steps, w.Captures, w.DeviceCrashes, w.Torn, w.HubCrashes,
		w.Rollbacks, w.Epochs, w.Losses, w.Copies, w.Forged, result, p.Spent.Round(time.Second), w.Whole, w.Writes, w.Conflicts)
	return err
}
