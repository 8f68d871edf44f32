package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
)

// submit completes a draft with what the record writes into entities, and hands
// it to the store.
func (c *Capture) submit(ctx context.Context, f *form.Form, r Request, d entry.Draft, at form.Moment) (wait func() (entry.Saved, error), err error) {
	private := entry.Private{Fields: r.Fields}
	if _, err := io.ReadFull(c.c.Random, private.Salt[:]); err != nil {
		return nil, fmt.Errorf("capture %s: draw a salt: %w", f, err)
	}
	saved, err := f.Saved(r.Entity, r.Fields, at)
	if err != nil {
		if p, ok := errors.AsType[form.Problem](err); ok {
			return nil, &Refusal{Form: f.String(), Problems: []form.Problem{p}}
		}
		return nil, fmt.Errorf("capture %s: %w", f, err)
	}
	refs := refsOf(saved)
	for _, ref := range refs {
		if ref.Type == "" || !form.ValidEntityID(ref.ID) {
			return nil, &Refusal{Form: f.String(), Problems: []form.Problem{{
				Field: "entity", Code: form.Missing, Grave: true, Words: fmt.Sprintf("entity: form %s writes into a %s: say which one", f.ID, ref.Type),
			}}}
		}
	}
	done, err := c.reserve(ctx, refs)
	if err != nil {
		return nil, err
	}
	desk := merge.Desk{
		Type:      c.c.Types,
		Displayed: func(ref entry.Ref) (*merge.State, error) { return c.displayed(r, ref) },
		Settles:   func(ref entry.Ref, field string) bool { return slices.Contains(r.Settles, ref.String()+"#"+field) },
	}
	if err := desk.Fill(&d.Public, &private, saved); err != nil {
		done()
		return nil, &Refusal{Form: f.String(), Problems: []form.Problem{{Field: "entity", Code: form.BadType, Grave: true, Words: err.Error()}}}
	}
	for _, w := range private.Writes {
		if ref := d.Public.Refs[w.Ref]; !slices.Contains(d.Written, ref) {
			d.Written = append(d.Written, ref)
		}
	}
	if d.Private, err = private.Encode(); err != nil {
		done()
		return nil, fmt.Errorf("capture %s: %w", f, err)
	}
	next := c.c.Store.Submit(ctx, d)
	if len(refs) == 0 {
		return next, nil
	}
	// What is shown next must have this write in it, whoever waits for the answer.
	var out entry.Saved
	var failed error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer done()
		out, failed = next()
	}()
	return func() (entry.Saved, error) { <-answered; return out, failed }, nil
}

// displayed is an entity as the person had it in view.
func (c *Capture) displayed(r Request, ref entry.Ref) (*merge.State, error) {
	if b, ok := r.Displayed[ref]; ok {
		return merge.Decode(b)
	}
	return c.c.Displayed(ref)
}

func refsOf(saved []form.Saved) (out []entry.Ref) {
	for _, s := range saved {
		if ref := (entry.Ref{Type: s.Type, ID: s.ID}); !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, func(a, b entry.Ref) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// reserve waits until no other capture is about to write to any of the entities:
// a person's later record has seen the same person's earlier one. All are taken at
// once, so captures cannot wait for one another in a circle.
func (c *Capture) reserve(ctx context.Context, refs []entry.Ref) (done func(), err error) {
	for {
		c.mu.Lock()
		i := slices.IndexFunc(refs, func(r entry.Ref) bool { return c.writing[r] != nil })
		if i < 0 {
			ended := make(chan struct{})
			for _, r := range refs {
				c.writing[r] = ended
			}
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				for _, r := range refs {
					delete(c.writing, r)
				}
				c.mu.Unlock()
				close(ended)
			}, nil
		}
		busy := c.writing[refs[i]]
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
