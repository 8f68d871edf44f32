// Package store keeps a device's entries in a Badger database.
//
// It promises one thing above all: when [Store.Append] returns without an
// error, the entry is on the disk, in its place in its chain, and the chain's
// tail beside it, in one commit. Everything else is derived. The outbox is not
// rows: it is what lies between 1 and a chain's last seq and is not covered by
// the hub's receipts (docs/adr/0003-outbox-is-an-interval.md). So settling a
// receipt is one small write, nothing is deleted, and no two rows can disagree.
//
// One goroutine, the committer, owns the tails. Callers hand it drafts and
// wait; it puts up to 256 waiting ones into one synced transaction and answers
// all of them afterwards. Receipts and settings go the same way.
//
// What is on the disk is not trusted. Every value is sealed under its key, so a
// changed or swapped value does not open; every entry carries the head before
// it, so an entry that is missing or out of place shows; and the chain's last
// seq and head are kept a second time outside the database, so a lost end shows
// too. What is damaged is named exactly, as a [Finding], and stepped over: the
// rest stays readable.
//
// # The folder
//
//	DIR/db/        the Badger database
//	DIR/tails-N    last seq, head and logical time of the lanes of incarnation N, see tails.go
//	DIR/lock, pid  who has the store open
//	DIR/ballast    space that is given up on a full disk so that the store can open
//	DIR/apart/     damaged files and copies made before a repair; nothing but why.json is read
//
// # The keys, version 1
//
// A key starts with one byte that says what it is. Numbers are big endian.
// CHAIN is: length of the device name (1 byte), device name, incarnation
// (4 bytes), lane (1 byte).
//
//	01                    the store's format: version, device; opens only with the right key
//	02                    written to be dropped at once, see reclaim.go; means nothing
//	10 CHAIN seq(8)       one entry: head before it (32), saved at in Unix ms (8), entry.Raw.Encode()
//	11 CHAIN              the chain's tail: last seq, its head, its logical time
//	12 CHAIN              the chain's receipt: epoch, through, head there, extra ranges, archived
//	13 CHAIN              what was pruned: runs with the heads before and after each, when the archive
//	                      reached which seq by the hub's clock, when all was looked through, bytes
//	                      that went since the tables were merged
//	15 CHAIN              the chain's end, once it goes on in another life: the last seq that is
//	                      the hub's as well, its head, and where later entries are now
//	20 name(1)            a setting; 01 is the contact with the hub, 02 the findings,
//	                      03 the traffic of the latest day, 04 what a person set on the page
//	30 id                 a form draft (a form that is being filled in): content and when it was
//	                      saved; once completed, the entry's dot and hash
//	31 SCOPE gen(4) slot(1) key
//	                      a row of a scope's feed as the hub has it: n, rev, kind, line, body
//	32 TYPE ID CHAIN seq(8)
//	                      an entry of this device that writes to that entity: nothing inside
//	34 SCOPE              how far the scope is: the generation that is shown and its number of
//	                      rows, the hub's signed cursors, lines, a generation that is being loaded
//	36 TYPE ID            an entity of this device's writes that no scope held when one was taken away
//	40 hash(32)           a photo or file that an entry names: size, type, that entry's dot, and
//	                      the epoch of the hub's database that has it; whether it went from here
//
// SCOPE is: length of the scope's name (1 byte), the name. A row stands once for
// each scope that holds it, so leaving a scope and loading it anew touch no
// other; of several, the one with the highest rev is shown. What the hub made of
// the device's entries is rows of the device's own scope.
//
// TYPE and ID are: length (1 byte), text. Rows under 32 are found by what an
// entity is; whether one is of the overlay still follows from the base row, so a
// hub that was put back puts it back by itself (see overlay.go).
//
// Reserved, each for one kind of row: 14 verdicts (not used), 33 due index, 35 search
// index, 41 blob chunks (not used), 50 batches carried for others, 60 the
// device's own audit. 21 is never used: Badger keeps its own rows there.
//
// # The values
//
// Every value is a byte that names the sealing, then what that sealing says.
// 01 is: nonce (24 random bytes), then XChaCha20-Poly1305 of the content under
// the store's key with the Badger key as additional data. Other sealings (a
// second key for archived entries) get other numbers.
//
// Content of rows other than entries is deterministic CBOR with integer keys.
//
// # Pruning
//
// What the hub has in a verified backup may go once the device has known that for
// long enough ([Store.Prune], law L8). An entry, its rows under 32 and the row 13 are
// one commit, so a run is pruned as a whole or not at all. The heads around each run
// are kept: neighbours, receipts and refilled entries are checked against them. A
// chain's last entry always stays. What a damaged or older row 13 does not name
// counts as lost, is the hub's, and comes back from there.
//
// # Lives
//
// New entries go to the chains of one incarnation, the current life; [Store.Begin]
// begins another while the store is open. When the hub's history of a chain parts
// from this one, [Store.Rehome] gives each later entry a new dot in the current
// life (law L3), in commits that hold the new entries and how far it has got: a
// crash at any point leaves it to [Open] to finish, before anything else is
// captured, so that re-homed entries stand before new ones. Old forms stay, and
// lists show these, in their place.
//
// The nouns: [Store]; [ChainState], what is known of one chain; [Run],
// consecutive entries for a batch; [Item], one entry for a list; [Settlement],
// what a receipt changed; [Contact]; [Finding]; [Feed], how far a scope is, and
// [Page], which takes it further; [BaseRow], what the hub has of something.
//
// # What the hub sends
//
// A page's rows and its cursor are one commit. What the commit makes the device
// show otherwise is listed in plan.changed (rows) and plan.switched (whole
// scopes): what must never be seen apart from it, such as the overlay, is planned
// from these lists in plan.finish. [Store.Changed] tells them, and which entities own
// records write to, to whoever keeps something of all entities in memory.
package store
