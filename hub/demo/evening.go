package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/rules"
)

// Picture is what the hub's entities come to at one moment, by the pack's rules.
type Picture struct {
	At          time.Time      `json:"at"`
	Households  int            `json:"households"`
	Persons     int            `json:"persons"`
	Pensioners  int            `json:"pensioners"`
	Pensions    map[string]int `json:"pension_status"`
	Balance     map[string]int `json:"balance_status"`
	RouteKM     float64        `json:"route_km"`
	stock       map[string]StockLine
	byBulletins map[string]map[string]int
}

// StockLine is how much of an item is at a station.
type StockLine struct {
	Station string `json:"station"`
	Item    string `json:"item"`
	Qty     int64  `json:"qty"`
}

// picture reads all entities of the hub and works out what follows from them.
func (w *world) picture(ctx context.Context) (*Picture, error) {
	rows := rules.Rows{}
	for e, err := range w.hub.Store().EntitiesOf(ctx, "") {
		if err != nil {
			return nil, err
		}
		s, err := merge.Decode(e.State)
		if err != nil {
			return nil, fmt.Errorf("entity %s: %w", e.Ref, err)
		}
		t := w.pack.Domain().Type(e.Ref.Type)
		if s.View(t).Deleted {
			continue
		}
		if rows[e.Ref.Type] == nil {
			rows[e.Ref.Type] = map[string]map[string]any{}
		}
		rows[e.Ref.Type][e.Ref.ID] = reconcile.Shown(s, t)
	}
	now := w.clock.Now().In(w.scenario.Meta.T0.Location())
	p := &Picture{
		At: now, Households: len(rows["household"]), Persons: len(rows["person"]), Pensioners: len(rows["pension"]),
		Pensions: map[string]int{}, Balance: map[string]int{}, stock: map[string]StockLine{}, byBulletins: map[string]map[string]int{},
	}
	work := w.pack.Rules.Sit(rows, now.Format(time.DateOnly))
	count := func(into map[string]int, typ, field string) {
		for id := range rows[typ] {
			if word, ok := work.Entity(typ, id)[field].(string); ok {
				into[word]++
			}
		}
	}
	count(p.Pensions, "pension", "bucket")
	count(p.Balance, "household", "balance_status")
	for id, f := range rows["stock"] {
		qty, _ := f["qty"].(int64)
		p.stock[id] = StockLine{text(f["station"]), text(f["item"]), qty}
	}
	for _, f := range rows["receipt"] {
		b := text(f["bulletin"])
		if p.byBulletins[b] == nil {
			p.byBulletins[b] = map[string]int{}
		}
		p.byBulletins[b][text(f["mode"])]++
	}
	p.RouteKM = routeKM(rows["waypoint"])
	return p, nil
}

func text(v any) string { s, _ := v.(string); return s }

// routeKM is the way from waypoint to waypoint of each route, in kilometres.
func routeKM(waypoints map[string]map[string]any) float64 {
	routes := map[string][]map[string]any{}
	for _, f := range waypoints {
		routes[text(f["route"])] = append(routes[text(f["route"])], f)
	}
	total := 0.0
	for _, way := range routes {
		slices.SortFunc(way, func(a, b map[string]any) int { return int(number(a["seq"]) - number(b["seq"])) })
		for i := 1; i < len(way); i++ {
			a, b := way[i-1], way[i]
			total += rules.Metres(number(a["lon"]), number(a["lat"]), number(b["lon"]), number(b["lat"]))
		}
	}
	const metres = 1000
	return math.Round(total/metres*100) / 100
}

func number(v any) float64 {
	switch n := v.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return math.NaN()
}

// bringIn imports reference data at the hub, as an operator would.
func (p *player) bringIn(ctx context.Context, r *Reference) error {
	p.what = fmt.Sprintf("the office brings in %d entities", len(r.Entities))
	list := make([]ingest.Fixture, len(r.Entities))
	for i, x := range r.Entities {
		list[i] = ingest.Fixture{Ref: entry.Ref{Type: x.Type, ID: x.ID}, Fields: x.Fields}
	}
	return p.hub.Author().Import(ctx, "office", list)
}

// stockChanged lists what is not as it was in the morning.
func stockChanged(morning, evening *Picture) []StockLine {
	out := []StockLine{}
	for _, id := range slices.Sorted(maps.Keys(evening.stock)) {
		if evening.stock[id] != morning.stock[id] {
			out = append(out, evening.stock[id])
		}
	}
	return out
}

// sortStock brings lines into one order.
func sortStock(lines []StockLine) []StockLine {
	out := slices.Clone(lines)
	slices.SortFunc(out, func(a, b StockLine) int {
		return strings.Compare(a.Station+"\n"+a.Item, b.Station+"\n"+b.Item)
	})
	return out
}

// itemCounts counts the open items by kind, and the entities that were edited in
// parallel.
func (p *player) itemCounts(ctx context.Context, r *Report, byDot map[dot.Dot][]store.ListedEntry) error {
	items, err := p.hub.Store().Items(ctx, store.ItemQuery{State: store.Open})
	if err != nil {
		return err
	}
	r.Open = map[string]int{}
	for _, it := range items {
		r.Open[it.Kind]++
	}
	merged := map[entry.Ref]bool{}
	for _, es := range byDot {
		for _, e := range es {
			if e.Judgement.Verdict == store.Merged {
				merged[entry.Ref{Type: e.EntityType, ID: e.Entity}] = true
			}
		}
	}
	r.ParallelMerges = len(merged)
	return nil
}

// wants compares what the file says of the day's outcome with the two pictures.
func (p *player) wants(r *Report, check func(what string, expected, got any, equal bool)) error {
	rest := p.scenario.Expected.Rest
	got := map[string]any{
		"households": r.Morning.Households, "persons": r.Morning.Persons, "pensioners": r.Morning.Pensioners,
		"pension_status": r.Morning.Pensions, "balance_status": r.Morning.Balance, "by_outcome": r.Outcomes,
		"hard_conflicts": r.Open[store.Conflicts], "parallel_merges": r.ParallelMerges, "business_duplicates": r.Open[store.Duplicates],
		"route_km": r.Morning.RouteKM, "stock_changed_end": sortStock(r.StockChanged),
	}
	for b, modes := range r.Evening.byBulletins {
		got["bulletin_"+strings.ReplaceAll(b, "-", "")] = modes
	}
	for _, what := range slices.Sorted(maps.Keys(got)) {
		raw, asked := rest[what]
		if !asked {
			continue
		}
		delete(rest, what)
		var want any
		if what == "stock_changed_end" {
			var lines []StockLine
			if err := json.Unmarshal(raw, &lines); err != nil {
				return fmt.Errorf("%w: expected.%s: %w", ErrScenario, what, err)
			}
			want = sortStock(lines)
		} else if err := json.Unmarshal(raw, &want); err != nil {
			return fmt.Errorf("%w: expected.%s: %w", ErrScenario, what, err)
		}
		check(what, want, got[what], sameJSON(want, got[what]))
	}
	return nil
}

// sameJSON compares values as they are written; maps in any order.
func sameJSON(a, b any) bool { return asJSON(a) == asJSON(b) }
