package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
)

// What an operator may choose besides a side, which goes by its letter: A is the
// first of [Dispute.Sides].
const (
	ChooseOther = "other"
	ChooseAsk   = "ask"  // the authors are asked, and the item stays open
	ChooseUndo  = "undo" // the sides are put back as they were
)

// UndoWithin is how long a decision can be taken back, by the hub's clock.
const UndoWithin = 24 * time.Hour

// MaxReason bounds a reason in characters: it reaches the devices of those who are asked.
const MaxReason = 500

// Ruling is what an operator decides about an item.
type Ruling struct {
	Choice string
	Value  json.RawMessage // of ChooseOther
	// Fits says why such a value cannot stand in the field; nil: any of the sides' kind can.
	Fits   func(value any) error
	Reason string
	By     string
	// Seen are the dots that were displayed, [Dispute.Displayed]: what stands in
	// their place by now was not decided about.
	Seen []dot.Dot
}

// Refused says why a ruling cannot be followed. Nothing was changed.
type Refused struct {
	Code  string // item_changed, reason_missing, bad_choice, bad_value, not_decidable, undo_over
	What  string
	Which string
	Do    string
	err   error
}

func (r *Refused) Error() string { return r.What }
func (r *Refused) Unwrap() error { return r.err }

// ErrConflict marks the refusal of a ruling on what somebody changed meanwhile.
var ErrConflict = errors.New("somebody else was faster")

func refuse(code, do, what string, args ...any) *Refused {
	return &Refused{Code: code, What: fmt.Sprintf(what, args...), Do: do}
}

func changed(what string, args ...any) *Refused {
	r := refuse("item_changed", "look at the item again, and decide on what it shows now", what, args...)
	r.err = ErrConflict
	return r
}

// Former is a side as it stood before a decision, so that it can be put back.
type Former struct {
	Raw      []byte  `json:"raw"` // the value as CBOR
	Prior    dot.Dot `json:"prior,omitzero"`
	PriorRaw []byte  `json:"prior_raw,omitempty"`
}

// Asked is the question that was put to the authors of a conflict's sides.
type Asked struct {
	By    string `json:"by"`
	Words string `json:"words"`
	At    int64  `json:"at"` // Unix milliseconds of the hub's clock
}

// Draft is what a ruling comes to: the writes of one entry or of several that
// do not know of each other, and the sides as they were.
type Draft struct {
	Ref    entry.Ref // what is written to; zero: the item's entity
	Writes [][]merge.Write
	Former []Former
}

// Rule works out what a ruling on an item writes. On a conflict it is a compare-and-set
// (law L13): what is in conflict now must be what the operator had in view.
func (r *Reconciler) Rule(tx store.Tx, it store.Item, ru Ruling) (Draft, error) {
	if err := CheckReason(ru.Reason); err != nil {
		return Draft{}, err
	}
	if choices[it.Kind] != nil {
		return r.ruleNotice(tx, it, ru)
	}
	state, shown, err := r.shown(tx, it)
	if err != nil {
		return Draft{}, err
	}
	if ru.Choice == ChooseUndo {
		return undo(it, state, shown, ru)
	}
	switch {
	case it.State != store.Open && it.DecidedBy != "":
		return Draft{}, changed("%s has decided this item already: %s", it.DecidedBy, it.Reason)
	case it.State != store.Open:
		return Draft{}, changed("this item was answered already, in %s", it.Decision)
	case len(ru.Seen) == 0 || !sameDots(ru.Seen, shown.Dots):
		return Draft{}, changed("what is in conflict is not what was decided on: a value came in meanwhile")
	}
	if ru.Choice == ChooseAsk {
		if !slices.ContainsFunc(it.Entries, func(d dot.Dot) bool { return d.Device != dot.Hub }) {
			return Draft{}, refuse("bad_choice", "choose A, B or another value", "no side of this conflict came from a device, so there is nobody to ask")
		}
		return Draft{}, nil
	}
	value, err := chosen(it.Field, state, shown.Values, ru)
	if err != nil {
		return Draft{}, err
	}
	ws, err := state.Confirm(r.cfg.Domain.Type(it.Entity.Type), it.Field, value, true)
	if err != nil {
		return Draft{}, refuse("bad_value", "give a value of the same kind as the sides", "the value cannot be written: %v", err)
	}
	d := Draft{Writes: [][]merge.Write{ws}}
	for _, v := range shown.Values {
		f := Former{Raw: v.Raw}
		if v.Prior != nil {
			f.Prior, f.PriorRaw = v.Prior.Dot, v.Prior.Raw
		}
		d.Former = append(d.Former, f)
	}
	return d, nil
}

// CheckReason refuses a reason that says nothing, or too much.
func CheckReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return refuse("reason_missing", "say why, in words that others understand in a year", "a decision needs a reason, which stays in the ledger")
	case utf8.RuneCountInString(reason) > MaxReason:
		return refuse("reason_missing", "say it shorter", "the reason has %d characters, at most %d are taken", utf8.RuneCountInString(reason), MaxReason)
	}
	return nil
}

// shown is what a conflict's register shows now, and the state that it is in.
func (r *Reconciler) shown(tx store.Tx, it store.Item) (*merge.State, merge.Shown, error) {
	if it.Kind != store.Conflicts {
		return nil, merge.Shown{}, refuse("not_decidable", "", "items of kind %s are not decided by choosing a value", it.Kind)
	}
	rows, err := tx.Entities([]entry.Ref{it.Entity})
	if err != nil {
		return nil, merge.Shown{}, err
	}
	if len(rows) == 0 {
		return nil, merge.Shown{}, fmt.Errorf("entity %s of item %d: %w", it.Entity, it.ID, store.ErrNotFound)
	}
	state, err := merge.Decode(rows[0].State)
	if err != nil {
		return nil, merge.Shown{}, fmt.Errorf("entity %s: %w: %w", it.Entity, store.ErrDamaged, err)
	}
	if it.Field == merge.Deleted {
		return state, state.Deletion(), nil
	}
	return state, state.Show(r.cfg.Domain.Type(it.Entity.Type), it.Field), nil
}

