package main

import (
	"errors"

	"otor/hub/backup"
	"otor/hub/broker"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/pack"
	"otor/internal/webui"
)

// explain gives the errors of the hub's rooms their exit codes and words.
func explain(app *cli.App, err error) *cli.Error {
	if e, ok := errors.AsType[*webui.Refusal](err); ok {
		exit := cli.Refused
		switch e.Code {
		case "internal":
			exit = cli.Internal
		case "forbidden":
			exit = cli.Credential
		case "backup_unverified":
			exit = cli.Integrity
		case "backup_busy", "disk_full":
			exit = cli.Storage
		}
		return &cli.Error{Exit: exit, Code: e.Code, What: e.What, Which: e.Which, Do: e.Do, Err: err}
	}
	if _, ok := errors.AsType[*pack.Fault](err); ok {
		return cli.Say(cli.Refused, "bad_pack", "", "correct the pack, or leave --pack out to use the built-in one", err)
	}
	if e, ok := errors.AsType[*backup.LossError](err); ok {
		return cli.Say(cli.Refused, "archive_loss", e.Backup, "restore a newer backup, or add --accept-loss", err)
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
	{backup.ErrUnverified, cli.Integrity, "backup_unverified", "take another backup"},
	{backup.ErrBusy, cli.Storage, "backup_busy", "wait until it is done"},
	{backup.ErrNotEmpty, cli.Refused, "not_empty", "move it aside, or name another --data folder"},
	{store.ErrLocked, cli.Storage, "locked", "stop it, or name another --data folder"},
	{store.ErrFull, cli.Storage, "disk_full", "free some space and start the hub again; nothing that was acknowledged is lost"},
	{store.ErrReadOnly, cli.Storage, "read_only", "give the hub's user the right to write in its folder"},
	{store.ErrNewer, cli.Integrity, "newer_database", "start the newer hub, or name another --data folder"},
	{store.ErrForeign, cli.Integrity, "not_a_hub", "name another --data folder, or restore a backup"},
	{store.ErrDamaged, cli.Integrity, "database_damaged", "keep a copy of the file, then restore the newest backup: devices send again what it lacks"},
	{broker.ErrKeys, cli.Integrity, "keys_damaged", "restore the folder keys from a backup; new keys would mean enrolling every device again"},
	{store.ErrExists, cli.Refused, "device_exists", "add --again to give the device a new life, or choose another name"},
	{store.ErrRevoked, cli.Refused, "device_revoked", "a revoked device stays revoked: add it under another name"},
	{store.ErrNotFound, cli.Refused, "not_found", "check the name: hub device list"},
}
