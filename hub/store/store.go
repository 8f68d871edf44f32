// Package store is the contract between the hub and its database.
//
// It speaks of what the hub does, not of rows: a device is added, a code is
// redeemed, a batch is ingested, an entry is judged. Everything that one batch
// causes happens inside one [Store.Ingest] call and is committed whole or not
// at all; only after it returned may a receipt be sent (law L5 of the
// protocol). Package tables fulfils the contract in SQL, the rooms sqlite and
// postgres on their databases; storetest holds the one suite that both must pass.
// The nouns:
//
//   - [Device], [Key]: who may speak, and with what signing key in which life.
//   - [Lane]: what the hub holds of a chain, and what the device declared.
//   - [Entry]: one received entry with the hub's [Verdict] on it.
//   - [Segment]: entries held above a hole, with the heads they claim.
//   - [Gap]: seqs missing below the highest received, and since when.
//   - [Fork]: a second, different entry under a dot that is taken.
//   - [Life]: one of the lives that a device minted by itself, or was enrolled in.
//   - [Form]: where the fact of an older form of an entry is now.
//   - [Unattributed]: bytes that no valid known signer vouches for.
//   - [Contact], [Finding]: a device's last hello, and what the hub noticed.
//   - [Loss]: entries that the hub had before it was put back to an older copy.
//   - [Watermark]: how far a chain lies in a verified backup.
//   - [FeedChange], [FeedHead], [FeedPage]: what goes down to devices.
//   - [Entity]: a long-lived thing, and where it is shown; [Item]: what a person has to look at.
//   - [Hit], [EntityHit]: what was found by words.
//   - [Blob]: a photo or file that an entry names.
//   - [Operator], [Session], [Link], [APIToken]: who works here, and how they get in.
//   - [RosterList], [RosterRow], [RosterMatch], [RosterRuling]: official lists, what
//     became of their rows, and what was decided about that.
//   - [Fact]: a row of the ledger of what the hub itself authored.
//   - [Standing], [Sample]: what stands open, and how that was before.
//   - [Absence]: when a device is expected to be out of reach.
//   - [Doubt]: a device whose revocation the hub may have forgotten.
//
// Times are Unix milliseconds of the hub's clock unless their name says device.
package store

import (
	"context"
	"errors"
	"iter"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/receipt"
	"otor/internal/rules"
)

// Errors that callers tell apart. Implementations wrap them with the thing concerned.
var (
	ErrNotFound    = errors.New("not found")
	ErrExists      = errors.New("exists already")
	ErrCodeUsed    = errors.New("enrolment code was used already")
	ErrCodeExpired = errors.New("enrolment code has expired")
	ErrRevoked     = errors.New("device was revoked")
	ErrLocked      = errors.New("database is in use by another process")
	ErrReadOnly    = errors.New("database cannot be written")
	ErrFull        = errors.New("disk is full")
	ErrForeign     = errors.New("not a database of a hub")
	ErrNewer       = errors.New("database was made by a newer program")
	ErrDamaged     = errors.New("database is damaged")
	ErrClosed      = errors.New("database is closed")
	ErrAway        = errors.New("database cannot be reached")
	ErrDenied      = errors.New("database refuses its user")
)

// Verdict is what the hub made of an entry.
type Verdict string

// The verdicts. Held entries have no other verdict yet.
const (
	Held        Verdict = "held"
	Applied     Verdict = "applied"
	Merged      Verdict = "merged"
	Conflict    Verdict = "conflict"
	Duplicate   Verdict = "duplicate"
	Review      Verdict = "review"
	Flagged     Verdict = "flagged"
	Quarantined Verdict = "quarantined"
	Refused     Verdict = "refused"
)

// Judgement is a verdict with its reason: a code for programs, words for people.
type Judgement struct {
	Verdict Verdict
	Code    string // empty when applied without remark
	Words   string
}

