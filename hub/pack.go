package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/pack"
)

func newPack(app *cli.App) *cobra.Command {
	return cli.Group("pack", "Check, publish and list form packs", newPackCheck(app), newPackPublish(app), newPackList(app))
}

func newPackCheck(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "check FOLDER", Short: "Check a form pack: a folder or a zip",
		Long: "Reads a form pack, runs the cases that it carries, and names everything that is wrong with it, by file and line, with what to write instead.\n" +
			"Where there is a hub in the data folder the pack is also compared with the versions that it published, which\n" +
			"devices and entries go by. Nothing is changed.",
		Args: onePack,
		RunE: func(cmd *cobra.Command, args []string) error {
			zip, p, err := readPack(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			compared := false
			there, err := server.IsHub(app.Data)
			if err != nil {
				return err
			}
			if there {
				err := reads().with(cmd.Context(), app, func(o office, _ bool) error {
					_, err := o.CheckPack(cmd.Context(), zip)
					return err
				})
				if err != nil {
					return err
				}
				compared = true
			}
			if app.JSON {
				return app.PrintJSON(struct {
					ID       string `json:"id"`
					Version  uint32 `json:"version"`
					Forms    int    `json:"forms"`
					Compared bool   `json:"compared"` // with what a hub published
					// Missing are the keys without words, by language of a catalogue.
					Missing map[string][]string `json:"missing,omitempty"`
				}{p.ID, p.Version, len(p.Forms.IDs()), compared, p.Missing})
			}
			with := "; there is no hub in " + app.Data + " to compare it with"
			if compared {
				with = ", and goes with what the hub published"
			}
			if err := app.Printf("Pack %s version %d, %d forms: nothing is wrong with it%s.\n", p.ID, p.Version, len(p.Forms.IDs()), with); err != nil {
				return err
			}
			return printMissing(app, p)
		},
	}
}

// printMissing lists what falls back to the pack's first language.
func printMissing(app *cli.App, p *pack.Pack) error {
	for _, lang := range slices.Sorted(maps.Keys(p.Missing)) {
		keys := p.Missing[lang]
		if err := app.Printf("i18n/%s.toml has no words for %d things, which are shown in %s: %s\n", lang, len(keys), p.Languages[0], strings.Join(keys, ", ")); err != nil {
			return err
		}
	}
	return nil
}

func newPackPublish(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "publish FOLDER", Short: "Publish a form pack: a folder or a zip",
		Long: "Makes a form pack the one by which new records go, here at once and on each device as soon as it hears of it.\n" +
			"Versions stay side by side: what was captured with an older one is judged by that. Entries that came with a form\n" +
			"which was not known are judged anew. A running hub need not be started again.",
		Args: onePack,
		RunE: func(cmd *cobra.Command, args []string) error {
			zip, _, err := readPack(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				p, err := o.PublishPack(cmd.Context(), zip)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(p)
				}
				if err := app.Printf("Pack %s version %d is published; %d bytes go to each device.\n", p.ID, p.Version, p.Sent); err != nil || p.Replayed == 0 {
					return err
				}
				return app.Printf("%d entries had waited for it and are judged now; see hub entries.\n", p.Replayed)
			})
		},
	}
}

func newPackList(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the versions of the form pack, since when, and how many devices work by each", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				packs, err := o.Packs(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, packs)
				}
				rows := [][]string{{"PACK", "VERSION", "SINCE", "BY", "FORMS", "DEVICES", ""}}
				for _, p := range packs {
					since, mark := "built in", ""
					if p.PublishedAt != nil {
						since = app.Clock(p.PublishedAt)
					}
					if p.Current {
						mark = "current"
					}
					rows = append(rows, []string{p.ID, strconv.FormatUint(uint64(p.Version), 10), since, p.By, strconv.Itoa(p.Forms), strconv.Itoa(p.Devices), mark})
				}
				return app.Table(rows)
			})
		},
	}
}

func onePack(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Misuse("FOLDER", "%d arguments", "name the folder that has the pack.toml, or a zip of it", len(args))
	}
	return nil
}

// readPack reads a folder or a zip, checks it by itself, and runs the cases that it carries.
func readPack(ctx context.Context, name string) (zip []byte, p *pack.Pack, err error) {
	fi, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, cli.Misuse("FOLDER", "there is no %s", "name the folder that has the pack.toml, or a zip of it", name)
	}
	if err != nil {
		return nil, nil, err
	}
	var dir fs.FS
	if fi.IsDir() {
		root, err := os.OpenRoot(name) // links do not lead out of the folder
		if err != nil {
			return nil, nil, err
		}
		defer func() { err = errors.Join(err, root.Close()) }()
		dir = root.FS()
	} else {
		if zip, err = readZip(name); err != nil {
			return nil, nil, err
		}
		if dir, err = pack.OpenZip(zip); err != nil {
			return nil, nil, err
		}
	}
	if p, err = pack.Load(dir); err != nil {
		return nil, nil, err
	}
	if err := server.Rehearse(ctx, p); err != nil {
		return nil, nil, err
	}
	if zip == nil {
		zip, err = pack.Zip(dir)
	}
	return zip, p, err
}

func readZip(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, pack.MaxZip+1))
	if err == nil && len(b) > pack.MaxZip {
		err = &pack.Fault{File: name, Words: fmt.Sprintf("has more than %d MiB: no pack does", pack.MaxZip>>20)}
	}
	return b, err
}
