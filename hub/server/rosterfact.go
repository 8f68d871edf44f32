package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/find"
	"otor/internal/sheet"
	"otor/internal/webui"
)

// The kinds of facts about official lists. Pieces come first, as many as the changes
// take; the import itself names them, and nothing of them is in effect before it.
const (
	kindRosterPiece  = "roster_piece"  // changes to a list that is about to be imported
	kindRoster       = "roster"        // a list was imported
	kindRosterRuling = "roster_ruling" // an operator decided about a row
)

type (
	rosterPieceFact struct {
		Piece []byte `json:"piece"` // [packChanges] of some changes
	}
	rosterFact struct {
		Kind    string            `json:"kind"`
		Import  uint64            `json:"import"`
		File    string            `json:"file"`
		Digest  string            `json:"sha256"`
		Columns json.RawMessage   `json:"columns"`
		Counts  RosterCounts      `json:"counts"`
		Pieces  []store.PieceHash `json:"pieces"`
		At      int64             `json:"at"`
	}
	rosterRulingFact struct {
		Ruling store.RosterRuling `json:"ruling"`
		// Undone: the ruling is taken back, and what was decided before it counts.
		Undone bool `json:"undone,omitempty"`
		// Entries are the hub's own that were made by it: of values that were taken from
		// the row, or put back.
		Entries []decisionEntry `json:"entries,omitempty"`
	}
)

// rosterKinds are the facts about official lists.
func (s *Server) rosterKinds() []ledger.Kind {
	return []ledger.Kind{
		kind(kindRosterPiece, func(tx store.Tx, _ ledger.Fact, b rosterPieceFact) error {
			return tx.StageRoster(sha256.Sum256(b.Piece), b.Piece)
		}),
		kind(kindRoster, func(tx store.Tx, f ledger.Fact, b rosterFact) error { return putRoster(tx, f.By, b) }),
		kind(kindRosterRuling, s.rosterRuledAgain),
	}
}

const (
	// pieceSize bounds a piece in bytes: its base64 fits into a fact. pieceRows is how
	// many changes are tried first.
	pieceSize = 44 << 10
	pieceRows = 1000
)

// packChanges writes changes as one JSON object a line, gzipped.
func packChanges(list []rosterChange) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	enc := json.NewEncoder(z)
	for i := range list {
		if err := enc.Encode(&list[i]); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

// pieces packs changes into as many pieces as they take.
func pieces(list []rosterChange) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n := pieceRows
		for len(list) > 0 {
			n = min(n, len(list))
			b, err := packChanges(list[:n])
			if err == nil && len(b) > pieceSize && n > 1 {
				n = max(1, n*pieceSize/len(b)*9/10)
				continue
			}
			if err == nil && len(b) > pieceSize {
				err = fmt.Errorf("one row packs to %d bytes", len(b))
			}
			if !yield(b, err) || err != nil {
				return
			}
			list = list[n:]
			n = n * pieceSize / max(len(b), pieceSize/4) // as well as the one before was packed
		}
	}
}

// stageRoster records the changes of a plan, which take no effect yet.
func (o *Office) stageRoster(ctx context.Context, p rosterPlan, u RosterUpload) (out []store.PieceHash, err error) {
	out = []store.PieceHash{}
	for b, err := range pieces(p.changes) {
		if err != nil {
			return nil, err
		}
		if _, err := o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindRosterPiece, Subject: u.Kind, Body: rosterPieceFact{b}}, nil); err != nil {
			return nil, err
		}
		out = append(out, sha256.Sum256(b))
		u.tell("recording", len(out))
	}
	return out, nil
}

// putRoster brings an import about, whose pieces are there.
func putRoster(tx store.Tx, by string, b rosterFact) error {
	l, _, err := tx.RosterOf(b.Kind)
	if err != nil {
		return err
	}
	if l.Import+1 != b.Import {
		return rosterChangedBy(b.Kind)
	}
	put := make([]store.RosterRow, 0, 1000)
	var end []string
	move := map[string]int{}
	flush := func() error {
		err := errors.Join(tx.PutRosterRows(b.Kind, b.Import, put), tx.EndRosterRows(b.Kind, b.Import, end), tx.MoveRosterRows(b.Kind, move))
		put, end = put[:0], end[:0]
		clear(move)
		return err
	}
	for _, h := range b.Pieces {
		body, err := tx.StagedRoster(h)
		if err != nil {
			return err
		}
		err = eachChange(body, func(c rosterChange) {
			switch {
			case c.Put != nil:
				put = append(put, *c.Put)
			case c.End != "":
				end = append(end, c.End)
			case c.Move != "":
				move[c.Move] = c.Line
			}
		})
		if err == nil {
			err = flush()
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(tx.DropStagedRoster(), tx.PutRoster(store.RosterList{
		Kind: b.Kind, Import: b.Import, At: b.At, By: by, File: b.File, Digest: b.Digest, Columns: b.Columns, Rows: b.Counts.Rows,
	}))
}

func rosterChangedBy(kind string) error {
	return &webui.Refusal{Code: "roster_changed", What: "somebody imported a list meanwhile", Which: kind, Do: "look at it, and import yours again"}
}

// maxPieceText bounds what a piece unpacks to.
const maxPieceText = 64 << 20

// eachChange reads what [packChanges] wrote.
func eachChange(body []byte, do func(rosterChange)) error {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("a piece of a roster: %w", err)
	}
	dec := json.NewDecoder(io.LimitReader(z, maxPieceText))
	for {
		var c rosterChange
		switch err := dec.Decode(&c); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("a piece of a roster: %w", err)
		}
		do(c)
	}
}

// untilDone ends a list of rows with ctx.
func untilDone(ctx context.Context, rows iter.Seq2[sheet.Row, error]) iter.Seq2[sheet.Row, error] {
	return func(yield func(sheet.Row, error) bool) {
		for r, err := range rows {
			if err == nil && ctx.Err() != nil {
				err = ctx.Err()
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// veiled is a list's sample without personal numbers: what is in the columns of numbers
// and telephones, and what looks like one elsewhere, is shown by its end.
func veiled(r reconcile.Roster) [][]string {
	out := [][]string{}
	for _, cells := range r.Sample {
		row := make([]string, len(cells))
		for i, c := range cells {
			number, _ := sheet.Number(c)
			digits := 0
			for _, x := range number {
				if x >= '0' && x <= '9' {
					digits++
				}
			}
			const telephone = 11
			row[i] = clipText(find.Hide(sheet.Clean(c)), 60)
			if digits >= telephone || hasColumn(r.Mapping, reconcile.FieldID, i) || hasColumn(r.Mapping, reconcile.FieldPhone, i) {
				row[i] = masked(number, "last4")
			}
		}
		out = append(out, row)
	}
	return out
}

func hasColumn(m reconcile.Mapping, f reconcile.Field, i int) bool {
	at, ok := m[f]
	return ok && at == i
}
