package main

import (
	"context"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"otor/internal/cli"
	"otor/internal/support"
)

func newBundle(app *cli.App) *cobra.Command {
	var c choices
	return app.SupportBundle("agent", func(ctx context.Context) []support.Part {
		s, err := c.status(ctx, app)
		files, filesErr := sizes(app.Data)
		return []support.Part{{Name: "status", Value: s, Err: err}, {Name: "files", Value: files, Err: filesErr}}
	})
}

// mostFiles bounds the list of files.
const mostFiles = 5_000

// sizes lists the folder's files and their bytes.
func sizes(dir string) (map[string]int64, error) {
	out := make(map[string]int64)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // it went away meanwhile
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if out[filepath.ToSlash(name)] = fi.Size(); len(out) >= mostFiles {
			return fs.SkipAll
		}
		return nil
	})
	return out, err
}
