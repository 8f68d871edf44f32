package device_test

import (
	"testing"

	"otor/agent/device"
	"otor/agent/link"
	"otor/agent/web"
)

// Bounds of the command line and those that a person set stand beside each other:
// each of the former counts first, and neither undoes another.
func TestBoundsOfTheCommandLineAndOfThePage(t *testing.T) {
	dir := enrolled(t)
	start := func(flags link.Limits, during func(*device.Device)) {
		t.Helper()
		cfg := settings(t, dir)
		cfg.Limits = flags
		d, err := device.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		during(d)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want := func(d *device.Device, l link.Limits) {
		t.Helper()
		if got := d.Link().Budget().Limits(); got != l {
			t.Errorf("the bounds are %+v, want %+v", got, l)
		}
	}
	save := func(d *device.Device, change func(*web.Preferences)) {
		t.Helper()
		p := d.Preferences()
		change(&p)
		if err := d.SetPreferences(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	const mb = 1_000_000
	start(link.Limits{}, func(d *device.Device) {
		want(d, link.Limits{})
		save(d, func(p *web.Preferences) { p.Day, p.Contact = 5*mb, mb })
		want(d, link.Limits{Day: 5 * mb, Contact: mb})
	})
	start(link.Limits{Photos: 2 * mb, Day: 9 * mb}, func(d *device.Device) {
		want(d, link.Limits{Photos: 2 * mb, Day: 9 * mb, Contact: mb})
		save(d, func(p *web.Preferences) { p.User = "U01" })
		want(d, link.Limits{Photos: 2 * mb, Day: 9 * mb, Contact: mb})
	})
	start(link.Limits{}, func(d *device.Device) { // what was given for one start is not kept
		want(d, link.Limits{Day: 5 * mb, Contact: mb})
		if p := d.Preferences(); p.User != "U01" {
			t.Errorf("kept %+v", p)
		}
		save(d, func(p *web.Preferences) { p.Day, p.Contact = 0, 3*mb })
	})
	start(link.Limits{Photos: mb}, func(d *device.Device) { want(d, link.Limits{Photos: mb, Contact: 3 * mb}) })
}
