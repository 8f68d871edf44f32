package store

import (
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/lane"
)

// What callers tell apart. The words around them say which thing and what to do.
var (
	ErrLocked   = errors.New("the store is in use")
	ErrFull     = errors.New("the disk is full")
	ErrReadOnly = errors.New("the store cannot be written")
	ErrFails    = errors.New("the disk fails")
	ErrDamaged  = errors.New("the store is damaged")
	ErrWrongKey = errors.New("the key does not open the store")
	ErrNewer    = errors.New("the store was made by a newer program")
	ErrTooLarge = errors.New("the entry is too large")
	ErrClosed   = errors.New("the store is closed")
	ErrNotFound = errors.New("there is no such entry")
	ErrPruned   = errors.New("the entry is in the hub's archive and was removed here")
)

// Code is the reason of a finding. Codes stand in reports: they never change.
type Code string

// The codes of a [Finding].
const (
	CodeEntriesLost   Code = "entries_lost"    // seqs below a chain's last one are not there
	CodeEntryDamaged  Code = "entry_damaged"   // an entry is there and does not open
	CodeChainBroken   Code = "chain_broken"    // two neighbours open, and their heads do not join
	CodeRowDamaged    Code = "row_damaged"     // a tail, receipt or setting does not open
	CodeFileDamaged   Code = "file_damaged"    // a file of the database was set apart
	CodeFileExtra     Code = "file_unlisted"   // a table that the MANIFEST does not name was set apart
	CodeEndUnknown    Code = "end_unknown"     // after damage nothing proves where the chain ended
	CodeHeadMismatch  Code = "head_mismatch"   // the hub has other content at the same seq
	CodeReceiptAhead  Code = "receipt_ahead"   // the hub received more than this device has
	CodeUnknownChain  Code = "receipt_unknown" // a receipt for a chain that this device never had
	CodeBaseDamaged   Code = "base_damaged"    // rows that the hub sent are damaged or missing; they are loaded anew
	CodeNotRehomed    Code = "not_rehomed"     // entries that must go on under other names and could not yet
	CodeArchiveBroken Code = "archive_broken"  // the hub lost what was pruned here because it was archived there
	CodeReceiptBroken Code = "receipt_invalid" // a receipt whose ranges make no sense
)

// Finding is one thing that is wrong with the store: data, not a failure.
type Finding struct {
	Code  Code         `json:"code"`
	Chain dot.Chain    `json:"-"`                // zero when it concerns no chain
	Seqs  []lane.Range `json:"ranges,omitempty"` // which entries, exactly
	What  string       `json:"what"`
	Which string       `json:"which"` // chain and ranges, or the file, in words
	Do    string       `json:"do"`
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Code, f.Which, f.What) }

// chainFinding words a finding about entries of a chain.
func chainFinding(code Code, c dot.Chain, seqs []lane.Range, what, do string) Finding {
	which := c.String()
	if len(seqs) > 0 {
		which += " " + lane.Format(seqs)
	}
	return Finding{Code: code, Chain: c, Seqs: seqs, What: what, Which: which, Do: do}
}

// damaged is an error of the whole store, with what to do.
func damaged(which, what, do string) error {
	return fmt.Errorf("%w: %s: %s: %s", ErrDamaged, which, what, do)
}
