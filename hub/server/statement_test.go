package server_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/access"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/webui"
)

// A statement accounts for what the hub has, is signed by its key, and that it
// was handed out stands in the ledger.
func TestStatement(t *testing.T) {
	root := t.TempDir()
	s, err := server.Open(t.Context(), packed(t, filepath.Join(root, "hub"), filepath.Join(root, "journal")))
	check(t, err)
	defer func() { check(t, s.Close()) }()
	_, err = s.Author().Add(t.Context(), ingest.Note{Form: "household_edit", Entity: house, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": "13904830000"}}})
	check(t, err)
	dispute(t, s)
	terms := reconcile.Terms{Subject: reconcile.OfAll, From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
	signed, err := s.Office().Statement(t.Context(), terms)
	check(t, err)
	var b bytes.Buffer
	check(t, signed.WriteJSON(&b))
	st, back, err := reconcile.Verify(b.Bytes(), nil)
	check(t, err)
	if ok, wrong := st.Complete(); !ok || !st.Adds() || st.Counts.Received != 3 || st.Counts.Verdicts[store.Conflict] != 2 {
		t.Errorf("complete %v %v: %+v", ok, wrong, st.Counts)
	}
	var kinds []string
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "statement"}, false) {
		check(t, err)
		kinds = append(kinds, string(f.Body))
	}
	if len(kinds) != 1 || !bytes.Contains([]byte(kinds[0]), []byte(back.Digest())) {
		t.Errorf("the ledger says %q of statement %s", kinds, back.Digest())
	}
	if st.Epoch == "" || st.MadeBy == "" || !slices.ContainsFunc(st.Chains, func(c reconcile.ChainAccount) bool { return c.Heads == "equal" }) {
		t.Errorf("%+v", st)
	}
	for name, bad := range map[string]reconcile.Terms{
		"an empty team":      {Subject: reconcile.OfTeam, Name: "T9", From: terms.From, Until: terms.Until},
		"a period that ends": {Subject: reconcile.OfAll, From: terms.Until, Until: terms.From},
	} {
		_, err := s.Office().Statement(t.Context(), bad)
		if r, ok := errors.AsType[*webui.Refusal](err); !ok || r.Code != "bad_terms" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = s.Office().Statement(t.Context(), reconcile.Terms{Subject: reconcile.OfForm, Name: "visits", From: terms.From, Until: terms.Until})
	if r, ok := errors.AsType[*webui.Refusal](err); !ok || r.Code != "unknown_form" {
		t.Errorf("a mistyped form: %v", err)
	}
	if _, err := s.Office().Statement(t.Context(), reconcile.Terms{Subject: reconcile.OfDevice, Name: "D-999", From: terms.From, Until: terms.Until}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown device: %v", err)
	}
}

// A statement lists the decisions about what it is about, and no others.
func TestDecisionsOfAStatement(t *testing.T) {
	root := t.TempDir()
	s := rosterHub(t, filepath.Join(root, "hub"), filepath.Join(root, "journal"))
	defer func() { check(t, s.Close()) }()
	_, err := s.Author().Add(t.Context(), ingest.Note{Form: "household_edit", Entity: house, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": "13904830000"}}})
	check(t, err)
	item, seen := dispute(t, s)
	_, err = s.Office().Decide(t.Context(), item.ID, server.Ruling{Choice: "A", Reason: "she said so", Seen: seen.Displayed})
	check(t, err)
	for _, d := range []dot.Device{"D-1", "D-2"} {
		_, err := s.Office().Invite(t.Context(), d, nil, time.Hour, false)
		check(t, err)
	}
	err = s.Office().Revoke(t.Context(), "D-1")
	check(t, err)
	imported(t, s, "list.csv", dirtyCSV())
	for _, c := range []struct {
		subject reconcile.Subject
		name    string
		want    []string
	}{
		{reconcile.OfAll, "", []string{"decision", "revoked", "roster"}},
		{reconcile.OfForm, "household_edit", []string{"decision"}},
		{reconcile.OfForm, "visit", []string{}},
		{reconcile.OfDevice, "D-1", []string{"revoked"}},
		{reconcile.OfDevice, "D-2", []string{}},
	} {
		for _, past := range []bool{false, true} {
			terms := reconcile.Terms{Subject: c.subject, Name: c.name, From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
			want := c.want
			if past {
				terms.From, terms.Until, want = terms.From.AddDate(0, 0, -1), terms.From, nil
			}
			signed, err := s.Office().Statement(t.Context(), terms)
			check(t, err)
			var b bytes.Buffer
			check(t, signed.WriteJSON(&b))
			st, _, err := reconcile.Verify(b.Bytes(), nil)
			check(t, err)
			var kinds []string
			for _, d := range st.Decisions {
				kinds = append(kinds, d.Kind)
			}
			if !slices.Equal(kinds, want) && len(kinds)+len(want) > 0 {
				t.Errorf("%s %s, past %t: %v, want %v", c.subject, c.name, past, kinds, want)
			}
		}
	}
}

// A statement lists all of its devices' entries, so whoever asks for it sees each scope
// that they have: of a device, and of every device of a team.
func TestStatementsWithinScopes(t *testing.T) {
	s, _ := open(t)
	for d, scopes := range map[dot.Device][]string{
		"D-1": {"team:T1"}, "D-2": {"team:T1", "gacha:aa"}, "D-3": {"team:T2"}, "D-4": {}, "D-5": {"team:T2", "gacha:bb"},
	} {
		_, err := s.Office().Invite(t.Context(), d, scopes, time.Hour, false)
		check(t, err)
	}
	for _, c := range []struct {
		scopes  string
		subject reconcile.Subject
		name    string
		may     bool
	}{
		{"team:T1", reconcile.OfDevice, "D-1", true},
		{"team:T1", reconcile.OfDevice, "D-2", false},
		{"team:T1 gacha:aa", reconcile.OfDevice, "D-2", true},
		{"team:T1", reconcile.OfDevice, "D-3", false},
		{"team:T1", reconcile.OfDevice, "D-4", false}, // whose all scopes were taken
		{"*", reconcile.OfDevice, "D-4", true},
		{"team:T1", reconcile.OfTeam, "T1", false}, // D-2 has gacha:aa as well
		{"team:T1 gacha:*", reconcile.OfTeam, "T1", true},
		{"team:*", reconcile.OfTeam, "T2", false},
		{"team:* gacha:bb", reconcile.OfTeam, "T2", true},
		{"*", reconcile.OfTeam, "T1", true},
		{"team:T1 gacha:*", reconcile.OfAll, "", false},
	} {
		ctx := access.With(t.Context(), access.Who{By: "rita", Role: access.Reconciler, Scopes: strings.Fields(c.scopes)})
		_, err := s.Office().Statement(ctx, reconcile.Terms{Subject: c.subject, Name: c.name, From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)})
		r, refused := errors.AsType[*webui.Refusal](err)
		if c.may && err != nil || !c.may && (!refused || r.Code != "not_allowed") {
			t.Errorf("%s asks for %s %s: %v", c.scopes, c.subject, c.name, err)
		}
	}
}
