// Package cli is what the command lines of both programs have in common.
//
// A program is a tree of commands over one [App]: where the data lies, how to
// answer, where the log goes. Every setting is a flag; a flag that is not given
// is taken from the environment, then from the configuration file, then it has
// its default. So the three never disagree about names: --nats-listen is
// OTOR_NATS_LISTEN is nats-listen = "…".
//
// Results go to stdout, everything else to stderr. A command that fails says
// what happened, which thing, and what to do, once, and the exit code tells
// programs which kind of trouble it is.
//
//   - [Program] is a program's description; [Program.Run] is its whole life
//     but for signals.
//   - [App] is what commands get.
//   - [Exit] is an exit code, [Error] an error with its exit code and words.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"otor/internal/release"
)

// App is what a command works with. It is settled before the command runs.
type App struct {
	In   io.Reader
	Out  io.Writer // results
	Err  io.Writer // words, refusals, the log
	Data string    // the program's folder, absolute
	JSON bool
	Zone *time.Location
	Log  *slog.Logger

	config, format, level, zone, logFile string // as given
	// given are the flags that the command line or the environment set: what the file
	// sets is read from there again.
	given map[string]bool
}

// PrintJSON writes v as one line.
func (a *App) PrintJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false) // addresses stay readable
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// Printf writes words for people.
func (a *App) Printf(format string, args ...any) error {
	return a.write(fmt.Appendf(nil, format, args...))
}

func (a *App) write(b []byte) error {
	if _, err := a.Out.Write(b); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// Table writes rows in columns; the first row is the heading.
func (a *App) Table(rows [][]string) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// Clock writes a moment for people, in the program's zone; "-" for none.
func (a *App) Clock(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.In(a.Zone).Format("2006-01-02 15:04:05")
}

// Program describes a program.
type Program struct {
	Name  string // of the program and of its data folder
	Short string
	Zone  string // default of --zone
	// Explain gives the errors of the program's rooms their words; nil for what
	// it does not know.
	Explain func(app *App, err error) *Error
	// Commands make the commands, in the order of the help.
	Commands []func(app *App) *cobra.Command
}

// Run follows a command line and returns the exit code.
func (p *Program) Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	app := &App{In: in, Out: out, Err: errOut, JSON: wantsJSON(args), Zone: time.UTC, Log: slog.New(slog.DiscardHandler)}
	asJSON := app.JSON
	root := p.root(app)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return int(OK)
	}
	e := p.explain(app, err)
	e.print(errOut, p.Name, app.JSON || asJSON)
	return int(e.Exit)
}

func (p *Program) explain(app *App, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if p.Explain != nil {
		if e := p.Explain(app, err); e != nil {
			return e
		}
	}
	return general(err)
}

// wantsJSON looks for --json where nothing was parsed yet, so that an error of
// the command line itself is said in the wanted form too.
func wantsJSON(args []string) bool {
	want, _ := strconv.ParseBool(os.Getenv(envName("json")))
	for _, a := range args {
		if a == "--" {
			break
		}
		if v, ok := strings.CutPrefix(a, "--json="); ok {
			want, _ = strconv.ParseBool(v)
		} else if a == "--json" {
			want = true
		}
	}
	return want
}

func (p *Program) root(app *App) *cobra.Command {
	root := &cobra.Command{
		Use: p.Name, Short: p.Short, Version: release.Version,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return p.settle(app, cmd) },
	}
	asGroup(root)
	root.SetIn(app.In)
	root.SetOut(app.Out)
	root.SetErr(app.Err)
	root.SetFlagErrorFunc(flagTrouble)
	f := root.PersistentFlags()
	f.StringVar(&app.Data, "data", "", "the program's `folder` (default "+defaultFolderWords(p.Name)+")")
	f.StringVar(&app.config, "config", "", "read settings from a TOML `file`: flag names as keys")
	f.BoolVar(&app.JSON, "json", false, "answer in JSON, errors too")
	f.StringVar(&app.format, "log-format", "", "`format` of the log on stderr: text or json (default json with --json, else text)")
	f.StringVar(&app.level, "log-level", "", "least `level` of the log: debug, info, warn or error (default info for what keeps running, else warn)")
	f.StringVar(&app.logFile, "log-file", "", "write the log of what keeps running into this `file` and turn it over at 5 MB, keeping 3 (default: stderr)")
	f.StringVar(&app.zone, "zone", p.Zone, "time `zone` of dates and shown times, such as Asia/Ulaanbaatar")
	for _, command := range p.Commands {
		root.AddCommand(command(app))
	}
	root.AddCommand(p.version(app))
	return root
}
