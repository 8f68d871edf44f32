package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"otor/hub/backup"
	"otor/hub/server"
	"otor/internal/cli"
)

func newBackup(app *cli.App) *cobra.Command {
	keep := 7
	cmd := &cobra.Command{
		Use: "backup DIR", Short: "Copy the hub into a new folder below DIR, and verify the copy", Args: cli.OneArg("DIR"),
		Long: "Copies database and keys of the running hub, or of the stopped one, opens the copy as a hub would and computes\n" +
			"every chain anew from its entries. The folder gets its name only then. What lies in the second-newest backup\n" +
			"too counts as archived from then on. DIR holds the hub's secrets: keep it on another disk, and to yourself.\n" +
			"A hub that the system starts writes only into folders that hub install-service --backups named.",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				made, err := o.Backup(cmd.Context(), dir, keep)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(made)
				}
				return printMade(app, made)
			})
		},
	}
	cmd.Flags().IntVar(&keep, "keep", keep, "remove the oldest beyond so many `backups`, at least 2")
	return cmd
}

func printMade(app *cli.App, m backup.Made) error {
	err := app.Printf("%s: %d entries in %d lanes, verified; %d entries are archived; %d backups are kept\n",
		m.Path, m.Entries, m.Lanes, m.Archived, m.Kept)
	for _, old := range m.Removed {
		if err == nil {
			err = app.Printf("removed %s\n", old)
		}
	}
	if err == nil && m.Unjoined > 0 {
		err = app.Printf("%d lanes hold a second history of their device: their entries are whole, their heads cannot be computed\n", m.Unjoined)
	}
	if err == nil && m.Warning != "" {
		err = app.Printf("WARNING: %s\n", m.Warning)
	}
	return err
}

func newRestore(app *cli.App) *cobra.Command {
	accept, set := false, reads()
	cmd := &cobra.Command{
		Use: "restore BACKUP", Short: "Put a backup into an empty data folder (--data)", Args: cli.OneArg("BACKUP"),
		Long: "Verifies the backup and puts its database and keys into the data folder, which must be empty or not there.\n" +
			"The journal (--journal, or the one beside the data folder) then brings back what the hub has decided since: enrolments,\n" +
			"revocations and the like. Without a journal devices may only send until hub device confirm.\n" +
			"Start the hub there afterwards: devices send again what the backup lacks, by themselves; hub findings lists it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			cfg, err := set.config(app)
			if err != nil {
				return err
			}
			r, err := server.Restore(cmd.Context(), from, cfg, accept)
			if err != nil {
				return err
			}
			if app.JSON {
				return app.PrintJSON(r)
			}
			return printRestored(app, r)
		},
	}
	cmd.Flags().StringVar(&set.pack, "pack", "", "`folder` of the pack that the hub is served with (default: the built-in one); decisions are brought back by its rules")
	cmd.Flags().StringVar(&set.journal, "journal", "", "`folder` of the hub's journal (default: beside --data, if there is one)")
	cmd.Flags().BoolVar(&accept, "accept-loss", false, "restore although devices may have dropped what the backup does not hold")
	return cmd
}

func printRestored(app *cli.App, r server.Recovered) error {
	made := r.Made
	if at, err := time.Parse(time.RFC3339, r.Made); err == nil {
		made = app.Clock(&at)
	}
	err := app.Printf("%s holds %d entries in %d lanes, as of %s. Start it: hub serve --data %s\n", r.Data, r.Entries, r.Lanes, made, shellWord(r.Data))
	for _, l := range r.Accepted {
		if err == nil {
			err = app.Printf("accepted as lost unless a device still has it: %s\n", l)
		}
	}
	if n := total(r.Replayed); err == nil && n > 0 {
		err = app.Printf("The journal in %s brought back %d facts: %s.\n", r.Journal, n, counts(r.Replayed))
	}
	if err == nil && total(r.Replayed) == 0 {
		err = app.Printf("NO JOURNAL brought back what the hub has decided after this backup: enrolments, revocations.\n")
	}
	if err == nil && len(r.InDoubt) > 0 {
		err = app.Printf("%d devices may send, and are told nothing until you confirm them. See hub device list, revoke\n"+
			"those that were revoked since (hub device revoke NAME), then: hub device confirm\n", len(r.InDoubt))
	}
	if err == nil && !r.ArchiveKnown {
		err = app.Printf("No archive.json stands beside the backup, so nothing says what devices were told is archived.\n")
	}
	return err
}

func total(by map[string]int) (n int) {
	for _, k := range by {
		n += k
	}
	return n
}

func counts(by map[string]int) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(by)) {
		words = append(words, fmt.Sprintf("%d %s", by[k], k))
	}
	return strings.Join(words, ", ")
}

// shellWord is a word as a shell reads it back.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-+,:@%", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
