package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"otor/internal/startup"
)

// InstallService is the command that has the system start what keeps running:
// verb, such as "run". more adds to the plan the folders that it writes into besides
// its data folder, and further flags for it; nil for none.
func (a *App) InstallService(program, verb string, more func(*startup.Plan) error) *cobra.Command {
	var show, remove bool
	var on string
	p := startup.Plan{Program: program, Verb: verb}
	cmd := &cobra.Command{
		Use: "install-service [-- FLAGS]", Short: "Have the system start it with the machine, and again when it ends",
		Long: "Makes a systemd unit, a Windows service, or a boot script of Termux, whichever this machine has, and starts it.\n" +
			"FLAGS behind -- go to " + program + " " + verb + "; settings are better kept in a file, with --config.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			system := startup.System(on)
			if on == "" {
				if system, err = startup.Here(); err != nil {
					return &Error{Exit: Usage, Code: "no_system", What: err.Error(), Do: "let whatever starts programs here run: " + program + " " + verb + "; see one with --print --system systemd", Err: err}
				}
			}
			if p.As != "" && !cmd.Flags().Changed("data") && !remove {
				return Misuse("--data", "the folder %s is in the home of whoever installs: %q cannot come to it", "name the folder of that user's own, such as --data /srv/otor/"+program, a.Data, clip(p.As))
			}
			if err := a.planned(&p, system, args, more); err != nil {
				return err
			}
			if show {
				return a.Printf("%s", p.Text(system))
			}
			var done startup.Done
			if remove {
				done, err = p.Remove(cmd.Context(), system)
			} else {
				done, err = p.Install(cmd.Context(), system)
			}
			if err != nil {
				return Say(Storage, "not_installed", p.Name(), "do it with the rights that it needs, or for yourself alone with --user", err)
			}
			return a.installed(done, remove)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&show, "print", false, "show what would be written, and do nothing")
	f.BoolVar(&remove, "remove", false, "take it back; the data stay")
	f.BoolVar(&p.User, "user", false, "for this user alone (systemd)")
	f.StringVar(&p.As, "as", "", "run as this `user` of the machine (default: the one who installs)")
	f.StringVar(&on, "system", "", "for this `system`: systemd, windows or termux (default: what is here)")
	return cmd
}

// planned completes a plan: what this command line says of the log and of the zone
// holds for the service.
func (a *App) planned(p *startup.Plan, s startup.System, args []string, more func(*startup.Plan) error) error {
	var err error
	switch s {
	case startup.Systemd, startup.Windows, startup.Termux:
	default:
		return Misuse("--system", "%q is no system that is known", "say systemd, windows or termux", clip(string(s)))
	}
	if p.Exe, err = os.Executable(); err != nil {
		return err
	}
	p.Args = []string{"--data", a.Data}
	if a.config != "" {
		file, err := filepath.Abs(a.config)
		if err != nil {
			return err
		}
		p.Args = append(p.Args, "--config", file)
	}
	p.Folders = []string{a.Data}
	if err := a.plannedLog(p, s); err != nil {
		return err
	}
	if a.given["zone"] {
		p.Args = append(p.Args, "--zone", a.zone)
	}
	if more != nil {
		if err := more(p); err != nil {
			return err
		}
	}
	p.Args = append(p.Args, args...)
	return nil
}

func (a *App) plannedLog(p *startup.Plan, s startup.System) error {
	file := a.logFile
	if file == "" && s != startup.Systemd { // there nobody looks after logs
		file = filepath.Join(a.Data, p.Program+".log")
	}
	if file != "" {
		whole, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		p.Args = append(p.Args, "--log-file", whole)
		if dir := filepath.Dir(whole); dir != a.Data {
			p.Folders = append(p.Folders, dir)
		}
	}
	if a.given["log-level"] {
		p.Args = append(p.Args, "--log-level", a.level)
	}
	if a.given["log-format"] {
		p.Args = append(p.Args, "--log-format", a.format)
	}
	return nil
}

func (a *App) installed(d startup.Done, removed bool) error {
	if a.JSON {
		return a.PrintJSON(d)
	}
	words := "%s is installed (%s).\n"
	if removed {
		words = "%s is removed (%s).\n"
	}
	where := d.File
	if where == "" {
		where = string(d.System)
	}
	err := a.Printf(words, d.Name, where)
	for _, n := range d.Next {
		err = errors.Join(err, a.Printf("- %s\n", n))
	}
	return err
}
