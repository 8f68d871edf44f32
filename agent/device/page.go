package device

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"otor/agent/capture"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/lane"
	"otor/internal/wire"
)

// Device is what the page shows.
var _ web.Device = (*Device)(nil)

// Status implements web.Device.
func (d *Device) Status(ctx context.Context) (web.Status, error) {
	s := web.Status{Device: d.id.Device, NothingLost: true, Returned: d.store.Returned(ctx)}
	for _, c := range d.store.Chains() {
		s.Lanes = append(s.Lanes, web.LaneStatus{
			Incarnation: c.Chain.Incarnation, Lane: c.Chain.Lane, Last: c.Last,
			Received: c.Received.Through(), Archived: c.Archived, Pruned: c.Pruned.Len(), Head: c.Head,
		})
		for _, r := range c.Waiting() {
			s.Waiting += r.Len()
		}
		for _, r := range c.Lost {
			for seq := r.First; seq <= r.Last && s.NothingLost; seq++ {
				s.NothingLost = c.Received.Contains(seq)
			}
		}
	}
	s.Photos, s.PhotoBytes = d.photosWaiting()
	s.PhotosKept.Here, s.PhotosKept.Bytes, s.PhotosKept.Removed = d.photosKept()
	s.PhotosKept.For = int64(d.cfg.KeepPhotos / time.Second)
	s.Life = d.lifeStatus()
	s.Link = d.linkStatus(s.Waiting)
	if at := d.store.Contact().LastContact; !at.IsZero() {
		at = at.In(d.cfg.Zone)
		s.LastContact = &at
	}
	if free, err := d.store.DiskFree(); err == nil {
		s.DiskFree = free
	}
	for _, f := range d.store.Findings() {
		s.NothingLost = s.NothingLost && harmless(f)
		s.Findings = append(s.Findings, web.Finding{Code: string(f.Code), What: f.What, Which: f.Which, Do: f.Do})
	}
	d.mu.Lock()
	s.Check = d.check
	d.mu.Unlock()
	return s, nil
}

// harmless reports whether a finding leaves every entry in its place. Lost
// ranges are judged by receipts, not here.
func harmless(f store.Finding) bool {
	switch f.Code {
	case store.CodeEntriesLost, store.CodeEntryDamaged:
		return true // judged range by range
	case store.CodeChainBroken, store.CodeEndUnknown, store.CodeHeadMismatch, store.CodeReceiptAhead, store.CodeNotRehomed, store.CodeArchiveBroken:
		return false
	case store.CodeRowDamaged, store.CodeFileDamaged, store.CodeFileExtra, store.CodeUnknownChain, store.CodeReceiptBroken, store.CodeBaseDamaged:
		return true
	default:
		return false
	}
}

// Log implements web.Device.
func (d *Device) Log(ctx context.Context, q web.LogQuery) ([]web.EntryRow, error) {
	lq := store.ListQuery{Lane: q.Lane}
	if !q.After.IsZero() {
		it, err := d.store.Get(q.After)
		if err != nil {
			return nil, refusePruned(q.After, err)
		}
		lq.Before = it.Public.HLC
	}
	rows := []web.EntryRow{}
	looked := 0
	for it, err := range d.store.List(ctx, lq) {
		if err != nil {
			return rows, err
		}
		if row := d.row(it); listed(q, row) {
			rows = append(rows, row)
		}
		if looked++; len(rows) >= q.Limit || looked >= mostLooked {
			break
		}
	}
	return rows, nil
}

// refusePruned words that an entry was removed here since it is archived.
func refusePruned(at dot.Dot, err error) error {
	if !errors.Is(err, store.ErrPruned) {
		return err
	}
	return &web.Refusal{
		Code: "pruned", What: "this record is safe in the hub's archive and is no longer on this device", Which: at.String(),
		Do: "ask the hub's operator for it; to see what is here, open the list again from the newest",
	}
}

// mostLooked bounds the entries that one list looks through.
const mostLooked = 20_000

// listed reports whether an entry belongs to a list.
func listed(q web.LogQuery, r web.EntryRow) bool {
	if q.About != nil && !slices.Contains(q.About, r.Entity) {
		return false
	}
	there := r.State == web.Received || r.State == web.Archived
	returned := r.Verdict != nil && r.Verdict.Returned
	switch q.Only {
	case web.OnlyWaiting:
		return !there
	case web.OnlyReceived:
		return there && !returned
	case web.OnlyReturned:
		return returned
	default:
		return true
	}
}

