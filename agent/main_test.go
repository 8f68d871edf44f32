package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/internal/cli"
)

// try follows a command line with --json in a folder of its own.
func try(t *testing.T, stdin string, args ...string) (cli.Exit, string, cli.Error) {
	t.Helper()
	return tryIn(t, filepath.Join(t.TempDir(), "agent"), stdin, args...)
}

func tryIn(t *testing.T, dir, stdin string, args ...string) (cli.Exit, string, cli.Error) {
	t.Helper()
	var out, errOut bytes.Buffer
	args = append(args, "--json", "--data", dir)
	exit := cli.Exit(run(t.Context(), args, strings.NewReader(stdin), &out, &errOut))
	var e struct{ Error cli.Error }
	if errOut.Len() > 0 {
		if err := json.Unmarshal(errOut.Bytes(), &e); err != nil {
			t.Fatalf("stderr: %v: %s", err, errOut.String())
		}
	}
	return exit, out.String(), e.Error
}

func TestMisuse(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct{ args, words string }{
		{"enrol", "CODE"},
		{"enrol a b", "one argument"},
		{"run --http 8470", "8470"},
		{"run --lang de", "de"},
		{"run x", "no arguments"},
		{"put --at yesterday", "yesterday"},
		{"put " + filepath.Join(empty, "none"), "none"},
		{"put " + empty, "folder"},
		{"log --lane side", "side"},
		{"log --after 17", "dot"},
		{"log --limit -1", "-1"},
		{"sync --timeout 0s", "0s"},
		{"done visit", "ENTITY"},
		{"done visit H-1 H-2", "not 3"},
		{"photo", "needs a command"},
		{"photo ad x", `"ad"`},
		{"photo add", "FILE"},
		{"show", "ENTITY"},
		{"show household H-1 H-2", "not 3"},
		{"find", "WORDS"},
		{"run --pack " + filepath.Join(empty, "none"), "none"},
	} {
		exit, out, e := try(t, "", strings.Fields(c.args)...)
		if exit != cli.Usage || out != "" || e.Do == "" || !strings.Contains(e.Which+" "+e.What, c.words) {
			t.Errorf("%s: exit %d, %q, %+v", c.args, exit, out, e)
		}
	}
}

func TestBadPack(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pack.toml"), []byte("id = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exit, _, e := try(t, "", "put", "--pack", dir)
	if exit != cli.Refused || e.Code != "bad_pack" || !strings.Contains(e.What, "pack.toml") {
		t.Errorf("exit %d, %+v", exit, e)
	}
}

func TestWithoutEnrolment(t *testing.T) {
	for _, c := range []string{"run", "put", "log", "sync", "doctor"} {
		if exit, _, e := try(t, "{}\n", c); exit != cli.Credential || e.Code != "not_enrolled" {
			t.Errorf("%s: exit %d, %+v", c, exit, e)
		}
	}
	exit, out, _ := try(t, "", "status")
	if exit != cli.OK || !strings.Contains(out, `"unenrolled"`) || !strings.Contains(out, `"nothing_lost":true`) {
		t.Errorf("status: exit %d, %s", exit, out)
	}
	for code, want := range map[string]cli.Exit{"hello": cli.Credential, "otor:enrol?code=x": cli.Credential} {
		if exit, _, e := try(t, "", "enrol", code, "--hub", "127.0.0.1:1"); exit != want || e.Code != "code_mistyped" {
			t.Errorf("enrol %s: exit %d, %+v", code, exit, e)
		}
	}
}

// The key of unsent records is in the identity's file: whoever finds it damaged is not
// led to replace it, nor to throw the folder away.
func TestADamagedIdentityIsKept(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "identity.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"log"}, {"put"}, {"enrol", "CODE", "--hub", "127.0.0.1:1"}} {
		exit, _, e := tryIn(t, dir, "{}\n", args...)
		if exit != cli.Integrity || e.Code != "identity_damaged" || !strings.HasPrefix(e.Do, "keep this folder") || strings.Contains(e.What, "choose another folder") {
			t.Errorf("%s: exit %d, %+v", args[0], exit, e)
		}
	}
}
