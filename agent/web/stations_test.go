package web_test

import (
	"net/url"
	"regexp"
	"testing"
)

// A finger that taps twice sends the same form twice, and both name the same record.
// Something else typed into it, or another page, means another record.
func TestTheSameFormSentTwiceIsOneRecord(t *testing.T) {
	srv, c, ph, _ := team(t)
	id := regexp.MustCompile(`name="id" value="(\w+)"`)
	pageID := func(path string) string {
		t.Helper()
		_, body := page(t, c, srv.URL+path)
		m := id.FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("%s: the form has no id", path)
		}
		return m[1]
	}
	once := func(path string, form url.Values) string {
		t.Helper()
		if code, _ := send(t, c, srv.URL+path, form); code != 200 {
			t.Fatalf("%s: %d", path, code)
		}
		return ph.puts[len(ph.puts)-1].Once
	}
	move := func(page, qty, way string) string {
		return once("/station/S1", url.Values{"id": {page}, "item": {"IT-BAND"}, "qty": {qty}, "way": {way}})
	}
	p := pageID("/station/S1")
	first := move(p, "20", "out")
	if again := move(p, "20", "out"); again != first || first == "" {
		t.Errorf("tapped twice: %q and %q", first, again)
	}
	for name, other := range map[string]string{"another quantity": move(p, "2", "out"), "the other way": move(p, "20", "in"), "another page": move(pageID("/station/S1"), "20", "out")} {
		if other == first || other == "" {
			t.Errorf("%s is the same record: %q", name, other)
		}
	}
	p = pageID("/bulletin/B-03")
	hear := func(household string) string {
		return once("/bulletin/B-03", url.Values{"id": {p}, "household": {household}})
	}
	if a, b, c := hear("H-NB-07"), hear("H-NB-07"), hear("H-NB-02"); a != b || a == c || a == "" {
		t.Errorf("receipts: %q, %q, of another household %q", a, b, c)
	}
}
