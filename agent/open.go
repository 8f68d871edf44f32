package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otor/agent/device"
	"otor/agent/link"
	"otor/agent/store"
	"otor/internal/cli"
	"otor/internal/pack"
)

// choices are the flags that decide how a device is opened.
type choices struct {
	pack       string
	demo       bool
	dns        []string
	rate       rate
	limits     link.Limits
	alive      time.Duration
	keep       keep
	keepPhotos keep
	http       string
	lang       string
	repair     bool
	// ready is told the page's address once it is served.
	ready func(page string)
}

// captures adds the flags of commands that save records.
func (c *choices) captures(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.pack, "pack", "", "`folder` of the form pack (default: the built-in one)")
	f.BoolVar(&c.demo, "demo-numbers", false, "take fictional resident numbers without a warning")
}

// connects adds the flags of commands that go to the hub.
func (c *choices) connects(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&c.dns, "dns", nil, "`addresses` of name servers, where the system names none")
	cmd.Flags().Var((*size)(&c.limits.Contact), "budget-contact", "move at most so much in one contact, both ways, such as 200kB (default: no bound); alerts always go")
	cmd.Flags().Var((*size)(&c.limits.Day), "budget-day", "move at most so much in a day, both ways, such as 5MB (default: no bound); alerts always go")
	cmd.Flags().Var((*size)(&c.limits.Photos), "budget-photos", "of that, at most so much for photos and files in a day, such as 2MB (default: no bound)")
	cmd.Flags().DurationVar(&c.alive, "keep-alive", 4*time.Minute, "`time` between signs of life on an idle link, at least 10s")
	cmd.Flags().Var(&c.rate, "rate", "send at most so many bytes a second, such as 4000, on a link that is paid for or shared (default: as the link takes)")
}

// prunes adds the flag of commands that may remove archived entries.
func (c *choices) prunes(cmd *cobra.Command) {
	c.keep, c.keepPhotos = defaultKeep, defaultKeepPhotos
	cmd.Flags().Var(&c.keepPhotos, "keep-photos", "keep a photo here for so long, and then remove it once it is in the hub's verified backups, such as 14d, or forever; `time` by the hub's clock")
	cmd.Flags().Var(&c.keep, "keep", "keep a record here for so long after the hub has it in a verified backup, such as 30d, or forever; `time` by the hub's clock")
}

// open opens the device in the data folder.
func (c *choices) open(app *cli.App) (*device.Device, error) {
	if c.alive != 0 && c.alive < leastAlive {
		return nil, cli.Misuse("--keep-alive", "%s is too often", "write it like 4m, at least 10s", c.alive)
	}
	forms, err := loadPack(c.pack)
	if err != nil {
		return nil, err
	}
	return device.Open(device.Config{
		Dir: app.Data, HTTP: c.http, Packs: pack.NewShelf(forms), Zone: app.Zone, Demo: c.demo, DNS: c.dns, Log: app.Log, Lang: c.lang,
		Ready: c.ready, Rate: int(c.rate), Limits: c.limits, KeepAlive: c.alive, Repair: c.repair, Keep: time.Duration(c.keep), KeepPhotos: time.Duration(c.keepPhotos),
	})
}

func loadPack(dir string) (*pack.Pack, error) {
	if dir == "" {
		return pack.Transhumance()
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return nil, cli.Misuse("--pack", "there is no folder %s", "name the folder that has the pack.toml", dir)
	}
	return pack.Load(os.DirFS(dir))
}

// patience is how long a command waits for a folder that is locked by a program
// that does not answer: an agent that is just starting, or another command that
// is just finishing.
const patience = 4 * time.Second

// either asks the agent that runs in the data folder, or opens the device when
// none does. An announcement that nobody stands behind delays nothing.
func (c *choices) either(ctx context.Context, app *cli.App, ask func(*running) error, open func(*device.Device) error) error {
	deadline := time.Now().Add(patience)
	for {
		if r, ok := findRunning(ctx, app); ok {
			return ask(r)
		}
		d, err := c.open(app)
		if err == nil {
			return errors.Join(open(d), d.Close())
		}
		if !errors.Is(err, store.ErrLocked) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// leastAlive spares batteries.
const leastAlive = 10 * time.Second

// size is a flag's number of bytes, with a unit if need be.
type size uint64

// Type implements pflag.Value.
func (s *size) Type() string { return "bytes" }

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*s), 10)
}

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	unit := uint64(1)
	number := text
	for _, u := range []struct {
		name string
		of   uint64
	}{{"kB", 1000}, {"MB", 1_000_000}, {"GB", 1_000_000_000}} {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = n, u.of
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 40)
	if err != nil {
		return errors.New("write a number of bytes, or one with kB, MB or GB behind it")
	}
	if err := (link.Limits{Day: n * unit}).Check(); err != nil {
		return err
	}
	*s = size(n * unit)
	return nil
}

// keep is a flag's time for which archived entries stay; 0: forever.
type keep time.Duration

// defaultKeep leaves a season in which a record can still be looked up and put
// right without the office.
const defaultKeep = keep(90 * 24 * time.Hour)

// defaultKeepPhotos leaves a month: photos fill a phone long before records do.
const defaultKeepPhotos = keep(30 * 24 * time.Hour)

// Type implements pflag.Value.
func (k *keep) Type() string { return "time" }

func (k *keep) String() string {
	const day = keep(24 * time.Hour)
	switch {
	case *k == 0:
		return "forever"
	case *k%day == 0:
		return strconv.FormatInt(int64(*k/day), 10) + "d"
	}
	return time.Duration(*k).String()
}

// longestKeep is far from what a time.Duration holds.
const longestKeep = 36500

// Set implements pflag.Value.
func (k *keep) Set(text string) error {
	if text == "forever" {
		*k = 0
		return nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n < 1 || n > longestKeep {
			return fmt.Errorf("write forever, or a number of days from 1 to %d with a d behind it", longestKeep)
		}
		*k = keep(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	t, err := time.ParseDuration(text)
	if err != nil || t < time.Second || t > longestKeep*24*time.Hour {
		return errors.New("write forever, a number of days such as 30d, or a time of at least 1s such as 12h")
	}
	*k = keep(t)
	return nil
}

// rate is a flag's number of bytes a second.
type rate int

// Type implements pflag.Value.
func (r *rate) Type() string { return "bytes" }

func (r *rate) String() string {
	if *r == 0 {
		return ""
	}
	return strconv.Itoa(int(*r))
}

// leastRate still lets a whole alert through in a few seconds.
const leastRate = 100

// Set implements pflag.Value.
func (r *rate) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < leastRate {
		return fmt.Errorf("write a whole number of bytes a second, at least %d", leastRate)
	}
	*r = rate(n)
	return nil
}