// Lane is what the hub holds of a chain.
type Lane struct {
	Chain      dot.Chain
	Received   lane.Set   // every seq that is in the ledger
	Head       entry.Hash // the verified head at Received.Through()
	Archived   dot.Seq
	Duplicates uint64 // copies that arrived again and were acknowledged again
	// Declared and DeclaredHead are the highest the device said it has; DeclaredAt when.
	Declared     dot.Seq
	DeclaredHead entry.Hash
	DeclaredAt   int64
	ReceivedAt   int64 // the latest arrival, 0: none

	// Sealed are seqs that the hub waits for no more: what lies above them is
	// applied as if they were there. Joined is how far entries were applied, JoinedHead the
	// head there, where that is not Received.Through and Head: further, past sealed seqs, or less
	// far, while what was held is released. Else both are zero.
	Sealed     lane.Set
	Joined     dot.Seq
	JoinedHead entry.Hash
}

// Lacking gives what is missing of the lane: holes below the highest received seq, and
// all up to there that its device declared. What was sealed is not waited for.
func (l Lane) Lacking() (holes, waiting []lane.Range) {
	account := l.Received
	for _, r := range l.Sealed {
		account = account.Add(r)
	}
	return account.Missing(l.Received.Highest()), account.Missing(l.Declared)
}

// Entry is one received entry.
type Entry struct {
	Dot  dot.Dot
	Hash entry.Hash
	Raw  entry.Raw
	// What the public part says, for queries:
	Form          string // or the system kind, prefixed "system:"
	FormVersion   uint32
	EntityType    string
	Entity        string
	Actor         string
	DeviceTime    int64 // the device's wall clock
	CorrectedTime int64 // the same moment by the hub's clock, as well as it is known
	ReceivedAt    int64
	Via           dot.Device // who carried it; empty: came by itself
	Judgement     Judgement
	// Touches is what it does to entities, as long as it is being taken in. It is
	// read from Raw and not stored.
	Touches []merge.Touch
	// Late says that it takes its effect after later entries of its chain did. It is
	// not stored.
	Late bool
	// Noted is the record as rules see it, for as long; nil when no rule looks at it.
	Noted *rules.Record

	// Words are those by which it is found, as long as it is being taken in.
	Words []string

	// Blobs are the files that Raw names. They are not stored apart.
	Blobs []entry.Blob
	// Was is the older form that Raw names, nil for none. It is not stored apart.
	Was *entry.Was
	// Corrects is the entry that Raw corrects, nil for none, as long as it is being taken in.
	Corrects *dot.Dot
}

// Segment is a run of held entries: above a hole, with a verified chain of
// their own that must link to Before when the hole fills.
type Segment struct {
	Chain  dot.Chain
	Run    lane.Range
	Before entry.Hash // the head that the chain must have at Run.First-1
	After  entry.Hash // the head at Run.Last
}

// Gap is a run of missing seqs below the highest received one of its chain.
type Gap struct {
	Chain    dot.Chain
	Run      lane.Range
	OpenedAt int64
	ClosedAt int64 // 0: still open
}

// Fork is an entry that arrived under a dot which another entry holds, or that
// continues a chain from a head which the hub does not have (law L4).
type Fork struct {
	Dot        dot.Dot
	Hash       entry.Hash
	Raw        entry.Raw
	ReceivedAt int64
	Via        dot.Device
	Code       string // fork, or chain_mismatch
	ResolvedAt int64  // its fact came in as Now; 0: not yet
	Now        dot.Dot
}

// Form says where the fact of an older form of an entry is now: in the first
// entry that named that form as its was.
type Form struct {
	Was entry.Was
	Now dot.Dot
}

// Unattributed is a frame that nobody known vouches for. It is in no lane.
type Unattributed struct {
	ID         int64
	ReceivedAt int64
	Via        dot.Device // whose connection it came by; blamed on nobody
	Claims     dot.Device // the name that it claims, if readable
	Code       string     // malformed, unknown_key, revoked, bad_signature, body_mismatch
	Words      string
	Size       int    // bytes of the frame as it arrived
	Frame      []byte // at most MaxKeptFrame of it
}

