package pack_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/pack"
)

// scenario is what the tests need of the demonstration's day.
type scenario struct {
	Meta struct {
		Day time.Time `json:"t0"`
	} `json:"meta"`
	Records []record `json:"records"`
	Foreign []struct {
		ID     string `json:"id"`
		Kind   string `json:"kind"`
		Schema uint32 `json:"schema"`
	} `json:"foreign_records"`
}

type record struct {
	ID      string         `json:"id"`
	Kind    string         `json:"kind"`
	Payload map[string]any `json:"payload"`
	Outcome string         `json:"expected_outcome"`
}

func readScenario(t testing.TB) scenario {
	t.Helper()
	f, err := os.Open("../../hub/demo/scenario/scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.UseNumber()
	var s scenario
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func first(t testing.TB) *pack.Pack {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestScenarioPayloads(t *testing.T) {
	p, s := first(t), readScenario(t)
	env := form.Env{Today: form.DateOf(s.Meta.Day), DemoMode: true}
	if len(s.Records) != 48 {
		t.Fatalf("%d records, want 48", len(s.Records))
	}
	for _, r := range s.Records {
		f, ok := p.Forms.Latest(r.Kind)
		if !ok {
			t.Errorf("%s: no form %s", r.ID, r.Kind)
			continue
		}
		sheet, ps := form.FromJSON(f, r.Payload)
		ps = append(ps, f.Check(sheet, env)...)
		switch {
		case r.Outcome == "quarantined":
			if len(ps) != 1 || ps[0].Code != form.IDChecksum || ps[0].Grave || ps[0].Field != "set.resident_id" {
				t.Errorf("%s: %v, want the warning id_checksum at set.resident_id", r.ID, ps)
			}
		case ps != nil:
			t.Errorf("%s (%s): %v", r.ID, r.Kind, ps)
		}
	}
	x2 := s.Foreign[slices.IndexFunc(s.Foreign, func(f struct {
		ID     string `json:"id"`
		Kind   string `json:"kind"`
		Schema uint32 `json:"schema"`
	},
	) bool {
		return f.ID == "X-2"
	})]
	_, err := p.Forms.Form(x2.Kind, x2.Schema)
	if le, ok := errors.AsType[*form.LookupError](err); !ok || le.Code != form.FormNewer {
		t.Errorf("X-2: %v, want %s", err, form.FormNewer)
	}
}

// The numbers of the fictional area must not pass where the hub is not a demonstration.
func TestScenarioOutsideDemoMode(t *testing.T) {
	f, _ := first(t).Forms.Latest("person_edit")
	ps := f.Check(map[string]any{"name_zh": "吉雅都楞", "resident_id": "999922198706272034"}, form.Env{})
	if len(ps) != 1 || ps[0].Code != form.IDShape {
		t.Errorf("got %v, want %s", ps, form.IDShape)
	}
}

func TestTranshumanceLanes(t *testing.T) {
	p := first(t)
	var alert []string
	for _, f := range p.Forms.All() {
		if f.Version != 1 {
			t.Errorf("%s: first versions are 1", f)
		}
		if f.Lane == dot.Alert {
			alert = append(alert, f.ID)
		}
		if _, ok := p.Entity(f.Entity); !ok {
			t.Errorf("%s: entity type %q is not declared", f, f.Entity)
		}
	}
	if want := []string{"animal_disease_report", "sos"}; !slices.Equal(alert, want) {
		t.Errorf("alert lane: %v, want %v", alert, want)
	}
}

// forms.json gives the wording: every form of it is in the pack under the same name.
func TestTranshumanceHasTheFormsOfTheSurvey(t *testing.T) {
	b, err := os.ReadFile("../../hub/demo/scenario/forms.json")
	if err != nil {
		t.Fatal(err)
	}
	var asked struct {
		Forms []struct {
			ID string `json:"id"`
			ZH string `json:"zh"`
			EN string `json:"en"`
		} `json:"forms"`
	}
	if err := json.Unmarshal(b, &asked); err != nil {
		t.Fatal(err)
	}
	for _, want := range asked.Forms {
		f, ok := first(t).Forms.Latest(want.ID)
		if !ok {
			t.Errorf("form %s is missing", want.ID)
			continue
		}
		if f.Title["zh"] != want.ZH || f.Title["en"] != want.EN {
			t.Errorf("%s: title %v, want %s, %s", f, f.Title, want.ZH, want.EN)
		}
	}
}

func TestTranshumanceIsLoadedOnce(t *testing.T) {
	p := first(t)
	if again := first(t); again != p {
		t.Error("two packs")
	}
	if p.ID != "transhumance" || p.Version != 1 || !slices.Equal(p.Languages, []string{"zh", "en", "mn"}) ||
		len(p.Scopes) != 5 || !strings.Contains(p.ApprovedBy, "demonstration") {
		t.Errorf("pack %s version %d in %v, scopes %v, approved by %s", p.ID, p.Version, p.Languages, p.Scopes, p.ApprovedBy)
	}
}

func BenchmarkCheckScenario(b *testing.B) {
	p, s := first(b), readScenario(b)
	env := form.Env{Today: form.DateOf(s.Meta.Day), DemoMode: true}
	type job struct {
		f     *form.Form
		sheet map[string]any
	}
	var jobs []job
	for _, r := range s.Records {
		f, _ := p.Forms.Latest(r.Kind)
		sheet, _ := form.FromJSON(f, r.Payload)
		if f.Check(sheet, env) == nil {
			jobs = append(jobs, job{f, sheet})
		}
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		j := jobs[i%len(jobs)]
		j.f.Check(j.sheet, env)
		i++
	}
}

func BenchmarkLoadTranshumance(b *testing.B) {
	dir, err := pack.TranshumanceFS()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := pack.Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}
