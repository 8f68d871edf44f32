package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"otor/internal/cli"
)

// seen is what the test program's command got.
type seen struct {
	data, zone, name string
	hosts            []string
	size             int
	asJSON           bool
}

var errRoom = errors.New("the room is dark")

// program has one command, `do`, which tells what it got and fails with fail.
func program(got *seen, fail error) *cli.Program {
	return &cli.Program{
		Name: "prog", Short: "A program", Zone: "UTC",
		Explain: func(_ *cli.App, err error) *cli.Error {
			if errors.Is(err, errRoom) {
				return cli.Say(cli.Storage, "dark", "room 4", "light a lamp", err)
			}
			return nil
		},
		Commands: []func(*cli.App) *cobra.Command{
			func(app *cli.App) *cobra.Command {
				cmd := &cobra.Command{Use: "do", Args: cli.MayHaveArg("THING")}
				name := cmd.Flags().String("name", "nobody", "")
				hosts := cmd.Flags().StringSlice("hosts", nil, "")
				size := cmd.Flags().Int("size", 1, "")
				cmd.RunE = func(*cobra.Command, []string) error {
					*got = seen{app.Data, app.Zone.String(), *name, *hosts, *size, app.JSON}
					return fail
				}
				return cmd
			},
			func(*cli.App) *cobra.Command {
				other := &cobra.Command{Use: "add NAME", Args: cli.OneArg("NAME"), RunE: func(*cobra.Command, []string) error { return nil }}
				other.Flags().String("scope", "", "")
				return cli.Group("device", "Devices", other)
			},
		},
	}
}

func run(t *testing.T, got *seen, fail error, args ...string) (exit cli.Exit, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code := program(got, fail).Run(t.Context(), args, strings.NewReader(""), &o, &e)
	return cli.Exit(code), o.String(), e.String()
}

