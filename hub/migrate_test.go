package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/hub/backup"
	"otor/hub/server"
	"otor/hub/store/postgres/scratch"
	"otor/internal/cli"
)

func TestMain(m *testing.M) {
	code := m.Run()
	scratch.Stop()
	os.Exit(code)
}

// must follows a command that has to succeed.
func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	exit, out, e := try(t, dir, append(args, "--log-level", "error")...) // the server for tests does not sync, and is warned of
	if exit != cli.OK {
		t.Fatalf("hub %s: exit %d, %+v", strings.Join(args, " "), exit, e)
	}
	return out
}

// TestMigrate: a hub moves to PostgreSQL and back, says the same everywhere, and
// its backups are verified wherever it is.
func TestMigrate(t *testing.T) {
	address := scratch.Database(t, "")
	dir := filepath.Join(t.TempDir(), "hub")
	for _, name := range []string{"D-101", "D-102"} {
		must(t, dir, "device", "add", name, "--scope", "gacha:a")
	}
	devices := must(t, dir, "device", "list")
	file := filepath.Join(dir, "hub.db")

	exit, _, e := try(t, dir, "serve", "--db", address, "--log-level", "error")
	if exit != cli.Refused || e.Code != "database_elsewhere" || !strings.Contains(e.Do, "hub migrate") {
		t.Errorf("two databases for one hub: exit %d, %+v", exit, e)
	}
	var there, back server.Moved
	if err := json.Unmarshal([]byte(must(t, dir, "migrate", "--to", address)), &there); err != nil {
		t.Fatal(err)
	}
	if there.Rows == 0 || len(there.Tables) < 30 || there.Kept != file+".moved" {
		t.Errorf("moved %+v", there)
	}
	if _, err := os.Stat(file); err == nil {
		t.Errorf("%s is still there", file)
	}
	if got := must(t, dir, "device", "list"); got != devices {
		t.Errorf("on PostgreSQL:\n%s\nbefore:\n%s", got, devices)
	}
	must(t, dir, "device", "add", "D-103", "--scope", "gacha:a")
	must(t, dir, "ledger", "verify")
	devices = must(t, dir, "device", "list")

	kept := t.TempDir()
	var made backup.Made
	if err := json.Unmarshal([]byte(must(t, dir, "backup", kept)), &made); err != nil || made.Path == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	other := filepath.Join(t.TempDir(), "restored")
	must(t, other, "restore", made.Path)
	if got := must(t, other, "device", "list"); !strings.Contains(got, "D-103") {
		t.Errorf("restored from a backup of PostgreSQL:\n%s", got)
	}

	if exit, _, e := try(t, dir, "migrate", "--to", address, "--log-level", "error"); exit != cli.Usage || e.Code != "already_there" {
		t.Errorf("moved to where it is: exit %d, %+v", exit, e)
	}
	if exit, _, e := try(t, other, "migrate", "--to", address, "--log-level", "error"); exit != cli.Refused || e.Code != "database_not_empty" {
		t.Errorf("moved into another hub's database: exit %d, %+v", exit, e)
	}
	if err := json.Unmarshal([]byte(must(t, dir, "migrate", "--to", "sqlite")), &back); err != nil {
		t.Fatal(err)
	}
	if got := must(t, dir, "device", "list"); got != devices {
		t.Errorf("on SQLite again:\n%s\nbefore:\n%s", got, devices)
	}
	must(t, dir, "migrate", "--to", scratch.Database(t, "")) // and again
	must(t, dir, "device", "add", "D-104", "--scope", "gacha:a")
}

// TestDatabaseAway: the words of a hub whose database does not answer name it and
// not its password.
func TestDatabaseAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	exit, out, e := try(t, dir, "serve", "--db", "postgres://otor:gobi-wind-77@127.0.0.1:1/hub")
	all, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if exit != cli.Unreachable || e.Code != "database_away" || strings.Contains(out+string(all), "gobi-wind-77") || !strings.Contains(string(all), "127.0.0.1:1") {
		t.Errorf("exit %d, %s", exit, all)
	}
}
