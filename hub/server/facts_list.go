package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/find"
	"otor/internal/webui"
)

// FactLine is a line of the ledger of what the hub authored.
type FactLine struct {
	Number  uint64          `json:"number"`
	ID      store.FactID    `json:"id"`
	At      time.Time       `json:"at"`
	By      string          `json:"by"`
	Kind    string          `json:"kind"`
	Subject string          `json:"subject"`
	Body    json.RawMessage `json:"body"`
	Before  store.FactHash  `json:"before"`
	Hash    store.FactHash  `json:"hash"`
	// Signed is the fact as it was signed, in base64: whoever has the hub's public
	// key can check the export with it.
	Signed string `json:"signed,omitempty"`
}

// Facts lists the ledger in order; signed ones have their signed form too. Whoever does
// not read the hub's folder sees of private parts that there are some, and gets nothing
// signed: what was signed holds them.
func (o *Office) Facts(ctx context.Context, q store.FactQuery, signed bool) iter.Seq2[FactLine, error] {
	return func(yield func(FactLine, error) bool) {
		whole := asker(ctx).By == "machine"
		if signed && !whole {
			yield(FactLine{}, &webui.Refusal{Code: "not_allowed", What: "facts as they were signed hold private parts whole", Do: "ask for them on the hub's own machine: hub ledger --signed"})
			return
		}
		for f, err := range o.facts(ctx, q, signed) {
			if err == nil && !whole {
				f.Body, err = withoutPrivate(f.Body)
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// withoutPrivate leaves out of a fact's body what is private, and numbers of persons in
// what people wrote.
func withoutPrivate(body json.RawMessage) (json.RawMessage, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("body of a fact: %w", err)
	}
	return json.Marshal(leaveOut("", v))
}

func leaveOut(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			v[name] = leaveOut(name, x)
		}
	case []any:
		for i, x := range v {
			v[i] = leaveOut(key, x)
		}
	case string:
		switch key {
		case "private", "raw", "prior_raw", "former":
			return "…"
		case "reason", "words", "key":
			return find.Hide(v)
		}
	}
	return v
}

// facts lists the ledger as it is.
func (o *Office) facts(ctx context.Context, q store.FactQuery, signed bool) iter.Seq2[FactLine, error] {
	return func(yield func(FactLine, error) bool) {
		for row, err := range o.store.Facts(ctx, q) {
			var f ledger.Fact
			if err == nil {
				f, err = ledger.Read(row.Signed, o.hubKey)
			}
			if err != nil {
				yield(FactLine{}, err)
				return
			}
			line := FactLine{
				Number: f.Number, ID: f.ID, At: o.at(f.At), By: f.By, Kind: f.Kind, Subject: f.Subject, Body: f.Body, Before: f.Before, Hash: f.Hash,
			}
			if f.Kind == kindRosterPiece && !signed { // rows of people: the signed form alone has them
				line.Body = json.RawMessage(fmt.Sprintf(`{"bytes":%d}`, len(f.Body)))
			}
			if signed {
				line.Signed = base64.StdEncoding.EncodeToString(f.Signed)
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}

// LedgerCheck says what checking the ledger came to.
type LedgerCheck struct {
	ledger.Checked
	Dir      string `json:"journal_dir"`
	SameDisk bool   `json:"same_disk"`
	HubKey   string `json:"hub_key"`
}

// CheckLedger checks every signature and link of ledger and journal.
func (o *Office) CheckLedger(ctx context.Context) (LedgerCheck, error) {
	c := LedgerCheck{Dir: o.ledger.Dir(), HubKey: o.hubKey.String()}
	w, err := o.journalWarning()
	if err != nil {
		return c, err
	}
	c.SameDisk = w != ""
	c.Checked, err = o.ledger.Check(ctx)
	return c, err
}

// serveFacts streams the ledger as NDJSON.
func (o *Office) serveFacts(w http.ResponseWriter, r *http.Request) {
	q := store.FactQuery{Kind: r.FormValue("kind"), Subject: r.FormValue("subject"), By: r.FormValue("by"), Newest: r.FormValue("newest") == "true"}
	for name, set := range map[string]func(uint64){
		"after":  func(n uint64) { q.After = n },
		"before": func(n uint64) { q.Before = n },
		"limit":  func(n uint64) { q.Limit = int(min(n, 1<<30)) }, //nolint:gosec // bounded
	} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		n, err := strconv.ParseUint(v, 10, 63)
		if err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: name + " must be a number of 0 or more", Which: v})
			return
		}
		set(n)
	}
	signed := r.FormValue("signed") == "true"
	if signed && asker(r.Context()).By != "machine" {
		for _, err := range o.Facts(r.Context(), q, signed) { // says why not
			answer(w, nil, err)
		}
		return
	}
	streamLines(w, o.Facts(r.Context(), q, signed))
}

// Facts does what [Office.Facts] does.
func (c *Client) Facts(ctx context.Context, q store.FactQuery, signed bool) iter.Seq2[FactLine, error] {
	return askLines[FactLine](ctx, c, "ledger", url.Values{
		"kind": {q.Kind}, "subject": {q.Subject}, "by": {q.By}, "signed": {strconv.FormatBool(signed)}, "newest": {strconv.FormatBool(q.Newest)},
		"after": {strconv.FormatUint(q.After, 10)}, "before": {strconv.FormatUint(q.Before, 10)}, "limit": {strconv.Itoa(q.Limit)},
	})
}

// CheckLedger does what [Office.CheckLedger] does.
func (c *Client) CheckLedger(ctx context.Context) (LedgerCheck, error) {
	return ask[LedgerCheck](ctx, c, http.MethodGet, "ledger/check", nil, nil)
}

// factBody reads the body of a fact.
func factBody[B any](body json.RawMessage) (b B, err error) {
	if err = json.Unmarshal(body, &b); err != nil {
		err = fmt.Errorf("body of a fact: %w", err)
	}
	return b, err
}
