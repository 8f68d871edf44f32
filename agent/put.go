package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/cli"
)

func newPut(app *cli.App) *cobra.Command {
	var c choices
	var p web.PutRequest
	var at string
	cmd := &cobra.Command{
		Use: "put [FILE]", Short: "Save records: one JSON object a line, from FILE or stdin",
		Long: `Saves records, one JSON object a line. A line is a form's answers by name, for the
form that --form names; or {"form":…,"entity":…,"user":…,"at":…,"fields":{…}}.

For each line that is saved, {"line","dot","saved_at"} goes to stdout once the record
is on the disk; for each that is refused, {"line","error"} to stderr. The lines do
not depend on one another. The exit code is 3 when any was refused.`,
		Args: cli.MayHaveArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if at != "" {
				if p.At, err = time.Parse(time.RFC3339, at); err != nil {
					return cli.Misuse("--at", "%q is not an RFC 3339 time", "write it as 2025-09-18T09:12:00+08:00", at)
				}
			}
			in, done, err := input(app, args)
			if err != nil {
				return err
			}
			defer done()
			return put(cmd.Context(), app, &c, in, p)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Form, "form", "", "`id` of the form that the lines answer")
	f.StringVar(&p.Entity, "entity", "", "`id` of the household, herd, … that the records are about")
	f.StringVar(&p.User, "user", "", "`name` of who captured them")
	f.StringVar(&at, "at", "", "`time` at which it happened, as 2025-09-18T09:12:00+08:00 (default: now)")
	c.captures(cmd)
	return cmd
}

// input is FILE, or stdin when there is none or it is "-".
func input(app *cli.App, args []string) (io.Reader, func(), error) {
	if len(args) == 0 || args[0] == "-" {
		return app.In, func() {}, nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, nil, cli.Misuse(args[0], "the input cannot be read: %v", "check the file's name and rights", err)
	}
	if fi, err := f.Stat(); err == nil && fi.IsDir() {
		_ = f.Close()
		return nil, nil, cli.Misuse(args[0], "the input is a folder", "name a file of JSON lines")
	}
	return f, func() { _ = f.Close() }, nil
}

// put saves the lines of in and ends with the exit code that they deserve.
func put(ctx context.Context, app *cli.App, c *choices, in io.Reader, p web.PutRequest) error {
	refusals := &watched{w: app.Err}
	var refused int
	err := c.either(ctx, app, func(r *running) (err error) {
		_, refused, err = r.put(ctx, in, app.Out, refusals, p)
		return err
	}, func(d *device.Device) (err error) {
		_, refused, err = web.PutLines(ctx, d, in, app.Out, refusals, p)
		return err
	})
	if err != nil {
		return err
	}
	if refused == 0 {
		return nil
	}
	exit := cli.Refused
	if refusals.full {
		exit = cli.Storage
	}
	return &cli.Error{Exit: exit, Code: "refused", What: "some lines were refused", Said: true}
}

// watched passes refusals on and notices those that are the disk's fault.
type watched struct {
	w    io.Writer
	rest []byte // of a line whose end is still to come
	full bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			break
		}
		w.full = w.full || bytes.Contains(line, []byte(`"code":"`+codeDiskFull+`"`))
		w.rest = rest
	}
	n, err := w.w.Write(p)
	if err != nil {
		err = errors.Join(errors.New("write refusals"), err)
	}
	return n, err
}