// MaxKeptFrame bounds what is kept of one unattributed frame, in bytes.
const MaxKeptFrame = 256 << 10

// MaxUnattributed bounds the unattributed list; the oldest give way, and
// [Totals.Unattributed] still counts them.
const MaxUnattributed = 10_000

// Loss is a run of entries of which a device holds receipts and that the hub
// does not have: it was put back to an older copy of its database. Within Run
// some may never have been missing.
type Loss struct {
	Chain      dot.Chain
	Run        lane.Range
	Epoch      receipt.Epoch // in which it was noted, and in which it comes back
	Missing    uint64        // entries of Run that were missing when it was noted
	Left       uint64        // of those, still missing; set by Losses
	NotedAt    int64
	RegainedAt int64 // 0: not all of it yet
}

// Watermark says how far a chain lies in a verified backup.
type Watermark struct {
	Chain   dot.Chain
	Through dot.Seq
}

// EntryQuery chooses entries in order of arrival. Zero fields do not restrict.
type EntryQuery struct {
	Device  dot.Device
	Lane    dot.Lane
	Verdict Verdict
	After   int64 // arrival number, exclusive, see [ListedEntry]
	Limit   int   // 0: no limit
	WithRaw bool  // fill Entry.Raw
	// Newest turns the order round; Before then goes on behind an arrival number, 0: from
	// the newest. They go with Verdict and Limit, and with nothing else that chooses.
	Newest bool
	Before int64
}

// ListedEntry is an entry with its arrival number, which only rises.
type ListedEntry struct {
	Number int64
	Entry
}

// Totals counts over the hub's whole life.
type Totals struct {
	Entries      int64
	ByVerdict    map[Verdict]int64
	Unattributed int64
	Forks        int64
	Duplicates   int64
}

