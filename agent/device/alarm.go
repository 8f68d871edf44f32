package device

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"otor/agent/capture"
	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
)

var _ web.Alarms = (*Device)(nil)

// Raise implements web.Alarms.
func (d *Device) Raise(ctx context.Context, c web.Call) (web.PutResult, error) {
	if done, ok := d.completed(c.ID); ok {
		return done, nil
	}
	p := d.inForce()
	if p == nil || p.Pages == nil || p.Pages.Alarm == nil {
		return web.PutResult{}, &web.Refusal{Code: "no_alarm", What: "this device's pack has no call for help", Do: "call by radio or telephone"}
	}
	a := p.Pages.Alarm
	f, err := d.formOf(a.Form, 0)
	if err != nil {
		return web.PutResult{}, refuse(err)
	}
	answers := map[string]any{a.Question: c.What}
	if a.People != "" && c.People > 0 {
		answers[a.People] = c.People
	}
	if a.Household != "" && c.Household != "" {
		answers[a.Household] = c.Household
	}
	raw, err := json.Marshal(answers)
	if err != nil {
		return web.PutResult{}, fmt.Errorf("call for help: %w", err)
	}
	fields, problems, err := Fields(f, raw)
	if err != nil {
		return web.PutResult{}, fmt.Errorf("call for help: %w", err)
	}
	if len(problems) > 0 {
		return web.PutResult{}, refuse(problems[0])
	}
	res, err := d.begin(ctx, capture.Request{
		Form: f.ID, Version: f.Version, EntityType: f.Entity, Entity: alarmEntity(c.ID), Actor: d.user(""), Fields: fields,
		FormDraft: c.ID, Position: d.alarmPlace(ctx, c),
	})()
	if err == nil {
		d.link.Kick() // whatever pause it was in
		d.Wake()
	}
	return res, err
}

// alarmEntity is the incident that a call makes.
func alarmEntity(id string) string {
	id = strings.ToUpper(strings.ReplaceAll(id, "-", ""))
	return "SOS-" + id[:min(len(id), 10)]
}

// oldPlace is from when on a device's last known place tells nothing any more.
const oldPlace = 24 * time.Hour

// alarmPlace is where the call comes from: as the browser found it, else where
// this device was last known to be.
func (d *Device) alarmPlace(ctx context.Context, c web.Call) *entry.Position {
	now := d.cfg.Now()
	if c.Place != nil {
		if source, ok := c.Fix.Position(now); ok {
			return &entry.Position{
				Lon: int32(math.Round(c.Place.Lon * 1e6)), Lat: int32(math.Round(c.Place.Lat * 1e6)), Source: source,
				Accuracy: uint32(max(0, min(c.Accuracy, 1e6)) * 10), Age: c.Fix.Age(now),
			}
		}
	}
	last, ok := d.LastPlace(ctx)
	if !ok {
		return nil
	}
	return &entry.Position{
		Lon: int32(math.Round(last.Lon * 1e6)), Lat: int32(math.Round(last.Lat * 1e6)), Source: entry.LastKnown,
		Age: uint32(max(0, now.Sub(last.At)/time.Second)), //nolint:gosec // at most a day
	}
}

// LastPlace implements web.Alarms.
func (d *Device) LastPlace(ctx context.Context) (web.SeenAt, bool) {
	looked := 0
	for it, err := range d.store.List(ctx, store.ListQuery{}) {
		if looked++; err != nil || looked > 300 {
			break
		}
		p := it.Public.Position
		if p == nil {
			continue
		}
		at := time.UnixMilli(it.Public.Wall).Add(-time.Duration(p.Age) * time.Second)
		if age := d.cfg.Now().Sub(at); age > oldPlace || age < -time.Hour {
			continue
		}
		return web.SeenAt{Lon: float64(p.Lon) / 1e6, Lat: float64(p.Lat) / 1e6, At: at.In(d.cfg.Zone)}, true
	}
	return web.SeenAt{}, false
}

// Raised implements web.Alarms.
func (d *Device) Raised(_ context.Context, at dot.Dot) (web.Raised, error) {
	fields, e, err := d.recorded(at)
	if err != nil {
		return web.Raised{}, err
	}
	it, err := d.store.Get(at)
	if err != nil {
		return web.Raised{}, err
	}
	out := web.Raised{Row: d.row(it)}
	if d.inForce() != nil && d.inForce().Pages != nil && d.inForce().Pages.Alarm != nil {
		out.What, _ = fields[d.inForce().Pages.Alarm.Question].(string)
		out.Household, _ = fields[d.inForce().Pages.Alarm.Household].(string)
	}
	if p := e.Position; p != nil {
		out.Place = &web.SeenAt{
			Lon: float64(p.Lon) / 1e6, Lat: float64(p.Lat) / 1e6,
			At: time.UnixMilli(e.Wall).Add(-time.Duration(p.Age) * time.Second).In(d.cfg.Zone),
		}
	}
	return out, nil
}
