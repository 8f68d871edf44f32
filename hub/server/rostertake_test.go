package server_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/merge"
)

// twoFields is a list of which one row differs in the number and in the household's phone.
func twoFields(phone string) []byte {
	return []byte("姓名,身份证号码,出生日期,联系电话\n通拉塔娜," + listedNumber + ",1945-01-02," + phone + "\n")
}

var (
	tonglaa   = entry.Ref{Type: "person", ID: "P003"}
	herHome   = entry.Ref{Type: "household", ID: "H-NB-01"}
	takesRow  = "2"
	formerTel = "15400001000"

	listedNumber, formerNumber = numbered("1945-01-02", 7), numbered("1945-01-02", 2)
)

func shownOf(t *testing.T, s *server.Server, ref entry.Ref, field string) merge.Shown {
	t.Helper()
	e, err := s.Store().Entity(t.Context(), ref)
	check(t, err)
	state, err := merge.Decode(e.State)
	check(t, err)
	return state.Show(packed(t, t.TempDir(), "").Domain.Type(ref.Type), field)
}

// fed is what the feed of its gacha says of an entity, and as which row.
func fed(t *testing.T, s *server.Server, ref entry.Ref) (n uint64, body string) {
	t.Helper()
	page, err := s.Store().Feed(t.Context(), "gacha:NB", 0, 1<<20)
	check(t, err)
	for _, r := range page.Rows {
		if r.Key == ref.String() {
			n, body = r.N, string(r.Body)
		}
	}
	return n, body
}

