package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/webui"
)

// Bounds of one page of records. Who asks for what is rare among much gets a short
// page, that says how far it looked, rather than none for a long time.
const (
	usualRecords = 50
	mostRecords  = 200
	mostRead     = 1200   // records read for a page
	mostLooked   = 30_000 // rows of the index looked at for a page
)

// Records implements console.Records.
func (o *Office) Records(ctx context.Context, q console.RecordQuery) (console.RecordList, error) {
	out := console.RecordList{Records: []console.RecordRow{}}
	s, err := o.search(ctx, q)
	if err != nil {
		return out, err
	}
	if out.Indexing, err = o.indexing(ctx); err != nil {
		return out, err
	}
	for s.more && len(out.Records) < s.limit && s.read < mostRead && s.looked < mostLooked {
		if err := s.next(ctx, &out); err != nil {
			return out, err
		}
	}
	if s.more {
		out.Next = cursor(s.at)
		if len(out.Records) < s.limit {
			back := o.at(s.at.Time)
			out.Back = &back
		}
	}
	return out, nil
}

// search is a running search for records.
type search struct {
	o      *Office
	sight  *sight
	naming *naming
	ask    console.RecordQuery
	text   find.Query
	typ    string // of the entity; empty: any
	limit  int

	words   []string
	instead []string // words of which one must be there; none: it does not matter
	from    int64
	until   int64
	at      store.Place
	more    bool
	read    int
	looked  int
}

func (o *Office) search(ctx context.Context, q console.RecordQuery) (*search, error) {
	sight := o.sight(ctx)
	s := &search{o: o, sight: sight, naming: sight.naming(q.Lang), ask: q, limit: min(cmp.Or(max(q.Limit, 0), usualRecords), mostRecords), more: true}
	id := q.Entity
	if typ, rest, split := strings.Cut(q.Entity, "/"); split {
		s.typ, id = typ, rest
	}
	s.words = ingest.WordsAbout(dot.Device(q.Device), q.Form, id)
	if q.Verdict != "" && q.Verdict != string(store.Applied) {
		s.words = append(s.words, store.OfVerdict+q.Verdict)
	}
	if err := s.typed(ctx); err != nil {
		return nil, err
	}
	if len(s.words) == 0 {
		s.words = []string{store.Everything}
	}
	if q.Team != "" {
		devices, err := o.teamOf(ctx, q.Team)
		if err != nil {
			return nil, err
		}
		for _, d := range devices {
			s.instead = append(s.instead, ingest.WordsAbout(d, "", "")...)
		}
		s.more = len(s.instead) > 0
	}
	if !q.From.IsZero() {
		s.from = q.From.UnixMilli()
	}
	if !q.Until.IsZero() {
		s.until = q.Until.UnixMilli()
	}
	var err error
	s.at, err = readCursor(q.After)
	return s, err
}

// typed adds the words of what was typed.
func (s *search) typed(ctx context.Context) error {
	s.text = find.Read(s.ask.Text)
	if len(s.text.Short) > 0 && s.text.IsZero() {
		return &webui.Refusal{Code: "short_word", What: "nothing is found by a single letter", Which: strings.Join(s.text.Short, " "), Do: "type two letters or more"}
	}
	if len(s.text.Numbers) > 0 && !asker(ctx).Role.May(access.Reveal) {
		return &webui.Refusal{Code: "hidden_number", What: "numbers of persons are found by those alone who may reveal them", Do: "search by a name, or ask a reconciler"}
	}
	words := s.text.Words()
	room := store.MostWords - len(s.words) - 1 // one for a device of a team
	s.words = append(s.words, words[:min(len(words), room)]...)
	return nil
}

