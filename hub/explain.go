package main

import (
	"errors"

	"otor/hub/access"
	"otor/hub/backup"
	"otor/hub/broker"
	"otor/hub/ledger"
	"otor/hub/ledger/journal"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/hub/store/tables"
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
		case "ledger_damaged":
			exit = cli.Integrity
		case "bad_database", "already_there", "keys_missing":
			exit = cli.Usage
		case "backup_busy", "disk_full", "journal_unwritable", "not_writable", "pending", "read_only":
			exit = cli.Storage
		}
		return &cli.Error{Exit: exit, Code: e.Code, What: e.What, Which: e.Which, Do: e.Do, Err: err}
	}
	// A hub that answers in this process gives its rooms' own refusals.
	if e, ok := errors.AsType[*reconcile.Refused](err); ok {
		return &cli.Error{Exit: cli.Refused, Code: e.Code, What: e.What, Which: e.Which, Do: e.Do, Err: err}
	}
	if e, ok := errors.AsType[*access.Refusal](err); ok {
		return &cli.Error{Exit: cli.Refused, Code: e.Code, What: e.What, Which: e.Which, Do: e.Do, Err: err}
	}
	if _, ok := errors.AsType[*pack.Fault](err); ok {
		return cli.Say(cli.Refused, "bad_pack", "", "correct what is named and try again; without --pack a hub starts with the built-in pack", err)
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
	{errDamagedPhotos, cli.Integrity, "photos_damaged", "wait for the contacts of the devices that took them; look at the disk"},
	{backup.ErrUnverified, cli.Integrity, "backup_unverified", "take another backup"},
	{backup.ErrBusy, cli.Storage, "backup_busy", "wait until it is done"},
	{backup.ErrNotEmpty, cli.Refused, "not_empty", "move it aside, or name another --data folder"},
	{journal.ErrMissing, cli.Usage, "journal_missing", "put its disk in place; if it is lost for good, name an empty folder with --journal: the hub fills it from the database"},
	{journal.ErrInUse, cli.Storage, "journal_in_use", "stop the other hub, or name another --journal folder"},
	{journal.ErrDamaged, cli.Integrity, "journal_damaged", "keep the folder; if the database is whole (hub ledger verify), name an empty folder with --journal: the hub fills it from the database"},
	{ledger.ErrForeign, cli.Integrity, "journal_foreign", "name this hub's own --journal folder; to begin a new hub, move the old journal aside"},
	{ledger.ErrForked, cli.Integrity, "journal_forked", "name the --journal folder that this hub has used since it was restored"},
	{ledger.ErrPending, cli.Storage, "pending", "do not repeat it; it comes into effect with the next act or the next start of the hub"},
	{journal.ErrFull, cli.Storage, "journal_full", "free some space on the journal's disk; nothing was done"},
	{ledger.ErrJournal, cli.Storage, "journal_unwritable", "look after the journal's disk; nothing was done, so try again afterwards"},
	{tables.ErrNotEmpty, cli.Refused, "database_not_empty", "name an empty database: createdb makes one"},
	{tables.ErrDiffers, cli.Integrity, "copy_differs", "the hub works where it was; look after the server's disk and memory, then try again"},
	{store.ErrAway, cli.Unreachable, "database_away", "see that the database server runs and that --db is right; what devices send waits meanwhile"},
	{store.ErrDenied, cli.Credential, "database_denied", "correct the user in --db and the password in PGPASSWORD or the pgpass file"},
	{store.ErrLocked, cli.Storage, "locked", "stop it, or name another --data folder"},
	{store.ErrFull, cli.Storage, "disk_full", "free some space and start the hub again; nothing that was acknowledged is lost"},
	{store.ErrReadOnly, cli.Storage, "read_only", "give the hub's user the right to write in its folder"},
	{store.ErrNewer, cli.Integrity, "newer_database", "start the newer hub, or name another --data folder"},
	{store.ErrForeign, cli.Integrity, "not_a_hub", "name another --data folder, or restore a backup"},
	{store.ErrDamaged, cli.Integrity, "database_damaged", "keep a copy of the file, then restore the newest backup: devices send again what it lacks"},
	{broker.ErrAway, cli.Unreachable, "nats_away", "see that the servers run and that --nats names them"},
	{broker.ErrAddress, cli.Usage, "bad_address", "correct it"},
	{broker.ErrKeys, cli.Integrity, "keys_damaged", "restore the folder keys from a backup; new keys would mean enrolling every device again"},
	{server.ErrNote, cli.Integrity, "note_damaged", "name once more what it held: journal.json --journal FOLDER, database.json --db ADDRESS, nats.json --nats ADDRESS; for restored.json restore the backup again"},
	{broker.ErrRevocations, cli.Integrity, "revocations_damaged", "put keys/revoked.json back from a backup; or, if the database was not put back, move it aside: it is made anew of what the database calls revoked"},
	{broker.ErrBuffer, cli.Integrity, "stream_damaged", "move its folder stream aside and start the hub again: devices send again what had no receipt"},
	{store.ErrExists, cli.Refused, "device_exists", "add --again to give the device a new life, or choose another name"},
	{store.ErrRevoked, cli.Refused, "device_revoked", "a revoked device stays revoked: add it under another name"},
	{store.ErrNotFound, cli.Refused, "not_found", "check the name: hub device list"},
}
