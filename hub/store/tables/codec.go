package tables

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// verdicts gives each verdict its number in the database: its place here.
// The numbers are stored, so new ones are added at the end.
var verdicts = [...]store.Verdict{
	store.Held, store.Applied, store.Merged, store.Conflict, store.Duplicate,
	store.Review, store.Flagged, store.Quarantined, store.Refused,
}

// applied is the number that the index over verdicts leaves out.
const applied = 1

func verdictNumber(v store.Verdict) (int64, error) {
	for i, have := range verdicts {
		if have == v {
			return int64(i), nil
		}
	}
	return 0, fmt.Errorf("unknown verdict %q", v)
}

func verdictOf(n int64) (store.Verdict, error) {
	if n < 0 || n >= int64(len(verdicts)) {
		return "", fmt.Errorf("%w: verdict number %d", ErrDamagedRow, n)
	}
	return verdicts[n], nil
}

// encodeSet writes a set as uvarint pairs: seqs missing before a run, length of the run.
func encodeSet(s lane.Set) []byte {
	b := make([]byte, 0, 8)
	next := dot.Seq(1)
	for _, r := range s {
		b = binary.AppendUvarint(b, uint64(r.First-next))
		b = binary.AppendUvarint(b, r.Len())
		next = r.Last + 1
	}
	return b
}

func decodeSet(b []byte) (lane.Set, error) {
	var s lane.Set
	next := dot.Seq(1)
	for len(b) > 0 {
		missing, n := binary.Uvarint(b)
		length, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || missing > uint64(dot.MaxSeq) || length == 0 || length > uint64(dot.MaxSeq) {
			return nil, fmt.Errorf("%w: set of received seqs", ErrDamagedRow)
		}
		r := lane.Run(next+dot.Seq(missing), next+dot.Seq(missing+length)-1)
		if !r.Valid() || (missing == 0 && len(s) > 0) {
			return nil, fmt.Errorf("%w: set of received seqs", ErrDamagedRow)
		}
		s, next, b = append(s, r), r.Last+1, b[n+m:]
	}
	return s, nil
}

// checkRun refuses seqs that the database cannot hold.
func checkRun(c dot.Chain, r lane.Range) error {
	if !r.Valid() {
		return fmt.Errorf("seqs %s of %s: must run upwards between 1 and %d", r, c, dot.MaxSeq)
	}
	return nil
}

// orNull stores a zero hash as NULL.
func orNull(h entry.Hash) any {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

// parts gives what the columns public, private and private_hash hold of an
// entry: the hash stands only where the private part does not.
func parts(r entry.Raw) (public, private, privateHash []byte) {
	public = r.Public
	if public == nil {
		public = []byte{}
	}
	if r.Erased() {
		return public, nil, r.PrivateHash[:]
	}
	return public, r.Private, nil
}

// scanRaw reads public, private and private_hash from column col on.
func scanRaw(s Row, col int) (entry.Raw, error) {
	r := entry.Raw{Public: blob(s, col), Private: blob(s, col+1)}
	if r.Private != nil {
		r.PrivateHash = sha256.Sum256(r.Private)
		return r, nil
	}
	return r, digest(s, col+2, r.PrivateHash[:])
}

// chainColumns name a chain; scanChain reads them from column col on.
const chainColumns = "c.device, c.incarnation, c.lane"

func scanChain(s Row, col int) dot.Chain {
	return dot.Chain{
		Device:      dot.Device(s.Text(col)),
		Incarnation: dot.Incarnation(s.Int64(col + 1)), //nolint:gosec // was one when it was stored
		Lane:        dot.Lane(s.Int64(col + 2)),        //nolint:gosec // was one when it was stored
	}
}

// laneColumns read a lane of chains c.
const laneColumns = chainColumns + ", c.received, c.head, c.archived, c.duplicates, c.declared, c.declared_head, c.declared_at, c.received_at, c.sealed, c.joined, c.joined_head"

func scanLane(s Row) (store.Lane, error) {
	l := store.Lane{
		Chain: scanChain(s, 0), Archived: dot.Seq(s.Int64(5)), Duplicates: uint64(s.Int64(6)), //nolint:gosec // never negative
		Declared: dot.Seq(s.Int64(7)), DeclaredAt: s.Int64(9), ReceivedAt: s.Int64(10), //nolint:gosec // never negative
	}
	var err error
	if l.Received, err = decodeSet(s.Bytes(3)); err != nil {
		return l, fmt.Errorf("lane %s: %w", l.Chain, err)
	}
	if s.Null(4) {
		l.Head = entry.Genesis(l.Chain)
	} else if err := digest(s, 4, l.Head[:]); err != nil {
		return l, fmt.Errorf("lane %s: %w", l.Chain, err)
	}
	if l.Sealed, err = decodeSet(s.Bytes(11)); err != nil {
		return l, fmt.Errorf("lane %s: %w", l.Chain, err)
	}
	l.Joined = dot.Seq(s.Int64(12)) //nolint:gosec // never negative
	return l, errors.Join(digest(s, 8, l.DeclaredHead[:]), digest(s, 13, l.JoinedHead[:]))
}

// entryColumns and entryTables read an entry e, without and with its bytes;
// scanEntry reads them from column 0 on.
const (
	entryColumns = "e.number, " + chainColumns + ", e.seq, e.hash, form.term, e.form_version, kind.term, e.entity, actor.term, " +
		"e.device_time, e.corrected_time, e.received_at, via.term, e.verdict, code.term, e.words"
	rawColumns  = ", e.public, e.private, e.private_hash"
	entryTables = " FROM entries e JOIN chains c ON c.id = e.chain LEFT JOIN terms form ON form.id = e.form" +
		" LEFT JOIN terms kind ON kind.id = e.entity_type LEFT JOIN terms actor ON actor.id = e.actor" +
		" LEFT JOIN terms via ON via.id = e.via LEFT JOIN terms code ON code.id = e.code"
)

func scanEntry(s Row, withRaw bool) (store.ListedEntry, error) {
	e := store.ListedEntry{Number: s.Int64(0), Entry: store.Entry{
		Dot:  scanChain(s, 1).At(dot.Seq(s.Int64(4))),    //nolint:gosec // never negative
		Form: s.Text(6), FormVersion: uint32(s.Int64(7)), //nolint:gosec // was one when it was stored
		EntityType: s.Text(8), Entity: s.Text(9), Actor: s.Text(10),
		DeviceTime: s.Int64(11), CorrectedTime: s.Int64(12), ReceivedAt: s.Int64(13),
		Via: dot.Device(s.Text(14)), Judgement: store.Judgement{Code: s.Text(16), Words: s.Text(17)},
	}}
	var err error
	if e.Judgement.Verdict, err = verdictOf(s.Int64(15)); err != nil {
		return e, fmt.Errorf("entry %s: %w", e.Dot, err)
	}
	if err := digest(s, 5, e.Hash[:]); err != nil {
		return e, fmt.Errorf("entry %s: %w", e.Dot, err)
	}
	if withRaw {
		if e.Raw, err = scanRaw(s, 18); err != nil {
			return e, fmt.Errorf("entry %s: %w", e.Dot, err)
		}
	}
	return e, nil
}
