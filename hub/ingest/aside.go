package ingest

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/lane"
	"otor/internal/merge"
)

// What an operator may do with an entry that was set aside.
const (
	// AsideAccept puts it right and applies it: the hub mints an entry of its own with the
	// original's context (L7), and the original is linked to that.
	AsideAccept = "accept"
	AsideReturn = "return" // its author is told what to do
	AsideReject = "reject" // it is not wanted
	AsideReopen = "reopen" // takes a return or a rejection back
	// AsideJudge judges it by the forms of today: what is in order now is accepted as it is.
	AsideJudge = "judge"
)

// The codes that entries have afterwards.
const (
	CodeCorrected = "corrected" // of an accepted one
	CodeReturned  = "returned"
	CodeRejected  = "rejected"
)

// Disposal is what an operator rules on an entry that was set aside.
type Disposal struct {
	Dot    dot.Dot
	Choice string
	Seen   string // the code under which it stood aside when the operator looked
	Reason string // of a return, the words that its author reads
	By     string
	// Fields are answers that stand in place of the original's, of an accepted one, as a JSON
	// decoder with UseNumber gives them; nil takes one out, and of a group what is not named stays.
	Fields map[string]any
}

// Disposed is what came of it, for the journal.
type Disposed struct {
	Judgement store.Judgement // the original's
	Made      *store.Entry    // of an accepted one: the hub's own
}

// NotDisposable says why an entry that was set aside cannot be ruled on so.
type NotDisposable struct{ Code, Words string }

func (e *NotDisposable) Error() string { return e.Words }

func cannot(code, format string, args ...any) error {
	return &NotDisposable{code, fmt.Sprintf(format, args...)}
}

// Dispose follows an operator's ruling on an entry that was set aside, inside the
// transaction that records it. Errors: [NotDisposable], [form.Problem] of corrected answers.
func (a *Author) Dispose(tx store.Tx, d Disposal) (out Disposed, err error) {
	es, err := tx.Entries(d.Dot.Chain, lane.Run(d.Dot.Seq, d.Dot.Seq))
	if err != nil {
		return out, err
	}
	if len(es) == 0 {
		return out, cannot("not_found", "there is no entry %s", d.Dot)
	}
	e := es[0]
	switch v := e.Judgement; {
	case v.Verdict != store.Quarantined && v.Verdict != store.Refused:
		return out, cannot("changed", "%s is not set aside any more: it is %s", d.Dot, v.Verdict)
	case v.Code != d.Seen:
		return out, cannot("changed", "%s is set aside for another reason than it was: %s", d.Dot, v.Code)
	case strings.TrimSpace(d.Reason) == "":
		return out, cannot("reason_missing", "it needs a reason, which stays in the ledger")
	}
	switch d.Choice {
	case AsideReturn:
		out.Judgement = store.Judgement{Verdict: store.Quarantined, Code: CodeReturned, Words: d.Reason}
	case AsideReject:
		out.Judgement = store.Judgement{Verdict: store.Refused, Code: CodeRejected, Words: d.Reason}
	case AsideReopen:
		if e.Judgement.Code != CodeReturned && e.Judgement.Code != CodeRejected {
			return out, cannot("changed", "%s was neither returned nor rejected", d.Dot)
		}
		if out.Judgement = Describe(e.Dot, e.Raw, e.DeviceTime-e.CorrectedTime, a.cfg).Judgement; out.Judgement.Verdict != store.Quarantined {
			out.Judgement = store.Judgement{Verdict: store.Quarantined, Code: "reopened", Words: "an operator looks at it once more"}
		}
	case AsideJudge:
		now := Describe(e.Dot, e.Raw, e.DeviceTime-e.CorrectedTime, a.cfg).Judgement
		switch {
		case now == e.Judgement || now.Verdict == store.Quarantined && now.Code == e.Judgement.Code:
			return out, cannot("unchanged", "%s is set aside for the same reason as before: %s", d.Dot, now.Words)
		case now.Verdict == store.Quarantined:
			out.Judgement = now
			return out, a.settle(tx, e, out)
		}
		d.Fields = nil
		made, err := a.accept(tx, e, d)
		if err != nil {
			return out, err
		}
		out.Made, out.Judgement = &made, correctedAs(made.Dot, d.Reason)
	case AsideAccept:
		made, err := a.accept(tx, e, d)
		if err != nil {
			return out, err
		}
		out.Made = &made
		out.Judgement = correctedAs(made.Dot, d.Reason)
	default:
		return out, cannot("bad_choice", "choose %s, %s, %s, %s or %s", AsideAccept, AsideReturn, AsideReject, AsideReopen, AsideJudge)
	}
	return out, a.settle(tx, e, out)
}

