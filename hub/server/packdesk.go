package server

import (
	"context"

	"otor/hub/console"
)

// packDesk publishes form packs for the console's pages.
type packDesk struct{ o *Office }

var _ console.Packs = packDesk{}

// List implements console.Packs.
func (d packDesk) List(ctx context.Context, lang string) ([]console.PackRow, error) {
	all, err := d.o.Packs(ctx)
	if err != nil {
		return nil, asPageRefusal(err)
	}
	out := make([]console.PackRow, len(all))
	for i, l := range all {
		out[i] = d.row(l, lang)
	}
	return out, nil
}

// Check implements console.Packs.
func (d packDesk) Check(ctx context.Context, zip []byte) (console.PackRow, error) {
	l, err := d.o.CheckPack(ctx, zip)
	return d.row(l, ""), asPageRefusal(err)
}

// Publish implements console.Packs.
func (d packDesk) Publish(ctx context.Context, zip []byte) (console.PackRow, int, error) {
	p, err := d.o.PublishPack(ctx, zip)
	return d.row(p.PackLine, ""), p.Replayed, asPageRefusal(err)
}

func (d packDesk) row(l PackLine, lang string) console.PackRow {
	out := console.PackRow{ID: l.ID, Title: l.Titles.In(lang), By: l.By, ApprovedBy: l.ApprovedBy, Version: l.Version, Forms: l.Forms, Devices: l.Devices, Current: l.Current}
	if out.Title == "" {
		out.Title = l.Title
	}
	if l.PublishedAt != nil {
		out.PublishedAt = *l.PublishedAt
	}
	return out
}
