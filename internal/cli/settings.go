package cli

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"otor/internal/durable"
)

// Annotations of commands.
const (
	withoutFolder = "otor/without-folder" // runs without a data folder
	keepsRunning  = "otor/keeps-running"
)

// WithoutFolder marks a command that needs no data folder.
func WithoutFolder(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[withoutFolder] = "yes"
	return cmd
}

// maxConfig bounds the configuration file in bytes.
const maxConfig = 1 << 20

func envName(flag string) string {
	return "OTOR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// ownFlags are those that make no sense outside a command line.
var ownFlags = map[string]bool{"help": true, "version": true}

// settle takes what the flags leave open from the environment and the file,
// and makes the App of it.
func (p *Program) settle(app *App, cmd *cobra.Command) error {
	given := make(map[string]bool)
	app.given = given
	cmd.Flags().VisitAll(func(f *pflag.Flag) { given[f.Name] = f.Changed })
	if err := fromEnvironment(cmd.Flags(), given); err != nil {
		return err
	}
	if app.config != "" {
		if err := fromFile(app.config, cmd, given); err != nil {
			return err
		}
	}
	if err := app.openLog(cmd.Annotations[keepsRunning] != ""); err != nil {
		return err
	}
	var err error
	if app.Zone, err = time.LoadLocation(app.zone); err != nil {
		return Misuse("--zone", "time zone %q is not known", "name one such as Asia/Shanghai, Asia/Ulaanbaatar, UTC or Local", clip(app.zone))
	}
	return app.settleFolder(p.Name, cmd.Annotations[withoutFolder] != "" || ofCobra(cmd))
}

// ofCobra reports whether cmd is one that the library adds by itself.
func ofCobra(cmd *cobra.Command) bool {
	return cmd.Name() == "help" || cmd.HasParent() && cmd.Parent().Name() == "completion"
}

func (a *App) settleFolder(program string, without bool) error {
	if a.Data == "" {
		a.Data = DefaultFolder(program)
	}
	if a.Data == "" {
		if without {
			return nil
		}
		return Misuse("--data", "no folder for data is known: there is no home folder", "name one with --data DIR or "+envName("data"))
	}
	dir, err := filepath.Abs(a.Data)
	if err != nil {
		return Misuse("--data", "the folder %q cannot be found: %v", "name it from the root", clip(a.Data), err)
	}
	a.Data = dir
	return nil
}

func fromEnvironment(flags *pflag.FlagSet, given map[string]bool) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(envName(f.Name))
		if !ok || v == "" || given[f.Name] || ownFlags[f.Name] || first != nil {
			return
		}
		if err := flags.Set(f.Name, v); err != nil {
			first = Misuse(envName(f.Name), "%s=%q does not fit --%s: it must be a %s", "correct or unset it", envName(f.Name), clip(v), f.Name, f.Value.Type())
			return
		}
		given[f.Name] = true
	})
	return first
}

// openLog makes the log: on stderr, or in a file for what keeps running.
func (a *App) openLog(stays bool) error {
	level := slog.LevelWarn
	if stays {
		level = slog.LevelInfo
	}
	if a.level != "" {
		if err := level.UnmarshalText([]byte(a.level)); err != nil {
			return Misuse("--log-level", "%q is no level of the log", "say debug, info, warn or error", clip(a.level))
		}
	}
	format := a.format
	if format == "" && a.JSON {
		format = "json" // stderr then has one JSON object a line, whatever happens
	}
	o := &slog.HandlerOptions{Level: level}
	out := a.Err
	if stays && a.logFile != "" {
		var err error
		out, err = newLogFile(a.logFile)
		switch { // what may be over by the next start is no mistake of the one who asks
		case durable.Full(err):
			return Say(Storage, "disk_full", "--log-file", "free some space, or name a file on another disk", err)
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
			return Say(Storage, "not_writable", "--log-file", "give this user the right to write it, or name another file", err)
		case err != nil:
			return Misuse("--log-file", "the log cannot be written: %v", "name a file in a folder that this user may write into", err)
		}
	}
	switch format {
	case "text", "":
		a.Log = slog.New(slog.NewTextHandler(out, o))
	case "json":
		a.Log = slog.New(slog.NewJSONHandler(out, o))
	default:
		return Misuse("--log-format", "%q is no format of the log", "say text or json", clip(format))
	}
	return nil
}
