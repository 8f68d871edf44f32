package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"otor/internal/durable"
)

// Exit is a program's exit code. `go run` turns all but 0 into 1.
type Exit int

// The exit codes; docs/operations.md has the same table.
const (
	OK          Exit = 0
	Internal    Exit = 1 // the program's own trouble, or interrupted
	Usage       Exit = 2 // the command line, the environment or the configuration file
	Refused     Exit = 3 // input that was understood and not taken
	Storage     Exit = 4 // the data folder is locked, full or read-only
	Unreachable Exit = 5 // the other side does not answer
	Credential  Exit = 6 // not enrolled, not accepted, revoked
	Integrity   Exit = 7 // damage, or numbers that do not agree
	Unlock      Exit = 8 // the device must be unlocked first
)

// Error ends a program: with which exit code, and in words that a person can
// act on.
type Error struct {
	Exit  Exit   `json:"-"`
	Code  string `json:"code"`  // a stable word for programs
	What  string `json:"what"`  // what happened
	Which string `json:"which"` // to which thing; may be empty
	Do    string `json:"do"`    // what to do now
	Err   error  `json:"-"`     // the cause; may be nil
	// Said is set when everything was said already: only the exit code is left.
	Said bool `json:"-"`
}

func (e *Error) Error() string {
	s := e.What
	if e.Which != "" && !strings.Contains(s, e.Which) {
		s = e.Which + ": " + s
	}
	if e.Do != "" {
		s += "; " + e.Do
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Misuse is a command line that cannot be followed.
func Misuse(which, what, do string, args ...any) *Error {
	return &Error{Exit: Usage, Code: "usage", What: fmt.Sprintf(what, args...), Which: which, Do: do}
}

// Say makes an Error of err. The words of err stay; where they end with do,
// they are not said twice.
func Say(exit Exit, code, which, do string, err error) *Error {
	what := strings.TrimRight(strings.TrimSuffix(err.Error(), do), ":; ")
	return &Error{Exit: exit, Code: code, What: what, Which: which, Do: do, Err: err}
}

// general explains what any program may meet.
func general(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case durable.Full(err):
		return Say(Storage, "disk_full", "", "free some space and try again; nothing that was saved is lost", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return Say(Storage, "not_writable", "", "give this user the right to it, or name another folder with --data", err)
	case errors.Is(err, syscall.ENOTDIR):
		return Say(Storage, "not_a_folder", "", "a part of this path is a file: name another folder with --data", err)
	case inUse(err):
		return Say(Usage, "address_in_use", "", "another program listens there: stop it, or choose another address", err)
	case errors.Is(err, context.DeadlineExceeded):
		return Say(Unreachable, "timeout", "", "try again, or allow more time with --timeout", err)
	case errors.Is(err, context.Canceled):
		return &Error{Exit: Internal, Code: "interrupted", What: "interrupted before the end", Do: "start the command again; what was reported as saved is saved", Err: err}
	}
	return Say(Internal, "internal", "", "try again; if it stays so, start it with --log-level debug and keep what it says", err)
}

// inUse reports whether somebody else listens already. Not every library keeps
// the system's error; their words have it.
func inUse(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use") ||
		strings.Contains(err.Error(), "Only one usage of each socket address")
}

// print says e on w, for people or for programs.
func (e *Error) print(w io.Writer, program string, asJSON bool) {
	if e.Said {
		return
	}
	if asJSON {
		b, err := json.Marshal(map[string]*Error{"error": e})
		if err == nil {
			fmt.Fprintf(w, "%s\n", b)
			return
		}
	}
	s := e.What
	if e.Which != "" && !strings.Contains(s, e.Which) {
		s = e.Which + ": " + s
	}
	fmt.Fprintf(w, "%s: %s\n", program, s)
	if e.Do != "" {
		fmt.Fprintf(w, "  what to do: %s\n", e.Do)
	}
}
