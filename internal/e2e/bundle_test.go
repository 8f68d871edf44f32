package e2e_test

import (
	"archive/zip"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"otor/internal/cli"
	"otor/internal/e2e"
)

// TestBundlesHoldNothingPersonal puts names, identity numbers and telephones into
// records, good and bad ones, and looks for them in both programs' bundles.
func TestBundlesHoldNothingPersonal(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers", "--log-file", filepath.Join(t.TempDir(), "hub.log"))
	a := hub.Enrol(t, "D-101")
	personal := []string{"BATBAYAR-NAME", "巴特尔", "13904790001", "152501195001010028", "ᠪᠠᠲᠤ"}
	good := `{"name_zh":"巴特尔 ᠪᠠᠲᠤ","name_latin":"BATBAYAR-NAME 13904790001","resident_id":"152501195001010028"}`
	bad := `{"name_zh":"巴特尔","relation":"BATBAYAR-NAME 13904790001"}`
	r, saved := a.Put(t, good+"\n"+bad+"\n", "--form", "person_edit", "--entity", "P-9001")
	if len(saved) != 1 || !strings.Contains(r.Err, "error") { // both kinds are there, or the test shows nothing
		t.Fatalf("put: %s", r)
	}
	a.MustPut(t, records(t, 7, 12), "--demo-numbers")
	a.Sync(t)
	hub.Do(t, "device", "plan", "D-101", "--from", "08:00", "--until", "18:30", "--words", "to BATBAYAR-NAME").Want(t, cli.OK)
	for _, name := range []string{"HOME", "USERPROFILE"} {
		t.Setenv(name, filepath.Dir(hub.Dir))
	}
	personal = append(personal, filepath.Dir(hub.Dir)) // a home has its owner's name
	for program, do := range map[string]func(t testing.TB, args ...string) e2e.Result{"agent": a.Do, "hub": hub.Do} {
		file := filepath.Join(t.TempDir(), program+".zip")
		do(t, "support-bundle", "--out", file).Want(t, cli.OK)
		text := unzipped(t, file)
		for _, want := range []string{"version.json", "settings.json", "status.json", "D-101"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: its bundle has no %s", program, want)
			}
		}
		for _, p := range personal {
			if strings.Contains(text, p) {
				t.Errorf("%s: %q is in its bundle", program, p)
			}
		}
		for _, secret := range []string{"nats_seed", "sign_seed", "PRIVATE KEY", "code_hash"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: its bundle holds a secret: %s", program, secret)
			}
		}
	}
}

// unzipped joins names and contents of a zip file.
func unzipped(t *testing.T, file string) string {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var b bytes.Buffer
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(f.Name + "\n")
		if _, err := io.Copy(&b, r); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
