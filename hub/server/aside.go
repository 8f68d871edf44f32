package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"otor/hub/ingest"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/lane"
	"otor/internal/webui"
)

// kindAside is the fact that an operator ruled on an entry that was set aside.
const kindAside = "aside"

// asideFact is its body: what brings it about again.
type asideFact struct {
	Dot     dot.Dot        `json:"dot"`
	Hash    entry.Hash     `json:"hash"`
	Choice  string         `json:"choice"`
	Reason  string         `json:"reason"`
	Verdict store.Verdict  `json:"verdict"`
	Code    string         `json:"code"`
	Words   string         `json:"words"`
	Made    *decisionEntry `json:"made,omitempty"` // the hub's own, of an accepted one
	At      int64          `json:"at"`
}

// AsideRuling is what an operator rules on an entry that was set aside: the body of POST aside.
type AsideRuling struct {
	Dot    dot.Dot `json:"dot"`
	Choice string  `json:"choice"` // accept, return, reject, reopen or judge
	Seen   string  `json:"seen"`   // the code under which it stood aside
	Reason string  `json:"reason"`
	// Fields are, of accept, answers in place of the original's, as a JSON decoder with
	// UseNumber gives them; null takes one out.
	Fields map[string]any `json:"fields,omitempty"`
}

// AsideAnswer says what an entry that was set aside is now.
type AsideAnswer struct {
	Dot     dot.Dot       `json:"dot"`
	Verdict store.Verdict `json:"verdict"`
	Code    string        `json:"code"`
	Words   string        `json:"words"`
	Made    *dot.Dot      `json:"made,omitempty"` // the hub's entry, of an accepted one
}

// RuleAside follows an operator's ruling on an entry that was set aside (L7), if it still
// is, for the reason that the operator saw. It is kept in the ledger, and its author told.
func (o *Office) RuleAside(ctx context.Context, in AsideRuling) (out AsideAnswer, err error) {
	seen, err := o.sight(ctx).dot(ctx, in.Dot)
	if err != nil {
		return out, err
	}
	if !seen {
		return out, &webui.Refusal{Code: "not_found", What: "there is no such entry", Which: in.Dot.String(), Do: "see hub entries --verdict quarantined"}
	}
	if in.Choice == ingest.AsideJudge && o.replay != nil {
		// What waited for its form alone takes the effect that it would have had.
		if n, err := o.replay(ctx, o.store); err != nil || n > 0 {
			if out, over, look := o.replayed(ctx, in.Dot); over || err != nil || look != nil {
				return out, errors.Join(err, look)
			}
		}
	}
	at := o.now().UnixMilli()
	act := ledger.Act{By: actor(ctx), Kind: kindAside, Subject: in.Dot.String()}
	_, err = o.ledger.Record(ctx, act, func(tx store.Tx, a *ledger.Act) error {
		es, err := tx.Entries(in.Dot.Chain, lane.Run(in.Dot.Seq, in.Dot.Seq))
		if err != nil {
			return err
		}
		made, err := o.author.Dispose(tx, ingest.Disposal{Dot: in.Dot, Choice: in.Choice, Seen: in.Seen, Reason: in.Reason, By: actor(ctx), Fields: in.Fields})
		if err != nil {
			return err
		}
		j := made.Judgement
		body := asideFact{Dot: in.Dot, Hash: es[0].Hash, Choice: in.Choice, Reason: in.Reason, Verdict: j.Verdict, Code: j.Code, Words: j.Words, At: at}
		out = AsideAnswer{Dot: in.Dot, Verdict: j.Verdict, Code: j.Code, Words: j.Words}
		if m := made.Made; m != nil {
			body.Made = &decisionEntry{m.Dot, m.Raw.Public, m.Raw.Private}
			out.Made = &m.Dot
		}
		a.Body = body
		return nil
	})
	var no *ingest.NotDisposable
	var wrong form.Problem
	switch {
	case errors.As(err, &no):
		do := map[string]string{"reason_missing": "say why", "changed": "look at it once more", "bad_choice": "see hub aside --help"}[no.Code]
		return out, &webui.Refusal{Code: no.Code, What: no.Words, Which: in.Dot.String(), Do: do}
	case errors.As(err, &wrong):
		return out, &webui.Refusal{Code: string(wrong.Code), What: wrong.Words, Which: wrong.Field, Do: "correct this answer as well, or return the record to its author"}
	case err != nil:
		return out, fmt.Errorf("rule on %s, which was set aside: %w", in.Dot, err)
	}
	return out, nil
}

// replayed tells what became of an entry that waited for its form; over says that it
// waits no more.
func (o *Office) replayed(ctx context.Context, d dot.Dot) (out AsideAnswer, over bool, err error) {
	es, err := o.store.EntriesOf(ctx, d.Chain, lane.Run(d.Seq, d.Seq), 1)
	if err != nil || len(es) == 0 {
		return out, false, err
	}
	j := es[0].Judgement
	return AsideAnswer{Dot: d, Verdict: j.Verdict, Code: j.Code, Words: j.Words}, j.Verdict != store.Quarantined, nil
}

// asideAgain brings about a ruling that the journal brought back.
func (s *Server) asideAgain(tx store.Tx, _ ledger.Fact, b asideFact) error {
	var made []entry.Raw
	if b.Made != nil {
		made = append(made, entry.NewRaw(b.Made.Public, b.Made.Private))
	}
	return s.taker().DisposeAgain(tx, b.At, b.Dot, b.Hash, store.Judgement{Verdict: b.Verdict, Code: b.Code, Words: b.Words}, made)
}

// asides serves what operators rule on entries that were set aside.
func (o *Office) asides(mux *http.ServeMux, bell *webui.Bell) {
	mux.HandleFunc("POST "+officePath+"aside", func(w http.ResponseWriter, r *http.Request) {
		var in AsideRuling
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		dec.UseNumber()
		if err := dec.Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of a ruling", Which: err.Error()})
			return
		}
		v, err := o.RuleAside(r.Context(), in)
		bell.Ring()
		answer(w, v, err)
	})
}

// RuleAside does what [Office.RuleAside] does.
func (c *Client) RuleAside(ctx context.Context, in AsideRuling) (AsideAnswer, error) {
	return ask[AsideAnswer](ctx, c, http.MethodPost, "aside", url.Values{}, in)
}
