package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/telemetry"
)

// Metrics is what is read when a monitoring system asks. Times are seconds.
var Metrics = []telemetry.Metric{
	{Name: "otor_hub_waiting_entries", Help: "Entries that devices declared and the hub has not received; not those of revoked devices."},
	{Name: "otor_hub_oldest_waiting_seconds", Help: "How long ago the device spoke last that has had entries waiting for longest; 0 when nothing waits. Revoked devices do not count."},
	{Name: "otor_hub_missing_entries", Help: "Entries missing below a later one that is here (gaps)."},
	{Name: "otor_hub_oldest_gap_seconds", Help: "Age of the oldest open gap; 0 without one."},
	{Name: "otor_hub_devices", Help: "Devices by state: enrolled, silent (enrolled and not heard from for a day), invited, revoked, in_doubt.", Labels: []string{"state"}},
	{Name: "otor_hub_entries", Help: "Entries in the ledger, by verdict.", Labels: []string{"verdict"}},
	{Name: "otor_hub_entries_total", Help: "Entries in the ledger.", Counter: true},
	{Name: "otor_hub_transport_duplicates_total", Help: "Copies that arrived again and were not counted.", Counter: true},
	{Name: "otor_hub_unattributed_total", Help: "Frames that nobody known vouches for.", Counter: true},
	{Name: "otor_hub_forks", Help: "Second, different entries under dots that are taken."},
	{Name: "otor_hub_aside_entries", Help: "Entries that are set aside, by the code of the reason.", Labels: []string{"code"}},
	{Name: "otor_hub_open_items", Help: "Items that wait for a person, by kind.", Labels: []string{"kind"}},
	{Name: "otor_hub_oldest_item_seconds", Help: "Age of the oldest open item of a kind.", Labels: []string{"kind"}},
	{Name: "otor_hub_findings", Help: "What the hub noticed and is still so, by code.", Labels: []string{"code"}},
	{Name: "otor_hub_feed_scopes", Help: "Scopes that have a feed."},
	{Name: "otor_hub_feed_numbers_total", Help: "Rows that were put into feeds, over all scopes.", Counter: true},
	{Name: "otor_hub_stream_messages", Help: "Frames that wait in a stream.", Labels: []string{"stream"}},
	{Name: "otor_hub_stream_bytes", Help: "Their bytes.", Labels: []string{"stream"}},
	{Name: "otor_hub_stream_max_bytes", Help: "How many bytes the stream may hold.", Labels: []string{"stream"}},
	{Name: "otor_hub_connections", Help: "Connected devices."},
	{Name: "otor_hub_database_bytes", Help: "Size of the database."},
	{Name: "otor_hub_photos", Help: "Photos and files that entries name: here, or missing.", Labels: []string{"state"}},
	{Name: "otor_hub_photo_bytes", Help: "Their bytes.", Labels: []string{"state"}},
	{Name: "otor_hub_backup_timestamp_seconds", Help: "When the last verified backup was made; 0: never."},
	{Name: "otor_hub_certificate_end_timestamp_seconds", Help: "When a certificate of the hub ends.", Labels: []string{"certificate"}},
	{Name: "otor_hub_disk_free_bytes", Help: "Free bytes of the disk that holds the data, the journal, the last backup.", Labels: []string{"disk"}},
	{Name: "otor_hub_ingest_troubled", Help: "1 while what arrives cannot be taken in."},
	{Name: "otor_hub_clock_timestamp_seconds", Help: "The hub's clock."},
}

// SilentAfter is from when on a device counts as silent.
const SilentAfter = 24 * time.Hour

// Labels come from tables of the program. Should one grow nevertheless, what is
// beyond this many is told together.
const (
	mostValues = 40
	other      = "other"
)

var plainCode = regexp.MustCompile(`^[a-z0-9_.]{1,40}$`)

// read tells everything. What cannot be read is left out, and joined into the error.
func (r *Room) read(ctx context.Context, put telemetry.Put) error {
	now := r.cfg.Now()
	put("otor_hub_clock_timestamp_seconds", seconds(now.UnixMilli()))
	return errors.Join(
		r.readLanes(ctx, put, now), r.readDevices(ctx, put, now), r.readTotals(ctx, put), r.readStanding(ctx, put, now),
		r.readBroker(ctx, put), r.readHouse(ctx, put),
	)
}

