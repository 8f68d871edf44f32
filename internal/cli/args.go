package cli

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// NoArgs refuses arguments.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return Misuse(args[0], "%s takes no arguments", see(cmd), cmd.CommandPath())
}

// OneArg asks for exactly one argument, called name.
func OneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 1:
			return nil
		case 0:
			return Misuse(name, "%s needs its %s", see(cmd), cmd.CommandPath(), name)
		}
		return Misuse(args[1], "%s takes one argument, %s, not %d", see(cmd)+"; put what has spaces in quotes", cmd.CommandPath(), name, len(args))
	}
}

// MayHaveArg allows one argument, called name.
func MayHaveArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return Misuse(args[1], "%s takes at most one argument, %s, not %d", see(cmd), cmd.CommandPath(), name, len(args))
	}
}

// TwoArgs asks for exactly two arguments, called first and second.
func TwoArgs(first, second string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 2:
			return nil
		case 0, 1:
			return Misuse([]string{first, second}[len(args)], "%s needs its %s and %s", see(cmd), cmd.CommandPath(), first, second)
		}
		return Misuse(args[2], "%s takes two arguments, %s and %s, not %d", see(cmd)+"; put what has spaces in quotes", cmd.CommandPath(), first, second, len(args))
	}
}

// SomeArgs asks for at least one argument, called name, and at most so many; 0 for any number.
func SomeArgs(name string, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return Misuse(name, "%s needs its %s", see(cmd), cmd.CommandPath(), name)
		case most > 0 && len(args) > most:
			return Misuse(args[most], "%s takes at most %d arguments, %s, not %d", see(cmd), cmd.CommandPath(), most, name, len(args))
		}
		return nil
	}
}

func see(cmd *cobra.Command) string { return "see: " + cmd.CommandPath() + " --help" }

// Group is a command that only has others below it.
func Group(use, short string, below ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short}
	asGroup(g)
	g.AddCommand(below...)
	return g
}

// asGroup makes cmd refuse to run by itself, with the nearest of its commands.
func asGroup(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.Annotations = map[string]string{withoutFolder: "yes"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return Misuse("", "%s needs a command", "see: "+cmd.CommandPath()+" --help", cmd.CommandPath())
		}
		var names []string
		for _, c := range cmd.Commands() {
			if !c.Hidden {
				names = append(names, c.Name())
			}
		}
		return &Error{
			Exit: Usage, Code: "unknown_command", What: fmt.Sprintf("%s has no command %q", cmd.CommandPath(), clip(args[0])),
			Which: clip(args[0]), Do: suggest(args[0], names, cmd.CommandPath()+" ", see(cmd)),
		}
	}
}

// flagTrouble words what is wrong with the flags.
func flagTrouble(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return Misuse("", "%v", see(cmd), err)
	}
	name := unknown.GetSpecifiedName()
	return &Error{
		Exit: Usage, Code: "unknown_flag", What: fmt.Sprintf("%s has no flag --%s", cmd.CommandPath(), clip(name)), Which: "--" + clip(name),
		Do: suggest(name, flagNames(cmd.Flags(), cmd.InheritedFlags()), "--", see(cmd)), Err: err,
	}
}

func flagNames(sets ...*pflag.FlagSet) []string {
	var names []string
	for _, s := range sets {
		s.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
	}
	return names
}

// suggest names the nearest of names, or says where to look.
func suggest(word string, names []string, before, otherwise string) string {
	if n := nearest(word, names); n != "" {
		return "did you mean " + before + n + "? " + otherwise
	}
	return otherwise
}

// nearest is the name that word most likely means; "" when none is near.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	if len(word) > 64 {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	for _, n := range slices.Sorted(slices.Values(names)) {
		if len(word) >= 3 && strings.HasPrefix(n, word) {
			return n
		}
		if d := distance(word, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours between a and b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// CheckListen says what is wrong with an address to listen on, given by flag.
func CheckListen(flag, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, " /") {
		return Misuse("--"+flag, "%q is no address to listen on", "write it as host:port, such as 127.0.0.1:8480; port 0 picks a free one", clip(addr))
	}
	return nil
}

// clip bounds what comes from outside into a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
