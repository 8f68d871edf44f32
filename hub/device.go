package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otor/hub/broker"
	"otor/hub/enrol"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/feed"
)

func newDevice(app *cli.App) *cobra.Command {
	return cli.Group("device", "Let devices in and out", newDeviceAdd(app), newDeviceList(app), newDeviceRevoke(app), newDeviceScopes(app), newDeviceConfirm(app), newDevicePlan(app))
}

// addition is what `device add` is asked for.
type addition struct {
	device dot.Device
	scopes []string
	ttl    time.Duration
	again  bool
	noQR   bool
}

func newDeviceAdd(app *cli.App) *cobra.Command {
	c := &choices{make: true}
	var a addition
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Invite a device: print a one-time code for it", Args: cli.OneArg("NAME"),
		Long: "Invites a device and prints a one-time code for it, as text and as a QR picture.\nWhen no hub runs, the addresses are those of --http and --hosts, as for hub serve.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if a.device, err = parseName(args[0]); err != nil {
				return err
			}
			if err := a.check(); err != nil {
				return err
			}
			if err := c.check(); err != nil {
				return err
			}
			return c.with(cmd.Context(), app, func(o office, running bool) error {
				if _, port, _ := net.SplitHostPort(c.http); !running && port == "0" {
					return cli.Misuse("--http", "the hub's port is chosen when it starts, so no code can name it yet", "start hub serve first, then add the device")
				}
				inv, err := o.Invite(cmd.Context(), a.device, a.scopes, a.ttl, a.again)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(inv)
				}
				return printInvitation(app, inv, running, !a.noQR)
			})
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&a.scopes, "scope", nil, "`scopes` that the device is granted, such as gacha:ulaanchulu")
	f.DurationVar(&a.ttl, "ttl", enrol.MaxCodeTTL, "how long the code lasts, at most 24h (`time` such as 2h)")
	f.BoolVar(&a.again, "again", false, "also when the device is enrolled already: it gets a new life")
	f.BoolVar(&a.noQR, "no-qr", false, "leave the picture out")
	c.addresses(cmd)
	return cmd
}

func parseName(s string) (dot.Device, error) {
	d, err := dot.ParseDevice(s)
	if err != nil {
		return d, cli.Misuse(s, "%v", "a device is called by 1 to 32 capital letters, digits and hyphens, such as D-101", err)
	}
	return d, nil
}

func (a *addition) check() error {
	if a.device == dot.Hub {
		return cli.Misuse(string(a.device), "the name %s is the hub's own", "choose another name for the device", a.device)
	}
	if len(a.scopes) == 0 && !a.again {
		return cli.Misuse("--scope", "it is not said what the device may see", "add --scope S, such as --scope gacha:ulaanchulu; several with commas")
	}
	for _, s := range a.scopes {
		if !broker.ValidScope(s) || feed.Reserved(s) {
			return cli.Misuse("--scope", "%q is no name of a scope", "use letters, digits, '-', '_' and ':' only", s)
		}
	}
	if a.ttl < time.Second || a.ttl > enrol.MaxCodeTTL {
		return cli.Misuse("--ttl", "a code lasts from 1s to %s, not %s", "choose a time within", enrol.MaxCodeTTL, a.ttl)
	}
	return nil
}

func printInvitation(app *cli.App, inv server.Invited, running, withQR bool) error {
	address := ""
	if _, query, ok := strings.Cut(inv.QRText, "?"); ok {
		if q, err := url.ParseQuery(query); err == nil {
			address = q.Get("hub")
		}
	}
	if withQR {
		picture, err := enrol.QR(inv.QRText)
		if err != nil {
			return err
		}
		if err := app.Printf("%s\n", picture); err != nil {
			return err
		}
	}
	err := app.Printf("Code for %s: %s\nThe hub:        %s\nGood until:     %s, once\nOn the device:  agent enrol %s --hub %s\n",
		inv.Device, inv.Code, address, app.Clock(&inv.ExpiresAt), inv.Code, address)
	if err != nil {
		return err
	}
	if !running {
		fmt.Fprintln(app.Err, "note: no hub runs on this folder now; start it with the same --http and --hosts before the device enrols")
	}
	if onlyHere(address) {
		fmt.Fprintln(app.Err, "note: this address reaches the hub from this machine only; for others serve with --hosts, --http and --nats-listen")
	}
	return nil
}

