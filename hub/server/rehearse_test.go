package server_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"otor/hub/server"
	"otor/internal/pack"
)

// TestFirstPackKeepsItsCases: each rule of the first pack has examples, and they hold.
func TestFirstPackKeepsItsCases(t *testing.T) {
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Rehearse(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	noticed, shown, plain := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range p.Cases {
		for _, r := range c.Records {
			noticed[r.Why] = true
			plain[r.Form.ID] = plain[r.Form.ID] || r.Why == ""
		}
		for _, s := range c.States {
			for f := range s.Fields {
				shown[s.Type+"."+f] = true
			}
		}
	}
	dir, err := pack.TranshumanceFS()
	if err != nil {
		t.Fatal(err)
	}
	src, err := fs.ReadFile(dir, "rules.toml")
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`\[\[(?:key|flag|review)\]\]\s+id = "(\w+)"`).FindAllStringSubmatch(string(src), -1)
	if len(ids) < 7 {
		t.Fatalf("only %d rules were found in rules.toml", len(ids))
	}
	for _, id := range ids {
		if !noticed[id[1]] {
			t.Errorf("no case has a record of which the rule %s says something", id[1])
		}
	}
	for _, d := range p.Derived {
		if key := d.Entity + "." + d.Field; !shown[key] && key != "coefficient.use" { // seen in herd.sheep_units
			t.Errorf("no case says what %s is", key)
		}
	}
	for _, form := range []string{"visit", "pension_auth", "subsidy_application", "sos", "person_edit"} {
		if !plain[form] {
			t.Errorf("no case has a record of %s of which nothing is said", form)
		}
	}
}

// TestCasesFindWhatDiffers: each rule, once it says something else, breaks a case of its own.
func TestCasesFindWhatDiffers(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"what is watched":     {"source = \"regulation on the balance of grassland and livestock", "source = \"", ""}, // the control: words change nothing
		"overload":            {"value = 0.10\n", "value = 0.20\n", "balance_status = watch, not over"},
		"sheep units":         {"entity.count * book.one", "2.0 * entity.count * book.one", "sheep_units"},
		"the window of check": {"[values.pension_window]\nvalue = 30", "[values.pension_window]\nvalue = 1", "the verdict is applied, not duplicate"},
		"the same case":       {"+ string(answers.year)\"", "+ string(answers.attachments)\"", "the verdict is applied, not duplicate"},
		"the same incident":   {"[values.incident_window]\nvalue = 6", "[values.incident_window]\nvalue = 24", "the verdict is duplicate, not applied"},
		"the twin":            {"[values.twin_window]\nvalue = 6\nunit = \"h\"", "[values.twin_window]\nvalue = 30\nunit = \"min\"", "the verdict is applied, not flagged"},
		"whose household":     {"moved_at) <= entry.time", "moved_at) > entry.time", "the verdict is applied, not flagged"},
		"the datum":           {"[values.gcj_near]\nvalue = 20", "[values.gcj_near]\nvalue = 0", "the verdict is applied, not flagged"},
		"the new person":      {"answers.set == null && (answers", "answers.set != null && (answers", "the verdict is applied, not review"},
		"what is due":         {"days(today, entity.next_visit) <= 0.0", "days(today, entity.next_visit) <= 1.0", "visit_due = true, not false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := pack.Load(changed(t, "rules.toml", c.old, c.new))
			if err != nil {
				t.Fatal(err)
			}
			err = server.Rehearse(t.Context(), p)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			faults := pack.Faults(err)
			if len(faults) == 0 || !strings.Contains(pack.Words(faults), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, f := range faults {
				if f.File != "fixtures/rules.toml" || f.Line == 0 {
					t.Errorf("%v does not say where", f)
				}
			}
		})
	}
}

// TestAWrongCaseIsNamed: a case that expects what does not come, by its line.
func TestAWrongCaseIsNamed(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"counted_su = 98,", "counted_su = 99,", "fixtures/rules.toml:80: case within what is allowed: household H-NB-01 shows counted_su = 98, not 99"},
		{"verdict = \"quarantined\"\nwhy = \"id_checksum\"", "verdict = \"quarantined\"\nwhy = \"id_date\"", `it is quarantined because of "id_checksum", not of "id_date"`},
		{"type = \"one_person_file\"\nid = \"F-2\"\nfields = { visit_due", "type = \"one_person_file\"\nid = \"F-3\"\nfields = { visit_due", "there is no one_person_file F-3"},
	} {
		p, err := pack.Load(changed(t, "fixtures/rules.toml", c.old, c.new))
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Rehearse(t.Context(), p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// changed is the first pack with something else in one file.
func changed(t *testing.T, file, old, text string) fs.FS {
	t.Helper()
	dir, err := pack.TranshumanceFS()
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	err = fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dir, name)
		files[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(files[file].Data), old) {
		t.Fatalf("%s has no %q: the pack has moved on, correct this test", file, old)
	}
	files[file].Data = []byte(strings.Replace(string(files[file].Data), old, text, 1))
	return files
}