func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "prog.toml")
	src := "name = \"file\"\nsize = 7\nhosts = [\"a\", \"b\"]\nzone = \"Asia/Ulaanbaatar\"\nscope = \"of another command\"\ndata = \"/srv/file\"\n"
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var got seen
	if exit, _, e := run(t, &got, nil, "do", "--config", file); exit != cli.OK {
		t.Fatal(exit, e)
	}
	if got.name != "file" || got.size != 7 || fmt.Sprint(got.hosts) != "[a b]" || got.zone != "Asia/Ulaanbaatar" || filepath.Base(got.data) != "file" {
		t.Errorf("from the file: %+v", got)
	}
	t.Setenv("OTOR_NAME", "env")
	t.Setenv("OTOR_HOSTS", "c,d,e")
	t.Setenv("OTOR_DATA", filepath.Join(dir, "env"))
	t.Setenv("OTOR_CONFIG", file)
	t.Setenv("OTOR_JSON", "true")
	if exit, _, e := run(t, &got, nil, "do", "--size", "9"); exit != cli.OK {
		t.Fatal(exit, e)
	}
	want := seen{filepath.Join(dir, "env"), "Asia/Ulaanbaatar", "env", []string{"c", "d", "e"}, 9, true}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("flag over environment over file:\n got %+v\nwant %+v", got, want)
	}
	if exit, _, _ := run(t, &got, nil, "do", "--name", "flag"); exit != cli.OK || got.name != "flag" {
		t.Errorf("flag: %v %+v", exit, got)
	}
	t.Setenv("OTOR_SIZE", "big")
	if exit, _, e := run(t, &got, nil, "do"); exit != cli.Usage || !strings.Contains(e, "OTOR_SIZE") {
		t.Errorf("bad environment: exit %d, %s", exit, e)
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	write := func(name, src string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	cases := []struct {
		args  string
		words []string // in the error
	}{
		{"", []string{"needs a command"}},
		{"od", []string{`no command "od"`, "did you mean prog do?"}},
		{"device", []string{"needs a command"}},
		{"device ad", []string{"did you mean prog device add?"}},
		{"device frobnicate", []string{`no command "frobnicate"`, "--help"}},
		{"device add", []string{"needs its NAME"}},
		{"device add a b", []string{"takes one argument"}},
		{"do a b", []string{"at most one argument"}},
		{"do --nam x", []string{"no flag --nam", "did you mean --name?"}},
		{"do --name", []string{"--name"}},
		{"do --size x", []string{"size"}},
		{"do --zone Asia/Nowhere", []string{"Asia/Nowhere"}},
		{"do --log-level loud", []string{"loud"}},
		{"do --log-format xml", []string{"xml"}},
		{"do --config " + filepath.Join(dir, "none.toml"), []string{"none.toml"}},
		{"do --config " + write("key.toml", "# it\nname = \"x\"\nnames = \"y\"\n"), []string{"key.toml:3", `"names"`, "did you mean name?"}},
		{"do --config " + write("table.toml", "[serve]\nname = \"x\"\n"), []string{"table.toml:", "serve"}},
		{"do --config " + write("type.toml", "\nsize = \"many\"\n"), []string{"type.toml:2", "size takes a whole number", "size = 10"}},
		{"do --config " + write("text.toml", "name = 5\n"), []string{"text.toml:1", "name takes a text in quotes", `name = "nobody"`}},
		{"do --config " + write("list.toml", "# hosts\n\nhosts = \"a\"\n"), []string{"list.toml:3", "hosts takes a list of texts"}},
		{"do --config " + write("range.toml", "size = 99999999999999999999\n"), []string{"range.toml:1", "size"}},
		{"do --config " + write("syntax.toml", "name = \"x\"\nsize = = 3\n"), []string{"syntax.toml:2"}},
		{"version x", []string{"takes no arguments"}},
	}
	for _, c := range cases {
		t.Run(c.args, func(t *testing.T) {
			var got seen
			args := strings.Fields(c.args)
			exit, out, text := run(t, &got, nil, args...)
			if exit != cli.Usage || out != "" {
				t.Fatalf("exit %d, stdout %q, stderr %s", exit, out, text)
			}
			exit, _, asJSON := run(t, &got, nil, append(args, "--json")...)
			if c.args == "do --name" { // --json is its value then
				return
			}
			var e struct {
				Error map[string]string `json:"error"`
			}
			if err := json.Unmarshal([]byte(asJSON), &e); err != nil || exit != cli.Usage {
				t.Fatalf("exit %d, %v: %s", exit, err, asJSON)
			}
			for _, k := range []string{"code", "what", "which", "do"} {
				if _, ok := e.Error[k]; !ok {
					t.Errorf("no %q in %s", k, asJSON)
				}
			}
			for _, w := range c.words {
				said := strings.Join([]string{e.Error["what"], e.Error["which"], e.Error["do"]}, "\n")
				if !strings.Contains(said, w) || !strings.Contains(text, w) {
					t.Errorf("%q is not said: %s%s", w, text, asJSON)
				}
			}
		})
	}
}

func TestExits(t *testing.T) {
	for _, c := range []struct {
		err   error
		exit  cli.Exit
		words string
	}{
		{nil, cli.OK, ""},
		{fmt.Errorf("open: %w", errRoom), cli.Storage, "prog: room 4: open: the room is dark\n  what to do: light a lamp\n"},
		{fmt.Errorf("%w; light a lamp", errRoom), cli.Storage, "prog: room 4: the room is dark\n  what to do: light a lamp\n"},
		{&cli.Error{Exit: cli.Refused, Said: true}, cli.Refused, ""},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), cli.Unreachable, ""},
		{context.Canceled, cli.Internal, ""},
		{fmt.Errorf("x: %w", syscall.ENOSPC), cli.Storage, ""},
		{fmt.Errorf("x: %w", fs.ErrPermission), cli.Storage, ""},
		{&fs.PathError{Op: "mkdir", Path: "/dev/null/x", Err: syscall.ENOTDIR}, cli.Storage, ""},
		{fmt.Errorf("listen: %w", syscall.EADDRINUSE), cli.Usage, ""},
		{errors.New("anything"), cli.Internal, ""},
		{errors.Join(errors.New("printed"), cli.Misuse("x", "bad %d", "mend", 3)), cli.Usage, "prog: x: bad 3\n  what to do: mend\n"},
	} {
		var got seen
		exit, _, e := run(t, &got, c.err, "do")
		if exit != c.exit || c.words != "" && e != c.words {
			t.Errorf("%v: exit %d, want %d; said %q, want %q", c.err, exit, c.exit, e, c.words)
		}
		if c.err == nil && e != "" {
			t.Errorf("said without an error: %q", e)
		}
	}
}

