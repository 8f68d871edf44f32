package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/webui"
)

// ItemLine is a line of the list of what a person must look at.
type ItemLine struct {
	ID       int64           `json:"id"`
	Kind     string          `json:"kind"`
	Entity   string          `json:"entity"` // type/id
	Field    string          `json:"field"`
	Entries  []dot.Dot       `json:"entries"`
	Evidence json.RawMessage `json:"evidence"`
	OpenedAt time.Time       `json:"opened_at"`
	Owner    string          `json:"owner"`
	State    store.ItemState `json:"state"`
	ClosedAt *time.Time      `json:"closed_at,omitempty"`
	Decision *dot.Dot        `json:"decision,omitempty"` // the entry that settled it
	Times    int             `json:"times"`              // how often it was opened
	// DecidedBy and Reason say who decided it and why.
	DecidedBy string `json:"decided_by,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Items lists items by the time they were opened, open ones only unless all is true.
func (o *Office) Items(ctx context.Context, all bool) ([]ItemLine, error) {
	q := store.ItemQuery{State: store.Open}
	if all {
		q.State = ""
	}
	items, err := o.store.Items(ctx, q)
	if err != nil {
		return nil, err
	}
	sight := o.sight(ctx)
	items = slices.DeleteFunc(items, func(it store.Item) bool { return !sight.covers(it.Scopes) })
	out := make([]ItemLine, 0, len(items))
	for _, it := range items {
		line := o.itemLine(it)
		if err := o.veil(ctx, &line); err != nil {
			return nil, err
		}
		out = append(out, line)
	}
	return out, nil
}

// itemSeen reads an item that whoever asks sees. Refusal: not_found.
func (o *Office) itemSeen(ctx context.Context, id int64) (store.Item, error) {
	it, err := o.store.Item(ctx, id)
	if err == nil {
		if seen, _, look := o.sight(ctx).entity(ctx, it.Entity); look != nil || !seen {
			err = errors.Join(look, store.ErrNotFound)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = &webui.Refusal{Code: "not_found", What: "there is no such item", Which: strconv.FormatInt(id, 10), Do: "see hub items --all"}
	}
	return it, err
}

func (o *Office) itemLine(it store.Item) ItemLine {
	line := ItemLine{
		ID: it.ID, Kind: it.Kind, Entity: it.Entity.String(), Field: it.Field, Entries: append([]dot.Dot{}, it.Entries...), Evidence: it.Evidence,
		OpenedAt: o.at(it.OpenedAt), Owner: it.Owner, State: it.State, ClosedAt: o.maybe(it.ClosedAt), Times: it.Times,
		DecidedBy: it.DecidedBy, Reason: it.Reason,
	}
	if len(line.Evidence) == 0 {
		line.Evidence = json.RawMessage("{}")
	}
	if !it.Decision.IsZero() {
		line.Decision = &it.Decision
	}
	return line
}

// Items does what [Office.Items] does.
func (c *Client) Items(ctx context.Context, all bool) ([]ItemLine, error) {
	return ask[[]ItemLine](ctx, c, http.MethodGet, "items", url.Values{"all": {strconv.FormatBool(all)}}, nil)
}
