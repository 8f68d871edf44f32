package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"otor/hub/server"
	"otor/internal/cli"
)

// try follows a command line with --json on a hub's folder.
func try(t *testing.T, dir string, args ...string) (cli.Exit, string, cli.Error) {
	t.Helper()
	var out, errOut bytes.Buffer
	args = append(args, "--json", "--data", dir)
	exit := cli.Exit(run(t.Context(), args, strings.NewReader(""), &out, &errOut))
	var e struct{ Error cli.Error }
	for line := range strings.Lines(errOut.String()) { // lines of the log may stand before it
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("stderr: %v: %s", err, errOut.String())
		}
	}
	return exit, out.String(), e.Error
}

func TestMisuse(t *testing.T) {
	for _, c := range []struct{ args, words string }{
		{"serve --http 8480", "8480"},
		{"serve --nats-listen here", "here"},
		{"serve --max-store lots", "lots"},
		{"serve --nats nats://u:p@x:4222", "want nats://host:port"},
		{"nats-config", "--out"},
		{"nats-config --out /nowhere --name a.b --listen x:1", "a.b"},
		{"serve --db mysql://x", "no address of a PostgreSQL"},
		{"migrate", "where the database is to be moved"},
		{"migrate --to postgres://x/y", "no hub in this folder"},
		{"serve --pack /nowhere", "/nowhere"},
		{"device", "needs a command"},
		{"device add", "NAME"},
		{"device add d-101 --scope a", "d-101"},
		{"device add HUB --scope a", "HUB"},
		{"device add D-101", "may see"},
		{"device add D-101 --scope a.b", "a.b"},
		{"device add D-101 --scope a --ttl 25h", "25h"},
		{"device add D-101 --scope a --http 127.0.0.1:0", "chosen when it starts"},
		{"device revoke x", "x"},
		{"entries --device x", "x"},
		{"entries --lane side", "side"},
		{"entries --verdict fine", "fine"},
		{"entries --limit -1", "--limit"},
		{"entries", "no hub in this folder"},
		{"status", "no hub in this folder"},
		{"gaps --al", "--al"},
		{"photos get", "PHOTO"},
		{"photos get a b", "not 2"},
		{"install-service --system systemd --print --data /srv/otor --backups /var/tmp/otor", "/var/tmp/otor"},
	} {
		exit, out, e := try(t, filepath.Join(t.TempDir(), "hub"), strings.Fields(c.args)...)
		if exit != cli.Usage || out != "" || e.Do == "" || !strings.Contains(e.Which+" "+e.What, c.words) {
			t.Errorf("%s: exit %d, %q, %+v", c.args, exit, out, e)
		}
	}
}

// TestInvitationWithoutHub: the code names where the hub will be served, not
// where the folder was opened for a moment.
func TestInvitationWithoutHub(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	for args, want := range map[string]string{
		"": "https%3A%2F%2F127.0.0.1%3A8480",
		"--http 0.0.0.0:9000 --hosts sumu.example,10.0.0.1": "https%3A%2F%2Fsumu.example%3A9000",
	} {
		exit, out, e := try(t, dir, append([]string{"device", "add", "D-101", "--scope", "gacha:a"}, strings.Fields(args)...)...)
		if exit != cli.OK {
			t.Fatalf("%s: exit %d, %+v", args, exit, e)
		}
		var inv server.Invited
		if err := json.Unmarshal([]byte(out), &inv); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(inv.QRText, "hub="+want) || inv.Device != "D-101" {
			t.Errorf("%s: %s", args, inv.QRText)
		}
	}
	exit, out, _ := try(t, dir, "device", "list")
	if exit != cli.OK || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"invited"`) {
		t.Errorf("list: exit %d, %s", exit, out)
	}
	if exit, out, _ = try(t, dir, "device", "revoke", "D-101"); exit != cli.OK || !strings.Contains(out, "revoked") {
		t.Errorf("revoke: exit %d, %s", exit, out)
	}
	if exit, _, e := try(t, dir, "device", "add", "D-101", "--scope", "a", "--again"); exit != cli.Refused || e.Code != "device_revoked" {
		t.Errorf("again: exit %d, %+v", exit, e)
	}
}

func TestByteSize(t *testing.T) {
	for s, want := range map[string]byteSize{"0": 0, "17": 17, "64MiB": 64 << 20, "2 GB": 2 << 30, "3k": 3 << 10} {
		var b byteSize
		if err := b.Set(s); err != nil || b != want {
			t.Errorf("%s: %d, %v, want %d", s, b, err, want)
		}
	}
	for _, s := range []string{"", "x", "-1", "1.5G", "1XB", "9999999999G", "GG"} {
		if new(byteSize).Set(s) == nil {
			t.Errorf("%q passed", s)
		}
	}
}

// The unit lets the hub write its backups, and waits for no disk that holds them.
func TestInstallNamesBackups(t *testing.T) {
	exit, out, e := try(t, "/srv/otor/hub", "install-service", "--system", "systemd", "--print", "--as", "otor", "--backups", "/mnt/other/otor,/mnt/weekly/otor")
	if exit != cli.OK {
		t.Fatalf("exit %d, %+v", exit, e)
	}
	for _, want := range []string{" -/mnt/other/otor -/mnt/weekly/otor\n", "\nRequiresMountsFor=/srv/otor/hub /srv/otor/hub-journal\n", "\nUser=otor\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the unit lacks %q:\n%s", want, out)
		}
	}
}
