package ingest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
)

// unpack reads the frame's body and makes the ledger's rows. It is called once.
func (p *prepared) unpack(cfg Config) {
	p.begun = true
	defer close(p.read)
	raws, heads, err := p.frame.Chained()
	p.frame = nil
	if err != nil {
		p.broken = p.aside(p.header.Chain.Device, "body_mismatch", err.Error())
		return
	}
	p.heads, p.entries = heads, make([]store.Entry, len(raws))
	for i, raw := range raws {
		e := &p.entries[i]
		*e = Describe(p.header.Chain.At(p.header.Run.First+dot.Seq(i)), raw, p.skew, cfg)
		e.ReceivedAt, e.Via = p.at, p.via
	}
}

// Describe makes the ledger's row of an entry and judges it. skew is the
// device's clock minus the hub's in milliseconds, used when the entry itself
// carries no estimate. It never fails: what cannot be read is quarantined.
func Describe(d dot.Dot, raw entry.Raw, skew int64, cfg Config) store.Entry {
	e := store.Entry{Dot: d, Hash: raw.Hash(), Raw: raw}
	pub, err := entry.DecodePublic(raw.Public)
	if err != nil {
		e.Judgement = quarantine("malformed", err.Error())
		return e
	}
	e.Form, e.FormVersion, e.Actor = pub.Form.ID, pub.Form.Version, pub.Actor
	if pub.System != "" {
		e.Form = "system:" + pub.System
	}
	if len(pub.Refs) > 0 && canBe(d.Device, pub.Refs[0]) {
		e.EntityType, e.Entity = pub.Refs[0].Type, pub.Refs[0].ID
	}
	e.Was, e.Blobs, e.Corrects = pub.Was, pub.Blobs, pub.Corrects
	e.DeviceTime = pub.Wall
	e.CorrectedTime = pub.Wall - skew
	if pub.Offset != nil {
		e.CorrectedTime = pub.Wall + pub.Offset.Millis
	}
	today := form.DateOf(time.UnixMilli(e.CorrectedTime).In(cfg.Zone))
	var priv entry.Private
	e.Judgement, priv = judge(d, pub, raw, cfg.Forms, form.Env{Today: today, DemoMode: cfg.Demo})
	if pub.Dot == d {
		e.Judgement, e.Touches = touches(e.Judgement, pub, priv)
		e.Noted = noted(&e, pub, priv, cfg)
		e.Words = words(&e, pub, priv, cfg)
	}
	return e
}

// lacksForm reports whether an entry waits for its form to be published.
func lacksForm(j store.Judgement) bool {
	return j.Verdict == store.Quarantined && (j.Code == string(form.FormNewer) || j.Code == string(form.FormUnknown))
}

func quarantine(code, words string) store.Judgement {
	return store.Judgement{Verdict: store.Quarantined, Code: code, Words: words}
}

// judge says what the hub makes of an entry by itself: applied, or quarantined
// with the first thing that is wrong. The private part comes back when it was read.
func judge(d dot.Dot, pub entry.Public, raw entry.Raw, forms Forms, env form.Env) (store.Judgement, entry.Private) {
	refuse := func(code, words string) (store.Judgement, entry.Private) {
		return quarantine(code, words), entry.Private{}
	}
	if pub.Dot != d {
		return refuse("dot_mismatch", fmt.Sprintf("the entry calls itself %s", pub.Dot))
	}
	if w := pub.Was; w != nil && (w.Dot.Device != d.Device || w.Dot.Chain == d.Chain) {
		return refuse("was_foreign", fmt.Sprintf("the entry says that it was %s: an entry moves between lives of one device", w.Dot))
	}
	if limit := pub.MaxSize(); raw.Size() > limit {
		return refuse("too_large", fmt.Sprintf("%d bytes, the limit in this lane is %d", raw.Size(), limit))
	}
	if pub.System != "" {
		return judgeSystem(d, pub, raw)
	}
	f, err := forms.Form(pub.Form.ID, pub.Form.Version)
	if err != nil {
		if look, ok := errors.AsType[*form.LookupError](err); ok {
			return refuse(string(look.Code), look.Error())
		}
		return refuse("form_unknown", err.Error())
	}
	if f.Lane != d.Lane {
		return refuse("lane_mismatch", fmt.Sprintf("form %s belongs into the %s lane", f, f.Lane))
	}
	if raw.Erased() {
		return store.Judgement{Verdict: store.Applied, Code: "erased"}, entry.Private{}
	}
	priv, err := entry.DecodePrivate(raw.Private)
	if err != nil {
		return refuse("malformed", err.Error())
	}
	if problems := f.Check(priv.Fields, env); len(problems) > 0 {
		return refuse(string(problems[0].Code), problems[0].Words)
	}
	return store.Judgement{Verdict: store.Applied}, priv
}

// judgeSystem judges an entry that answers no form: the hub's own reference data,
// and what its operators decide.
func judgeSystem(d dot.Dot, pub entry.Public, raw entry.Raw) (store.Judgement, entry.Private) {
	if pub.System != FixturesKind && pub.System != DecisionKind || d.Device != dot.Hub {
		return quarantine("system_unknown", fmt.Sprintf("no system entry of kind %q is known here", pub.System)), entry.Private{}
	}
	if raw.Erased() {
		return store.Judgement{Verdict: store.Applied, Code: "erased"}, entry.Private{}
	}
	priv, err := entry.DecodePrivate(raw.Private)
	if err != nil {
		return quarantine("malformed", err.Error()), entry.Private{}
	}
	return store.Judgement{Verdict: store.Applied}, priv
}

// touches reads what an entry does to entities. One that is set aside does
// nothing to those that it names; they note it all the same, but for one whose
// form is yet to come: it is not disposed of, and nobody has seen it. What cannot be
// an entity is none of them.
func touches(j store.Judgement, pub entry.Public, priv entry.Private) (store.Judgement, []merge.Touch) {
	if len(pub.Refs) == 0 || lacksForm(j) {
		return j, nil
	}
	refs := make([]entry.Ref, 0, len(pub.Refs))
	for _, r := range pub.Refs {
		if canBe(pub.Dot.Device, r) {
			refs = append(refs, r)
		} else if j.Verdict == store.Applied {
			j = quarantine("bad_write", fmt.Sprintf("%.48q of type %.48q cannot be an entity: an id has 1 to 128 bytes without spaces, a type 1 to %d", r.ID, r.Type, maxType))
		}
	}
	if j.Verdict == store.Applied {
		ts, err := merge.Changes(pub, priv)
		if err == nil {
			return j, ts
		}
		j = quarantine("bad_write", err.Error())
	}
	ts, err := merge.Changes(entry.Public{Dot: pub.Dot, Refs: refs}, entry.Private{})
	if err != nil {
		return j, nil // it names nothing that could be an entity
	}
	return j, ts
}

// maxType is the most bytes that the name of an entity's type has.
const maxType = 64

// canBe reports whether what an entry names can be an entity: a feed can carry it and the
// database can find it. Of the hub's own entries the pack and the office's forms have seen
// to that, and they may be about what is there from before devices were asked for it.
func canBe(by dot.Device, r entry.Ref) bool {
	return by == dot.Hub && r.Type != "" && r.ID != "" ||
		form.ValidEntityID(r.ID) && form.ValidEntityID(r.Type) && len(r.Type) <= maxType && !strings.Contains(r.Type, "/")
}
