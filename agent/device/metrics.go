package device

import (
	"context"
	"net/http"

	"otor/agent/web"
	"otor/internal/release"
	"otor/internal/telemetry"
)

// metrics is what a device tells a monitoring system on its own machine.
var metrics = []telemetry.Metric{
	{Name: "otor_agent_entries_total", Help: "Entries saved on this device, in all its lives.", Counter: true},
	{Name: "otor_agent_waiting_entries", Help: "Entries that the hub has not confirmed yet."},
	{Name: "otor_agent_returned_entries", Help: "Entries that the hub will not apply as they are."},
	{Name: "otor_agent_pruned_entries", Help: "Entries that are in the hub's archive and no longer here."},
	{Name: "otor_agent_nothing_lost", Help: "1 when every entry is here or at the hub."},
	{Name: "otor_agent_findings", Help: "What a person should know of this device's store."},
	{Name: "otor_agent_last_contact_timestamp_seconds", Help: "When the hub answered last; 0: never."},
	{Name: "otor_agent_contacts_total", Help: "Hellos that were answered since the start.", Counter: true},
	{Name: "otor_agent_link", Help: "1 for the state that the link is in.", Labels: []string{"state"}},
	{Name: "otor_agent_clock_offset_seconds", Help: "The hub's clock minus this device's, as measured at the last contact."},
	{Name: "otor_agent_link_bytes_today", Help: "Bytes that went over the link today, both ways."},
	{Name: "otor_agent_photos_waiting", Help: "Photos and files that the hub does not have yet."},
	{Name: "otor_agent_photo_bytes_waiting", Help: "Their bytes."},
	{Name: "otor_agent_photos_kept", Help: "Photos and files that are on the device."},
	{Name: "otor_agent_photo_bytes_kept", Help: "Their bytes."},
	{Name: "otor_agent_photos_removed", Help: "Photos and files that are in the hub's archive and no longer here."},
	{Name: "otor_agent_disk_free_bytes", Help: "Free bytes of the disk that holds the device's folder."},
	{Name: "otor_agent_checked", Help: "1 once every entry was checked since the start."},
}

// linkStates are told all, so that a change of state is seen.
var linkStates = []web.LinkState{web.Online, web.Offline, web.Connecting, web.Refused}

// meter answers who scrapes this device.
func (d *Device) meter() http.Handler {
	m := telemetry.New("otor_agent", release.Version, d.cfg.Log)
	m.Table(metrics, d.readMetrics)
	return m.Handler()
}

func (d *Device) readMetrics(ctx context.Context, put telemetry.Put) error {
	s, err := d.Status(ctx)
	if err != nil {
		return err
	}
	var saved uint64
	for _, l := range s.Lanes {
		saved += uint64(l.Last)
	}
	contact := d.store.Contact()
	for name, v := range map[string]float64{
		"otor_agent_entries_total": float64(saved), "otor_agent_waiting_entries": float64(s.Waiting), "otor_agent_returned_entries": float64(s.Returned),
		"otor_agent_pruned_entries": float64(s.Pruned()), "otor_agent_nothing_lost": oneIf(s.NothingLost), "otor_agent_findings": float64(len(s.Findings)),
		"otor_agent_contacts_total": float64(d.Contacts()), "otor_agent_clock_offset_seconds": float64(contact.HubOffsetMillis) / 1000,
		"otor_agent_link_bytes_today": float64(s.Link.Today), "otor_agent_photos_waiting": float64(s.Photos), "otor_agent_photo_bytes_waiting": float64(s.PhotoBytes),
		"otor_agent_photos_kept": float64(s.PhotosKept.Here), "otor_agent_photo_bytes_kept": float64(s.PhotosKept.Bytes), "otor_agent_photos_removed": float64(s.PhotosKept.Removed),
		"otor_agent_disk_free_bytes": float64(s.DiskFree), "otor_agent_checked": oneIf(s.Check.Complete),
	} {
		put(name, v)
	}
	last := 0.0
	if s.LastContact != nil {
		last = float64(s.LastContact.UnixMilli()) / 1000
	}
	put("otor_agent_last_contact_timestamp_seconds", last)
	for _, state := range linkStates {
		put("otor_agent_link", oneIf(s.Link.State == state), string(state))
	}
	return nil
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
