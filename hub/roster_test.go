package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/entry"
	"otor/internal/pack"
)

// officeFolder is the folder of a hub that knows one pensioner.
func officeFolder(t *testing.T) string {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "hub")
	s, err := server.Open(t.Context(), server.Config{
		Dir: dir, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Packs: pack.NewShelf(p), MaxStore: 16 << 20, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Author().Import(t.Context(), "office", []ingest.Fixture{
		{Ref: entry.Ref{Type: "household", ID: "H-NB-01"}, Fields: map[string]any{"gacha": "NB", "phone": "13904830000"}},
		{Ref: entry.Ref{Type: "person", ID: "P001"}, Fields: map[string]any{"household": "H-NB-01", "name_zh": "巴图", "birth": "1950-03-07"}},
		{Ref: entry.Ref{Type: "pension", ID: "P001"}, Fields: map[string]any{"person": "P001"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A list is checked, imported, shown and decided about from the command line.
func TestRosterCommands(t *testing.T) {
	dir := officeFolder(t)
	file := filepath.Join(t.TempDir(), "名单.csv")
	if err := os.WriteFile(file, []byte("\ufeff姓名,出生日期,电话\n 巴图 ,1950/3/7,１３９０４８３００００\n乌云,1960-06-06,\n,昨天,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exit, out, e := try(t, dir, "roster", "import", "pension_list", file, "--check")
	if exit != cli.OK || !strings.Contains(out, `"added":3`) || !strings.Contains(out, `"column":"B"`) {
		t.Fatalf("check: exit %d, %s %+v", exit, out, e)
	}
	if exit, out, _ := try(t, dir, "roster", "list"); exit != cli.OK || !strings.Contains(out, `"import":0`) {
		t.Errorf("after checking: exit %d, %s", exit, out)
	}
	if exit, out, e := try(t, dir, "roster", "import", "pension_list", file); exit != cli.OK || !strings.Contains(out, `"import":1`) {
		t.Fatalf("import: exit %d, %s %+v", exit, out, e)
	}
	exit, out, _ = try(t, dir, "roster", "show", "pension_list", "--standing", "missing")
	var l server.RosterLine
	if err := json.Unmarshal([]byte(out), &l); exit != cli.OK || err != nil || l.Row != 3 {
		t.Fatalf("show: exit %d, %v, %s", exit, err, out)
	}
	if exit, _, e := try(t, dir, "roster", "decide", "pension_list", l.Key, "note"); exit != cli.Refused || e.Code != "reason_missing" {
		t.Errorf("decide without a reason: exit %d, %+v", exit, e)
	}
	if exit, out, e := try(t, dir, "roster", "decide", "pension_list", l.Key, "note", "--reason", "moved away"); exit != cli.OK || !strings.Contains(out, `"open":false`) {
		t.Errorf("decide: exit %d, %s, %+v", exit, out, e)
	}
	for _, c := range []struct {
		args string
		exit cli.Exit
		code string
	}{
		{"roster import other " + file, cli.Refused, "no_roster"},
		{"roster import pension_list /nowhere.csv", cli.Usage, ""},
		{"roster import pension_list " + file + " --columns name", cli.Usage, ""},
		{"roster import pension_list " + file + " --columns name=A", cli.Refused, "roster_few_columns"},
		{"roster import pension_list", cli.Usage, ""},
		{"roster show other", cli.Refused, "no_roster"},
		{"roster decide pension_list x", cli.Usage, ""},
		{"roster decide pension_list x take --reason y", cli.Usage, "usage"},
		{"roster decide pension_list " + l.Key + " note --reason y --seen old", cli.Refused, "item_changed"},
		{"roster decide pension_list x note --reason y", cli.Refused, "not_found"},
	} {
		if exit, _, e := try(t, dir, strings.Fields(c.args)...); exit != c.exit || c.code != "" && e.Code != c.code || e.Do == "" {
			t.Errorf("%s: exit %d, %+v", c.args, exit, e)
		}
	}
}

// Records and statements are written into files, which are what they say.
func TestFilesOfTheOffice(t *testing.T) {
	dir, to := officeFolder(t), t.TempDir()
	day := time.Now().In(time.FixedZone("", 8*3600)).Format("2006-01-02")
	for name, begins := range map[string]string{"a.xlsx": "PK", "a.csv": "\ufeff", "a.pdf": "%PDF", "a.json": "{", "a.geojson": "{"} {
		file := filepath.Join(to, name)
		exit, out, e := try(t, dir, "export", file, "--all", "--from", day)
		b, err := os.ReadFile(file)
		if exit != cli.OK || err != nil || !strings.HasPrefix(string(b), begins) || !strings.Contains(out, `"rows":1`) {
			t.Errorf("%s: exit %d, %v, %s %+v", name, exit, err, out, e)
		}
	}
	for _, c := range []struct {
		args string
		exit cli.Exit
	}{
		{"export " + to + "/a.docx --all --from " + day, cli.Usage},
		{"export " + to + "/a.csv --from " + day, cli.Usage},
		{"export " + to + "/a.csv --all --whole --from " + day, cli.Refused},
		{"export " + to + "/a.csv --device D-404 --from " + day, cli.Refused},
		{"export /nowhere/a.csv --all --from " + day, cli.Usage},
	} {
		if exit, _, e := try(t, dir, strings.Fields(c.args)...); exit != c.exit || e.Do == "" {
			t.Errorf("%s: exit %d, %+v", c.args, exit, e)
		}
	}
	for _, name := range []string{"s.xlsx", "s.json"} {
		file := filepath.Join(to, name)
		exit, out, e := try(t, dir, "statement", "make", file, "--all", "--from", day)
		if exit != cli.OK {
			t.Fatalf("%s: exit %d, %+v", name, exit, e)
		}
		made := out
		exit, out, e = try(t, t.TempDir(), "statement", "verify", file)
		if exit != cli.OK || out != made {
			t.Errorf("%s verified: exit %d, %s %+v", name, exit, out, e)
		}
		if name != "s.json" {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if exit, _, e := try(t, t.TempDir(), "statement", "verify", file); exit != cli.Integrity || e.Code != "bad_statement" {
			t.Errorf("%s, changed: exit %d, %+v", name, exit, e)
		}
	}
	left, err := os.ReadDir(to)
	if err != nil || len(left) != 7 {
		t.Errorf("%d files, %v", len(left), err)
	}
}
