// Package ledger keeps what the hub itself authored: whom it invited, enrolled
// and revoked, what its operators decided.
//
// Devices cannot bring such facts back when the hub is put back to an older copy
// of its database, as they bring back their entries. So each is signed with the
// hub key, and is synced to a journal on another disk BEFORE the database
// commits it (law L14 of the protocol). A restored hub reads its journal and
// catches up.
//
// The facts are one chain: each holds the hash of the one before, so none can be
// taken out or changed unseen, and journal and database must tell the same
// story. [Ledger.Record] is the only way in. In ONE transaction of the database
// it takes the next number, brings the effect about, adds the fact, writes it to
// the journal, and commits:
//
//   - an effect that is refused leaves neither fact nor record;
//   - a journal that cannot be written refuses the act, and nothing of it is done;
//   - a commit that fails after the journal was written leaves a fact that is
//     decided and not in effect yet ([ErrPending]). The next act, or the next
//     start, brings it about by its kind's Apply.
//
// A journal that is behind the database, or new, is filled from it. Two that
// tell different stories are refused: [ErrForked].
//
// The database transaction waits for the journal's disk. Acts are few and the
// entries of devices wait for milliseconds; a disk that hangs makes the hub wait
// with it, so a journal belongs on a disk, not on a share far away.
//
//   - [Act] is what is to be recorded, [Fact] what was, [Kind] what a kind of fact does.
//   - [Ledger] records; [Open] compares, fills and catches up.
//   - [Read] and [Check] look at facts without one.
package ledger
