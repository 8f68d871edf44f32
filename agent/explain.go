package main

import (
	"errors"
	"fmt"

	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/link"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/agent/web"
	"otor/internal/cli"
	"otor/internal/pack"
)

// explain gives the errors of the agent's rooms their exit codes and words.
func explain(app *cli.App, err error) *cli.Error {
	if e, ok := errors.AsType[*enrol.Error](err); ok {
		return &cli.Error{Exit: exitOf(e.Kind), Code: e.Code, What: e.What, Which: e.Which, Do: e.Do, Err: err}
	}
	if e, ok := device.Refused(err); ok {
		return &cli.Error{Exit: cli.Credential, Code: e.Code, What: e.What, Which: e.Which, Do: e.Do, Err: err}
	}
	if e, ok := errors.AsType[*web.Refusal](err); ok {
		return &cli.Error{Exit: exitOfRefusal(e.Code), Code: e.Code, What: e.What, Which: e.Which, Do: e.Do, Err: err}
	}
	if _, ok := errors.AsType[*pack.Fault](err); ok {
		return cli.Say(cli.Refused, "bad_pack", "", "correct the pack, or leave --pack out to use the built-in one", err)
	}
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			return cli.Say(k.exit, k.code, app.Data, k.do, err)
		}
	}
	return nil
}

// kinds are the rooms' errors that a program may tell apart. The first that fits counts.
var kinds = []struct {
	is   error
	exit cli.Exit
	code string
	do   string
}{
	{enrol.ErrNotEnrolled, cli.Credential, "not_enrolled", "ask the hub's operator for a code and run: agent enrol CODE --hub URL"},
	{enrol.ErrDamaged, cli.Integrity, "identity_damaged", "keep this folder: records that the hub does not have open with this file alone, so put a good copy of it back; " +
		"to go on at once, enrol with a new code in another folder, named with --data"},
	{enrol.ErrEnrolled, cli.Refused, "enrolled_already", "choose another folder with --data"},
	{enrol.ErrNewer, cli.Integrity, "newer_folder", "start the newer agent, or name another --data folder"},
	{store.ErrNewer, cli.Integrity, "newer_folder", "start the newer agent, or name another --data folder"},
	{store.ErrLocked, cli.Storage, "locked", "stop it first, or use another --data folder"},
	{store.ErrFull, cli.Storage, "disk_full", "delete photos or files; nothing that was saved is lost"},
	{store.ErrReadOnly, cli.Storage, "read_only", "make the folder writable for this user, or use another --data folder"},
	{store.ErrFails, cli.Storage, "disk_fails", "check the disk or memory card, then start again; nothing that was saved is lost"},
	{store.ErrDamaged, cli.Integrity, "store_damaged", "keep the folder as it is, copy it aside, and run: agent doctor"},
	{store.ErrWrongKey, cli.Integrity, "wrong_key", "put back the identity.json that belongs to this folder"},
	{store.ErrNotFound, cli.Refused, "not_found", "agent log lists the entries that there are"},
	{link.ErrRefused, cli.Credential, "refused", "ask the hub's operator; nothing is lost meanwhile"},
	{uplink.ErrDisputed, cli.Integrity, codeHistory, "the records stay safe on this device; the operator sees the fork in: hub findings"},
	{uplink.ErrRefused, cli.Credential, "refused", "ask the hub's operator; nothing is lost meanwhile"},
	{uplink.ErrSpent, cli.Unreachable, codeSpent, "raise --budget-contact or --budget-day, or wait; nothing is lost meanwhile"},
	{link.ErrOffline, cli.Unreachable, "unreachable", "everything stays safe on this device; try again where there is signal"},
	{link.ErrLost, cli.Unreachable, "link_lost", "everything stays safe on this device; try again where there is signal"},
}

// exitOf is the exit code of a kind of trouble with an enrolment.
func exitOf(kind error) cli.Exit {
	switch {
	case errors.Is(kind, enrol.ErrCredential):
		return cli.Credential
	case errors.Is(kind, enrol.ErrUnreachable):
		return cli.Unreachable
	case errors.Is(kind, enrol.ErrUsage):
		return cli.Usage
	case errors.Is(kind, enrol.ErrStorage):
		return cli.Storage
	default:
		return cli.Internal
	}
}

// Codes of refusals that say more than "the input was refused".
const (
	codeDiskFull = "disk_full"
	codeRefused  = "refused"
	codeHistory  = "history_differs"
	codeInternal = "internal"
	codeSpent    = "budget_spent"
)

func exitOfRefusal(code string) cli.Exit {
	switch code {
	case codeDiskFull, "locked", "read_only", "disk_fails":
		return cli.Storage
	case codeRefused:
		return cli.Credential
	case codeHistory:
		return cli.Integrity
	case "unreachable", "unfinished", "busy", codeSpent:
		return cli.Unreachable
	case codeInternal:
		return cli.Internal
	default:
		return cli.Refused
	}
}

// errStopped is a running agent that went away in the middle.
var errStopped = errors.New("the running agent stopped answering")

func stopped(doing string, err error) error {
	return &cli.Error{
		Exit: cli.Unreachable, Code: "agent_stopped", What: fmt.Sprintf("%s: %v: %v", doing, errStopped, err),
		Do: "start the command again; what was reported as saved is saved", Err: err,
	}
}
