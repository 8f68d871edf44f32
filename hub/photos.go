package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"otor/internal/cli"
)

func newPhotos(app *cli.App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "photos", Short: "List the photos and files that entries name and the hub does not have yet", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				list, err := o.Photos(cmd.Context(), all)
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, list)
				}
				if len(list) == 0 {
					return app.Printf("No photo is missing.\n")
				}
				rows := [][]string{{"PHOTO", "BYTES", "ENTRY", "NAMED", "HERE SINCE"}}
				for _, p := range list {
					rows = append(rows, []string{p.Photo, fmt.Sprint(p.Size), p.Entry.String(), app.Clock(&p.NamedAt), app.Clock(p.GotAt)})
				}
				return app.Table(rows)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that are here too")
	cmd.AddCommand(newPhotosGet(app), newPhotosCheck(app))
	return cmd
}

func newPhotosGet(app *cli.App) *cobra.Command {
	var preview bool
	cmd := &cobra.Command{
		Use: "get PHOTO", Short: "Write a photo to stdout", Args: cli.OneArg("PHOTO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				f, _, err := o.Photo(cmd.Context(), args[0], preview)
				if err != nil {
					return err
				}
				_, err = io.Copy(app.Out, f)
				return errors.Join(err, f.Close())
			})
		},
	}
	cmd.Flags().BoolVar(&preview, "preview", false, "the small picture that came ahead, if the photo is not here yet")
	return cmd
}

func newPhotosCheck(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Read every photo and compare it with its hash", Args: cli.NoArgs,
		Long: "Reads every photo that is here and compares it with its hash. One that is damaged or gone is asked for again from the device that took it, at its next contact.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				c, err := o.CheckPhotos(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					err = app.PrintJSON(c)
				} else {
					err = app.Printf("%d of %d photos are here and as they should be, in %s.\n", c.Named-c.Missing, c.Named, c.Where)
					for _, h := range c.Damaged {
						err = errors.Join(err, app.Printf("damaged or gone, and asked for again: %s\n", h))
					}
				}
				if err == nil && len(c.Damaged) > 0 {
					err = errDamagedPhotos
				}
				return err
			})
		},
	}
}

var errDamagedPhotos = errors.New("some photos were damaged")