// next looks at some more records.
func (s *search) next(ctx context.Context, out *console.RecordList) error {
	hits, next, err := s.find(ctx)
	if err != nil {
		return err
	}
	dots := make([]dot.Dot, 0, len(hits))
	for _, h := range hits {
		dots = append(dots, h.Dot)
	}
	if err := s.sight.read.entriesAhead(ctx, dots); err != nil {
		return err
	}
	refs := s.sight.read.about(dots)
	for _, d := range dots {
		if e := s.sight.read.entries[d]; e != nil && e.Actor != "" {
			refs = append(refs, s.naming.users(e.Actor)...)
		}
	}
	if err := s.sight.ahead(ctx, s.naming, refs); err != nil {
		return err
	}
	for _, h := range hits {
		s.at = h.Place
		row, ok, err := s.row(ctx, h)
		if err != nil {
			return err
		}
		if ok {
			out.Records = append(out.Records, row)
		}
		if len(out.Records) == s.limit {
			return nil // there may be none behind it: then the next page is empty
		}
	}
	s.at, s.more = next, next != store.Place{}
	return nil
}

// find asks the index for the next candidates. Of several words of which one must be
// there each is asked for, and what is older than where one of them ended waits.
func (s *search) find(ctx context.Context) ([]store.Hit, store.Place, error) {
	q := store.FoundQuery{Words: s.words, From: s.from, Until: s.until, Before: s.at, Limit: s.limit, Look: mostLooked / 4}
	if len(s.instead) == 0 {
		f, err := s.o.store.Find(ctx, q)
		s.looked += q.Look
		return f.Hits, f.Next, err
	}
	var hits []store.Hit
	var end store.Place
	q.Look = max(q.Look/len(s.instead), s.limit)
	for _, word := range s.instead {
		q.Words = append(slices.Clip(s.words), word)
		f, err := s.o.store.Find(ctx, q)
		if err != nil {
			return nil, end, err
		}
		s.looked += q.Look
		hits = append(hits, f.Hits...)
		if f.Next != (store.Place{}) && (end == store.Place{} || newer(f.Next, end) < 0) {
			end = f.Next
		}
	}
	slices.SortFunc(hits, func(a, b store.Hit) int { return newer(a.Place, b.Place) })
	if end != (store.Place{}) {
		hits = slices.DeleteFunc(hits, func(h store.Hit) bool { return newer(h.Place, end) > 0 })
	}
	return hits, end, nil
}

// newer orders places, the newest first.
func newer(a, b store.Place) int {
	return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.Chain, a.Chain), cmp.Compare(b.Seq, a.Seq))
}

// row is what was found as it is listed; ok is false when it is not meant, or not seen.
func (s *search) row(ctx context.Context, h store.Hit) (row console.RecordRow, ok bool, err error) {
	s.read++
	e, err := s.sight.read.entry(ctx, h.Dot)
	if err != nil || e == nil {
		return row, false, err
	}
	if !s.meant(e) {
		return row, false, nil
	}
	if seen, err := s.sight.entry(ctx, e.Dot.Device, entry.Ref{Type: e.EntityType, ID: e.Entity}); err != nil || !seen {
		return row, false, err
	}
	if !s.text.IsZero() {
		f, fields := s.o.answered(*e)
		if f == nil {
			return row, false, nil
		}
		texts, numbers := find.Record(f, fields, s.naming.mask)
		if !s.text.Matches(texts, numbers) {
			return row, false, nil
		}
		row.Excerpt = excerpt(texts, s.text)
	}
	excerpt := row.Excerpt
	row, err = s.o.recordRow(ctx, s.naming, e)
	row.Excerpt = excerpt
	return row, err == nil, err
}

// meant compares an entry with what was asked for: two words may have one number.
func (s *search) meant(e *store.Entry) bool {
	q := s.ask
	switch {
	case q.Device != "" && string(e.Dot.Device) != q.Device, q.Form != "" && e.Form != q.Form, q.Verdict != "" && string(e.Judgement.Verdict) != q.Verdict:
		return false
	case q.Entity == "":
		return true
	}
	pub, err := entry.DecodePublic(e.Raw.Public)
	return err == nil && slices.ContainsFunc(pub.Refs, func(r entry.Ref) bool {
		return s.typ == "" && r.ID == q.Entity || s.typ != "" && r.String() == q.Entity
	})
}

