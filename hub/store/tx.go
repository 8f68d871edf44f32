package store

import (
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// Tx is what ingesting one batch may do. It is used by one goroutine, and not
// after Ingest has returned. A call that fails spoils the transaction: Ingest
// then commits nothing, whatever fn returns. That SegmentAt finds nothing is an
// answer and spoils nothing.
type Tx interface {
	BlobTx
	PackTx
	RosterTx
	AbsenceTx
	NoticeTx
	EntityTx
	IndexTx

	// Lane reads a lane and locks it until the transaction ends. An unknown
	// chain gives an empty lane with the genesis head.
	Lane(c dot.Chain) (Lane, error)
	// SaveLane writes Received, Head, Archived, Duplicates, ReceivedAt, Sealed,
	// Joined and JoinedHead; it
	// leaves what the device declared alone, except that Declared is raised to
	// the highest received seq (DeclaredHead then is the head there, if known,
	// and DeclaredAt is ReceivedAt).
	SaveLane(l Lane) error

	// Insert adds entries; a dot that exists already is ErrExists.
	Insert(es []Entry) error
	// Hashes gives the hashes of the entries of c that exist within run.
	Hashes(c dot.Chain, run lane.Range) (map[dot.Seq]entry.Hash, error)
	// Entries reads the entries of c within run, whole, in order of seq.
	Entries(c dot.Chain, run lane.Range) ([]Entry, error)
	// Judge replaces the judgement of entries; ErrNotFound when one is not there.
	Judge(c dot.Chain, by map[dot.Seq]Judgement) error

	// AddSegment adds a segment; ErrExists when one starts there already.
	AddSegment(s Segment) error
	// SegmentAt gives the segment of c that starts at first; ErrNotFound when none does.
	SegmentAt(c dot.Chain, first dot.Seq) (Segment, error)
	// DropSegment drops the segment that starts at s.Run.First; ErrNotFound when none does.
	DropSegment(s Segment) error

	// OpenGaps lists the open gaps of c by seq; SetGaps replaces them by open
	// and adds closed to the history.
	OpenGaps(c dot.Chain) ([]Gap, error)
	SetGaps(c dot.Chain, open, closed []Gap) error

	// Publish puts changes into feeds, at a moment of the hub's clock. Each takes
	// the next number of its scope, whose row stays locked until the transaction
	// ends: no number is ever seen before a smaller one. Of rows with the same
	// [feed.Name] in a scope the latest alone stays. The commit leaves a mark
	// with each number that it reached.
	Publish(at int64, changes ...FeedChange) error
	// Device reads a device; ErrNotFound for an unknown one. What is made of what
	// stands here is worked out from this, never from what was read before.
	Device(d dot.Device) (Device, error)
	// SetScopes replaces what a device is granted. ErrNotFound for an unknown device.
	SetScopes(d dot.Device, scopes []string) error
	// LastFact gives the ledger's last fact, a zero one when there is none, and
	// locks the ledger until the transaction ends.
	LastFact() (Fact, error)
	// AddFact adds a fact, whose number must be the next; ErrExists when its id is there.
	AddFact(f Fact) error
	// Invite, Redeem and Revoke do what the Store's own do.
	Invite(in Invitation, again bool) error
	Redeem(e Enrolment) (Key, error)
	Revoke(d dot.Device, at int64) ([]Key, error)
	// Enrol stores a key under the incarnation that it names, and spends the code
	// if it is known: an enrolment that was decided before. The same key again
	// changes nothing; ErrExists when the incarnation has another one, ErrNotFound
	// when the device was never invited.
	Enrol(k Key, codeHash [32]byte) error
	// Doubt puts every device that is enrolled and not revoked in doubt, and
	// returns how many that are; Trust ends it for one, ErrNotFound when there is none.
	Doubt(since int64, why string) (int, error)
	Trust(d dot.Device) error

	// SetFinding does what the Store's own does.
	SetFinding(f Finding) error

	// AddFork keeps a fork; the same (dot, hash) is kept once. isNew reports whether it was new.
	AddFork(f Fork) (isNew bool, err error)

	// ConfirmLife lets a life have everything, also when it is found to be a twin
	// later; ErrNotFound for a device that was never enrolled.
	ConfirmLife(d dot.Device, i dot.Incarnation, at int64) error

	// Forms lists the older forms within run of c whose facts are elsewhere now.
	Forms(c dot.Chain, run lane.Range) ([]Form, error)
	// AddForm notes where an older form's fact is, unless that is known already,
	// and resolves the fork that holds it, if one does.
	AddForm(f Form, at int64) error
}
