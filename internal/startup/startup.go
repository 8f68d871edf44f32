// Package startup has the system start a program when the machine starts, and
// again when it ended by itself.
//
// Three systems are known: systemd, for the whole machine or for one user; the
// service control of Windows; and Termux on Android, whose boot add-on runs the
// scripts of one folder. [Plan.Text] shows what would be written, [Plan.Install]
// writes it and has it start, [Plan.Remove] takes it back. [Under] is what a
// program's main calls, so that it obeys when Windows starts and stops it.
//
// A program that ended because it was set up wrongly is not started over and
// over: the exit codes say which ends are of that kind.
package startup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"otor/internal/durable"
)

// Plan says what is started, and how.
type Plan struct {
	Program string   // agent or hub
	Verb    string   // the command that keeps running: run, serve
	Exe     string   // whole path
	Args    []string // behind the verb
	Folders []string // that it writes into, whole paths
	// Aside are folders that it writes into when they are there, such as those on a disk
	// that is carried away: it starts without them.
	Aside []string
	User  bool   // for this user alone, not for the machine
	As    string // the machine's user that it runs as; empty: the one who installs
}

// System is what looks after programs on a machine.
type System string

// The systems that are known.
const (
	Systemd System = "systemd"
	Windows System = "windows"
	Termux  System = "termux"
)

// ErrUnknown marks a machine on which none of the known systems runs.
var ErrUnknown = errors.New("this machine has neither systemd nor Windows services nor Termux")

// Name is the service's name.
func (p Plan) Name() string { return "otor-" + p.Program }

// hopeless are the exit codes after which starting again changes nothing:
// usage, input refused, credential, damage, locked by a person.
const hopeless = "2 3 6 7 8"

// endOf is the exit code that a service control hears of an end: 0, after which it lets
// things be, where starting again changes nothing or somebody had it stopped.
func endOf(code int, stopped bool) int {
	if stopped || slices.Contains(strings.Fields(hopeless), strconv.Itoa(code)) {
		return 0
	}
	return code
}

// Text is what the system is told, for people to look at.
func (p Plan) Text(s System) string {
	switch s {
	case Systemd:
		return p.unit()
	case Termux:
		return p.script()
	case Windows:
		return fmt.Sprintf("service %s, started with the machine: %s\n", p.Name(), p.commandLine())
	default:
		return ""
	}
}

// commandLine is how Windows writes it.
func (p Plan) commandLine() string {
	words := []string{quoteWindows(p.Exe), p.Verb}
	for _, a := range p.Args {
		words = append(words, quoteWindows(a))
	}
	return strings.Join(words, " ")
}

func quoteWindows(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\"") {
		return s
	}
	// A backslash counts as itself unless a quote follows.
	var b strings.Builder
	slashes := 0
	for _, r := range s {
		switch r {
		case '\\':
			slashes++
			continue
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*slashes+1))
		default:
			b.WriteString(strings.Repeat(`\`, slashes))
		}
		slashes = 0
		b.WriteRune(r)
	}
	return `"` + b.String() + strings.Repeat(`\`, 2*slashes) + `"`
}

// script starts it after the phone has started. The wake lock keeps the system
// from putting it to sleep.
func (p Plan) script() string {
	words := []string{quoteShell(p.Exe), p.Verb}
	for _, a := range p.Args {
		words = append(words, quoteShell(a))
	}
	return "#!/data/data/com.termux/files/usr/bin/sh\n# Starts Otor when the phone has started; see termux-boot.\n" +
		"termux-wake-lock\nwhile :; do\n  " + strings.Join(words, " ") + "\n  case $? in 0|" + strings.ReplaceAll(hopeless, " ", "|") + ") break ;; esac\n  sleep 10\ndone\n"
}

func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Here finds the system of this machine.
func Here() (System, error) {
	switch {
	case onWindows:
		return Windows, nil
	case os.Getenv("TERMUX_VERSION") != "" || strings.Contains(os.Getenv("PREFIX"), "com.termux"):
		return Termux, nil
	}
	if _, err := exec.LookPath("systemctl"); err == nil {
		return Systemd, nil
	}
	return "", ErrUnknown
}

// Done says what was done.
type Done struct {
	System System   `json:"system"`
	Name   string   `json:"name"`
	File   string   `json:"file,omitempty"`
	Next   []string `json:"next"` // what is left for a person to do
}

// Install has the system start the program, now and with the machine.
func (p Plan) Install(ctx context.Context, s System) (Done, error) {
	d := Done{System: s, Name: p.Name(), Next: []string{}}
	var err error
	switch s {
	case Systemd:
		err = p.installSystemd(ctx, &d)
	case Termux:
		err = p.installTermux(&d)
	case Windows:
		err = p.installWindows(&d)
	default:
		err = ErrUnknown
	}
	if err != nil {
		return d, fmt.Errorf("install %s: %w", d.Name, err)
	}
	return d, nil
}

// Remove takes back what Install did. Data stay.
func (p Plan) Remove(ctx context.Context, s System) (Done, error) {
	d := Done{System: s, Name: p.Name(), Next: []string{}}
	var err error
	switch s {
	case Systemd:
		err = p.removeSystemd(ctx, &d)
	case Termux:
		d.File, err = p.bootScript()
		if err == nil {
			err = os.Remove(d.File)
		}
	case Windows:
		err = p.removeWindows()
	default:
		err = ErrUnknown
	}
	if err != nil {
		return d, fmt.Errorf("remove %s: %w", d.Name, err)
	}
	return d, nil
}

func (p Plan) bootScript() (string, error) {
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".termux", "boot", p.Name()), err
}

func (p Plan) installTermux(d *Done) (err error) {
	if d.File, err = p.bootScript(); err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(d.File), 0o700); err != nil {
		return err
	}
	d.Next = append(d.Next, "install the add-on Termux:Boot and open it once", "exempt Termux from battery saving", "start it now: sh "+d.File+" &")
	return durable.WriteFile(d.File, []byte(p.script()), 0o700)
}