func TestVersionAndHelpNeedNoHome(t *testing.T) {
	for _, k := range []string{"HOME", "XDG_DATA_HOME", "LocalAppData", "USERPROFILE"} {
		t.Setenv(k, "")
	}
	var got seen
	for _, args := range []string{"version", "version --json", "--help", "do --help", "--version", "help do"} {
		if exit, out, e := run(t, &got, nil, strings.Fields(args)...); exit != cli.OK || out == "" {
			t.Errorf("%s: exit %d, %s", args, exit, e)
		}
	}
	if exit, _, e := run(t, &got, nil, "do"); exit != cli.Usage || !strings.Contains(e, "--data") {
		t.Errorf("do without any folder: exit %d, %s", exit, e)
	}
}

func TestCheckListen(t *testing.T) {
	for _, good := range []string{"127.0.0.1:0", ":8480", "[::1]:80", "sumu.example:8480"} {
		if err := cli.CheckListen("http", good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "8480", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "a b:80", "http://x:80"} {
		if cli.CheckListen("http", bad) == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

// Profiles are served while a command runs, to this machine alone.
func TestProfiles(t *testing.T) {
	var log bytes.Buffer
	app := &cli.App{Log: slog.New(slog.NewTextHandler(&log, nil))}
	run := func(args ...string) (index string, err error) {
		cmd := app.KeepsRunning(&cobra.Command{Use: "run", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
			_, at, served := strings.Cut(log.String(), "url=")
			if !served {
				return nil
			}
			at, _, _ = strings.Cut(at, "\n")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSpace(at), nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			b, err := io.ReadAll(resp.Body)
			index = string(b)
			return errors.Join(err, resp.Body.Close())
		}})
		cmd.SetArgs(args)
		return index, cmd.ExecuteContext(t.Context())
	}
	if index, err := run(); index != "" || err != nil {
		t.Errorf("unasked: %q, %v", index, err)
	}
	if index, err := run("--pprof", "127.0.0.1:0"); !strings.Contains(index, "goroutine") || err != nil {
		t.Errorf("asked for: %q, %v", index, err)
	}
	for _, at := range []string{":6060", "0.0.0.0:6060", "192.0.2.1:6060", "hub.example:6060", "6060", "127.0.0.1:x"} {
		_, err := run("--pprof", at)
		if e, ok := errors.AsType[*cli.Error](err); !ok || e.Exit != cli.Usage {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// A log that cannot be written is refused before anything runs, and nobody's folder is
// moved out of its way.
func TestLogFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	ran := 0
	try := func(file string) (cli.Exit, string) {
		p := &cli.Program{Name: "prog", Zone: "UTC", Commands: []func(*cli.App) *cobra.Command{func(app *cli.App) *cobra.Command {
			return app.KeepsRunning(&cobra.Command{Use: "run", RunE: func(*cobra.Command, []string) error { ran++; app.Log.Info("here"); return nil }})
		}}}
		var e bytes.Buffer
		exit := p.Run(t.Context(), []string{"run", "--data", dir, "--log-file", file}, nil, io.Discard, &e)
		return cli.Exit(exit), e.String()
	}
	for _, bad := range []string{filepath.Join(plain, "log"), folder} {
		if exit, e := try(bad); exit != cli.Usage || !strings.Contains(e, "--log-file") || ran > 0 {
			t.Errorf("%s: exit %d, %s", bad, exit, e)
		}
	}
	if _, err := os.Stat(folder); err != nil {
		t.Error(err)
	}
	if runtime.GOOS != "windows" && os.Geteuid() != 0 { // what is over by the next start is no mistake of who asks
		shut := filepath.Join(dir, "shut")
		if err := os.WriteFile(shut, nil, 0o400); err != nil {
			t.Fatal(err)
		}
		if exit, e := try(shut); exit != cli.Storage || ran > 0 {
			t.Errorf("%s: exit %d, %s", shut, exit, e)
		}
	}
	good := filepath.Join(dir, "logs", "log")
	if exit, e := try(good); exit != cli.OK || ran != 1 {
		t.Fatalf("exit %d, %s", exit, e)
	}
	if b, err := os.ReadFile(good); err != nil || !strings.Contains(string(b), "here") {
		t.Errorf("%s: %v", b, err)
	}
}

// What install-service is told of the log and the zone holds for the service.
func TestInstallServicePassesOn(t *testing.T) {
	dir := t.TempDir()
	install := func(args ...string) (cli.Exit, string, string) {
		p := &cli.Program{Name: "prog", Zone: "UTC", Commands: []func(*cli.App) *cobra.Command{func(app *cli.App) *cobra.Command {
			return app.InstallService("prog", "run", nil)
		}}}
		var out, e bytes.Buffer
		exit := p.Run(t.Context(), append([]string{"install-service", "--print", "--system", "systemd"}, args...), nil, &out, &e)
		return cli.Exit(exit), out.String(), e.String()
	}
	data, logs := filepath.Join(dir, "data"), filepath.Join(dir, "logs")
	config := filepath.Join(dir, "prog.toml")
	if err := os.WriteFile(config, []byte("log-level = \"error\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTOR_LOG_FORMAT", "json")
	exit, out, e := install("--data", data, "--log-file", filepath.Join(logs, "prog.log"), "--zone", "Asia/Ulaanbaatar", "--config", config)
	if exit != cli.OK {
		t.Fatalf("exit %d, %s", exit, e)
	}
	for _, want := range []string{
		"--log-file " + filepath.Join(logs, "prog.log") + " --log-format json --zone Asia/Ulaanbaatar\n", "ReadWritePaths=" + data + " " + logs + "\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the unit lacks %q:\n%s", want, out)
		}
	}
	if exit, out, _ = install("--data", data); exit != cli.OK || strings.Contains(out, "--zone") || strings.Contains(out, "--log-file") {
		t.Errorf("told nothing: exit %d\n%s", exit, out)
	}
	if exit, _, e = install("--as", "otor"); exit != cli.Usage || !strings.Contains(e, "--data") {
		t.Errorf("another's home: exit %d, %s", exit, e)
	}
	if exit, out, _ = install("--as", "otor", "--data", data); exit != cli.OK || !strings.Contains(out, "User=otor\n") {
		t.Errorf("exit %d\n%s", exit, out)
	}
}

// One setting may be a number for one command and a text for another.
func TestSettingThatCommandsTakeDifferently(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "prog.toml")
	var number int
	var text string
	try := func(command, file string) (cli.Exit, string) {
		number, text = 1, "none"
		if err := os.WriteFile(config, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &cli.Program{Name: "prog", Zone: "UTC", Commands: []func(*cli.App) *cobra.Command{
			func(*cli.App) *cobra.Command {
				cmd := &cobra.Command{Use: "backup", RunE: func(*cobra.Command, []string) error { return nil }}
				cmd.Flags().IntVar(&number, "keep", number, "")
				return cmd
			},
			func(*cli.App) *cobra.Command {
				cmd := &cobra.Command{Use: "demo", RunE: func(*cobra.Command, []string) error { return nil }}
				cmd.Flags().StringVar(&text, "keep", text, "")
				return cmd
			},
		}}
		var e bytes.Buffer
		exit := p.Run(t.Context(), []string{command, "--data", dir, "--config", config}, nil, io.Discard, &e)
		return cli.Exit(exit), e.String()
	}
	for _, c := range []struct {
		command, file string
		number        int
		text          string
	}{
		{"backup", "keep = 7\n", 7, "none"},
		{"demo", "keep = 7\n", 1, "none"},
		{"backup", "keep = \"here\"\n", 1, "none"},
		{"demo", "keep = \"here\"\n", 1, "here"},
	} {
		if exit, e := try(c.command, c.file); exit != cli.OK || number != c.number || text != c.text {
			t.Errorf("%s with %s: exit %d, %d, %s, %s", c.command, c.file, exit, number, text, e)
		}
	}
	if exit, e := try("backup", "\nkeep = true\n"); exit != cli.Usage || !strings.Contains(e, "prog.toml:2") || !strings.Contains(e, "a whole number") {
		t.Errorf("exit %d, %s", exit, e)
	}
}