// The values of a row are taken over HTTP by one entry of the hub's own; it goes back, and
// a hub that is restored has both.
func TestRosterTake(t *testing.T) {
	root := t.TempDir()
	dir, story := filepath.Join(root, "hub"), filepath.Join(root, "journal")
	s := rosterHub(t, dir, story)
	made, err := s.Office().Backup(t.Context(), filepath.Join(root, "backups"), 2)
	check(t, err)
	imported(t, s, "a.csv", twoFields("13904830007"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	c := dialed(t, dir)
	was := lines(t, s)[takesRow]
	if was.Standing != reconcile.Differs || len(was.Differ) != 2 || !slices.Equal(was.Offers, []string{"confirm", "take", "refuse"}) {
		t.Fatalf("before: %+v", was)
	}
	rule := func(choice string) (server.RosterLine, error) {
		return c.RuleRoster(t.Context(), "pension_list", server.RosterChoice{Key: was.Key, Choice: choice, Seen: was.Seen, Reason: "the bureau saw her card"})
	}
	before, rows := map[entry.Ref]store.Entity{}, map[entry.Ref]uint64{}
	for _, ref := range []entry.Ref{tonglaa, herHome} {
		before[ref], err = s.Store().Entity(t.Context(), ref)
		check(t, err)
		if rows[ref], _ = fed(t, s, ref); rows[ref] == 0 {
			t.Fatalf("%s is in no feed", ref)
		}
	}
	got, err := rule("take")
	check(t, err)
	if got.Standing != reconcile.Unseen || got.Open || got.Decided == nil || got.Decided.Choice != "take" || len(got.Differ) != 0 {
		t.Errorf("taken: %+v", got)
	}
	number, tel := shownOf(t, s, tonglaa, "resident_id"), shownOf(t, s, herHome, "phone")
	if number.Value != listedNumber || tel.Value != "13904830007" || number.Conflict || tel.Conflict || len(number.Dots) != 1 || !slices.Equal(number.Dots, tel.Dots) {
		t.Fatalf("the entities: %+v, %+v", number, tel)
	}
	for ref, value := range map[entry.Ref]string{tonglaa: listedNumber, herHome: "13904830007"} {
		if n, body := fed(t, s, ref); n <= rows[ref] || !strings.Contains(body, value) {
			t.Errorf("%s does not go to the devices: row %d after %d, %q", ref, n, rows[ref], body)
		}
	}
	if _, err = rule("take"); err == nil {
		t.Error("it was taken twice")
	}
	_, err = rule("undo")
	refused(t, "who did not see that it was taken", "item_changed", err)
	was = got
	got, err = rule("undo")
	check(t, err)
	if got.Standing != reconcile.Differs || !got.Open || got.Decided != nil {
		t.Errorf("put back: %+v", got)
	}
	number, tel = shownOf(t, s, tonglaa, "resident_id"), shownOf(t, s, herHome, "phone")
	if number.Value != formerNumber || tel.Value != formerTel || number.Conflict || tel.Conflict {
		t.Errorf("put back: %+v, %+v", number, tel)
	}
	was = got
	again, err := rule("take")
	check(t, err)
	was = again
	// Who did not know of it is in conflict with it, and nothing is lost.
	want := shownOf(t, s, herHome, "phone")
	_, err = s.Author().Add(t.Context(), ingest.Note{
		Form: "household_edit", Entity: herHome, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": "13904830001"}},
		Displayed: map[entry.Ref][]byte{herHome: before[herHome].State},
	})
	check(t, err)
	if late := shownOf(t, s, herHome, "phone"); !late.Conflict || !slices.Contains(late.Dots, want.Dots[0]) {
		t.Errorf("a late write: %+v", late)
	}
	_, err = rule("undo")
	refused(t, "undo over what was written since", "item_changed", err)
	for _, f := range factsOf(t, s, "roster_ruling") {
		if strings.Contains(f, formerTel) || strings.Contains(f, "999922") {
			t.Errorf("the ledger shows what is personal: %s", f)
		}
	}
	check(t, s.Office().MatchRosters(t.Context()))
	kept, number := whole(t, s), shownOf(t, s, tonglaa, "resident_id")
	cancel()
	check(t, <-ended)
	check(t, s.Close())

	cfg := packed(t, filepath.Join(root, "other"), story)
	_, err = server.Restore(t.Context(), made.Path, cfg, false)
	check(t, err)
	r, err := server.Open(t.Context(), cfg)
	check(t, err)
	check(t, r.Office().MatchRosters(t.Context()))
	if again := shownOf(t, r, tonglaa, "resident_id"); again.Value != number.Value || !slices.Equal(again.Dots, number.Dots) {
		t.Errorf("restored: %+v, want %+v", again, number)
	}
	if got := whole(t, r); got != kept {
		t.Errorf("restored:\n%s\nwant\n%s", got, kept)
	}
	es, err := r.Store().EntriesOf(t.Context(), number.Dots[0].Chain, lane.Run(number.Dots[0].Seq, number.Dots[0].Seq), 1)
	check(t, err)
	if len(es) != 1 || es[0].Form != "system:decision" || es[0].Actor == "" {
		t.Errorf("the entry: %+v", es)
	}
	check(t, r.Close())
}

// Nothing is written of a value that the form does not take, nor over a person who
// changed since, nor into a conflict.
func TestRosterTakeRefuses(t *testing.T) {
	root := t.TempDir()
	s := rosterHub(t, filepath.Join(root, "hub"), filepath.Join(root, "journal"))
	defer func() { check(t, s.Close()) }()
	take := func(l server.RosterLine) error {
		_, err := s.Office().RuleRoster(t.Context(), "pension_list", server.RosterChoice{Key: l.Key, Choice: "take", Seen: l.Seen, Reason: "why"})
		return err
	}
	imported(t, s, "a.csv", twoFields("12345"))
	refused(t, "no telephone", "roster_value", take(lines(t, s)[takesRow]))
	if number := shownOf(t, s, tonglaa, "resident_id"); number.Value != formerNumber {
		t.Errorf("half of it was written: %+v", number)
	}
	imported(t, s, "b.csv", twoFields("13904830007"))
	home, err := s.Store().Entity(t.Context(), herHome)
	check(t, err)
	edit := func(phone string) {
		t.Helper()
		_, err := s.Author().Add(t.Context(), ingest.Note{
			Form: "household_edit", Entity: herHome, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": phone}},
			Displayed: map[entry.Ref][]byte{herHome: home.State},
		})
		check(t, err)
	}
	l := lines(t, s)[takesRow]
	edit("13904830001")
	refused(t, "the person changed", "item_changed", take(l))
	if again := lines(t, s)[takesRow]; again.Seen == l.Seen { // compared again by that
		t.Errorf("the row was not compared again: %+v", again)
	}
	edit("13904830002")
	check(t, s.Office().MatchRosters(t.Context()))
	l = lines(t, s)[takesRow]
	refused(t, "a conflict", "roster_disputed", take(l))
	if n := len(factsOf(t, s, "roster_ruling")); n != 0 {
		t.Errorf("%d facts of what was refused", n)
	}
}