func seconds(ms int64) float64 { return float64(ms) / 1000 }

func age(now time.Time, ms int64) float64 {
	if ms == 0 {
		return 0
	}
	return max(0, seconds(now.UnixMilli()-ms))
}

// backlog is what lanes lack. What a revoked device declared and did not send is waited
// for by nobody: else a phone that is lost would hide all that fall silent after it.
type backlog struct {
	waiting, missing uint64
	oldest           int64 // the earliest last word of a device of which something waits
}

func (r *Room) backlog(ctx context.Context) (b backlog, err error) {
	lanes, err := r.cfg.Ledger.Lanes(ctx)
	if err != nil {
		return b, err
	}
	devices, err := r.cfg.Ledger.Devices(ctx)
	if err != nil {
		return b, err
	}
	revoked := make(map[dot.Device]bool)
	for _, d := range devices {
		revoked[d.ID] = d.RevokedAt != 0
	}
	for _, l := range lanes {
		holes, waiting := l.Lacking()
		for _, x := range holes {
			b.missing += x.Len()
		}
		if revoked[l.Chain.Device] {
			continue
		}
		for _, x := range waiting {
			b.waiting += x.Len()
		}
		if len(waiting) > 0 && (b.oldest == 0 || l.DeclaredAt < b.oldest) {
			b.oldest = l.DeclaredAt
		}
	}
	return b, nil
}

func (r *Room) readLanes(ctx context.Context, put telemetry.Put, now time.Time) error {
	b, err := r.backlog(ctx)
	if err != nil {
		return err
	}
	put("otor_hub_waiting_entries", float64(b.waiting))
	put("otor_hub_oldest_waiting_seconds", age(now, b.oldest))
	put("otor_hub_missing_entries", float64(b.missing))
	gaps, err := r.cfg.Ledger.Gaps(ctx, false)
	if err != nil {
		return err
	}
	var oldest int64
	for _, g := range gaps {
		if oldest == 0 || g.OpenedAt < oldest {
			oldest = g.OpenedAt
		}
	}
	put("otor_hub_oldest_gap_seconds", age(now, oldest))
	return nil
}

// fleet counts devices by state.
type fleet struct{ enrolled, silent, invited, revoked int64 }

func (r *Room) fleet(ctx context.Context, now time.Time) (f fleet, err error) {
	devices, err := r.cfg.Ledger.Devices(ctx)
	if err != nil {
		return f, err
	}
	for _, d := range devices {
		switch {
		case d.RevokedAt != 0:
			f.revoked++
		case d.EnrolledAt == 0:
			f.invited++
		default:
			f.enrolled++
			if now.UnixMilli()-d.Contact.At >= SilentAfter.Milliseconds() {
				f.silent++
			}
		}
	}
	return f, nil
}

func (r *Room) readDevices(ctx context.Context, put telemetry.Put, now time.Time) error {
	f, err := r.fleet(ctx, now)
	if err != nil {
		return err
	}
	doubts, err := r.cfg.Ledger.Doubts(ctx, "")
	if err != nil {
		return err
	}
	for state, n := range map[string]int64{"enrolled": f.enrolled, "silent": f.silent, "invited": f.invited, "revoked": f.revoked, "in_doubt": int64(len(doubts))} {
		put("otor_hub_devices", float64(n), state)
	}
	findings, err := r.cfg.Ledger.Findings(ctx, false)
	if err != nil {
		return err
	}
	byCode := make(map[string]float64)
	for _, f := range findings {
		byCode[f.Code]++
	}
	putCodes(put, "otor_hub_findings", byCode)
	return nil
}

// putCodes tells counts by code.
func putCodes(put telemetry.Put, name string, by map[string]float64) {
	told, rest := 0, 0.0
	for _, code := range slices.Sorted(maps.Keys(by)) {
		if told >= mostValues || !plainCode.MatchString(code) {
			rest += by[code]
			continue
		}
		told++
		put(name, by[code], code)
	}
	if rest > 0 {
		put(name, rest, other)
	}
}

