package demo

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
)

// Replica compares what a device has with what the hub has for it.
type Replica struct {
	Device dot.Device `json:"device"`
	// Entities are those that the hub has in the device's scopes, Equal the ones
	// that the device has byte for byte.
	Entities int `json:"entities"`
	Equal    int `json:"equal"`
	Extra    int `json:"extra"`   // that the device has and should not
	Overlay  int `json:"overlay"` // own writes that are not settled
}

// scopesOf are the scopes that a device of the scenario is granted: its team, and
// the gachas that the routes lead through.
func (s *Scenario) scopesOf(d Device, refs []Reference) []string {
	scopes := []string{"team:" + d.Team}
	for _, r := range refs {
		for _, x := range r.Entities {
			list, _ := x.Fields["gacha"].([]any)
			for _, g := range list {
				if scope := fmt.Sprint("gacha:", g); x.Type == "route" && !slices.Contains(scopes, scope) {
					scopes = append(scopes, scope)
				}
			}
		}
	}
	return scopes
}

// caughtUp reports whether a device has applied all that the hub's feeds have for it.
func (w *world) caughtUp(ctx context.Context, d dot.Device) (bool, error) {
	known, err := w.hub.Store().Device(ctx, d)
	if err != nil {
		return false, err
	}
	heads, err := w.hub.Store().FeedHeads(ctx, feed.Scopes(d, known.Scopes))
	if err != nil {
		return false, err
	}
	for _, h := range heads {
		f := w.members[d].Store().Feed(h.Scope)
		if h.N > 0 && (f.Loading || len(f.Cursors) == 0 || f.Cursors[0].N < h.N) {
			return false, nil
		}
	}
	return true, nil
}

// replicas waits for the devices that have signal, and compares them with the hub:
// every base is the hub's, byte for byte, and no own write is left over it.
func (p *player) replicas(ctx context.Context, r *Report) error {
	for _, d := range p.scenario.Devices {
		m := p.members[d.ID]
		if !m.line.isUp() {
			continue
		}
		err := until(ctx, string(d.ID)+" has what the hub has for it", func() (bool, error) { return p.caughtUp(ctx, d.ID) })
		if err != nil {
			return err
		}
		rep, err := p.replica(ctx, d.ID)
		if err != nil {
			return err
		}
		r.Replicas = append(r.Replicas, rep)
		if rep.Equal != rep.Entities || rep.Extra != 0 || rep.Overlay != 0 {
			r.Mismatches = append(r.Mismatches, Mismatch{"replica of " + string(d.ID), "the hub's entities, and nothing over them", rep})
		}
	}
	return nil
}

func (p *player) replica(ctx context.Context, d dot.Device) (Replica, error) {
	out := Replica{Device: d}
	known, err := p.hub.Store().Device(ctx, d)
	if err != nil {
		return out, err
	}
	scopes, dev := feed.Scopes(d, known.Scopes), p.members[d].Store()
	for e, err := range p.hub.Store().EntitiesOf(ctx, "") {
		if err != nil {
			return out, err
		}
		if !shares(e, scopes) {
			continue
		}
		out.Entities++
		b, ok, err := dev.Base(e.Ref)
		if err != nil {
			return out, err
		}
		if ok && bytes.Equal(b.Body, e.State) {
			out.Equal++
		}
	}
	have := 0
	for _, err := range dev.Bases(ctx, "") {
		if err != nil {
			return out, err
		}
		have++
	}
	out.Extra = max(0, have-out.Entities)
	own, err := dev.Overlay(ctx)
	out.Overlay = len(own)
	return out, err
}

func shares(e store.Entity, scopes []string) bool {
	return slices.ContainsFunc(e.Scopes, func(s string) bool { return slices.Contains(scopes, s) })
}
