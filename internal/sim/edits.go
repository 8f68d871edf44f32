package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"otor/agent/capture"
	"otor/agent/store"
	"otor/internal/entry"
	"otor/internal/merge"
)

// draft is an entity as somebody has it on the screen. What is written from it
// knows of no more (L13).
type draft struct {
	ref   entry.Ref
	state []byte
	away  bool // the device does not hold it
}

// maxDrafts bounds what is open on one screen.
const maxDrafts = 5

// someEntity draws a household or a person.
func someEntity(d dice) entry.Ref {
	if d.is(0.2) {
		return entry.Ref{Type: "person", ID: fmt.Sprintf("P-%d", d.IntN(persons))}
	}
	return entry.Ref{Type: "household", ID: fmt.Sprintf("H-%d", d.IntN(households))}
}

// look opens an entity on a device's screen.
func (d *device) look() error {
	if d.proc == nil || len(d.drafts) == maxDrafts {
		return nil
	}
	ref := someEntity(d.dice)
	if d.last != (entry.Ref{}) && d.dice.is(0.4) { // one thing leads to another
		ref = d.last
	}
	shown, err := d.proc.store.Shown(ref)
	if err != nil {
		return err
	}
	d.drafts = append(d.drafts, draft{ref, shown.State.Encode(), !shown.InBase})
	return nil
}

// write fills in a form about what stands on the screen, since when is all the same.
func (d *device) write(ctx context.Context) error {
	if d.proc == nil {
		return nil
	}
	if len(d.drafts) == 0 || d.dice.is(0.4) {
		d.drafts = d.drafts[:min(len(d.drafts), maxDrafts-1)]
		if err := d.look(); err != nil {
			return err
		}
	}
	i := d.dice.IntN(len(d.drafts))
	page := d.drafts[i]
	d.drafts = append(d.drafts[:i:i], d.drafts[i+1:]...)
	state, err := merge.Decode(page.state)
	if err != nil {
		return err
	}
	name, fields, settles := answers(d.dice, page.ref, state.View(d.w.domain.Type(page.ref.Type)))
	out, err := d.proc.capture.Capture(ctx, capture.Request{
		Form: name, Entity: page.ref.ID, Actor: "u-naran", Fields: fields, Settles: settles, Displayed: map[entry.Ref][]byte{page.ref: page.state},
	})
	if r, refused := errors.AsType[*capture.Refusal](err); refused { // an alert that knows of too much does not fit
		d.w.did(d.name, nil, "refused: %v", r)
		return nil
	}
	if errors.Is(err, store.ErrTooLarge) && victims[page.ref.Type] == page.ref.ID { // known and not mended: see docs/reliability.md
		d.w.did(d.name, func(w *Work) { w.Unwritable++ }, "refused: %v", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	d.w.oracle.saw[out.Dot] = sight{page.ref: state}
	d.last = page.ref
	if page.away {
		d.w.oracle.away[out.Dot] = true
	}
	d.acknowledge(saved{dot: out.Dot, hash: out.Hash, fact: entry.Was{Dot: out.Dot, Hash: out.Hash}, expect: expectation{entity: true}})
	d.w.did(d.name, func(w *Work) { w.Edits++ }, "%s about %s", name, page.ref)
	d.keepTails()
	return nil
}

// answers draws what somebody writes who has an entity in view, and the conflicts
// that this decides.
func answers(d dice, ref entry.Ref, view merge.View) (name string, fields map[string]any, settles []string) {
	conflicts := view.Conflicts()
	if view.DeletionConflict {
		conflicts = append(conflicts, merge.Deleted)
	}
	if d.is(0.5) {
		for _, c := range conflicts {
			settles = append(settles, ref.String()+"#"+c)
		}
	}
	if ref.Type == "person" {
		return "person", map[string]any{
			"name": fmt.Sprintf("n%d", d.IntN(4)), "household": fmt.Sprintf("H-%d", d.IntN(households)),
		}, settles
	}
	if d.is(0.08) || view.DeletionConflict && d.is(0.5) || view.Deleted && d.is(0.3) {
		return "remove", map[string]any{"gone": d.is(0.5)}, settles
	}
	name = "edit"
	may := []string{"area", "name", "phone", "last", "first", "tags", "method", "head", "stock"}
	if d.is(0.35) {
		name, may = "urge", []string{"phone", "last", "name", "stock"}
	}
	fields = make(map[string]any)
	for range 1 + d.IntN(3) {
		f := may[d.IntN(len(may))]
		switch f {
		case "area":
			fields[f] = scopes[d.IntN(len(scopes))]
		case "head", "stock":
			fields[f] = int64(1 + d.IntN(5))
		default:
			fields[f] = fmt.Sprintf("%s %d", f, d.IntN(4))
		}
	}
	if slices.Contains(conflicts, "phone") && d.is(0.7) {
		fields["phone"] = fmt.Sprintf("phone %d", d.IntN(4))
	}
	return name, fields, settles
}

// displayed is an entity as a store shows it now.
func displayed(s *store.Store) func(entry.Ref) (*merge.State, error) {
	return func(ref entry.Ref) (*merge.State, error) {
		shown, err := s.Shown(ref)
		return shown.State, err
	}
}
