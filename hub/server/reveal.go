package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
	"otor/internal/webui"
)

// kindRevealed is the fact that somebody looked at a masked field.
const kindRevealed = "revealed"

// revealedFact says who looked at what (the fact's own columns) and why; never what was there.
type revealedFact struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// Reveal implements console.Records. That somebody looks is recorded before it is shown.
func (o *Office) Reveal(ctx context.Context, r console.Reveal) (console.Revealed, error) {
	out := console.Revealed{Field: r.Field}
	if !asker(ctx).Role.May(access.Reveal) {
		return out, &webui.Refusal{Code: "not_allowed", What: "your role does not reveal masked fields", Which: r.Field, Do: "ask a reconciler"}
	}
	if err := reconcile.CheckReason(r.Reason); err != nil {
		return out, asPageRefusal(err)
	}
	subject, label, values, err := o.masked(ctx, r)
	if err != nil {
		return out, err
	}
	if len(values) == 0 {
		return out, &webui.Refusal{Code: "not_masked", What: "nothing of this field is masked", Which: subject + "#" + r.Field, Do: "it is shown whole as it is"}
	}
	_, err = o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindRevealed, Subject: subject, Body: revealedFact{Field: r.Field, Reason: r.Reason}}, nil)
	out.Label, out.Values = label, values
	if err != nil {
		return console.Revealed{Field: r.Field}, fmt.Errorf("reveal %s of %s: %w", r.Field, subject, err)
	}
	return out, nil
}

// masked reads what is masked of a field, and how the field is called; none where nothing is.
func (o *Office) masked(ctx context.Context, r console.Reveal) (subject, label string, values []string, err error) {
	n := o.naming(r.Lang)
	if !r.Record.IsZero() {
		e, err := o.entrySeen(ctx, r.Record)
		if err != nil {
			return "", "", nil, err
		}
		f, fields := o.answered(e)
		if f == nil {
			return r.Record.String(), "", nil, nil
		}
		answers := n.answers(f, fields)
		i := slices.IndexFunc(answers, func(a console.Answer) bool { return a.Name == r.Field && a.Masked })
		x, v := asked(f.Fields, r.Field, fields)
		if i < 0 || x == nil {
			return r.Record.String(), "", nil, nil
		}
		return r.Record.String(), answers[i].Label, []string{n.answer(f, x, v, "", false)}, nil
	}
	typ, id, _ := strings.Cut(r.Entity, "/")
	ref := entry.Ref{Type: typ, ID: id}
	_, state, err := o.entityState(ctx, ref)
	if err != nil {
		return "", "", nil, err
	}
	for _, v := range state.Values(r.Field) {
		if _, hidden := n.value(typ, r.Field, v.Get()); hidden {
			values = append(values, n.whole(typ, r.Field, v.Get()))
		}
	}
	return ref.String(), n.field(typ, r.Field), slices.Compact(values), nil
}

// asked finds a question by its name as answers have it, "group.question", and its answer.
func asked(in []form.Field, name string, fields map[string]any) (*form.Field, any) {
	group, inner, nested := strings.Cut(name, ".")
	i := slices.IndexFunc(in, func(x form.Field) bool { return x.Name == group })
	switch {
	case i < 0:
		return nil, nil
	case !nested:
		return &in[i], fields[name]
	}
	within, _ := fields[group].(map[string]any)
	return asked(in[i].Fields, inner, within)
}

// entityState reads an entity that whoever asks sees. Refusal: not_found.
func (o *Office) entityState(ctx context.Context, ref entry.Ref) (store.Entity, *merge.State, error) {
	none := &webui.Refusal{Code: "not_found", What: "there is no such entity", Which: ref.String(), Do: "see hub find"}
	row, err := o.store.Entity(ctx, ref)
	if errors.Is(err, store.ErrNotFound) || err == nil && !o.sight(ctx).covers(row.Scopes) {
		return row, nil, none
	}
	if err != nil {
		return row, nil, err
	}
	state, err := merge.Decode(row.State)
	if err != nil {
		return row, nil, fmt.Errorf("entity %s: %w: %w", ref, store.ErrDamaged, err)
	}
	return row, state, nil
}

// recordDot reads the name of a record. Refusal: not_found.
func recordDot(s string) (dot.Dot, error) {
	d, err := dot.Parse(s)
	if err != nil {
		return d, &webui.Refusal{Code: "not_found", What: "this is no name of a record", Which: s, Do: "write it like D-101/3/record/17"}
	}
	return d, nil
}
