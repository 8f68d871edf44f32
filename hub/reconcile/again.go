package reconcile

import (
	"slices"

	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/rules"
)

// What is remarkable about a record may hang on entities: to which team a household
// belonged, for one. They may become known, or other than they were, after the
// record came. So who asked for an entity is marked, and looked at again when it changes:
// the same is remarkable in whatever order things arrive.

// watchRule is what those marks have in place of a rule's id; no rule can be called so.
const watchRule = "~"

// watch marks an entry with the entities that rules asked for about it.
func (o *Round) watch(n Noticing, e *store.Entry, asked map[entry.Ref]bool) error {
	refs := make([]entry.Ref, 0, len(asked))
	for ref := range asked {
		if len(n.Rules().Watched(ref.Type)) > 0 {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, compareRefs)
	for _, ref := range refs {
		if err := o.tx.PutMark(store.Mark{Rule: watchRule, Key: ref.String(), Dot: e.Dot, Time: e.CorrectedTime}); err != nil {
			return err
		}
	}
	return nil
}

// watchedOf are an entity's fields that rules look at, as they are shown now.
func (o *Round) watchedOf(h *held) []any {
	n, ok := o.r.cfg.Domain.(Noticing)
	if !ok || o.r.cfg.Noted == nil {
		return nil
	}
	fields := n.Rules().Watched(h.row.Ref.Type)
	if len(fields) == 0 {
		return nil
	}
	shown := Shown(h.state, o.r.cfg.Domain.Type(h.row.Ref.Type))
	out := make([]any, len(fields))
	for i, f := range fields {
		out[i] = shown[f]
	}
	return out
}

// lookAgain looks again at the records about which rules asked for entities that
// are otherwise now.
func (o *Round) lookAgain() error {
	n, ok := o.r.cfg.Domain.(Noticing)
	if !ok || o.r.cfg.Noted == nil {
		return nil
	}
	for _, h := range slices.Clone(o.order) {
		if !h.dirty || slices.EqualFunc(o.watchedOf(h), h.watched, same) {
			continue
		}
		marks, err := o.tx.Marks(watchRule, h.row.Ref.String())
		if err != nil {
			return err
		}
		for _, m := range marks {
			e, ok, err := o.entry(m.Dot)
			if err == nil && ok && e.Judgement.Code != "linked" {
				err = o.look(n, &e)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// look works out anew what is remarkable about an entry that took its effect.
func (o *Round) look(n Noticing, e *store.Entry) error {
	set := n.RulesFor(e.Form, e.FormVersion)
	e.Noted = o.r.cfg.Noted(*e)
	if set == nil || e.Noted == nil {
		return nil
	}
	read := &reader{o: o, asked: make(map[entry.Ref]bool)}
	_, remarks, trouble := set.Notice(read, *e.Noted)
	if read.err != nil {
		return read.err
	}
	if trouble != nil {
		o.r.cfg.Log.Warn("a rule of the pack could not be worked out again; what it said stands", "entry", e.Dot.String(), "form", e.Form, "err", trouble)
		return nil
	}
	for _, m := range set.RemarksOf(e.Form) {
		judge := o.unremark
		if slices.Contains(remarks, m) {
			judge = o.remark
		}
		if err := judge(n, e, m); err != nil {
			return err
		}
	}
	return o.watch(n, e, read.asked)
}

// unremark takes back what is not remarkable any more, unless a person ruled on it.
func (o *Round) unremark(n Noticing, e *store.Entry, m rules.Remark) error {
	j, kind := remarked(n, m)
	if err := o.unless(e.Dot, j); err != nil {
		return err
	}
	return o.closed(kind, e, m.Rule)
}
