package server

import (
	"context"
	"errors"
	"iter"
	"time"

	"otor/hub/access"
	"otor/hub/backup"
	"otor/hub/blob"
	"otor/hub/contact"
	"otor/hub/ingest"
	"otor/hub/ledger"
	"otor/hub/ledger/journal"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/pack"
	"otor/internal/webui"
)

// Office is what people and programs ask of the hub. Its types are the JSON of
// the commands of the same names.
type Office struct {
	dir     string
	store   store.Store
	ledger  *ledger.Ledger
	epochs  *contact.Epochs
	now     func() time.Time
	zone    *time.Location
	pin     identity.Pin
	hubKey  identity.PublicKey
	key     identity.SigningKey                     // signs statements
	cutOff  func(context.Context, dot.Device) error // ends a revoked device's keys
	address func() string
	console func() string // the address of the pages
	keeper  *backup.Keeper
	blobs   *blob.Room
	domain  reconcile.Domain // nil: no entities
	// operators lets them in.
	operators *access.Desk
	// reconciler and decider follow operators' rulings, author makes records of the hub's own;
	// reconciler is nil without a Domain.
	reconciler *reconcile.Reconciler
	decider    *ingest.Author
	author     *ingest.Author
	forms      ingest.Forms
	// packs are the form packs; nil: none can be published. replay judges anew what waits for a form.
	packs  *pack.Shelf
	replay func(ctx context.Context, w ingest.Waiting) (int, error)
	// rosters are official lists; demo accepts numbers of the fictional area on them.
	rosters *rosterDesk
	demo    bool
}

// The first and last moments that are shown as they are, Unix milliseconds: no
// date format holds years before 1 or after 9999, and one entry of a clock that
// is there must not end a list.
const (
	firstShown = -62_135_510_400_000
	lastShown  = 253_402_214_400_000
)

func (o *Office) at(ms int64) time.Time {
	return time.UnixMilli(min(max(ms, firstShown), lastShown)).In(o.zone)
}

func (o *Office) maybe(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := o.at(ms)
	return &t
}

// EntryLine is a line of the list of entries.
type EntryLine struct {
	Number        int64         `json:"number"`
	Dot           dot.Dot       `json:"dot"`
	Hash          entry.Hash    `json:"hash"`
	Form          string        `json:"form"`
	FormVersion   uint32        `json:"form_version"`
	EntityType    string        `json:"entity_type,omitempty"`
	Entity        string        `json:"entity"`
	User          string        `json:"user,omitempty"`
	DeviceTime    time.Time     `json:"device_time"`
	CorrectedTime time.Time     `json:"corrected_time"`
	ReceivedAt    time.Time     `json:"received_at"`
	Via           dot.Device    `json:"via"`
	Verdict       store.Verdict `json:"verdict"`
	Code          string        `json:"code"`
	Words         string        `json:"words,omitempty"`
	Outcome       string        `json:"outcome"`
}

// Outcome is a verdict's name in the operators' reports.
func Outcome(v store.Verdict) string {
	switch v {
	case store.Applied:
		return "accepted"
	case store.Merged:
		return "merged_parallel"
	case store.Flagged:
		return "accepted_flagged"
	case store.Review:
		return "review_roster_match"
	case store.Duplicate:
		return "duplicate_business"
	case store.Held, store.Conflict, store.Quarantined, store.Refused:
		return string(v)
	default:
		return string(v)
	}
}

