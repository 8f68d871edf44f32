package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// fromFile reads the file strictly: its keys are the flag names of all commands
// of the program, those of other commands are passed over.
func fromFile(name string, cmd *cobra.Command, given map[string]bool) error {
	src, err := readBounded(name)
	if err != nil {
		return Misuse(name, "the configuration file cannot be read: %v", "check --config", err)
	}
	all, taken := make(map[string]*pflag.Flag), make(map[string]types)
	collect(cmd.Root(), all, taken)
	delete(all, "config")
	cmd.Flags().VisitAll(func(f *pflag.Flag) { // what it takes here counts
		if all[f.Name] != nil {
			all[f.Name] = f
		}
	})
	names, target := shape(all, taken)
	if err := toml.NewDecoder(strings.NewReader(string(src))).DisallowUnknownFields().Decode(target.Addr().Interface()); err != nil {
		return fileTrouble(name, string(src), all, err)
	}
	for i, flag := range names {
		v := target.Field(i)
		if !v.IsNil() && len(taken[flag]) > 1 && !taken[flag].fit(v.Elem().Elem().Type()) {
			return misfit(name, rowOf(string(src), flag), all[flag])
		}
		if v.IsNil() || given[flag] || cmd.Flags().Lookup(flag) == nil {
			continue
		}
		if len(taken[flag]) > 1 && !(types{typeOf(all[flag])}).fit(v.Elem().Elem().Type()) {
			continue // it is meant for another command
		}
		if err := cmd.Flags().Set(flag, text(v.Elem())); err != nil {
			return misfit(name, rowOf(string(src), flag), all[flag])
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

// types are those of a setting that commands take differently: a number here, a text there.
type types []reflect.Type

// fit reports whether what the file has, of that type, is one of these.
func (t types) fit(got reflect.Type) bool {
	if got.Kind() == reflect.Slice {
		return slices.Contains(t, reflect.TypeFor[*[]string]())
	}
	return slices.Contains(t, reflect.PointerTo(got))
}

// collect gathers the flags of cmd and all commands below it, and what they take.
func collect(cmd *cobra.Command, into map[string]*pflag.Flag, taken map[string]types) {
	add := func(f *pflag.Flag) {
		if ownFlags[f.Name] {
			return
		}
		if typ := typeOf(f); !slices.Contains(taken[f.Name], typ) {
			taken[f.Name] = append(taken[f.Name], typ)
		}
		into[f.Name] = f
	}
	cmd.PersistentFlags().VisitAll(add)
	cmd.LocalFlags().VisitAll(add)
	for _, c := range cmd.Commands() {
		collect(c, into, taken)
	}
}

// shape builds the structure that the file must have: a pointer for each flag,
// of the TOML type that the flag's type calls for, or of any where several call for it.
func shape(flags map[string]*pflag.Flag, taken map[string]types) ([]string, reflect.Value) {
	var names []string
	var fields []reflect.StructField
	for _, name := range sortedKeys(flags) {
		typ := typeOf(flags[name])
		if len(taken[name]) > 1 {
			typ = reflect.TypeFor[*any]()
		}
		names = append(names, name)
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)), Type: typ, Tag: reflect.StructTag(fmt.Sprintf("toml:%q", name)),
		})
	}
	return names, reflect.New(reflect.StructOf(fields)).Elem()
}

func typeOf(f *pflag.Flag) reflect.Type {
	switch f.Value.Type() {
	case "bool":
		return reflect.TypeFor[*bool]()
	case "int", "int64", "uint", "uint64":
		return reflect.TypeFor[*int64]()
	case "stringSlice":
		return reflect.TypeFor[*[]string]()
	default:
		return reflect.TypeFor[*string]()
	}
}

// text writes a value as a flag would be written.
func text(v reflect.Value) string {
	if list, ok := reflect.TypeAssert[[]string](v); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v.Interface())
}

// fileTrouble names file, line and key, and says what to write.
func fileTrouble(name, src string, flags map[string]*pflag.Flag, err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		row, _ := first.Position()
		key := strings.Join(first.Key(), ".")
		return &Error{
			Exit: Usage, Code: "unknown_setting", What: fmt.Sprintf("%s:%d: there is no setting %q", name, row, clip(key)), Which: fmt.Sprintf("%s:%d", name, row),
			Do: suggest(key, sortedKeys(flags), "", "settings are named like the flags, without the dashes in front"), Err: err,
		}
	}
	at, ok := errors.AsType[*toml.DecodeError](err)
	if !ok {
		return Misuse(name, "%s: %v", "correct the file", name, err)
	}
	row, _ := at.Position()
	if f := flags[keyAt(src, row)]; f != nil {
		return misfit(name, row, f)
	}
	return Misuse(fmt.Sprintf("%s:%d", name, row), "%s:%d: %s", "correct the line; a setting is written as: name = value, a text in quotes", name, row, strings.TrimPrefix(at.Error(), "toml: "))
}

// misfit says what a setting takes; row 0 when its line is not known.
func misfit(name string, row int, f *pflag.Flag) error {
	where := name
	if row > 0 {
		where = fmt.Sprintf("%s:%d", name, row)
	}
	kind, example := "a text in quotes", `"..."`
	switch f.Value.Type() {
	case "bool":
		kind, example = "true or false", "true"
	case "int", "int64", "uint", "uint64":
		kind, example = "a whole number", "10"
	case "stringSlice":
		kind, example = "a list of texts", `["...", "..."]`
	case "duration":
		kind, example = "a time in quotes", `"2h30m"`
	}
	if d := f.DefValue; d != "" && example == `"..."` {
		example = strconv.Quote(d)
	}
	return Misuse(where, "%s: %s takes %s", fmt.Sprintf("write it as: %s = %s", f.Name, example), where, f.Name, kind)
}

// keyAt is the key of a line "key = value"; "" for other lines.
func keyAt(src string, row int) string {
	lines := strings.Split(src, "\n")
	if row < 1 || row > len(lines) {
		return ""
	}
	key, _, ok := strings.Cut(lines[row-1], "=")
	if !ok {
		return ""
	}
	return strings.Trim(strings.TrimSpace(key), `"'`)
}

// rowOf finds the line of a key; 0 when it is not written plainly.
func rowOf(src, key string) int {
	for i := range strings.Count(src, "\n") + 1 {
		if keyAt(src, i+1) == key {
			return i + 1
		}
	}
	return 0
}
