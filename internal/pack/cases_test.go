package pack_test

import (
	"strings"
	"testing"
	"time"
)

const someCases = `[[known]]
type = "household"
id = "H-1"

[[case]]
id = "a goat"
today = "2025-09-18"
[[case.record]]
form = "count"
entity = "H-1"
actor = "U-1"
at = 2025-09-18T09:00:00+08:00
place = [105.0, 39.0]
answers = { species = "goat", rows = [{ count = 3 }] }
verdict = "flagged"
why = "odd"
[[case.state]]
type = "household"
id = "H-1"
fields = { total = 3 }

[[case]]
id = "nothing yet"
today = "2025-09-19"
[[case.entity]]
type = "herd"
id = "H-1.goat"
fields = { household = "H-1", count = 2 }
[[case.state]]
type = "herd"
id = "H-1.goat"
fields = { doubled = 4 }
`

func TestCases(t *testing.T) {
	p, err := load(map[string]string{"entities.toml": herds, "rules.toml": someRules, "fixtures/some.toml": someCases})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Cases) != 2 || len(p.Fixtures) != 0 {
		t.Fatalf("%d cases, %d fixtures", len(p.Cases), len(p.Fixtures))
	}
	a, b := p.Cases[0], p.Cases[1]
	r := a.Records[0]
	if a.Line != 5 || r.Line != 8 || a.States[0].Line != 17 || b.States[0].Line != 29 {
		t.Errorf("lines %d, %d, %d, %d", a.Line, r.Line, a.States[0].Line, b.States[0].Line)
	}
	if r.Form.ID != "count" || r.Verdict != "flagged" || r.Why != "odd" || r.Place[1] != 39 || !r.Arrives.Equal(r.At) || r.At.UTC().Hour() != 1 {
		t.Errorf("record %+v", r)
	}
	if b.Today.Format(time.DateOnly) != "2025-09-19" || len(a.Entities) != 1 || len(b.Entities) != 2 {
		t.Errorf("today %s, %d and %d entities", b.Today, len(a.Entities), len(b.Entities))
	}
}

func TestCasesRefuse(t *testing.T) {
	const f = "fixtures/some.toml"
	for _, tc := range []struct{ old, new, want string }{
		{`form = "count"`, `form = "cuont"`, f + `:8: case a goat: there is no form "cuont": correct the name`},
		{`id = "nothing yet"`, `id = "a goat"`, f + `:22: case id "a goat": give each case`},
		{`today = "2025-09-19"`, `today = "tomorrow"`, f + `:22: case nothing yet: today "tomorrow": write the day`},
		{"at = 2025-09-18T09:00:00+08:00\n", "", f + ":8: case a goat: a record has no at"},
		{"[105.0, 39.0]", "[105.0]", f + ":8: case a goat: place: write [longitude, latitude]"},
		{`verdict = "flagged"`, `verdict = "odd"`, f + `:8: case a goat: verdict "odd": write one of applied,`},
		{`count = 3`, `count = "three"`, f + ":8: case a goat: "},
		{"fields = { total = 3 }", "fields = { totals = 3 }", f + `:17: household has no field "totals": correct the name`},
		{"[[case.state]]\ntype = \"household\"", "[[case.state]]\ntype = \"yurt\"", f + `:17: unknown entity type "yurt"`},
		{`count = 2 }`, `count = "x" }`, f + ":25: herd H-1.goat: count must be of type"},
		{"why = \"odd\"", "because = \"odd\"", f + `:16: unknown key "case.record.because"`},
		{"[[case.state]]\ntype = \"herd\"\nid = \"H-1.goat\"\nfields = { doubled = 4 }\n", "", f + ":22: case nothing yet has neither records nor states"},
	} {
		if !strings.Contains(someCases, tc.old) {
			t.Fatalf("%q is not in the base", tc.old)
		}
		text := strings.Replace(someCases, tc.old, tc.new, 1)
		_, err := load(map[string]string{"entities.toml": herds, "rules.toml": someRules, f: text})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s -> %s: got %v, want %q", tc.old, tc.new, err, tc.want)
		}
	}
}