// Entries lists entries in order of arrival.
func (o *Office) Entries(ctx context.Context, q store.EntryQuery) iter.Seq2[EntryLine, error] {
	return func(yield func(EntryLine, error) bool) {
		sight, given := o.sight(ctx), 0
		for e, err := range sight.entries(ctx, o.store.Entries(ctx, sight.wider(q))) {
			if err != nil {
				yield(EntryLine{}, err)
				return
			}
			if given++; q.Limit > 0 && given > q.Limit {
				return
			}
			line := EntryLine{
				Number: e.Number, Dot: e.Dot, Hash: e.Hash, Form: e.Form, FormVersion: e.FormVersion,
				EntityType: e.EntityType, Entity: e.Entity, User: e.Actor, DeviceTime: o.at(e.DeviceTime), CorrectedTime: o.at(e.CorrectedTime),
				ReceivedAt: o.at(e.ReceivedAt), Via: e.Via, Verdict: e.Judgement.Verdict, Code: e.Judgement.Code,
				Words: find.Hide(e.Judgement.Words), Outcome: Outcome(e.Judgement.Verdict),
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}

// GapLine is a line of the list of gaps. First, Last and Count say all of it. Missing
// names its seqs one by one, from First on: at most [MaxMissing] of a gap, and 100,000
// of all gaps of a list, since how long a gap is, its device chose.
type GapLine struct {
	Device      dot.Device      `json:"device"`
	Incarnation dot.Incarnation `json:"incarnation"`
	Lane        dot.Lane        `json:"lane"`
	First       dot.Seq         `json:"first"`
	Last        dot.Seq         `json:"last"`
	Count       uint64          `json:"count"`
	Missing     []dot.Seq       `json:"missing"`
	OpenedAt    time.Time       `json:"opened_at"`
	ClosedAt    *time.Time      `json:"closed_at"`
}

// How many seqs a list of gaps names one by one: of a gap, and of all of them.
const (
	MaxMissing    = 1000
	maxMissingAll = 100 * MaxMissing
)

// Gaps lists gaps by opening time; closed ones only when asked for.
func (o *Office) Gaps(ctx context.Context, closed bool) ([]GapLine, error) {
	gaps, err := o.store.Gaps(ctx, closed)
	if err == nil {
		gaps, err = o.gapsSeen(ctx, gaps)
	}
	if err != nil {
		return nil, err
	}
	out := make([]GapLine, 0, len(gaps))
	left := uint64(maxMissingAll)
	for _, g := range gaps {
		listed := seqs(g.Run, min(left, MaxMissing))
		left -= uint64(len(listed))
		out = append(out, GapLine{
			Device: g.Chain.Device, Incarnation: g.Chain.Incarnation, Lane: g.Chain.Lane,
			First: g.Run.First, Last: g.Run.Last, Count: g.Run.Len(), Missing: listed, OpenedAt: o.at(g.OpenedAt), ClosedAt: o.maybe(g.ClosedAt),
		})
	}
	return out, nil
}

func (o *Office) gapsSeen(ctx context.Context, gaps []store.Gap) ([]store.Gap, error) {
	sight := o.sight(ctx)
	return sees(gaps, func(g store.Gap) (bool, error) { return sight.device(ctx, g.Chain.Device) })
}

// seqs lists the seqs of a run, from its first one on, at most so many.
func seqs(r lane.Range, most uint64) []dot.Seq {
	out := make([]dot.Seq, min(r.Len(), most))
	for i := range out {
		out[i] = r.First + dot.Seq(i) //nolint:gosec // an index
	}
	return out
}

// UnattributedLine is a line of the list of frames that nobody vouches for.
type UnattributedLine struct {
	ID         int64      `json:"id"`
	ReceivedAt time.Time  `json:"received_at"`
	Via        dot.Device `json:"via"`
	Claims     dot.Device `json:"claims,omitempty"`
	Code       string     `json:"code"`
	Words      string     `json:"words"`
	Size       int        `json:"size"`
}

// Unattributed lists frames that nobody vouches for.
func (o *Office) Unattributed(ctx context.Context) ([]UnattributedLine, error) {
	us, err := o.store.Unattributed(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]UnattributedLine, 0, len(us))
	for _, u := range us {
		out = append(out, UnattributedLine{
			ID: u.ID, ReceivedAt: o.at(u.ReceivedAt), Via: u.Via, Claims: u.Claims, Code: u.Code, Words: u.Words, Size: u.Size,
		})
	}
	return out, nil
}

// FindingLine is a line of what the hub noticed about devices.
type FindingLine struct {
	Device   dot.Device `json:"device"`
	Code     string     `json:"code"`
	Words    string     `json:"words"`
	Value    int64      `json:"value"`
	OpenedAt time.Time  `json:"opened_at"`
	ClosedAt *time.Time `json:"closed_at"`
}

// Findings lists what the hub noticed about devices.
func (o *Office) Findings(ctx context.Context, closed bool) ([]FindingLine, error) {
	fs, err := o.store.Findings(ctx, closed)
	if err != nil {
		return nil, err
	}
	out := make([]FindingLine, 0, len(fs))
	for _, f := range fs {
		out = append(out, FindingLine{
			Device: f.Device, Code: f.Code, Words: f.Words, Value: f.Value, OpenedAt: o.at(f.OpenedAt), ClosedAt: o.maybe(f.ClosedAt),
		})
	}
	back, err := o.afterRestore(ctx, closed)
	if err != nil {
		return nil, err
	}
	sight := o.sight(ctx)
	out, err = sees(append(out, back...), func(f FindingLine) (bool, error) { return sight.device(ctx, f.Device) })
	inOrder(out)
	return out, err
}

// asRefusal turns an office error into words for its asker; ok is false for
// the hub's own trouble.
func asRefusal(err error) (*webui.Refusal, bool) {
	var r *webui.Refusal
	var ruled *reconcile.Refused
	var kept *access.Refusal
	if r, ok := refusedPack(err); ok {
		return r, true
	}
	switch {
	case errors.As(err, &r):
		return r, true
	case errors.As(err, &kept):
		return &webui.Refusal{Code: kept.Code, What: kept.What, Which: kept.Which, Do: kept.Do}, true
	case errors.As(err, &ruled):
		return &webui.Refusal{Code: ruled.Code, What: ruled.What, Which: ruled.Which, Do: ruled.Do}, true
	case errors.Is(err, backup.ErrUnverified):
		return &webui.Refusal{Code: "backup_unverified", What: err.Error(), Do: "look after the disks; the backups before are as they were"}, true
	case errors.Is(err, backup.ErrBusy):
		return &webui.Refusal{Code: "backup_busy", What: err.Error(), Do: "wait until it is done"}, true
	case errors.Is(err, ledger.ErrPending):
		return &webui.Refusal{Code: "pending", What: err.Error(), Do: "do not repeat it; it comes into effect with the next act or the next start of the hub"}, true
	case errors.Is(err, ledger.ErrJournal):
		return &webui.Refusal{Code: "journal_unwritable", What: err.Error(), Do: "look after the journal's disk; nothing was done, so try again afterwards"}, true
	case errors.Is(err, journal.ErrDamaged), errors.Is(err, ledger.ErrForked), errors.Is(err, store.ErrDamaged):
		return &webui.Refusal{Code: "ledger_damaged", What: err.Error(), Do: "keep copies of database and journal; see operations, the journal"}, true
	case errors.Is(err, store.ErrReadOnly):
		return &webui.Refusal{Code: "read_only", What: err.Error(), Do: "give the hub's user the right to write there; see whether the disk was mounted for reading only, or the database server only follows another"}, true
	case errors.Is(err, store.ErrFull):
		return &webui.Refusal{Code: "disk_full", What: err.Error(), Do: "free some space; a backup needs twice the database's size for a while"}, true
	case errors.Is(err, store.ErrExists):
		return &webui.Refusal{Code: "device_exists", What: err.Error(), Do: "add --again to give the device a new life, or choose another name"}, true
	case errors.Is(err, store.ErrRevoked):
		return &webui.Refusal{Code: "device_revoked", What: err.Error(), Do: "a revoked device stays revoked: add it under another name"}, true
	case errors.Is(err, store.ErrNotFound):
		return &webui.Refusal{Code: "not_found", What: err.Error(), Do: "check the name: hub device list"}, true
	}
	return nil, false
}
