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
	"otor/internal/lane"
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
	for searched := 0; ; {
		list, err := o.store.Blobs(ctx, find)
		if err != nil {
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
			p, err := s.photo(ctx, b, q.Lang)
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
func (s photoShelf) photo(ctx context.Context, b store.Blob, lang string) (console.Photo, error) {
	o := s.v.o
	p := console.Photo{
		ID: hex.EncodeToString(b.Hash[:]), Record: b.Dot.String(), Device: string(b.Dot.Device), At: o.at(b.NamedAt), Size: b.Size,
		Here: b.GotAt != 0, Shown: b.GotAt != 0 && isPicture(b.Mime) || o.blobs.HasPreview(b.Hash),
	}
	es, err := o.store.EntriesOf(ctx, b.Dot.Chain, lane.Run(b.Dot.Seq, b.Dot.Seq), 1)
	if err != nil || len(es) == 0 {
		return p, err
	}
	p.Form = es[0].Form
	if f, err := o.forms.Form(es[0].Form, es[0].FormVersion); err == nil && f.Title.In(lang) != "" {
		p.Form = f.Title.In(lang)
	}
	if es[0].Entity != "" {
		p.About = o.naming(lang).about(ctx, entry.Ref{Type: es[0].EntityType, ID: es[0].Entity})
	}
	return p, nil
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
				x.Words = s.v.telling(ctx, p, lang).Name("team", x.Words)
			}
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b console.Option) int { return strings.Compare(a.Value, b.Value) })
	return out
}

func isPicture(mime string) bool { return mime == "image/jpeg" || mime == "image/png" }
