package server

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/form"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/webui"
)

// answered reads what an entry answers; nil where its form is not here, or it cannot
// be read.
func (o *Office) answered(e store.Entry) (*form.Form, map[string]any) {
	if e.Raw.Erased() {
		return nil, nil
	}
	f, err := o.forms.Form(e.Form, e.FormVersion)
	if err != nil {
		return nil, nil // it waits for its form
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	if err != nil {
		return nil, nil // it is set aside for that
	}
	return f, priv.Fields
}

// entrySeen reads an entry that whoever asks sees. Refusal: not_found.
func (o *Office) entrySeen(ctx context.Context, d dot.Dot) (store.Entry, error) {
	none := &webui.Refusal{Code: "not_found", What: "there is no such record", Which: d.String(), Do: "see hub records"}
	if d.Check() != nil || d.Seq == 0 {
		return store.Entry{}, none
	}
	es, err := o.store.EntriesOf(ctx, d.Chain, lane.Run(d.Seq, d.Seq), 1)
	if err != nil {
		return store.Entry{}, err
	}
	if len(es) == 0 {
		return store.Entry{}, none
	}
	seen, err := o.sight(ctx).entry(ctx, d.Device, entry.Ref{Type: es[0].EntityType, ID: es[0].Entity})
	if err == nil && !seen {
		err = none
	}
	return es[0], err
}

// Record implements console.Records.
func (o *Office) Record(ctx context.Context, d dot.Dot, lang string) (console.Record, error) {
	e, err := o.entrySeen(ctx, d)
	if err != nil {
		return console.Record{}, err
	}
	n := o.naming(lang)
	r := console.Record{Hash: e.Hash, FormVersion: e.FormVersion, DeviceAt: o.at(e.DeviceTime), Erased: e.Raw.Erased()}
	if r.RecordRow, err = o.recordRow(ctx, n, &e); err != nil {
		return r, err
	}
	if f, fields := o.answered(e); f != nil {
		r.Answers = n.answers(f, fields)
	}
	for _, part := range []func(context.Context, *naming, *store.Entry, *console.Record) error{o.recordParts, o.recordItems, o.recordRulings, o.recordLinks} {
		if err := part(ctx, n, &e, &r); err != nil {
			return r, err
		}
	}
	if asker(ctx).Role.May(access.Decide) {
		r.May = asideOffers(e.Judgement)
	}
	return r, nil
}

// asideOffers are the rulings that are lawful on an entry with a judgement.
func asideOffers(j store.Judgement) []string {
	switch {
	case j.Verdict == store.Refused && j.Code == ingest.CodeRejected:
		return []string{ingest.AsideReopen}
	case j.Verdict != store.Quarantined:
		return nil
	case j.Code == ingest.CodeReturned:
		return []string{ingest.AsideAccept, ingest.AsideReject, ingest.AsideReopen}
	}
	return []string{ingest.AsideAccept, ingest.AsideReturn, ingest.AsideReject, ingest.AsideJudge}
}

var positionSources = map[entry.PositionSource]string{
	entry.GNSS: "gnss", entry.Picked: "picked", entry.Waypoint: "waypoint", entry.LastKnown: "last_known",
}

// recordParts reads the public part, and what the private one writes.
func (o *Office) recordParts(ctx context.Context, n *naming, e *store.Entry, r *console.Record) error {
	pub, err := entry.DecodePublic(e.Raw.Public)
	if err != nil {
		return nil //nolint:nilerr // it is set aside for that
	}
	r.ClockKnown = pub.Offset != nil
	if p := pub.Position; p != nil {
		r.Place = &console.RecordPlace{
			Lon: float64(p.Lon) / 1e6, Lat: float64(p.Lat) / 1e6, Accuracy: float64(p.Accuracy) / 10, Source: positionSources[p.Source], Age: p.Age,
		}
	}
	for i, ref := range pub.Refs {
		if i == mostNamed {
			break
		}
		name, err := n.name(ctx, ref)
		if err != nil {
			return err
		}
		r.About = append(r.About, console.RecordAbout{Ref: ref.String(), Type: n.typ(ref.Type), Name: name})
	}
	if pub.Corrects != nil {
		r.Corrects = pub.Corrects.String()
	}
	if pub.Was != nil {
		r.Was = pub.Was.Dot.String()
	}
	for _, b := range pub.Blobs {
		known, err := o.store.Blob(ctx, b.Hash)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.Photos = append(r.Photos, console.RecordPhoto{Photo: hex.EncodeToString(b.Hash[:]), Size: b.Size, Mime: b.Mime, Here: err == nil && known.GotAt != 0})
	}
	if e.Raw.Erased() {
		return nil
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	if err != nil {
		return nil //nolint:nilerr // it is set aside for that
	}
	r.Writes = n.writes(pub, priv, entry.Ref{})
	return nil
}

// mostNamed bounds the entities and writes that the page of one record lists.
const mostNamed = 100

// writes are what an entry writes into an entity, in words; into all when only is zero.
func (n *naming) writes(pub entry.Public, priv entry.Private, only entry.Ref) (out []console.RecordWrite) {
	touches, err := merge.Changes(pub, priv)
	if err != nil {
		return nil // it is set aside for that
	}
	for _, t := range touches {
		if only != (entry.Ref{}) && t.Ref != only {
			continue
		}
		for _, w := range t.Writes {
			if len(out) == mostNamed {
				return out
			}
			line := console.RecordWrite{Ref: t.Ref.String(), Name: w.Register, Label: n.field(t.Ref.Type, w.Register)}
			line.Value, _ = n.value(t.Ref.Type, w.Register, writtenValue(w))
			if w.Prior != nil {
				line.Prior, _ = n.value(t.Ref.Type, w.Register, w.Prior.Get())
			}
			out = append(out, line)
		}
	}
	return out
}

func writtenValue(w merge.Write) any {
	if w.Op == entry.Move {
		return w.Move
	}
	return merge.Value{Raw: w.Raw}.Get()
}

// recordItems lists the items that an entry is part of.
func (o *Office) recordItems(ctx context.Context, n *naming, e *store.Entry, r *console.Record) error {
	items, err := o.store.Items(ctx, store.ItemQuery{Entry: e.Dot})
	if err != nil {
		return err
	}
	sight := o.sight(ctx)
	for _, it := range items {
		if seen, _, err := sight.entity(ctx, it.Entity); err != nil || !seen {
			if err != nil {
				return err
			}
			continue
		}
		line := console.RecordItem{ID: it.ID, Kind: it.Kind, Words: it.Entity.String(), Open: it.State == store.Open, DecidedBy: it.DecidedBy, Reason: find.Hide(it.Reason), At: o.at(it.OpenedAt)}
		if it.Kind == store.Conflicts {
			line.Words += " · " + n.field(it.Entity.Type, it.Field)
		}
		if !line.Open {
			line.At = o.at(it.ClosedAt)
		}
		r.Items = append(r.Items, line)
	}
	return nil
}

// recordRulings lists what was ruled on the entry itself.
func (o *Office) recordRulings(ctx context.Context, _ *naming, e *store.Entry, r *console.Record) error {
	for f, err := range o.facts(ctx, store.FactQuery{Kind: kindAside, Subject: e.Dot.String(), Limit: mostNamed}, false) {
		if err != nil {
			return err
		}
		b, err := factBody[asideFact](f.Body)
		if err != nil {
			return err
		}
		r.Rulings = append(r.Rulings, console.RecordRule{Number: f.Number, At: f.At, By: f.By, Choice: b.Choice, Reason: find.Hide(b.Reason)})
	}
	return nil
}

// recordLinks finds what corrects the entry, and whether it lies in a backup.
func (o *Office) recordLinks(ctx context.Context, _ *naming, e *store.Entry, r *console.Record) error {
	f, err := o.store.Find(ctx, store.FoundQuery{Words: []string{ingest.WordOfCorrection(e.Dot)}, Limit: 20, Look: 20})
	if err != nil {
		return err
	}
	for _, h := range f.Hits {
		r.CorrectedBy = append(r.CorrectedBy, h.Dot.String())
	}
	lanes, err := o.store.LanesOf(ctx, e.Dot.Device)
	if err != nil {
		return err
	}
	r.Archived = slices.ContainsFunc(lanes, func(l store.Lane) bool { return l.Chain == e.Dot.Chain && l.Archived >= e.Dot.Seq })
	return nil
}
