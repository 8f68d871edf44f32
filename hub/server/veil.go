package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/find"
)

// masked shows of a text what a mask lets be seen: "" all of it, "all" nothing,
// others its last four characters.
func masked(v, mask string) string {
	r := []rune(v)
	shown := min(len(r), 4)
	switch mask {
	case "":
		return v
	case "all":
		shown = 0
	}
	return strings.Repeat("•", max(len(r)-shown, 4)) + string(r[len(r)-shown:])
}

// veil masks the values in an item's evidence, and hides numbers of persons in what people
// wrote of it. Who reads the hub's folder could read them there.
func (o *Office) veil(ctx context.Context, l *ItemLine) (err error) {
	if asker(ctx).By == "machine" {
		return nil
	}
	l.Reason = find.Hide(l.Reason)
	typ, _, _ := strings.Cut(l.Entity, "/")
	w, ok := o.domain.(worded)
	if !ok || l.Kind != store.Conflicts {
		if l.Evidence, err = withoutPrivate(l.Evidence); err != nil {
			err = fmt.Errorf("evidence of item %d: %w", l.ID, err)
		}
		return err
	}
	mask := func(v any) any { return maskedValue(w, typ, l.Field, v) }
	var e reconcile.Dispute
	if err := json.Unmarshal(l.Evidence, &e); err != nil {
		return fmt.Errorf("evidence of item %d: %w", l.ID, err)
	}
	e.Base, e.Former = mask(e.Base), nil
	for i := range e.Sides {
		e.Sides[i].Value, e.Sides[i].Prior = mask(e.Sides[i].Value), mask(e.Sides[i].Prior)
	}
	if e.Asked != nil {
		e.Asked.Words = find.Hide(e.Asked.Words)
	}
	l.Evidence, err = json.Marshal(e)
	return err
}

// maskedValue masks the texts in a value of a field.
func maskedValue(w worded, typ, field string, v any) any {
	switch v := v.(type) {
	case string:
		return shown(v, w.Mask(typ, field))
	case int64, float64:
		if w.Mask(typ, field) != "" {
			return shown(textOf(v), w.Mask(typ, field))
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[name] = maskedValue(w, typ, name, x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = maskedValue(w, typ, field, x)
		}
		return out
	}
	return v
}