func (d *Device) row(it store.Item) web.EntryRow {
	p := it.Public
	zone := time.FixedZone("", p.Zone*60)
	r := web.EntryRow{
		Dot: it.Dot, Hash: it.Hash, Form: p.Form.ID, FormVersion: p.Form.Version, User: p.Actor,
		DeviceTime: time.UnixMilli(p.Wall).In(zone), State: web.Saved, Size: it.Raw.Size(),
	}
	if len(p.Refs) > 0 {
		r.Entity = p.Refs[0].ID
	}
	switch it.State {
	case store.Received:
		r.State = web.Received
	case store.Archived:
		r.State = web.Archived
	case store.Waiting:
		if d.inCustody(it.Now) {
			r.State = web.Custody
		}
	}
	// By the name that the hub knows it by: under its first one it may have another entry.
	if o, ok, err := d.store.Outcome(it.Now); err != nil {
		d.cfg.Log.Warn("the hub's word on an entry cannot be read", "entry", it.Dot.String(), "err", err)
	} else if ok {
		r.Verdict = &web.Verdict{Name: o.Verdict, Code: o.Code, Words: o.Words, Returned: o.Returned(), At: time.UnixMilli(o.At).In(d.cfg.Zone)}
	}
	return r
}

// MarkCustody notes that somebody else holds entries; a receipt overtakes it.
func (d *Device) MarkCustody(c dot.Chain, r lane.Range) {
	d.mu.Lock()
	d.custody[c] = d.custody[c].Add(r)
	d.mu.Unlock()
	d.bell.Ring()
}

func (d *Device) inCustody(x dot.Dot) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.custody[x.Chain].Contains(x.Seq)
}

// clearCustody forgets it: custody ends with the connection.
func (d *Device) clearCustody() {
	d.mu.Lock()
	clear(d.custody)
	d.mu.Unlock()
}

// Begin implements web.Device.
func (d *Device) Begin(ctx context.Context, p web.PutRequest) func() (web.PutResult, error) {
	failed := func(err error) func() (web.PutResult, error) {
		return func() (web.PutResult, error) { return web.PutResult{}, refuse(err) }
	}
	f, ok := d.cfg.Forms.Latest(p.Form)
	if !ok {
		return failed(&form.LookupError{Code: form.FormUnknown, ID: p.Form})
	}
	fields, problems, err := Fields(f, p.Fields)
	if err != nil {
		return failed(&web.Refusal{Code: "bad_json", What: "the fields are not a JSON object", Which: err.Error(), Do: "write one JSON object a line"})
	}
	if len(problems) > 0 {
		return failed(problems[0])
	}
	warn, err := d.judged(ctx, f, fields, p.User)
	if err != nil {
		return failed(err)
	}
	req := capture.Request{Form: f.ID, EntityType: f.Entity, Entity: p.Entity, Actor: p.User, Fields: fields, FormDraft: p.Once}
	if !p.At.IsZero() {
		req.At = &p.At
	}
	return warned(d.begin(ctx, req), warn)
}

// Capture saves one record; a refusal is a *web.Refusal.
func (d *Device) Capture(ctx context.Context, req capture.Request) (web.PutResult, error) {
	return d.begin(ctx, req)()
}

func (d *Device) begin(ctx context.Context, req capture.Request) func() (web.PutResult, error) {
	if _, err := d.Renew(ctx); err != nil {
		return func() (web.PutResult, error) { return web.PutResult{}, refuse(err) }
	}
	wait := d.capture.Begin(ctx, req)
	return func() (web.PutResult, error) {
		saved, err := wait()
		if err != nil {
			return web.PutResult{}, refuse(err)
		}
		d.bell.Ring()
		out := web.PutResult{Dot: saved.Dot, SavedAt: saved.SavedAt.In(d.cfg.Zone)}
		for _, w := range saved.Warnings {
			out.Warnings = append(out.Warnings, web.Finding{Code: string(w.Code), What: w.Words, Which: w.Field, Do: "check it with the person; it is saved as it is"})
		}
		return out, nil
	}
}

// warned adds a warning to what is saved.
func warned(wait func() (web.PutResult, error), warn *web.Finding) func() (web.PutResult, error) {
	if warn == nil {
		return wait
	}
	return func() (web.PutResult, error) {
		res, err := wait()
		if err == nil {
			res.Warnings = append(res.Warnings, *warn)
		}
		return res, err
	}
}

// Fields reads a record's JSON by its form. The error is about the JSON itself.
func Fields(f *form.Form, raw json.RawMessage) (map[string]any, []form.Problem, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, nil, err
	}
	if m == nil {
		return nil, nil, errors.New("it is null")
	}
	fields, problems := form.FromJSON(f, m)
	return fields, problems, nil
}

