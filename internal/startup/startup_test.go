package startup_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"otor/internal/startup"
)

var plan = startup.Plan{
	Program: "hub", Verb: "serve", Exe: "/opt/otor dir/hub", Args: []string{"--data", "/srv/100% 'mine'", "--http", "0.0.0.0:8480"},
	Folders: []string{"/srv/100% 'mine'", "/mnt/journal"}, Aside: []string{"/mnt/other disk"}, As: "otor",
}

func TestUnit(t *testing.T) {
	text := plan.Text(startup.Systemd)
	for _, want := range []string{
		`ExecStart="/opt/otor dir/hub" serve --data "/srv/100%% 'mine'" --http 0.0.0.0:8480` + "\n",
		`RequiresMountsFor="/srv/100%% 'mine'" /mnt/journal` + "\n",
		`ReadWritePaths="/srv/100%% 'mine'" /mnt/journal "-/mnt/other disk"` + "\n",
		"User=otor\n", "Restart=on-failure\n", "RestartPreventExitStatus=2 3 6 7 8\n", "ProtectSystem=strict\n", "NoNewPrivileges=yes\n",
		"CapabilityBoundingSet=\n", "WantedBy=multi-user.target\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the unit lacks %q:\n%s", want, text)
		}
	}
	mine := plan
	mine.User = true
	text = mine.Text(startup.Systemd)
	if strings.Contains(text, "User=") || strings.Contains(text, "ProtectSystem") || !strings.Contains(text, "WantedBy=default.target") {
		t.Errorf("the unit of one user:\n%s", text)
	}
}

// systemd itself reads the unit without a complaint, where it is there.
func TestUnitIsUnderstood(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	p := plan
	p.Exe, p.As = "/bin/true", "root"
	file := filepath.Join(t.TempDir(), "otor-hub.service")
	if err := os.WriteFile(file, []byte(p.Text(startup.Systemd)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "verify", "--man=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "otor-hub") {
		t.Errorf("%v: %s", err, out)
	}
}

// The boot script starts the program with its words whole, and again after an
// end that another start may mend, and not after others.
func TestScript(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a script of a shell")
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		return path
	}
	write("termux-wake-lock", "#!/bin/sh\n")
	write("sleep", "#!/bin/sh\n")
	p := plan
	// It ends with 1, then with 6: only the first is tried again.
	p.Exe = write("the agent", "#!/bin/sh\nfor a; do echo \"$a\" >>'"+log+"'; done\n[ -e '"+log+".2' ] && exit 6\n: >'"+log+".2'\nexit 1\n")
	script := write("boot", p.Text(startup.Termux))
	cmd := exec.CommandContext(t.Context(), "sh", script)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := os.ReadFile(log)
	once := append([]string{"serve"}, p.Args...)
	if want := strings.Join(slices.Concat(once, once), "\n") + "\n"; err != nil || string(got) != want {
		t.Errorf("it was started with %q, %v", got, err)
	}
}

func TestWindowsCommandLine(t *testing.T) {
	p := plan
	p.Exe, p.Args = `C:\Program Files\Otor\hub.exe`, []string{"--data", `D:\a b\`, "--hosts", `x"y`}
	if got, want := p.Text(startup.Windows), `"C:\Program Files\Otor\hub.exe" serve --data "D:\a b\\" --hosts "x\"y"`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Install and Remove against a systemctl that only listens.
func TestInstallForOneUser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("systemd")
	}
	dir := t.TempDir()
	heard := filepath.Join(dir, "heard")
	tool := "#!/bin/sh\necho \"$@\" >>'" + heard + "'\n[ ! -e '" + dir + "/refuse' ]\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(tool), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("TERMUX_VERSION", "")
	t.Setenv("PREFIX", "")
	if s, err := startup.Here(); err != nil || s != startup.Systemd {
		t.Fatal(s, err)
	}
	p := plan
	p.User, p.Folders, p.Aside = true, []string{filepath.Join(dir, "data", "hub")}, nil
	done, err := p.Install(t.Context(), startup.Systemd)
	if err != nil || len(done.Next) != 3 {
		t.Fatalf("%+v, %v", done, err)
	}
	if b, err := os.ReadFile(done.File); err != nil || string(b) != p.Text(startup.Systemd) {
		t.Errorf("%s: %v", b, err)
	}
	if fi, err := os.Stat(p.Folders[0]); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("its folder: %v, %v", fi, err)
	}
	if _, err := p.Remove(t.Context(), startup.Systemd); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(done.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unit is left: %v", err)
	}
	const want = "--user daemon-reload\n--user enable --now otor-hub.service\n--user disable --now otor-hub.service\n--user daemon-reload\n"
	if b, err := os.ReadFile(heard); err != nil || string(b) != want {
		t.Errorf("systemctl heard %q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "refuse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Install(t.Context(), startup.Systemd); err == nil || !strings.Contains(err.Error(), "systemctl") {
		t.Errorf("a systemctl that refuses: %v", err)
	}
}

func TestUnder(t *testing.T) {
	if got := startup.Under(t.Context(), "otor-test", func(context.Context) int { return 7 }); got != 7 {
		t.Errorf("exit code %d", got)
	}
}

// A service control starts it again after an end that another start may mend, and not
// after others, nor when somebody had it stopped.
func TestEnd(t *testing.T) {
	for code, want := range map[int]int{0: 0, 1: 1, 2: 0, 3: 0, 4: 4, 5: 5, 6: 0, 7: 0, 8: 0} {
		if got := startup.EndOf(code, false); got != want {
			t.Errorf("exit code %d is told as %d", code, got)
		}
		if got := startup.EndOf(code, true); got != 0 {
			t.Errorf("exit code %d of a service that was stopped is told as %d", code, got)
		}
	}
}

// Its user must come through the folders above those that were made for it.
func TestInstallForTheMachineMakesFolders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("systemd")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := plan
	p.As, p.Folders, p.Aside = me.Username, []string{filepath.Join(dir, "srv", "otor", "hub"), filepath.Join(dir, "opt", "log", "hub")}, []string{filepath.Join(dir, "mnt", "backups"), filepath.Join(dir, "opt", "log")}
	if err := startup.MakeFolders(p); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		"srv": 0o755, "srv/otor": 0o755, "srv/otor/hub": 0o700, "mnt": 0o755, "mnt/backups": 0o700,
		"opt/log": 0o700, "opt/log/hub": 0o700, // one that holds another is its user's as well
	} {
		if fi, err := os.Stat(filepath.Join(dir, path)); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, fi, err)
		}
	}
}