// excerpt is the first text that has a part of what was typed, not much longer than it.
func excerpt(texts []string, q find.Query) string {
	const most = 120
	for _, t := range texts {
		if len(q.Terms) > 0 && (find.Query{Terms: q.Terms[:1]}).Matches([]string{t}, nil) {
			t = find.Hide(t)
			if r := []rune(t); len(r) > most {
				at := max(strings.Index(strings.ToLower(t), q.Terms[0]), 0)
				from := max(len([]rune(t[:min(at, len(t))]))-most/3, 0)
				t = "… " + string(r[from:min(from+most, len(r))]) + " …"
			}
			return t
		}
	}
	return ""
}

// recordRow is an entry as it is listed.
func (o *Office) recordRow(ctx context.Context, n *naming, e *store.Entry) (console.RecordRow, error) {
	row := console.RecordRow{
		Dot: e.Dot, Form: e.Form, Title: e.Form, Actor: e.Actor, Who: n.user(ctx, e.Actor), HubAt: o.at(e.CorrectedTime), ReceivedAt: o.at(e.ReceivedAt), Via: string(e.Via),
		Verdict: string(e.Judgement.Verdict), Code: e.Judgement.Code, Words: find.Hide(e.Judgement.Words),
	}
	if d, ok := o.domain.(reconcile.Noticing); ok && n.lang != "" && n.lang != "en" {
		row.Words = cmp.Or(d.RuleWords(row.Code, n.lang), row.Words)
	}
	if f, err := o.forms.Form(e.Form, e.FormVersion); err == nil && f.Title.In(n.lang) != "" {
		row.Title = f.Title.In(n.lang)
	}
	if e.Entity == "" {
		return row, nil
	}
	ref := entry.Ref{Type: e.EntityType, ID: e.Entity}
	row.Entity = ref.String()
	var err error
	row.Name, err = n.name(ctx, ref)
	return row, err
}

// Choices implements console.Records.
func (o *Office) Choices(ctx context.Context, lang string) (out console.RecordChoices, err error) {
	ds, err := o.devicesSeen(ctx)
	if err != nil {
		return out, err
	}
	for _, d := range ds {
		out.Devices = append(out.Devices, string(d.ID))
		for _, s := range d.Scopes {
			if team, ok := strings.CutPrefix(s, "team:"); ok && !slices.Contains(out.Teams, team) {
				out.Teams = append(out.Teams, team)
			}
		}
	}
	slices.Sort(out.Teams)
	book, ok := o.forms.(interface {
		IDs() []string
		ingest.FormBook
	})
	if !ok {
		return out, nil
	}
	for _, id := range book.IDs() {
		words := id
		if f, ok := book.Latest(id); ok && f.Title.In(lang) != "" {
			words = f.Title.In(lang)
		}
		out.Forms = append(out.Forms, console.Named{ID: id, Words: words})
	}
	return out, nil
}

// cursor writes where a page ended.
func cursor(p store.Place) string { return fmt.Sprintf("%d.%d.%d", p.Time, p.Chain, p.Seq) }

func readCursor(s string) (p store.Place, err error) {
	if s == "" {
		return p, nil
	}
	parts := strings.Split(s, ".")
	if len(parts) == 3 {
		for i, to := range []*int64{&p.Time, &p.Chain, &p.Seq} {
			n, bad := strconv.ParseInt(parts[i], 10, 64)
			*to, err = n, errors.Join(err, bad)
		}
	}
	if len(parts) != 3 || err != nil || p == (store.Place{}) {
		return store.Place{}, &webui.Refusal{Code: "bad_cursor", What: "this is no place in the list", Which: s, Do: "begin at the first page"}
	}
	return p, nil
}

// dayIn reads a day of the hub's zone, such as 2025-09-18; "" is none.
func (o *Office) dayIn(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, o.zone)
	if err != nil {
		return t, &webui.Refusal{Code: "bad_day", What: "this is no day", Which: s, Do: "write it like 2025-09-18"}
	}
	return t, nil
}
