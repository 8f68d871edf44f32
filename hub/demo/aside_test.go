package demo_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"otor/hub/demo"
	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/webui"
)

// refusedWith asks that a ruling is refused, in words, with a code.
func refusedWith(t *testing.T, code string, err error) {
	t.Helper()
	var r *webui.Refusal
	if !errors.As(err, &r) || r.Code != code || r.What == "" {
		t.Errorf("%v, want a refusal with the code %s", err, code)
	}
}

// TestAsideIsRuledOn rules on what the day set aside: a mistyped number is put right and
// counts from the day that the record says, a record that waits for its form is returned,
// rejected and taken back. A hub that is put back to before hears of it from its journal.
func TestAsideIsRuledOn(t *testing.T) {
	o := &demo.Options{Dir: t.TempDir()}
	if _, err := play(t, o); err != nil {
		t.Fatal(err)
	}
	s, shelf := evening(t, o.Dir)
	ctx, office := t.Context(), s.Office()
	by := map[string]server.EntryLine{}
	for e, err := range office.Entries(ctx, store.EntryQuery{Verdict: store.Quarantined}) {
		if err != nil {
			t.Fatal(err)
		}
		by[e.Code] = e
	}
	wrong, waits := by["id_checksum"], by["form_newer"]
	if wrong.Dot == (dot.Dot{}) || waits.Dot == (dot.Dot{}) {
		t.Fatalf("set aside: %+v", by)
	}
	made, err := office.Backup(ctx, filepath.Join(t.TempDir(), "backups"), 2)
	if err != nil {
		t.Fatal(err)
	}

	// Put right.
	rule := func(d dot.Dot, choice, seen, reason string, fields map[string]any) (server.AsideAnswer, error) {
		return office.RuleAside(ctx, server.AsideRuling{Dot: d, Choice: choice, Seen: seen, Reason: reason, Fields: fields})
	}
	_, err = rule(wrong.Dot, ingest.AsideAccept, "id_checksum", "", nil)
	refusedWith(t, "reason_missing", err)
	_, err = rule(wrong.Dot, ingest.AsideAccept, "id_shape", "the card says so", nil)
	refusedWith(t, "changed", err)
	_, err = rule(wrong.Dot, ingest.AsideAccept, "id_checksum", "the card says so", nil)
	refusedWith(t, "id_checksum", err)
	_, err = rule(wrong.Dot, ingest.AsideAccept, "id_checksum", "the card says so", map[string]any{"no_such": "x"})
	refusedWith(t, "bad_field", err)
	es, err := s.Store().EntriesOf(ctx, wrong.Dot.Chain, lane.Run(wrong.Dot.Seq, wrong.Dot.Seq), 1)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := entry.DecodePrivate(es[0].Raw.Private)
	if err != nil {
		t.Fatal(err)
	}
	number, good := priv.Fields["set"].(map[string]any)["resident_id"].(string), ""
	for _, last := range "0123456789X" {
		try := number[:12] + "23" + number[14:17] + string(last) // two digits had changed places
		if _, err = rule(wrong.Dot, ingest.AsideAccept, "id_checksum", "the card says so", map[string]any{"set": map[string]any{"resident_id": try}}); err == nil {
			good = try
			break
		}
		refusedWith(t, "id_checksum", err)
	}
	if v, code := verdictOf(t, s, wrong.Dot); good == "" || v != store.Duplicate || code != ingest.CodeCorrected {
		t.Fatalf("put right as %q it has %s %s: %v", good, v, code, err)
	}
	shown := func(s *server.Server) (values []any) {
		t.Helper()
		e, err := s.Store().Entity(ctx, entry.Ref{Type: wrong.EntityType, ID: wrong.Entity})
		if err != nil {
			t.Fatal(err)
		}
		state, err := merge.Decode(e.State)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range state.Values("resident_id") {
			values = append(values, v.Get())
		}
		return values
	}
	if got := shown(s); len(got) != 1 || got[0] != good {
		t.Errorf("the person's number is %v, want %s", got, good)
	}
	var own store.ListedEntry
	for e, err := range s.Store().Entries(ctx, store.EntryQuery{Device: dot.Hub}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Form == wrong.Form && e.Entity == wrong.Entity {
			own = e
		}
	}
	if own.CorrectedTime != es[0].CorrectedTime || own.Judgement.Verdict == store.Quarantined {
		t.Errorf("the hub's record is of %d and %v, the original of %d", own.CorrectedTime, own.Judgement, es[0].CorrectedTime)
	}
	_, err = rule(wrong.Dot, ingest.AsideAccept, "id_checksum", "once more", map[string]any{"set": map[string]any{"resident_id": good}})
	refusedWith(t, "changed", err)

	// Returned, looked at again, rejected.
	_, err = rule(waits.Dot, ingest.AsideAccept, "form_newer", "why not", nil)
	refusedWith(t, "form_missing", err)
	for _, x := range []struct{ choice, seen, code string }{
		{ingest.AsideReturn, "form_newer", ingest.CodeReturned}, {ingest.AsideReopen, ingest.CodeReturned, "form_newer"}, {ingest.AsideReject, "form_newer", ingest.CodeRejected},
	} {
		if got, err := rule(waits.Dot, x.choice, x.seen, "fill in the old form", nil); err != nil || got.Code != x.code {
			t.Errorf("%s: %+v, %v", x.choice, got, err)
		}
		if _, code := verdictOf(t, s, waits.Dot); code != x.code {
			t.Errorf("after %s it has the code %s", x.choice, code)
		}
	}
	_, err = rule(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(9999), ingest.AsideReject, "x", "no", nil)
	refusedWith(t, "not_found", err)

	// Put back to before, with the journal and without.
	journal, err := server.JournalFolder(filepath.Join(o.Dir, "hub"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = shelf
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.Config{
		Dir: filepath.Join(t.TempDir(), "back"), Journal: journal, NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Packs: pack.NewShelf(p), Demo: true, Log: slog.New(slog.DiscardHandler),
	}
	if _, err := server.Restore(ctx, made.Path, cfg, false); err != nil {
		t.Fatal(err)
	}
	back, err := server.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := back.Close(); err != nil {
			t.Error(err)
		}
	}()
	if v, code := verdictOf(t, back, wrong.Dot); v != store.Duplicate || code != ingest.CodeCorrected {
		t.Errorf("put back: it has %s %s", v, code)
	}
	if v, code := verdictOf(t, back, waits.Dot); v != store.Refused || code != ingest.CodeRejected {
		t.Errorf("put back: it has %s %s", v, code)
	}
	if got := shown(back); len(got) != 1 || got[0] != good {
		t.Errorf("put back: the person's number is %v", got)
	}
}
