package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"otor/agent/blob"
	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/cli"
)

func newPhoto(app *cli.App) *cobra.Command {
	return cli.Group("photo", "Keep photos and files for answers, and see which are at the hub", newPhotoAdd(app), newPhotoList(app))
}

// kept is what photo add says of a file.
type kept struct {
	File string `json:"file"`
	Name string `json:"name"`
}

func newPhotoAdd(app *cli.App) *cobra.Command {
	var c choices
	return &cobra.Command{
		Use: "add FILE…", Short: "Keep files and print the names by which answers call them",
		Long: "Keeps photos and other files, sealed. A photo is made small, and what the camera wrote beside the picture is left out. Give the printed name as the answer to a photo's question; the file goes to the hub after the record that names it. One that nothing names for a week is removed.",
		Args: cli.SomeArgs("FILE", 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, file := range args {
				mime, content, err := readFile(file)
				if err != nil {
					return err
				}
				k := kept{File: filepath.Base(file)}
				err = c.either(cmd.Context(), app, func(r *running) error {
					k.Name, err = r.keep(cmd.Context(), mime, bytes.NewReader(content))
					return err
				}, func(d *device.Device) error {
					k.Name, err = d.KeepFile(cmd.Context(), mime, content)
					return err
				})
				if err != nil {
					return fmt.Errorf("keep %s: %w", file, err)
				}
				if app.JSON {
					err = app.PrintJSON(k)
				} else {
					err = app.Printf("%s\n", k.Name)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// maxRead bounds a file before it is made small, in bytes.
const maxRead = 64 << 20

// readFile reads a file that is to be kept, and makes a photo small.
func readFile(file string) (mime string, content []byte, err error) {
	st, err := os.Stat(file)
	if err == nil && (st.IsDir() || st.Size() > maxRead) {
		return "", nil, cli.Misuse("FILE", "%s is a folder or has more than %d MB", "name a photo or another file", file, maxRead>>20)
	}
	if err == nil {
		content, err = os.ReadFile(file)
	}
	if err != nil {
		return "", nil, cli.Misuse("FILE", "%v", "name a file that is there", err)
	}
	mime = http.DetectContentType(content)
	small, err := blob.Clean(mime, content)
	if err != nil {
		return "", nil, cli.Misuse("FILE", "%s: %v", "take the photo again", file, err)
	}
	return mime, small, nil
}

func newPhotoList(app *cli.App) *cobra.Command {
	var c choices
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the photos and files that the hub does not have yet", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []web.Photo
			err := c.either(cmd.Context(), app, func(r *running) (err error) {
				list, err = ask[[]web.Photo](cmd.Context(), r, http.MethodGet, "files", nil)
				return err
			}, func(d *device.Device) (err error) {
				list, err = d.Photos(cmd.Context())
				return err
			})
			if err != nil {
				return err
			}
			rows := [][]string{{"PHOTO", "BYTES", "RECORD", "STATE"}}
			for _, p := range list {
				if p.AtHub && !all {
					continue
				}
				if app.JSON {
					if err := app.PrintJSON(p); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, []string{p.Name, fmt.Sprint(p.Size), p.Dot.String(), p.State()})
			}
			switch {
			case app.JSON:
				return nil
			case len(rows) == 1:
				return app.Printf("No photo waits.\n")
			}
			return app.Table(rows)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those at the hub too")
	return cmd
}
