package land_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"otor/hub/land"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/pack"
)

// shelf holds entities in memory, with their fields instead of their states.
type shelf struct {
	rows map[entry.Ref]store.Entity
	of   map[entry.Ref]map[string]any
	err  error
}

func (s *shelf) put(typ, id, scope string, fields map[string]any) {
	ref := entry.Ref{Type: typ, ID: id}
	s.rows[ref], s.of[ref] = store.Entity{Ref: ref, Scopes: []string{scope}}, fields
}

func (s *shelf) EntitiesOf(_ context.Context, kind string) iter.Seq2[store.Entity, error] {
	return func(yield func(store.Entity, error) bool) {
		if s.err != nil {
			yield(store.Entity{}, s.err)
			return
		}
		for ref, row := range s.rows {
			if ref.Type == kind && !yield(row, nil) {
				return
			}
		}
	}
}

func steppe() *shelf {
	s := &shelf{rows: map[entry.Ref]store.Entity{}, of: map[entry.Ref]map[string]any{}}
	s.put("coefficient_table", "CT", "everyone", map[string]any{"active": true})
	s.put("coefficient", "C", "everyone", map[string]any{"table": "CT", "species": "sheep", "age": "adult", "su": 1.0})
	for i, share := range []float64{0.5, 0.05, -0.2} {
		for _, g := range []string{"gacha:a", "gacha:b"} {
			id := fmt.Sprintf("H-%s%d", g[len("gacha:"):], i)
			s.put("household", id, g, map[string]any{"camp_waypoint": "W1"})
			s.put("plot", "PL-"+id, g, map[string]any{"household": id, "regime": "balance", "area_mu": 2000.0, "mu_per_sheep_unit": 20.0})
			s.put("herd", "HD-"+id, g, map[string]any{"household": id, "species": "sheep", "age": "adult", "count": int64(100 * (1 + share))})
			s.put("pension", "PN-"+id, g, map[string]any{"person": "P-" + id, "checks": []any{[]string{"2020-01-01", "2025-09-01", "2024-09-30"}[i]}})
		}
	}
	for i, km := range []float64{0, 2.5} {
		s.put("waypoint", fmt.Sprintf("W%d", 2-i), "everyone", map[string]any{"seq": int64(2 - i), "km": 2.5 - km, "lon": 100.0, "lat": 40.0 + float64(i)})
	}
	s.put("hazard", "W2.x1", "everyone", map[string]any{"open": true, "type": "rockfall"})
	s.put("hazard", "W2.x2", "everyone", map[string]any{"open": false})
	s.put("hazard", "HZ-9", "everyone", map[string]any{"open": true})
	s.put("station", "S1", "everyone", map[string]any{"waypoint": "W1"})
	return s
}

func room(t *testing.T, s *shelf) (*land.Room, chan struct{}) {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 8)
	r := land.New(land.Config{
		Entities: s, Pack: func() *pack.Pack { return p }, Now: func() time.Time { return time.Date(2025, 9, 18, 12, 0, 0, 0, time.UTC) },
		Fields: func(row store.Entity) (map[string]any, error) { return s.of[row.Ref], nil }, Log: slog.New(slog.DiscardHandler),
		Done: func() { done <- struct{}{} },
	})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, done
}

func covers(scopes ...string) func([]string) bool {
	return func(have []string) bool {
		return slices.ContainsFunc(have, func(s string) bool { return s == "everyone" || slices.Contains(scopes, s) })
	}
}

func TestASurveyIsDividedByScopes(t *testing.T) {
	r, done := room(t, steppe())
	if s, err := r.Survey(); s != nil || err != nil {
		t.Fatalf("at first there is none: %v %v", s, err)
	}
	<-done
	s, err := r.Survey()
	if err != nil || s == nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		covers func([]string) bool
		times  int
	}{{covers("gacha:a"), 1}, {covers("gacha:a", "gacha:b"), 2}, {covers(), 0}} {
		v := s.Of(x.covers)
		status, pensions := map[string]int{}, map[string]int{}
		if x.times > 0 {
			status = map[string]int{"over": x.times, "watch": x.times, "ok": x.times}
			pensions = map[string]int{"overdue": x.times, "ok": x.times, "soon": x.times}
		}
		if !reflect.DeepEqual(v.Status, status) || v.Camps["W1"] != 3*x.times {
			t.Errorf("of %d gachas: balance %v, camps %v", x.times, v.Status, v.Camps)
		}
		i := slices.IndexFunc(v.Due, func(d land.Due) bool { return d.Rule.Type == "pension" })
		if !reflect.DeepEqual(v.Due[i].Buckets, pensions) {
			t.Errorf("of %d gachas: pensions %v", x.times, v.Due[i].Buckets)
		}
		if len(v.Loads) != 2*x.times || x.times > 0 && (v.Loads[0].Share != 0.5 || v.Loads[0].Counted != 150 || v.Loads[0].Allowed != 100 || v.Loads[0].Status != "over") {
			t.Errorf("of %d gachas: the heaviest %+v", x.times, v.Loads)
		}
	}
	if again, _ := r.Survey(); again != s {
		t.Error("nothing changed, and it was worked out again")
	}
}

func TestARoute(t *testing.T) {
	r, _ := room(t, steppe())
	route, ok, err := r.Route(t.Context(), covers())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if len(route.Stops) != 2 || route.Stops[0].ID != "W1" || route.Stops[1].Km != 2.5 {
		t.Fatalf("stops: %+v", route.Stops)
	}
	w1, w2 := route.Stops[0], route.Stops[1]
	if len(w1.Stations) != 1 || len(w1.Hazards) != 0 || len(w2.Hazards) != 1 || w2.Hazards[0].ID != "W2.x1" || len(route.Unsaid) != 1 {
		t.Errorf("W1 %+v, W2 %+v, without a place %+v", w1, w2, route.Unsaid)
	}
	if i, m := route.Nearest(100, 40.01); i != 1 || m < 1000 || m > 1200 {
		t.Errorf("the nearest is %d, %v m away", i, m)
	}
}

// What cannot be read is said, and tried again later.
func TestASurveyThatFails(t *testing.T) {
	s := steppe()
	s.err = errors.New("the database is away")
	r, done := room(t, s)
	_, _ = r.Survey()
	<-done
	if got, err := r.Survey(); got != nil || !errors.Is(err, s.err) {
		t.Errorf("%v %v", got, err)
	}
	if _, _, err := r.Route(t.Context(), covers()); !errors.Is(err, s.err) {
		t.Errorf("the route: %v", err)
	}
}
