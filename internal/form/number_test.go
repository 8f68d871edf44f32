package form_test

import (
	"strings"
	"testing"
	"time"

	"otor/internal/form"
)

func TestCheckResidentID(t *testing.T) {
	for _, tc := range []struct {
		name, number string
		demo         bool
		want         form.Code
	}{
		{"fictional, demo", "999922198706272034", true, ""},
		{"fictional, no demo", "999922198706272034", false, form.IDShape},
		{"published example", "11010519491231002X", false, ""},
		{"lower-case x", "11010519491231002x", false, ""},
		{"wrong last character", "110105194912310021", false, form.IDChecksum},
		{"mistyped digit", "999922200802332120", true, form.IDChecksum},
		{"too short", "1101051949123100", false, form.IDShape},
		{"fifteen digits", "110105491231002", false, form.IDShape},
		{"too long", "11010519491231002X0", false, form.IDShape},
		{"letter inside", "1101051949123l002X", false, form.IDShape},
		{"X inside", "X1010519491231002X", false, form.IDShape},
		{"other last letter", "11010519491231002Y", false, form.IDShape},
		{"full-width digits", "１１０１０５", false, form.IDShape},
		{"empty", "", false, form.IDShape},
		{"no such day", sealed("11010520250230001"), false, form.IDDate},
		{"no such month", sealed("11010520251330001"), false, form.IDDate},
		{"leap day", sealed("11010520240229001"), false, ""},
		{"no leap day", sealed("11010519000229001"), false, form.IDDate},
		{"year zero", sealed("11010500000101001"), false, form.IDDate},
		{"born today", sealed("11010520250918001"), false, ""},
		{"born tomorrow", sealed("11010520250919001"), false, form.IDDate},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := form.Env{Today: today.Today, DemoMode: tc.demo}
			code, words := form.CheckResidentID(tc.number, env)
			if code != tc.want || (code == "") != (words == "") {
				t.Errorf("got %q %q, want %q", code, words, tc.want)
			}
		})
	}
	if code, _ := form.CheckResidentID(sealed("11010522250919001"), form.Env{}); code != "" {
		t.Errorf("without a known day nothing lies ahead, got %s", code)
	}
}

// sealed adds the last character by the definition of ISO 7064 MOD 11-2:
// the sum of digit times 2^(18-i), plus the check value, is 1 modulo 11.
func sealed(digits string) string {
	sum := 0
	for i, r := range digits {
		weight := 1
		for range 17 - i {
			weight = weight * 2 % 11
		}
		sum += int(r-'0') * weight
	}
	v := (12 - sum%11) % 11
	if v == 10 {
		return digits + "X"
	}
	return digits + string(rune('0'+v))
}

func TestStoredResidentID(t *testing.T) {
	for in, want := range map[string]string{"11010519491231002x": "11010519491231002X", "1": "1", "": ""} {
		if got := form.StoredResidentID(in); got != want {
			t.Errorf("StoredResidentID(%q) = %q", in, got)
		}
	}
}

func TestCheckPhone(t *testing.T) {
	for in, ok := range map[string]bool{
		"15400001266": true, "13900000000": true, "12900000000": false, "1540000126": false,
		"+8615400001266": false, "1540000126x": false, "": false,
	} {
		if code, _ := form.CheckPhone(in); (code == "") != ok {
			t.Errorf("CheckPhone(%q) = %q", in, code)
		}
	}
}

func TestParseDateAgreesWithTheCalendar(t *testing.T) {
	for d := time.Date(1895, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2105; d = d.AddDate(0, 0, 1) {
		got, ok := form.ParseDate(d.Format(time.DateOnly))
		if !ok || got != form.DateOf(d) {
			t.Fatalf("%s = %v, %t", d.Format(time.DateOnly), got, ok)
		}
	}
}

func FuzzCheckResidentID(f *testing.F) {
	for _, s := range []string{"11010519491231002X", "999922198706272034", "", "x", strings.Repeat("9", 18)} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, demo bool) {
		env := form.Env{Today: today.Today, DemoMode: demo}
		code, _ := form.CheckResidentID(s, env)
		if code == form.IDShape || code == form.IDChecksum {
			return
		}
		// What passed has the shape and the right seal.
		if got := form.StoredResidentID(s); got != sealed(got[:17]) {
			t.Errorf("%q has the seal of %q", s, sealed(got[:17]))
		}
		_, err := time.Parse("20060102", s[6:14])
		if code == "" && err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func FuzzParseDate(f *testing.F) {
	f.Add("2024-02-29")
	f.Fuzz(func(t *testing.T, s string) {
		_, ok := form.ParseDate(s)
		at, err := time.Parse(time.DateOnly, s)
		if want := err == nil && at.Year() > 0; ok != want {
			t.Errorf("ParseDate(%q) = %t, the standard library says %v", s, ok, err)
		}
	})
}

func FuzzDateTime(f *testing.F) {
	for _, s := range []string{"2025-09-18T14:05:00+08:00", "2025-09-18T14:05:00.5Z", "2025-09-18T24:00:00Z", "14:05:00"} {
		f.Add(s)
	}
	fm, err := form.New(with(form.Field{Name: "at", Kind: form.DateTime}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ok := fm.Check(map[string]any{"at": s}, today) == nil
		at, err := time.Parse(time.RFC3339, s)
		if want := err == nil && len(s) <= 43 && at.Year() > 0; ok && !want {
			t.Errorf("%q was taken, the standard library says %v", s, err)
		}
	})
}
