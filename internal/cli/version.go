package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"otor/internal/release"
)

// Build says what a program was built from, and for what.
type Build struct {
	Program  string `json:"program"`
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Revision string `json:"revision,omitempty"` // of the source; empty when it was not built from a repository
	Made     string `json:"made,omitempty"`     // when that revision was, RFC 3339
	Changed  bool   `json:"changed,omitempty"`  // the source was changed after it
}

// BuildOf describes the running program.
func BuildOf(program string) Build {
	b := Build{Program: program, Version: release.Version, Protocol: 1, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Made = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}

func (p *Program) version(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, and what it was built from", Args: NoArgs, Annotations: map[string]string{withoutFolder: "yes"},
		RunE: func(*cobra.Command, []string) error {
			b := BuildOf(p.Name)
			if app.JSON {
				return app.PrintJSON(b)
			}
			err := app.Printf("%s %s (protocol %d, %s, %s)\n", b.Program, b.Version, b.Protocol, b.Go, b.Platform)
			if err == nil && b.Revision != "" {
				changed := ""
				if b.Changed {
					changed = ", with changes since"
				}
				err = app.Printf("built from %s of %s%s\n", b.Revision, b.Made, changed)
			}
			return err
		},
	}
}