func (r *Room) readTotals(ctx context.Context, put telemetry.Put) error {
	t, err := r.cfg.Ledger.Totals(ctx)
	if err != nil {
		return err
	}
	for v, n := range t.ByVerdict {
		put("otor_hub_entries", float64(n), string(v))
	}
	put("otor_hub_entries_total", float64(t.Entries))
	put("otor_hub_transport_duplicates_total", float64(t.Duplicates))
	put("otor_hub_unattributed_total", float64(t.Unattributed))
	put("otor_hub_forks", float64(t.Forks))
	return nil
}

// kinds of items are told also when none of them is open.
var kinds = []string{store.Conflicts, store.Duplicates, store.Twins, store.Reviews, store.Flags}

func (r *Room) readStanding(ctx context.Context, put telemetry.Put, now time.Time) error {
	st, err := r.cfg.Ledger.Standing(ctx)
	if err != nil {
		return err
	}
	aside := make(map[string]float64, len(st.Aside))
	for code, n := range st.Aside {
		aside[code] = float64(n)
	}
	putCodes(put, "otor_hub_aside_entries", aside)
	for _, kind := range kinds {
		put("otor_hub_open_items", float64(st.Items[kind].Open), kind)
		put("otor_hub_oldest_item_seconds", age(now, st.Items[kind].Oldest), kind)
	}
	put("otor_hub_feed_scopes", float64(st.Feeds.Scopes))
	put("otor_hub_feed_numbers_total", float64(st.Feeds.Numbers))
	put("otor_hub_database_bytes", float64(st.Bytes))
	photos, err := r.cfg.Ledger.CountBlobs(ctx)
	if err != nil {
		return err
	}
	put("otor_hub_photos", float64(photos.Named-photos.Missing), "here")
	put("otor_hub_photos", float64(photos.Missing), "missing")
	put("otor_hub_photo_bytes", float64(photos.NamedBytes-photos.MissingBytes), "here")
	put("otor_hub_photo_bytes", float64(photos.MissingBytes), "missing")
	return nil
}

func (r *Room) readBroker(ctx context.Context, put telemetry.Put) error {
	if r.cfg.Connections != nil {
		put("otor_hub_connections", float64(r.cfg.Connections()))
	}
	if r.cfg.Streams == nil {
		return nil
	}
	streams, err := r.cfg.Streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range streams {
		put("otor_hub_stream_messages", float64(s.Messages), s.Name)
		put("otor_hub_stream_bytes", float64(s.Bytes), s.Name)
		put("otor_hub_stream_max_bytes", float64(s.MaxBytes), s.Name)
	}
	return nil
}

// readHouse tells of backups, certificates and disks.
func (r *Room) readHouse(ctx context.Context, put telemetry.Put) error {
	troubled := 0.0
	if r.cfg.Troubled != nil && r.cfg.Troubled() {
		troubled = 1
	}
	put("otor_hub_ingest_troubled", troubled)
	if r.cfg.Certificates != nil {
		for what, end := range r.cfg.Certificates() {
			put("otor_hub_certificate_end_timestamp_seconds", seconds(end.UnixMilli()), what)
		}
	}
	disks := make(map[string]string)
	if r.cfg.Disks != nil {
		maps.Copy(disks, r.cfg.Disks())
	}
	var errs []error
	if r.cfg.Backup != nil {
		at, dir, err := r.cfg.Backup(ctx)
		if err == nil {
			put("otor_hub_backup_timestamp_seconds", seconds(at))
		}
		if errs = append(errs, err); dir != "" {
			disks["backup"] = dir
		}
	}
	for disk, dir := range disks {
		free, err := durable.Free(dir)
		if err != nil {
			if disk != "backup" { // it may well be unplugged
				errs = append(errs, fmt.Errorf("free space of the disk of the %s: %w", disk, err))
			}
			continue
		}
		put("otor_hub_disk_free_bytes", float64(free), disk)
	}
	return errors.Join(errs...)
}
