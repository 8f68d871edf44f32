package pack_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"otor/internal/pack"
)

// What pages.toml names must be there; each fault says which.
func TestPagesFaults(t *testing.T) {
	whole, err := pack.TranshumanceFS()
	if err != nil {
		t.Fatal(err)
	}
	src, err := fs.ReadFile(whole, "pages.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, broken, want string }{
		{"", "", ""},
		{`stop = "camp_waypoint"`, `stop = "camp_point"`, `household has no field "camp_point"`},
		{`type = "household"`, `type = "yurt"`, `unknown entity type "yurt"`},
		{`report = "hazard"`, `report = "hazzard"`, `there is no form "hazzard"`},
		{`form_by = "household"`, `form_by = "who"`, `form bulletin_receipt has no question "who"`},
		{`household = "head.name"`, `household = "head.nickname"`, `person has no field "nickname"`},
		{`field = "pension:due"`, `field = "pension:dew"`, `pension has no field "dew"`},
		{`label = { zh = "电话", en = "Telephone", mn = "Утас" }`, `label = { zh = "电话" }`, `fact phone has no words in en`},
		{`km = "km"`, `miles = "km"`, `unknown key "route.miles"`},
		{`way = "dir"`, `way = "direction"`, `form stock_move has no question "direction"`},
	} {
		dir := fstest.MapFS{}
		err := fs.WalkDir(whole, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				b, err := fs.ReadFile(whole, name)
				dir[name] = &fstest.MapFile{Data: b}
				return err
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(src), c.old) {
			t.Fatalf("pages.toml has no %s", c.old)
		}
		dir["pages.toml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(src), c.old, c.broken, 1))}
		_, err = pack.Load(dir)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("as it is: %v", err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), "pages.toml") || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %s", c.broken, err, c.want)
		}
	}
}

// Words for values come from forms, and from pages.toml where those do not speak.
func TestValueLabel(t *testing.T) {
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ typ, field, value, lang, want string }{
		{"herd", "species", "goat", "en", "Goat"},
		{"herd", "species", "goat", "zh", "山羊"},
		{"herd", "species", "goat", "mn", "Ямаа"},
		{"hazard", "severity", "3", "en", "Detour"},
		{"person", "relation", "head", "mn", "Өрхийн тэргүүн"},
		{"person", "relation", "uncle", "en", ""},
	} {
		if got := p.ValueLabel(c.typ, c.field, c.value, c.lang); got != c.want {
			t.Errorf("%s.%s %s in %s: %q, want %q", c.typ, c.field, c.value, c.lang, got, c.want)
		}
	}
}
