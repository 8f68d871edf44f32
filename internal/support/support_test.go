package support_test

import (
	"archive/zip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"otor/internal/support"
)

func TestScrub(t *testing.T) {
	for in, want := range map[string]string{
		"D-101/3/record/17 at 10:02:03":        "D-101/3/record/17 at 10:02:03",
		"id 152501198001010022, phone 1390479": "id (number), phone (number)",
		"15250119800101002X":                   "(number)",
		"name 巴特尔 said":                        "name (text) said",
		"head 12345678ab12345678":              "head 12345678ab12345678",
		"free 123456 of it":                    "free 123456 of it",
		"tel:+8613904790000;x":                 "tel:+(number);x",
		"ᠪᠠᠲᠤ":                                 "(text)",
	} {
		if got := support.Scrub(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// Whose machine it is stands in the paths of home folders.
func TestScrubHomes(t *testing.T) {
	t.Setenv("HOME", "/srv/people/batbayar")
	t.Setenv("USERPROFILE", `D:\People\Bat Bayar`)
	cases := map[string]string{
		"open /home/dorji/.local/share/otor/hub/hub.db: no": "open ~/.local/share/otor/hub/hub.db: no",
		`path="C:\\Users\\dorji m\\otor" n=1`:               `path="~\\otor" n=1`,
		`C:\Users\dorji\otor`:                               `~\otor`,
		"/Users/dorji/otor":                                 "~/otor",
		"/srv/otor/hub at /homestead":                       "/srv/otor/hub at /homestead",
	}
	if runtime.GOOS == "windows" {
		cases[`open D:\People\Bat Bayar\otor`] = `open ~\otor`
	} else {
		cases["open /srv/people/batbayar/otor"] = "open ~/otor"
	}
	for in, want := range cases {
		if got := support.Scrub(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	log, file := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.zip")
	if err := os.WriteFile(log, []byte(strings.Repeat("a line of the log 13904790000\n", 60_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	parts := []support.Part{
		{Name: "status", Value: map[string]any{"words": []string{"巴特尔 13904790000"}, "bytes": 123456789012}},
		{Name: "broken", Err: errors.New("the store of 巴特尔 does not open")},
	}
	at := time.Date(2025, 9, 18, 0, 0, 0, 0, time.UTC)
	if err := support.Write(file, log, at, parts); err != nil {
		t.Fatal(err)
	}
	got := Read(t, file)
	if !strings.Contains(got["status.json"], "(text) (number)") || !strings.Contains(got["status.json"], "123456789012") {
		t.Errorf("status: %s", got["status.json"])
	}
	if got["missing.txt"] != "broken: the store of (text) does not open\n" {
		t.Errorf("missing: %s", got["missing.txt"])
	}
	if l := got["log.txt"]; len(l) > 1<<20 || len(l) < 1<<19 || !strings.HasPrefix(l, "a line") || strings.Contains(l, "139") {
		t.Errorf("log: %d bytes", len(l))
	}
	if err := support.Write(file, "", at, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if err := support.Write(filepath.Join(dir, "c.zip"), filepath.Join(dir, "none"), at, nil); err != nil || !strings.Contains(Read(t, filepath.Join(dir, "c.zip"))["missing.txt"], "no file") {
		t.Errorf("without a log: %v", err)
	}
	if err := support.Write(filepath.Join(dir, "d.zip"), dir, at, parts); err != nil || !strings.Contains(Read(t, filepath.Join(dir, "d.zip"))["missing.txt"], "log: ") {
		t.Errorf("with a log that cannot be read: %v", err)
	}
}

// Read reads a bundle.
func Read(t *testing.T, file string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out := make(map[string]string)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(b)
	}
	return out
}