// refuse turns a capture's error into words to act on. What is not the
// record's fault stays an error.
func refuse(err error) error {
	var problem form.Problem
	var refused *capture.Refusal
	var look *form.LookupError
	var already *web.Refusal
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &refused):
		p := refused.Problems[0]
		return &web.Refusal{Code: string(p.Code), What: refused.Error(), Which: p.Field, Do: "correct it and put the record again"}
	case errors.As(err, &problem):
		return &web.Refusal{Code: string(problem.Code), What: problem.Words, Which: problem.Field, Do: "correct the field and put the record again"}
	case errors.As(err, &look):
		return &web.Refusal{Code: string(look.Code), What: look.Error(), Which: look.ID, Do: "use a form of the pack: the folder forms lists them"}
	case errors.Is(err, store.ErrTooLarge):
		return &web.Refusal{Code: "too_large", What: err.Error(), Do: "shorten the texts; photos go separately"}
	case errors.Is(err, store.ErrFull):
		return &web.Refusal{Code: "disk_full", What: err.Error(), Do: "delete photos or other files, then put the record again; nothing that was saved is lost"}
	default:
		return err
	}
}

// syncWait bounds a sync that a person asked for.
const syncWait = 60 * time.Second

// Sync implements web.Device: it makes the running link try now and waits
// until everything that can go is confirmed.
func (d *Device) Sync(ctx context.Context) (web.SyncResult, error) {
	ctx, cancel := context.WithTimeout(ctx, syncWait)
	defer cancel()
	sent, hellos := d.uplink.Totals().Sent, d.hellos()
	before := confirmed(d.outbox.Chains())
	changes, stop := d.bell.Listen()
	defer stop()
	d.link.Kick()
	d.uplink.Again()
	for {
		greeted := d.hellos() > hellos // asked once: a hello may come between two questions
		chains := d.outbox.Chains()
		left := uplink.Remaining(chains)
		r := web.SyncResult{Sent: d.uplink.Totals().Sent - sent, Received: confirmed(chains) - min(before, confirmed(chains)), Remaining: uint64(left), Lost: d.Missed()}
		if greeted && left == 0 {
			return r, nil
		}
		if greeted && d.uplink.Held() {
			return r, &web.Refusal{Code: "budget_spent", What: uplink.ErrSpent.Error(), Do: "raise the budget, or wait"}
		}
		if greeted && onlyDisputed(chains) {
			return r, &web.Refusal{Code: "history_differs", What: uplink.ErrDisputed.Error(), Do: "ask the hub's operator; the records stay safe on this device"}
		}
		select {
		case <-ctx.Done():
			return r, d.notSynced(left)
		case <-changes:
		}
	}
}

// Missed counts what damage took before the hub had it, and the hub waits for.
func (d *Device) Missed() (n uint64) {
	for _, c := range d.store.Chains() {
		n += c.Missed().Len()
	}
	return n
}

// onlyDisputed reports whether something is left, and all of it belongs to chains
// of which the hub has another history.
func onlyDisputed(chains []uplink.Chain) bool {
	some := false
	for _, c := range chains {
		if uplink.Remaining([]uplink.Chain{c}) == 0 {
			continue
		}
		if !c.Disputed {
			return false
		}
		some = true
	}
	return some
}

// confirmed counts the entries that receipts cover: by the store's own account,
// which says that nothing is left before the uplink has counted it.
func confirmed(chains []uplink.Chain) uint64 {
	var n uint64
	for _, c := range chains {
		n += c.Received.Len()
	}
	return n
}

// notSynced words why a sync did not finish.
func (d *Device) notSynced(left int) error {
	l := d.linkStatus(uint64(left)) //nolint:gosec // a count
	r := &web.Refusal{
		Code: "unreachable", What: "the hub was not reached", Which: l.Words,
		Do: fmt.Sprintf("%d waiting records stay safe on this device; try again where there is signal", left),
	}
	switch l.State {
	case web.Online:
		r.Code, r.What = "unfinished", "the hub did not confirm everything in time"
	case web.Refused:
		r.Code, r.What, r.Do = "refused", "the hub does not accept this device", "ask the hub's operator; nothing is lost meanwhile"
	case web.Offline, web.Connecting, web.Unenrolled:
	}
	return r
}

func (d *Device) hellos() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.contacts
}

// Changes implements web.Device.
func (d *Device) Changes() (<-chan struct{}, func()) { return d.bell.Listen() }

// Refused reports whether a hello was answered with a refusal.
func Refused(err error) (*wire.Refusal, bool) {
	var r *wire.Refusal
	return r, errors.As(err, &r)
}

// Contacts counts the hellos that the hub answered since Open.
func (d *Device) Contacts() uint64 { return d.hellos() }

// Wake tells the uplink that something may be sent now.
func (d *Device) Wake() { d.uplink.Wake() }
