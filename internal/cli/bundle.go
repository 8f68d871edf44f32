package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"otor/internal/support"
)

// SupportBundle is the command that packs what somebody who helps needs to see.
// gather adds the program's own parts; it holds no answers of forms.
func (a *App) SupportBundle(program string, gather func(ctx context.Context) []support.Part) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "support-bundle", Short: "Pack versions, settings, state and log for somebody who helps; no personal data", Args: NoArgs,
		Long: "Writes a zip file: versions, settings without secrets, state, findings, counts, and the end of the log if it is\n" +
			"in a file. Nothing that was captured is in it, and long numbers and names are taken out of texts.\n" +
			"Look through it before you send it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			if file == "" {
				file = "otor-" + program + "-" + now.UTC().Format("20060102T150405Z") + ".zip"
			}
			log := a.logFile
			if log == "" {
				log = filepath.Join(a.Data, program+".log")
			}
			parts := []support.Part{{Name: "version", Value: BuildOf(program)}, a.settingsPart()}
			if err := support.Write(file, log, now, append(parts, gather(cmd.Context())...)); err != nil {
				return Say(Storage, "not_written", file, "name another file with --out", err)
			}
			if a.JSON {
				return a.PrintJSON(struct {
					File string `json:"file"`
				}{file})
			}
			return a.Printf("%s: look through it before you send it.\n", file)
		},
	}
	cmd.Flags().StringVar(&file, "out", "", "the `file` to write (default: a new one in this folder)")
	return cmd
}

// secretSettings may hold passwords.
var secretSettings = map[string]bool{"db": true, "nats": true}

// settingsPart lists what the configuration file sets and which variables of
// the environment are set.
func (a *App) settingsPart() support.Part {
	out := struct {
		Data        string         `json:"data"`
		Zone        string         `json:"zone"`
		File        map[string]any `json:"file,omitempty"`
		Environment []string       `json:"environment,omitempty"` // names alone
	}{Data: a.Data, Zone: a.Zone.String()}
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "OTOR_") {
			out.Environment = append(out.Environment, name)
		}
	}
	if a.config == "" {
		return support.Part{Name: "settings", Value: out}
	}
	src, err := readBounded(a.config)
	if err == nil {
		err = toml.Unmarshal(src, &out.File)
	}
	for name := range out.File {
		if secretSettings[name] {
			out.File[name] = "(set)"
		}
	}
	return support.Part{Name: "settings", Value: out, Err: err}
}
