package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/cli"
)

func newSync(app *cli.App) *cobra.Command {
	var timeout time.Duration
	var c choices
	cmd := &cobra.Command{
		Use: "sync", Short: "Make one contact with the hub, then end", Args: cli.NoArgs,
		Long: "Makes one contact with the hub. When the hub is not reached, or does not confirm\neverything in time, the exit code is 5 and everything stays on the device.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return cli.Misuse("--timeout", "%s is no time to wait", "write it like 60s or 5m", timeout)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			var res web.SyncResult
			known := false // whether res says something
			err := c.either(cmd.Context(), app, func(r *running) (err error) {
				known = true
				res, err = syncRunning(ctx, r)
				return err
			}, func(d *device.Device) error {
				known = true
				got, err := d.Contact(ctx)
				res = web.SyncResult{Sent: uint64(got.Sent), Received: uint64(got.Received), Pulled: uint64(got.Pulled), Remaining: uint64(got.Remaining), Lost: d.Missed()}
				return err
			})
			if cmd.Context().Err() != nil {
				return cmd.Context().Err()
			}
			if known {
				err = errors.Join(printSync(app, res), err)
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "give up after this `time`")
	c.connects(cmd)
	c.prunes(cmd)
	return cmd
}

func printSync(app *cli.App, r web.SyncResult) error {
	if app.JSON {
		return app.PrintJSON(r)
	}
	words := fmt.Sprintf("Sent: %d. Confirmed by the hub: %d. Updates taken: %d. Still waiting here: %d.", r.Sent, r.Received, r.Pulled, r.Remaining)
	if r.Lost > 0 {
		words += fmt.Sprintf("\nDamaged here before the hub had them: %d. Run: agent doctor, which says which ones.", r.Lost)
	}
	return app.Printf("%s\n", words)
}

// syncRunning has the running agent make contact, again and again while the
// hub is out of reach, until ctx ends. After a failure it still tells what moved.
func syncRunning(ctx context.Context, r *running) (web.SyncResult, error) {
	before := r.status.Waiting
	for {
		res, err := r.sync(ctx)
		if err == nil {
			return res, nil
		}
		refusal, ok := errors.AsType[*web.Refusal](err)
		again := ok && exitOfRefusal(refusal.Code) == cli.Unreachable
		if again {
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		if again && ctx.Err() == nil {
			continue
		}
		return failedSync(ctx, r, before, err)
	}
}

// failedSync asks how things stand after a contact that did not come about.
func failedSync(ctx context.Context, r *running, before uint64, cause error) (web.SyncResult, error) {
	late := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	s, err := r.getStatus(ctx)
	if err != nil {
		return web.SyncResult{Remaining: before}, stopped("sync", err)
	}
	res := web.SyncResult{Remaining: s.Waiting}
	if s.Waiting < before {
		res.Received = before - s.Waiting
		res.Sent = res.Received
	}
	if s.Link.State == web.Refused {
		return res, &cli.Error{
			Exit: cli.Credential, Code: codeRefused, What: "the hub does not accept this device: " + s.Link.Words, Which: string(s.Device),
			Do: "ask the hub's operator; nothing is lost meanwhile", Err: cause,
		}
	}
	if !late {
		return res, cause
	}
	e := &cli.Error{
		Exit: cli.Unreachable, Code: "unreachable", What: "the hub was not reached in time", Which: s.Link.Words,
		Do: "everything stays safe on this device; try again where there is signal", Err: cause,
	}
	if s.Link.State == web.Online {
		e.Code, e.What = "unfinished", "the hub did not confirm everything in time"
	}
	return res, e
}
