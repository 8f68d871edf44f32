package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/export"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/durable"
)

func newExport(app *cli.App) *cobra.Command {
	var f statementFlags
	var whole bool
	var reason string
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write records into a file; FILE ends in .xlsx, .csv, .pdf, .json or .geojson", Args: cli.OneArg("FILE"),
		Long: "Writes the entries of a device, a team, a service item (form) or all, of a period by their corrected time.\n" +
			"Personal numbers show their last four characters; --whole --reason WHY has them stand whole. Each export is\n" +
			"a fact of the ledger, which states what was asked for. GeoJSON has the entries whose place is known.",
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := f.terms(app.Zone)
			if err != nil {
				return err
			}
			format := strings.TrimPrefix(strings.ToLower(filepath.Ext(args[0])), ".")
			if export.Formats[format] == "" {
				return cli.Misuse("FILE", "the file %s has no ending that says what to write", "end it in one of ."+strings.Join(slices.Sorted(maps.Keys(export.Formats)), ", ."), args[0])
			}
			if f.lang != "zh" && f.lang != "mn" && f.lang != "en" {
				return cli.Misuse("--lang", "there is no language %q", "choose zh, mn or en", f.lang)
			}
			order := server.ExportOrder{
				Filter: export.Filter{Subject: string(t.Subject), Name: t.Name, From: t.From, Until: t.Until, Whole: whole, Reason: reason}, Format: format, Lang: f.lang,
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				out, file, err := o.Export(cmd.Context(), order)
				if err != nil {
					return err
				}
				if err := saveExport(args[0], out, file); err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(out)
				}
				return app.Printf("%s: %d records, %d bytes\nsha256 %s\n", args[0], out.Rows, out.Size, out.Digest)
			})
		},
	}
	f.add(cmd, "export the entries of")
	cmd.Flags().BoolVar(&whole, "whole", false, "have personal numbers stand whole; needs --reason")
	cmd.Flags().StringVar(&reason, "reason", "", "`why` they are needed whole, for the ledger")
	return cmd
}

// saveExport stores a file that comes in, whole or not at all.
func saveExport(path string, want server.Exported, from io.ReadCloser) (err error) {
	defer func() { err = errors.Join(err, from.Close()) }()
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return cli.Misuse("FILE", "it cannot be written: %v", "name a file in a folder that you may write in", err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(tmp, sum), from)
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != want.Digest {
		err = fmt.Errorf("the file did not come in whole; export it again")
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the export: %w", err), os.Remove(tmp.Name()))
	}
	return durable.SyncDir(filepath.Dir(path))
}
