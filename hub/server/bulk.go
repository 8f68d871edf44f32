package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/webui"
)

// mostAtOnce bounds the items that are decided alike by one act.
const mostAtOnce = itemsAtOnce

// DecideAlike implements console.Queue: items for which one reason was given are decided
// by one word, each by a decision and a row of the ledger of its own. None is touched
// unless all are of that kind and code; of those that somebody was faster with it is told.
func (o *Office) DecideAlike(ctx context.Context, b console.Bulk) (out console.BulkDone, err error) {
	if err := o.mayAlike(b); err != nil {
		return out, err
	}
	if err := reconcile.CheckReason(b.Reason); err != nil { // of each it would be the same
		return out, asPageRefusal(err)
	}
	if b.Kind == console.KindAside {
		return o.ruleAlike(ctx, b)
	}
	for _, it := range b.Items {
		row, err := o.store.Item(ctx, it.ID)
		if errors.Is(err, store.ErrNotFound) {
			return out, notAlike(strconv.FormatInt(it.ID, 10))
		}
		if err != nil {
			return out, err
		}
		if row.Kind != b.Kind || codeOf(row) != b.Code {
			return out, notAlike(strconv.FormatInt(it.ID, 10))
		}
	}
	for _, it := range b.Items {
		_, err := o.Decide(ctx, it.ID, Ruling{Choice: b.Choice, Reason: b.Reason, Seen: it.Seen})
		if err := out.Add(strconv.FormatInt(it.ID, 10), asPageRefusal(err)); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (o *Office) mayAlike(b console.Bulk) error {
	n := len(b.Items) + len(b.Entries)
	switch {
	case n == 0 || n > mostAtOnce:
		return &webui.Refusal{Code: "bad_count", What: fmt.Sprintf("%d are decided alike at once, at most %d are", n, mostAtOnce), Do: "choose some"}
	case n != b.Count:
		return &webui.Refusal{Code: "bad_count", What: fmt.Sprintf("%d were named and %d were meant", n, b.Count), Do: "look at the list once more"}
	case b.Code == "" || b.Kind != console.KindAside && len(reconcile.Choices(b.Kind)) == 0:
		return &webui.Refusal{Code: "not_alike", What: "what is in conflict is decided one by one", Which: b.Kind, Do: "open each of them"}
	case b.Kind == console.KindAside && (b.Choice == ingest.AsideAccept || b.Choice == ingest.AsideReopen):
		return &webui.Refusal{Code: "bad_choice", What: "this is ruled on one by one", Which: b.Choice, Do: "choose return, reject or judge"}
	}
	return nil
}

func notAlike(which string) error {
	return &webui.Refusal{Code: "not_alike", What: "not all of them are there for the same reason, so nothing was decided", Which: which, Do: "look at the list once more"}
}

// codeOf is the rule that opened an item.
func codeOf(it store.Item) string {
	var n reconcile.Notice
	if json.Unmarshal(it.Evidence, &n) != nil {
		return ""
	}
	return n.Rule
}

// ruleAlike rules on entries that were set aside for one reason.
func (o *Office) ruleAlike(ctx context.Context, b console.Bulk) (out console.BulkDone, err error) {
	for _, name := range b.Entries {
		d, err := recordDot(name)
		if err != nil {
			return out, err
		}
		e, err := o.entrySeen(ctx, d)
		if err != nil {
			return out, err
		}
		if e.Judgement.Verdict != store.Quarantined || e.Judgement.Code != b.Code {
			return out, notAlike(name)
		}
	}
	for _, name := range b.Entries {
		d, _ := dot.Parse(name) // was read above
		_, err := o.RuleAside(ctx, AsideRuling{Dot: d, Choice: b.Choice, Seen: b.Code, Reason: b.Reason})
		if err := out.Add(name, asPageRefusal(err)); err != nil {
			return out, err
		}
	}
	return out, nil
}

// alike serves decisions on several at once.
func (o *Office) alike(mux *http.ServeMux, bell *webui.Bell) {
	mux.HandleFunc("POST "+officePath+"alike", func(w http.ResponseWriter, r *http.Request) {
		var in console.Bulk
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 256<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of such a decision", Which: err.Error()})
			return
		}
		v, err := o.DecideAlike(r.Context(), in)
		bell.Ring()
		answer(w, v, err)
	})
}

// DecideAlike does what [Office.DecideAlike] does.
func (c *Client) DecideAlike(ctx context.Context, b console.Bulk) (console.BulkDone, error) {
	return ask[console.BulkDone](ctx, c, http.MethodPost, "alike", nil, b)
}

// DecideAlike implements console.Queue.
func (t table) DecideAlike(ctx context.Context, b console.Bulk) (console.BulkDone, error) {
	return t.o.DecideAlike(ctx, b)
}