// chosen is the value that a ruling chooses.
func chosen(field string, state *merge.State, sides []merge.Value, ru Ruling) (any, error) {
	letters := make([]string, len(sides))
	for i := range sides {
		letters[i] = Letter(i)
	}
	if at := slices.Index(letters, strings.ToUpper(ru.Choice)); at >= 0 {
		if field != merge.Deleted {
			return sides[at].Get(), nil
		}
		// A deletion says true; what stands against it is an edit of anything else.
		own := slices.ContainsFunc(state.Values(merge.Deleted), func(v merge.Value) bool { return v.Dots[0] == sides[at].Dots[0] })
		return own && sides[at].Get() == true, nil
	}
	switch {
	case ru.Choice != ChooseOther:
		return nil, refuse("bad_choice", "choose "+strings.Join(letters, ", ")+", other or ask", "this item has no side %q", ru.Choice)
	case len(ru.Value) == 0:
		return nil, refuse("bad_value", "give the other value", "another value was chosen, and none was given")
	case field == merge.Deleted:
		return nil, refuse("bad_choice", "choose one of the sides", "an entity is deleted or not: there is no other value")
	}
	v, err := shaped(ru.Value, kindOf(sides))
	if err != nil {
		return nil, refuse("bad_value", "give a value of the same kind as the sides", "%v", err)
	}
	if ru.Fits != nil {
		if err := ru.Fits(v); err != nil {
			return nil, refuse("bad_value", "give a value that the form takes", "%v", err)
		}
	}
	return v, nil
}

// kindOf is a value of the kind that the sides are of: of a group one with every member
// that any of them has.
func kindOf(sides []merge.Value) any {
	group, isGroup := sides[0].Get().(map[string]any)
	if !isGroup {
		for _, s := range sides {
			if x, fraction := s.Get().(float64); fraction { // a whole number may stand beside it
				return x
			}
		}
		return sides[0].Get()
	}
	for _, s := range sides[1:] {
		members, _ := s.Get().(map[string]any)
		for name, v := range members {
			if group[name] == nil {
				group[name] = v
			}
		}
	}
	return group
}

// Letter names a side by its place: A, B, ... Z, then S27 and so on.
func Letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return "S" + strconv.Itoa(i+1)
}

// shaped reads a value of the kind of another one, of JSON or of bare text.
func shaped(raw json.RawMessage, like any) (any, error) {
	var text string
	quoted := json.Unmarshal(raw, &text) == nil
	if !quoted {
		text = string(bytes.TrimSpace(raw))
	}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) && like != nil {
		return nil, errors.New("it is missing")
	}
	switch like := like.(type) {
	case nil: // a member that no side has
		if text == "" || text == "null" {
			return nil, nil
		}
		return text, nil
	case string:
		return text, nil
	case int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no whole number", text)
		}
		return n, nil
	case float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n-n != 0 {
			return nil, fmt.Errorf("%q is no number", text)
		}
		return n, nil
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
		return b, nil
	case map[string]any:
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil || len(members) != len(like) {
			return nil, fmt.Errorf("it takes all %d members as a JSON object", len(like))
		}
		out := make(map[string]any, len(like))
		for name, of := range like {
			raw, given := members[name]
			if !given {
				return nil, fmt.Errorf("%s: it is missing", name)
			}
			v, err := shaped(raw, of)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = v
		}
		return out, nil
	}
	return nil, errors.New("values of this kind cannot be typed in: choose one of the sides")
}

// undo puts the sides back as they were before a decision: each by an entry of
// its own, which do not know of each other, so that they are in conflict again.
func undo(it store.Item, state *merge.State, now merge.Shown, ru Ruling) (Draft, error) {
	var e Dispute
	if err := json.Unmarshal(it.Evidence, &e); err != nil {
		return Draft{}, fmt.Errorf("evidence of item %d: %w", it.ID, err)
	}
	switch {
	case it.State != store.Decided:
		return Draft{}, changed("this item is not decided, so there is nothing to take back")
	case it.Field == merge.Deleted:
		return Draft{}, refuse("not_decidable", "decide otherwise by a new record", "a decision on a deletion is not taken back")
	case len(e.Former) < 2:
		return Draft{}, refuse("not_decidable", "decide otherwise by a new record", "what stood before this decision is not known any more")
	case !sameDots(now.Dots, []dot.Dot{it.Decision}) || len(ru.Seen) > 0 && !sameDots(ru.Seen, now.Dots):
		return Draft{}, changed("another value was written since this was decided")
	}
	d := Draft{Former: e.Former}
	for _, f := range e.Former {
		w := merge.Write{Register: it.Field, Raw: f.Raw, Context: state.Context(it.Field)}
		if !f.Prior.IsZero() {
			w.Prior = &merge.Prior{Dot: f.Prior, Raw: f.PriorRaw}
		}
		d.Writes = append(d.Writes, []merge.Write{w})
	}
	return d, nil
}

func sameDots(a, b []dot.Dot) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, dot.Dot.Compare)
	slices.SortFunc(b, dot.Dot.Compare)
	return slices.Equal(a, b)
}
