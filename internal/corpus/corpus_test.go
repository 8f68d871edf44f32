package corpus_test

import (
	"testing"
	"time"

	"otor/internal/corpus"
	"otor/internal/form"
	"otor/internal/pack"
)

func TestRecordsPassTheirForms(t *testing.T) {
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2025, 9, 18, 5, 0, 0, 0, time.UTC)
	s := corpus.New(1, p.Forms, 0, start)
	seen := map[string]int{}
	for range 5000 {
		r := s.Next()
		seen[r.Form.ID]++
		env := form.Env{Today: form.DateOf(r.Wall), DemoMode: true}
		if problems := r.Form.Check(r.Fields, env); len(problems) > 0 {
			t.Fatalf("%s %v: %v", r.Form, r.Fields, problems)
		}
	}
	if len(seen) != len(p.Forms.IDs()) {
		t.Fatalf("%d kinds of records, the pack has %d forms", len(seen), len(p.Forms.IDs()))
	}
}

func TestSameSeedSameRecords(t *testing.T) {
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	a, b := corpus.New(7, p.Forms, 0, time.Unix(0, 0)), corpus.New(7, p.Forms, 0, time.Unix(0, 0))
	for range 200 {
		x, y := a.Next(), b.Next()
		if x.Form != y.Form || x.Entity != y.Entity || !x.Wall.Equal(y.Wall) || len(x.Fields) != len(y.Fields) {
			t.Fatalf("%+v and %+v", x, y)
		}
	}
}