func correctedAs(made dot.Dot, reason string) store.Judgement {
	return store.Judgement{Verdict: store.Duplicate, Code: CodeCorrected, Words: fmt.Sprintf("the office applied it as %s: %s", made, reason)}
}

// settle gives an original its new judgement, and links it to what was made of it: also
// another form of it, from a re-homed folder, is then known as the same fact.
func (a *Author) settle(tx store.Tx, e store.Entry, out Disposed) error {
	at := a.cfg.Now().UnixMilli()
	if out.Made != nil {
		if err := tx.AddForm(store.Form{Was: entry.Was{Dot: e.Dot, Hash: e.Hash}, Now: out.Made.Dot}, at); err != nil {
			return err
		}
	}
	return store.Revise(tx, at, e.Dot.Chain, map[dot.Seq]store.Judgement{e.Dot.Seq: out.Judgement})
}

// accept mints the hub's entry of a corrected record.
func (a *Author) accept(tx store.Tx, e store.Entry, d Disposal) (store.Entry, error) {
	forms, err := tx.Forms(e.Dot.Chain, lane.Run(e.Dot.Seq, e.Dot.Seq))
	if err != nil {
		return store.Entry{}, err
	}
	for _, f := range forms {
		if f.Was.Hash == e.Hash {
			return store.Entry{}, cannot("counted", "what %s says counts already, as %s: reject it", d.Dot, f.Now)
		}
	}
	pub, err := entry.DecodePublic(e.Raw.Public)
	if err != nil || pub.System != "" || e.Raw.Erased() {
		return store.Entry{}, cannot("unreadable", "%s cannot be read as a record: return it, or reject it", d.Dot)
	}
	if len(pub.Refs) > 0 && !canBe(e.Dot.Device, pub.Refs[0]) {
		return store.Entry{}, cannot("unreadable", "%s is about what cannot be an entity: return it, or reject it", d.Dot)
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	if err != nil {
		return store.Entry{}, cannot("unreadable", "%s cannot be read: %v: return it, or reject it", d.Dot, err)
	}
	f, err := a.cfg.Forms.Form(e.Form, e.FormVersion)
	if err != nil {
		return store.Entry{}, cannot("form_missing", "%v: publish the form, and what waits for it is judged again by itself", err)
	}
	fields := maps.Clone(priv.Fields)
	if fields == nil {
		fields = make(map[string]any)
	}
	corrections, problems := form.FromJSON(f, d.Fields)
	if len(problems) > 0 {
		return store.Entry{}, problems[0]
	}
	for name, v := range corrections {
		if !slices.ContainsFunc(f.Fields, func(x form.Field) bool { return x.Name == name }) {
			return store.Entry{}, cannot("bad_field", "form %s has no question %q", f, name)
		}
		put(fields, name, v)
	}
	when := time.UnixMilli(e.CorrectedTime).In(a.cfg.Zone)
	if problems = f.Check(fields, form.Env{Today: form.DateOf(when), DemoMode: a.cfg.Demo}); len(problems) > 0 {
		return store.Entry{}, problems[0]
	}
	now := a.cfg.Now()
	corrected := entry.Public{
		Wall: now.UnixMilli(), Zone: zoneMinutes(now.In(a.cfg.Zone)), Actor: d.By, Form: pub.Form, Position: pub.Position, Blobs: pub.Blobs, Corrects: &e.Dot,
		// It happened when the original says, and not now.
		Offset: &entry.Offset{Millis: e.CorrectedTime - now.UnixMilli()},
	}
	if e.Entity != "" {
		corrected.Refs = []entry.Ref{{Type: e.EntityType, ID: e.Entity}}
	}
	private := entry.Private{Fields: fields}
	if _, err := io.ReadFull(a.random, private.Salt[:]); err != nil {
		return store.Entry{}, fmt.Errorf("draw a salt: %w", err)
	}
	saved, err := f.Saved(e.Entity, fields, form.MomentOf(when))
	if err != nil {
		return store.Entry{}, err
	}
	before, err := f.Saved(e.Entity, priv.Fields, form.MomentOf(when))
	if err != nil {
		before = nil // what was wrong with it
	}
	if err := a.fill(&corrected, &private, saved, before, pub, priv); err != nil {
		return store.Entry{}, err
	}
	b, err := private.Encode()
	if err != nil {
		return store.Entry{}, err
	}
	return a.mint(tx, dot.Chain{Device: dot.Hub, Incarnation: a.incarnation, Lane: f.Lane}, corrected, b)
}

// put puts an answer in place of another; of a group those of its answers that it has.
func put(answers map[string]any, name string, v any) {
	group, isGroup := v.(map[string]any)
	was, wasGroup := answers[name].(map[string]any)
	switch {
	case v == nil:
		delete(answers, name)
	case isGroup && wasGroup:
		was = maps.Clone(was)
		for inner, x := range group {
			put(was, inner, x)
		}
		answers[name] = was
	default:
		answers[name] = v
	}
}

// fill adds what the corrected record writes into entities, with what its author had in view
// then: the registers that the original writes, and those of answers that are corrected.
func (a *Author) fill(pub *entry.Public, private *entry.Private, saved, before []form.Saved, was entry.Public, wasPrivate entry.Private) error {
	touches, err := merge.Changes(was, wasPrivate)
	if err != nil {
		touches = nil // its writes are what is wrong with it
	}
	of := func(ref entry.Ref) (writes []merge.Write) {
		for _, t := range touches {
			if t.Ref == ref {
				writes = append(writes, t.Writes...)
			}
		}
		return writes
	}
	unchanged := func(x form.Saved) bool {
		return slices.ContainsFunc(before, func(b form.Saved) bool { return reflect.DeepEqual(b, x) })
	}
	saved = slices.DeleteFunc(slices.Clone(saved), func(x form.Saved) bool {
		name := x.Property
		if t := a.cfg.typeOf(x.Type); t != nil {
			name, _, _ = t.Register(x.Property)
		}
		wrote := slices.ContainsFunc(of(entry.Ref{Type: x.Type, ID: x.ID}), func(w merge.Write) bool {
			return w.Register == name || strings.HasPrefix(w.Register, name+"/")
		})
		return len(touches) > 0 && !wrote && unchanged(x)
	})
	desk := merge.Desk{Type: a.cfg.typeOf, Displayed: func(ref entry.Ref) (*merge.State, error) {
		view := merge.New(ref) // a state that has seen what its author had in view, and shows nothing
		for _, w := range of(ref) {
			for _, d := range w.Context.Dots() {
				view.Dispose(d)
			}
		}
		return view, nil
	}}
	if err := desk.Fill(pub, private, saved); err != nil {
		return fmt.Errorf("%w: %w", ErrNotApplied, err)
	}
	return nil
}

// DisposeAgain brings about what a journal says of an entry that was set aside, which the
// database may not have (again) yet: then it stands aside anew when it comes, unless it was accepted.
func (g *Ingest) DisposeAgain(tx store.Tx, at int64, d dot.Dot, hash entry.Hash, j store.Judgement, made []entry.Raw) error {
	if err := g.Restore(tx, made); err != nil {
		return err
	}
	if len(made) > 0 {
		pub, err := entry.DecodePublic(made[0].Public)
		if err == nil {
			err = tx.AddForm(store.Form{Was: entry.Was{Dot: d, Hash: hash}, Now: pub.Dot}, at)
		}
		if err != nil {
			return err
		}
	}
	es, err := tx.Entries(d.Chain, lane.Run(d.Seq, d.Seq))
	if err != nil || len(es) == 0 || es[0].Hash != hash {
		return err
	}
	if v := es[0].Judgement.Verdict; v != store.Quarantined && v != store.Refused {
		return nil
	}
	return store.Revise(tx, at, d.Chain, map[dot.Seq]store.Judgement{d.Seq: j})
}
