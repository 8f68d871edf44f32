package console_test

import (
	"strings"
	"testing"
	"time"

	"otor/hub/console"
)

// ago is a moment some hours before now; a negative number lies ahead.
func ago(hours float64) time.Time { return now.Add(-time.Duration(hours * float64(time.Hour))) }

func absence(from, until, planned float64) console.Absence {
	return console.Absence{From: ago(from), Until: ago(until), PlannedAt: ago(planned), By: "dorji", Words: "over the pass"}
}

func TestExpect(t *testing.T) {
	seen := func(hours float64) *time.Time { at := ago(hours); return &at }
	for _, c := range []struct {
		name          string
		seen          *time.Time
		revoked       bool
		plan          []console.Absence
		back, overdue float64 // hours before now; 0: not so
	}{
		{name: "no plan", seen: seen(5)},
		{name: "within", seen: seen(5), plan: []console.Absence{absence(5, -2, 6)}, back: -2},
		{name: "within, and heard from just now", seen: seen(0.1), plan: []console.Absence{absence(5, -2, 6)}},
		{name: "within, never heard from", plan: []console.Absence{absence(5, -2, 6)}, back: -2},
		{name: "not begun", seen: seen(5), plan: []console.Absence{absence(-1, -2, 6)}},
		{name: "ended, not heard from", seen: seen(5), plan: []console.Absence{absence(5, 2, 6)}, overdue: 2},
		{name: "ended, never heard from", plan: []console.Absence{absence(5, 2, 6)}, overdue: 2},
		{name: "ended, heard from before its end", seen: seen(2.5), plan: []console.Absence{absence(5, 2, 6)}, overdue: 2},
		{name: "ended, came back, silent since", seen: seen(1), plan: []console.Absence{absence(5, 2, 6)}},
		{name: "ended this minute", seen: seen(5), plan: []console.Absence{absence(5, 0, 6)}, overdue: 1e-9},
		{name: "one after the other without a break", seen: seen(5), plan: []console.Absence{absence(2, -2, 6), absence(5, 2, 6)}, back: -2},
		{name: "one within the other", seen: seen(5), plan: []console.Absence{absence(5, -3, 6), absence(4, 1, 6)}, back: -3},
		{name: "was to call between two", seen: seen(5), plan: []console.Absence{absence(5, 2, 6), absence(1, -2, 6)}, overdue: 2},
		{name: "called between two", seen: seen(1.5), plan: []console.Absence{absence(5, 2, 6), absence(1, -2, 6)}, back: -2},
		{name: "the second was planned when the first had ended", seen: seen(5), plan: []console.Absence{absence(5, 2, 6), absence(1, -2, 1)}, back: -2},
		{name: "one to come changes nothing", seen: seen(5), plan: []console.Absence{absence(5, 2, 6), absence(-1, -2, 1)}, overdue: 2},
		{name: "revoked", seen: seen(5), revoked: true, plan: []console.Absence{absence(5, 2, 6)}},
	} {
		d := console.DeviceRow{Device: "D-1", LastSeen: c.seen, Revoked: c.revoked, Plan: c.plan}
		d.Expect(now)
		for what, x := range map[string]struct {
			got  *time.Time
			want float64
		}{"expected back": {d.ExpectedBack, c.back}, "overdue": {d.OverdueSince, c.overdue}} {
			if (x.got != nil) != (x.want != 0) || x.got != nil && x.got.Sub(ago(x.want)).Abs() > time.Minute {
				t.Errorf("%s: %s %v, want %v hours ago", c.name, what, x.got, x.want)
			}
		}
	}
}

// A plan makes silence calm for its time and no longer, and never complete.
func TestFleetPageByThePlan(t *testing.T) {
	fleet := func(plan ...console.Absence) string {
		d := row("D-1", "", 3, 3, 5*time.Hour, 0)
		d.Plan = plan
		d.Expect(now)
		url, _ := serve(t, &hub{fleet: console.Fleet{AsOf: now, Devices: []console.DeviceRow{row("D-2", "", 3, 3, time.Minute, 0), d}}}, "en")
		_, body := visit(t, url)
		return body
	}
	byMachine := absence(5, -2, 6)
	byMachine.By = "owner of this machine"
	d := row("D-1", "", 3, 3, 5*time.Hour, 0)
	d.Plan = []console.Absence{byMachine}
	zh, _ := serve(t, &hub{fleet: console.Fleet{AsOf: now, Devices: []console.DeviceRow{d}}}, "zh")
	_, inChinese := visit(t, zh)
	for name, c := range map[string]struct {
		body     string
		has, not []string
	}{
		"whose":   {inChinese, []string{"over the pass · 本机主人"}, []string{"owner of this machine"}},
		"away":    {fleet(absence(5, -2, 6)), []string{"expected back at 15:05", "1 device out of reach as planned", "over the pass"}, []string{"Complete:", "device silent", "overdue"}},
		"overdue": {fleet(absence(5, 2, 6)), []string{"overdue since 11:05", "1 device overdue"}, []string{"Complete:", "device silent", "as planned"}},
		"silent":  {fleet(), []string{"1 device silent"}, []string{"Complete:", "overdue", "as planned"}},
	} {
		for _, want := range c.has {
			if !strings.Contains(c.body, want) {
				t.Errorf("%s: the page does not say %q", name, want)
			}
		}
		for _, wrong := range c.not {
			if strings.Contains(c.body, wrong) {
				t.Errorf("%s: the page says %q", name, wrong)
			}
		}
	}
}
