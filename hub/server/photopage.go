package server

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"otor/hub/console"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/webui"
)

// photoShelf shows the console's page of photos what there is.
type photoShelf struct{ v outlook }

// mostSearched bounds how many photos are looked through for one page.
const mostSearched = 5_000

// Photos implements console.Photos.
func (s photoShelf) Photos(ctx context.Context, q console.PhotoQuery) (page console.PhotoPage, err error) {
	o := s.v.o
	devices, err := o.devicesSeen(ctx)
	if err != nil {
		return page, err
	}
	page.Teams = s.teams(ctx, devices, q.Lang)
	find := store.BlobQuery{Newest: true, Before: q.Before, Limit: 4 * q.Most}
	if q.Record != "" {
		if find.Entry, err = dot.Parse(q.Record); err != nil {
			return page, &webui.Refusal{Code: "bad_request", What: err.Error(), Which: q.Record, Do: "write it like D-101/1/record/17"}
		}
	}
	if q.Day != "" {
		day, err := time.ParseInLocation(time.DateOnly, q.Day, o.zone)
		if err != nil {
			return page, &webui.Refusal{Code: "bad_request", What: "this is no day", Which: q.Day, Do: "write it like 2025-09-18"}
		}
		find.From, find.Until = day.UnixMilli(), day.AddDate(0, 0, 1).UnixMilli()
	}
	of := make(map[dot.Device]bool)
	for _, d := range devices {
		of[d.ID] = q.Team == "" || slices.Contains(d.Scopes, q.Team)
	}
	sight := o.sight(ctx)
	say := sight.naming(q.Lang)
	for searched := 0; ; {
		list, err := o.store.Blobs(ctx, find)
		if err != nil {
			return page, err
		}
		if err := aheadOfPhotos(ctx, say, list); err != nil {
			return page, err
		}
		for _, b := range list {
			find.Before = b.Number
			searched++
			// What is not of a device that is seen may be about an entity that is.
			if q.Team != "" && !of[b.Dot.Device] {
				continue
			}
			seen, err := sight.dot(ctx, b.Dot)
			if err != nil {
				return page, err
			}
			if !seen {
				continue
			}
			if len(page.Photos) == q.Most {
				page.Next = b.Number + 1 // it is the first of the next page
				return page, nil
			}
			p, err := s.photo(ctx, b, say)
			if err != nil {
				return page, err
			}
			page.Photos = append(page.Photos, p)
		}
		if len(list) < find.Limit {
			return page, nil
		}
		if searched >= mostSearched {
			page.Next = find.Before
			return page, nil
		}
	}
}

// photo says what is known of one.
func (s photoShelf) photo(ctx context.Context, b store.Blob, say *naming) (console.Photo, error) {
	o := s.v.o
	p := console.Photo{
		ID: hex.EncodeToString(b.Hash[:]), Record: b.Dot.String(), Device: string(b.Dot.Device), At: o.at(b.NamedAt), Size: b.Size,
		Here: b.GotAt != 0, Shown: b.GotAt != 0 && isPicture(b.Mime) || o.blobs.HasPreview(b.Hash),
	}
	e, err := say.seen(ctx).read.entry(ctx, b.Dot)
	if err != nil || e == nil {
		return p, err
	}
	p.Form = e.Form
	if f, err := o.forms.Form(e.Form, e.FormVersion); err == nil && f.Title.In(say.lang) != "" {
		p.Form = f.Title.In(say.lang)
	}
	if e.Entity != "" {
		p.About = say.about(ctx, entry.Ref{Type: e.EntityType, ID: e.Entity})
	}
	return p, nil
}

// aheadOfPhotos reads at once what photos tell of.
func aheadOfPhotos(ctx context.Context, say *naming, list []store.Blob) error {
	read := say.seen(ctx).read
	dots := make([]dot.Dot, 0, len(list))
	for _, b := range list {
		dots = append(dots, b.Dot)
	}
	if err := read.entriesAhead(ctx, dots); err != nil {
		return err
	}
	return say.sight.ahead(ctx, say, read.about(dots))
}

// teams are the teams of the devices that whoever asks sees.
func (s photoShelf) teams(ctx context.Context, devices []store.Device, lang string) (out []console.Option) {
	p := s.v.pack()
	for _, d := range devices {
		for _, scope := range d.Scopes {
			team, ok := strings.CutPrefix(scope, teamScope)
			if !ok || slices.ContainsFunc(out, func(o console.Option) bool { return o.Value == scope }) {
				continue
			}
			x := console.Option{Value: scope, Words: team}
			if p != nil {
				x.Words = s.v.telling(ctx, s.v.o.sight(ctx), p, lang).Name("team", x.Words)
			}
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b console.Option) int { return strings.Compare(a.Value, b.Value) })
	return out
}

func isPicture(mime string) bool { return mime == "image/jpeg" || mime == "image/png" }
