package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Annotations of commands.
const (
	withoutFolder = "otor/without-folder" // runs without a data folder
	keepsRunning  = "otor/keeps-running"
)

// KeepsRunning marks a command that stays until it is stopped: it logs more.
func KeepsRunning(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[keepsRunning] = "yes"
	return cmd
}

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

// fromFile reads the file strictly: its keys are the flag names of all commands
// of the program, those of other commands are passed over.
func fromFile(name string, cmd *cobra.Command, given map[string]bool) error {
	src, err := readBounded(name)
	if err != nil {
		return Misuse(name, "the configuration file cannot be read: %v", "check --config", err)
	}
	all := make(map[string]*pflag.Flag)
	collect(cmd.Root(), all)
	delete(all, "config")
	names, target := shape(all)
	if err := toml.NewDecoder(strings.NewReader(string(src))).DisallowUnknownFields().Decode(target.Addr().Interface()); err != nil {
		return fileTrouble(name, names, err)
	}
	for i, flag := range names {
		v := target.Field(i)
		if v.IsNil() || given[flag] || cmd.Flags().Lookup(flag) == nil {
			continue
		}
		if err := cmd.Flags().Set(flag, text(v.Elem())); err != nil {
			return Misuse(name, "%s does not fit: it must be a %s", "correct the file", flag, all[flag].Value.Type())
		}
	}
	return nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(b) > maxConfig {
		err = fmt.Errorf("it has more than %d bytes", maxConfig)
	}
	return b, err
}

// collect gathers the flags of cmd and all commands below it.
func collect(cmd *cobra.Command, into map[string]*pflag.Flag) {
	add := func(f *pflag.Flag) {
		if !ownFlags[f.Name] {
			into[f.Name] = f
		}
	}
	cmd.PersistentFlags().VisitAll(add)
	cmd.LocalFlags().VisitAll(add)
	for _, c := range cmd.Commands() {
		collect(c, into)
	}
}

// shape builds the structure that the file must have: a pointer for each flag,
// of the TOML type that the flag's type calls for.
func shape(flags map[string]*pflag.Flag) ([]string, reflect.Value) {
	var names []string
	var fields []reflect.StructField
	for _, name := range sortedKeys(flags) {
		var typ reflect.Type
		switch flags[name].Value.Type() {
		case "bool":
			typ = reflect.TypeFor[*bool]()
		case "int", "int64", "uint", "uint64":
			typ = reflect.TypeFor[*int64]()
		case "stringSlice":
			typ = reflect.TypeFor[*[]string]()
		default:
			typ = reflect.TypeFor[*string]()
		}
		names = append(names, name)
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)), Type: typ, Tag: reflect.StructTag(fmt.Sprintf("toml:%q", name)),
		})
	}
	return names, reflect.New(reflect.StructOf(fields)).Elem()
}

// text writes a value as a flag would be written.
func text(v reflect.Value) string {
	if list, ok := reflect.TypeAssert[[]string](v); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v.Interface())
}

// fileTrouble names the line.
func fileTrouble(name string, names []string, err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		row, _ := first.Position()
		key := strings.Join(first.Key(), ".")
		return &Error{
			Exit: Usage, Code: "unknown_setting", What: fmt.Sprintf("%s:%d: there is no setting %q", name, row, clip(key)), Which: fmt.Sprintf("%s:%d", name, row),
			Do: suggest(key, names, "", "settings are named like the flags, without the dashes in front"), Err: err,
		}
	}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, _ := at.Position()
		return Misuse(fmt.Sprintf("%s:%d", name, row), "%s:%d: %s", "correct the line", name, row, strings.TrimPrefix(at.Error(), "toml: "))
	}
	return Misuse(name, "%s: %v", "correct the file", name, err)
}

// openLog makes the log on stderr.
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
	switch format {
	case "text", "":
		a.Log = slog.New(slog.NewTextHandler(a.Err, o))
	case "json":
		a.Log = slog.New(slog.NewJSONHandler(a.Err, o))
	default:
		return Misuse("--log-format", "%q is no format of the log", "say text or json", clip(format))
	}
	return nil
}