// Store is the hub's database. All methods are safe for concurrent use.
type Store interface {
	BlobStore
	PackStore
	Rosters
	Absences

	// Epoch returns the database's certificate; mint is called once, to make
	// it, when the database has none yet.
	Epoch(ctx context.Context, mint func() (receipt.EpochCertificate, error)) (receipt.EpochCertificate, error)

	// Succeed makes child the database's epoch in place of was, and notes losses,
	// in one transaction. When the epoch is not was any more nothing changes:
	// somebody else was faster. now is the epoch after the call in either case.
	Succeed(ctx context.Context, was receipt.Epoch, child receipt.EpochCertificate, losses []Loss) (now receipt.EpochCertificate, minted bool, err error)
	// NoteLosses notes what devices say is missing. A chain has one open loss,
	// which grows; Missing and Left are counted here, and a loss of which
	// nothing is missing is not noted. It is closed by the SaveLane that brings
	// the last of it.
	NoteLosses(ctx context.Context, losses []Loss) error
	// Losses lists losses by the time they were noted, open ones only unless
	// regained is true.
	Losses(ctx context.Context, regained bool) ([]Loss, error)

	// Archive raises what lanes hold as archived, never above what they hold as
	// received without a hole; a lower mark changes nothing. Unknown chains are passed over.
	Archive(ctx context.Context, marks []Watermark) error
	// Snapshot writes the database of one moment, while others write, into a new
	// file that an Open of the same implementation takes. It is synced. An error
	// or the end of ctx may leave a part of the file.
	Snapshot(ctx context.Context, file string) error
	// Check looks for damage in the whole database; it wraps ErrDamaged when it finds some.
	Check(ctx context.Context) error
	// Glance does so in a fraction of the time, and leaves out what indexes say.
	Glance(ctx context.Context) error

	// Invite adds the device or, when it exists, replaces its open code, and its
	// scopes unless none are given. ErrExists when it is enrolled and again is
	// false, or when that code was given out before; ErrRevoked when it was revoked.
	Invite(ctx context.Context, in Invitation, again bool) error
	// Redeem spends a code, once: it stores the keys under a new incarnation.
	// It wraps ErrNotFound, ErrCodeUsed, or ErrCodeExpired (from ExpiresAt on, and
	// when a newer code replaced it), or ErrRevoked.
	Redeem(ctx context.Context, e Enrolment) (Key, error)
	Devices(ctx context.Context) ([]Device, error)
	Device(ctx context.Context, id dot.Device) (Device, error)
	// Key is the key of an enrolment, or of the enrolment that a life which the
	// device minted by itself belongs to.
	Key(ctx context.Context, d dot.Device, i dot.Incarnation) (Key, error)
	// Keys gives the keys of all enrolments of a device, newest first.
	Keys(ctx context.Context, d dot.Device) ([]Key, error)

	// Claim notes a life under its number. known is what the hub has there after
	// the call. taken says that it is another life: one with another id, of
	// another enrolment, or an enrolment's own number; or the number is further
	// than MaxAhead above the lowest free one. A life known by its entries
	// alone gets the id of the first that claims it. Claiming again changes
	// nothing. ErrNotFound for an unknown device.
	Claim(ctx context.Context, l Life) (known Life, taken bool, err error)
	// Speak notes that a life said hello. Lives of the same enrolment that were
	// claimed later and have spoken are then live twins of it: twins are those
	// that were not known to be so.
	Speak(ctx context.Context, d dot.Device, i dot.Incarnation, at int64) (twins []Life, err error)
	// Lives lists the lives of a device, of all when d is empty, by number.
	Lives(ctx context.Context, d dot.Device) ([]Life, error)
	// UplinkOnly reports whether a life is a twin that no operator confirmed.
	UplinkOnly(ctx context.Context, d dot.Device, i dot.Incarnation) (bool, error)
	// NextLife is the lowest number that no life or enrolment of the device has.
	NextLife(ctx context.Context, d dot.Device) (dot.Incarnation, error)
	// EndDeclared takes back what a device declared of a chain when it went by
	// another history: declared falls to what was received, if it is exactly
	// last with that head.
	EndDeclared(ctx context.Context, c dot.Chain, last dot.Seq, head entry.Hash) error
	// Compare gives the [wire.Digest] of what the ledger holds in each of runs.
	Compare(ctx context.Context, c dot.Chain, runs []lane.Range) ([]entry.Hash, error)
	// OpenForks counts the forks of a device whose facts did not come in otherwise.
	OpenForks(ctx context.Context, d dot.Device) (int64, error)
	// Revoke ends a device for good: no code of it is redeemed any more, and all
	// its keys count as revoked from at on. It returns the keys. ErrNotFound for
	// an unknown device; revoking again keeps the first time.
	Revoke(ctx context.Context, d dot.Device, at int64) ([]Key, error)

	// Facts lists the ledger's facts by number, those that were there when it is
	// ranged over, and holds no transaction open between them. An error comes
	// last, with a zero fact.
	Facts(ctx context.Context, q FactQuery) iter.Seq2[Fact, error]
	// Doubts lists the devices that an operator has yet to confirm, by name; or
	// that one device if it is among them.
	Doubts(ctx context.Context, only dot.Device) ([]Doubt, error)
	// Revoked lists the keys of revoked devices.
	Revoked(ctx context.Context) ([]Key, error)

	// Ingest runs fn in ONE transaction, alone among Ingest calls that touch the
	// same lane, and commits durably when fn returns nil. An error or a panic of
	// fn, a failed call of Tx, or the end of ctx before the commit leaves nothing.
	// fn must not call the Store's own writing methods, and is run once.
	Ingest(ctx context.Context, fn func(Tx) error) error

	// NoteContact stores a hello: the device's contact, and what it declared of
	// its lanes (lanes the hub never heard of are made). Declared never falls
	// within an incarnation's lane; a lower one changes nothing of that lane.
	// ErrNotFound for a device that was never invited.
	NoteContact(ctx context.Context, d dot.Device, c Contact, declared []Lane) error
	// SetFinding opens or updates the device's open finding of f.Code; ClearFinding closes it.
	SetFinding(ctx context.Context, f Finding) error
	ClearFinding(ctx context.Context, d dot.Device, code string, at int64) error
	// PutUnattributed stores a frame that nobody vouches for, whole or cut to
	// MaxKeptFrame, and drops the oldest beyond MaxUnattributed. The same bytes
	// by the same way are kept once; new reports whether they were new.
	PutUnattributed(ctx context.Context, u Unattributed) (isNew bool, err error)

	Lanes(ctx context.Context) ([]Lane, error)
	LanesOf(ctx context.Context, d dot.Device) ([]Lane, error)
	// Entries lists what was there when it is ranged over. It keeps no
	// transaction open between entries: the caller may stop, or call the Store.
	// An error comes last, with a zero entry.
	Entries(ctx context.Context, q EntryQuery) iter.Seq2[ListedEntry, error]
	// EntriesOf reads consecutive entries of c, whole, from run.First on: until
	// one of run is not there, or their parts together have maxBytes, but at least
	// one if it is there. Held ones count as there.
	EntriesOf(ctx context.Context, c dot.Chain, run lane.Range, maxBytes int) ([]Entry, error)
	// EntriesNamed reads at once, whole, those of ds that are there; held ones count as there.
	EntriesNamed(ctx context.Context, ds []dot.Dot) (map[dot.Dot]Entry, error)
	// HeldCounts gives the number of held entries of each chain that has some.
	HeldCounts(ctx context.Context) (map[dot.Chain]int64, error)
	// VerdictCounts gives, for each device, its entries by verdict.
	VerdictCounts(ctx context.Context) (map[dot.Device]map[Verdict]int64, error)
	// Gaps lists gaps by opening time, open ones only unless closed is true.
	Gaps(ctx context.Context, closed bool) ([]Gap, error)
	Forks(ctx context.Context) ([]Fork, error)
	Findings(ctx context.Context, closed bool) ([]Finding, error)
	// Unattributed lists what is kept, oldest first, without Frame, which
	// UnattributedFrame gives for one ID.
	Unattributed(ctx context.Context) ([]Unattributed, error)
	UnattributedFrame(ctx context.Context, id int64) ([]byte, error)
	Totals(ctx context.Context) (Totals, error)

	// Feed reads the rows of a scope above after, in their order and as of one
	// moment: as many as maxBytes hold by [feed.Row.Size], at most
	// [feed.MaxRows], and at least one if there is one.
	Feed(ctx context.Context, scope string, after uint64, maxBytes int) (FeedPage, error)
	// FeedRows reads the rows of a scope that have these names, in the order of
	// N, as of the moment of head. Those that are not there are left out.
	FeedRows(ctx context.Context, scope string, names []feed.Name) (rows []feed.Row, head FeedHead, err error)
	// MarkAt gives the mark of the commit that number n of a scope belongs to.
	// ok is false when the feed does not go as far, has forgotten it, and for 0.
	MarkAt(ctx context.Context, scope string, n uint64) (mark feed.Mark, ok bool, err error)
	// FeedHeads gives the heads of scopes, in their order.
	FeedHeads(ctx context.Context, scopes []string) ([]FeedHead, error)
	// CollectFeeds forgets, in every feed, what went away before a moment, and
	// the marks that only a cursor from before it can hold. It raises floors and
	// returns the number of rows that it dropped.
	CollectFeeds(ctx context.Context, before int64) (int64, error)
	// OnPublish has fn called after each commit that published, with the scopes
	// that moved. It is called by whoever committed and must not block, nor call
	// the Store. nil ends it.
	OnPublish(fn func(scopes []string))

	Operators

	// Entities and items.
	Entities

	Watch

	Index

	Close() error
}