// onlyHere reports whether an address is a loopback one.
func onlyHere(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func newDeviceList(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the devices", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				ds, err := o.Devices(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, ds)
				}
				rows := [][]string{{"DEVICE", "STATE", "LIFE", "SCOPES", "ENROLLED", "LAST SEEN", "CODE UNTIL"}}
				for _, d := range ds {
					rows = append(rows, []string{
						string(d.Device), stateOf(d), fmt.Sprint(d.Incarnation), strings.Join(d.Scopes, ","),
						app.Clock(d.EnrolledAt), app.Clock(d.LastSeen), app.Clock(d.CodeExpiresAt),
					})
				}
				return app.Table(rows)
			})
		},
	}
}

func newDeviceRevoke(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End a device's credentials for good", Args: cli.OneArg("NAME"),
		Long: "Ends a device's credentials for good and cuts its connections. What it still sends\nis set aside, not thrown away.",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := parseName(args[0])
			if err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if err := o.Revoke(cmd.Context(), d); err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(struct {
						Device dot.Device `json:"device"`
						State  string     `json:"state"`
					}{d, "revoked"})
				}
				return app.Printf("Device %s is revoked: it can no longer connect. What it still sends is set aside.\n", d)
			})
		},
	}
}

// stateOf names a device's state in a list.
func stateOf(d server.Enrolled) string {
	if d.InDoubt != "" {
		return d.State + ", in doubt"
	}
	return d.State
}

func newDeviceConfirm(app *cli.App) *cobra.Command {
	var life uint32
	cmd := &cobra.Command{
		Use: "confirm [NAME...]", Short: "Say that devices were not revoked in what a restored hub forgot",
		Long: "A hub that was restored without its journal does not know whom it has revoked since. Devices may then send,\n" +
			"and are told nothing. Look through hub device list, revoke those that were revoked, and confirm the others:\n" +
			"by name, or all that are in doubt.\n\n" +
			"Of two live copies of one device's folder the second may send, and is told nothing, until it is confirmed:\n" +
			"hub device confirm NAME --life N, with the number that the finding names (hub findings).",
		RunE: func(cmd *cobra.Command, args []string) error {
			var devices []dot.Device
			for _, a := range args {
				d, err := parseName(a)
				if err != nil {
					return err
				}
				devices = append(devices, d)
			}
			if life > 0 {
				return confirmLife(cmd, app, devices, dot.Incarnation(life))
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				done, err := o.Confirm(cmd.Context(), devices)
				if err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(struct {
						Confirmed []dot.Device `json:"confirmed"`
					}{done})
				}
				if len(done) == 0 {
					return app.Printf("No device is in doubt.\n")
				}
				return app.Printf("%d devices are confirmed.\n", len(done))
			})
		},
	}
	cmd.Flags().Uint32Var(&life, "life", 0, "confirm this `life` of one device, a copy of its folder")
	return cmd
}

func confirmLife(cmd *cobra.Command, app *cli.App, devices []dot.Device, life dot.Incarnation) error {
	if len(devices) != 1 {
		return cli.Misuse("--life", "a life is one device's", "name one device")
	}
	return reads().with(cmd.Context(), app, func(o office, _ bool) error {
		if err := o.ConfirmLife(cmd.Context(), devices[0], life); err != nil {
			return err
		}
		if app.JSON {
			return app.PrintJSON(struct {
				Device dot.Device      `json:"device"`
				Life   dot.Incarnation `json:"life"`
			}{devices[0], life})
		}
		return app.Printf("Life %d of %s is confirmed: it is told everything from its next contact on.\n", life, devices[0])
	})
}
