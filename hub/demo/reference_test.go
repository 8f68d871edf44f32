package demo_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"testing"

	"otor/hub/demo"
	"otor/internal/pack"
	"otor/internal/rules"
)

// morning is the reference data of the project's own day, in memory.
func morning(t *testing.T) (*pack.Pack, rules.Rows, *demo.Scenario) {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	s, err := demo.Load(bytes.NewReader(demo.Day))
	if err != nil {
		t.Fatal(err)
	}
	refs, err := s.References(p)
	if err != nil {
		t.Fatal(err)
	}
	rows := rules.Rows{}
	for _, r := range refs {
		if !r.At.Equal(s.Meta.T0) {
			continue
		}
		for _, x := range r.Entities {
			if rows[x.Type] == nil {
				rows[x.Type] = map[string]map[string]any{}
			}
			rows[x.Type][x.ID] = x.Fields
		}
	}
	return p, rows, s
}

// The rules of the pack come to what the file's author worked out, household by
// household and pension by pension.
func TestRulesAgreeWithTheFile(t *testing.T) {
	p, rows, s := morning(t)
	var file struct {
		Balance []struct {
			Household string  `json:"household"`
			Allowed   float64 `json:"allowed_su"`
			Counted   float64 `json:"counted_su"`
			Rate      float64 `json:"overload_rate"`
			Status    string  `json:"status"`
			Balance   float64 `json:"est_balance_yuan"`
			Ban       float64 `json:"est_ban_yuan"`
		} `json:"balance_baseline"`
		Pensions []struct{ Person, Due, Status string } `json:"pensions"`
	}
	if err := json.Unmarshal(demo.Day, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Balance) < 40 || len(file.Pensions) < 30 {
		t.Fatalf("%d households, %d pensions in the file", len(file.Balance), len(file.Pensions))
	}
	today := s.Meta.T0.Format("2006-01-02")
	for _, b := range file.Balance {
		got, err := p.Rules.Derive(rows, today, "household", b.Household)
		if err != nil {
			t.Errorf("%s: %v", b.Household, err)
			continue
		}
		want := map[string]any{
			"allowed_su": b.Allowed, "counted_su": b.Counted, "overload": b.Rate, "balance_status": b.Status,
			"est_balance_yuan": b.Balance, "est_ban_yuan": b.Ban,
		}
		if !maps.EqualFunc(got, want, near) {
			t.Errorf("%s: %v, want %v", b.Household, got, want)
		}
	}
	for _, x := range file.Pensions {
		got, err := p.Rules.Derive(rows, today, "pension", x.Person)
		if err != nil || got["due"] != x.Due || got["bucket"] != x.Status {
			t.Errorf("pension of %s: %v, %v, want %s %s", x.Person, got, err, x.Due, x.Status)
		}
	}
}

func near(a, b any) bool {
	x, okX := a.(float64)
	y, okY := b.(float64)
	return okX && okY && math.Abs(x-y) < 1e-4 || a == b
}
