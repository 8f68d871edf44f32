// Package backup copies a hub so that it can be put back, and says what of it
// is safe in such copies.
//
// A backup is a folder with the database of one moment, the hub's keys, and a
// manifest. It gets its name only after it was verified: the copy was opened in
// a scratch folder as a hub would open it, checked for damage, and every
// chain's heads were computed anew from the entries' bytes. A folder whose name
// starts with a dot is not a backup, whatever is in it.
//
// What is archived follows law L8 of the protocol: a chain is archived as far as
// the second-newest backup that is kept holds it, read from the lane heads in a
// scratch restore of that very backup, and only where the newest has the same
// head there. So one backup may be lost or prove bad and what devices were told
// still holds. What was promised is written to archive.json, beside the
// backups, before any device is told; [Restore] compares a backup with it.
//
//	DIR/20250918T031500Z/hub.db       the database
//	DIR/20250918T031500Z/keys/        the hub's keys, as they are in its folder
//	DIR/20250918T031500Z/backup.json  the manifest: number, epoch, lanes, digests
//	DIR/photos/ab/abcd…               photos and files of all backups, by their hash
//	DIR/archive.json                  what devices were told is archived
//	DIR/lock                          held while a backup is made
//	DIR/.making-*, DIR/.going-*       being made, being removed; swept by the next backup
//
// Backups are numbered; their order is that of the numbers, not of the names,
// which a clock gives.
//
//   - [Keeper] makes backups of a running or a stopped hub: [Keeper.Make].
//   - [Verify] looks through one; [Restore] puts one into an empty folder.
//   - [Manifest], [LaneMark]: what a backup holds; [Promise]: what it was promised to hold.
package backup
