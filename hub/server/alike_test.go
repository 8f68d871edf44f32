package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/merge"
)

// Several that a rule noticed are decided by one word, each with a row of the ledger; of
// another reason, of another gacha, or another number: none.
func TestSeveralAreDecidedAlike(t *testing.T) {
	s, _ := town(t)
	put := func(kind, rule, home, device string, n int) int64 {
		t.Helper()
		d, err := dot.Parse(device + "/1/record/" + strconv.Itoa(n))
		check(t, err)
		var id int64
		check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) (err error) {
			id, err = tx.PutItem(store.Item{
				Kind: kind, Entity: entry.Ref{Type: "household", ID: home}, Field: fmt.Sprintf("%s %s", rule, d), Entries: []dot.Dot{d},
				Evidence: json.RawMessage(fmt.Sprintf(`{"rule":%q,"words":"call 13904831234"}`, rule)), OpenedAt: time.Now().UnixMilli(), State: store.Open, Times: 1,
			})
			return err
		}))
		return id
	}
	a, b, c := put(store.Flags, "far_away", "H-AA", "D-AA", 1), put(store.Flags, "far_away", "H-AA", "D-AA", 3), put(store.Flags, "at_night", "H-AA", "D-AA", 1)
	theirs := put(store.Flags, "far_away", "H-BB", "D-BB", 1)
	rita := joined(t, s, "rita", "reconciler", "gacha:aa")
	base := "http://" + s.HTTPAddr()
	_, page, _ := send(t, rita, "GET", base+"/queue?kind=flag", "", false)
	members := regexp.MustCompile(`name="member" value="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(members) != 2 || !strings.Contains(page, `name="count" value="2"`) || strings.Contains(page, "1390483") {
		t.Fatalf("the page offers %v", members)
	}
	facts := func() (n int) {
		for _, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "decision"}, false) {
			check(t, err)
			n++
		}
		return n
	}
	bulk := func(body string) string {
		t.Helper()
		_, answer, _ := send(t, rita, "POST", base+"/api/v1/office/alike", body, false)
		return answer
	}
	item := func(id int64, n int) string { return fmt.Sprintf(`{"id":%d,"seen":["D-AA/1/record/%d"]}`, id, n) }
	for body, code := range map[string]string{
		`{"kind":"flag","code":"far_away","choice":"clear","reason":"why","count":2,"items":[` + item(a, 1) + `,` + item(c, 1) + `]}`: "not_alike",
		`{"kind":"flag","code":"far_away","choice":"clear","reason":"why","count":3,"items":[` + item(a, 1) + `,` + item(b, 3) + `]}`: "bad_count",
		`{"kind":"conflict","code":"far_away","choice":"A","reason":"why","count":1,"items":[` + item(a, 1) + `]}`:                    "not_alike",
		`{"kind":"flag","code":"far_away","choice":"clear","reason":"why","count":0}`:                                                 "bad_count",
	} {
		if got := bulk(body); !strings.Contains(got, `"`+code+`"`) {
			t.Errorf("%s: %s", body, got)
		}
	}
	if n := facts(); n != 0 {
		t.Fatalf("%d rows of what was refused", n)
	}
	// A reason that is too long is refused once, and stays in its field with the choice; one of
	// as many characters as the field takes is not, whatever its bytes.
	long := url.Values{"kind": {"flag"}, "code": {"far_away"}, "count": {"2"}, "choice": {"clear"}, "reason": {strings.Repeat("远", reconcile.MaxReason+1)}}
	for _, m := range members {
		long.Add("member", m[1])
	}
	if status, page, _ := post(t, rita, base+"/queue/alike", long); status != http.StatusUnprocessableEntity || !strings.Contains(page, long.Get("reason")) || !strings.Contains(page, `value="clear" required checked`) {
		t.Errorf("too long a reason: %d, and what was typed is lost", status)
	}
	if err := reconcile.CheckReason(long.Get("reason")[:len("远")*reconcile.MaxReason]); err != nil {
		t.Error(err)
	}
	// Of those named one is another gacha's: it is as if it were not there, and stays.
	var done console.BulkDone
	check(t, json.Unmarshal([]byte(bulk(`{"kind":"flag","code":"far_away","choice":"clear","reason":"seen on the map","count":2,"items":[`+item(a, 1)+`,{"id":`+strconv.FormatInt(theirs, 10)+`,"seen":["D-BB/1/record/1"]}]}`)), &done))
	if done.Decided != 1 || len(done.Left) != 1 || done.Left[0].Code != "not_found" {
		t.Errorf("done %+v", done)
	}
	// By the page, with one that was decided meanwhile: it is told, the others are decided.
	f := url.Values{"kind": {"flag"}, "code": {"far_away"}, "count": {"2"}, "choice": {"clear"}, "reason": {"seen on the map"}}
	for _, m := range members {
		f.Add("member", m[1])
	}
	if status, page, _ := post(t, rita, base+"/queue/alike", f); status != http.StatusConflict || !strings.Contains(page, strconv.FormatInt(a, 10)) {
		t.Errorf("one was decided already: %d", status)
	}
	for id, want := range map[int64]store.ItemState{a: store.Decided, b: store.Decided, c: store.Open, theirs: store.Open} {
		it, err := s.Store().Item(t.Context(), id)
		check(t, err)
		if it.State != want {
			t.Errorf("item %d is %s, want %s", id, it.State, want)
		}
	}
	if n := facts(); n != 2 {
		t.Errorf("%d rows in the ledger, want one each", n)
	}
}

// write has a device write a telephone that its author had seen something of.
func write(t *testing.T, s *server.Server, x *device, home entry.Ref, phone string) {
	t.Helper()
	row, err := s.Store().Entity(t.Context(), home)
	check(t, err)
	state, err := merge.Decode(row.State)
	check(t, err)
	wall := time.Now().UnixMilli()
	seq := dot.Seq(len(x.raws) + 1)
	pub := entry.Public{Dot: x.chain.At(seq), HLC: hlc.Time{Millis: wall}, Wall: wall, Actor: "U-9", Form: entry.FormRef{ID: "household_edit", Version: 1}, Refs: []entry.Ref{home}}
	if seq == 1 {
		pub.Origin = &entry.Origin{Reason: entry.Installed}
	}
	priv := entry.Private{Fields: map[string]any{"entity": home.ID, "set": map[string]any{"phone": phone}}}
	ws, err := state.Confirm(nil, "phone", phone, false)
	check(t, err)
	for i := range ws {
		ws[i].Context = nil // its author had seen nothing of what stands
	}
	merge.Put(&pub, &priv, 0, ws)
	b, err := pub.Encode()
	check(t, err)
	p, err := priv.Encode()
	check(t, err)
	raw := entry.NewRaw(b, p)
	x.raws, x.heads = append(x.raws, raw), append(x.heads, entry.Next(x.heads[seq-1], raw))
}

// Two operators decide one item at once, by HTTP, while a third device writes the field:
// one decision wins, the other is told in words, and the late write opens the item again.
func TestTwoOperatorsAndALateWrite(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	rita, sam := joined(t, s, "rita", "reconciler", "gacha:aa"), joined(t, s, "sam", "administrator", "*")
	x := enrol(t, s, "D-CC", 0, time.Now().UnixMilli())
	home := entry.Ref{Type: "household", ID: "H-AA"}
	write(t, s, x, home, "13904835555") // captured before anybody decides, and on its way
	_, list, _ := send(t, rita, "GET", base+"/queue", "", false)
	at := base + regexp.MustCompile(`href="(/queue/\d+)"`).FindStringSubmatch(list)[1]
	_, page, _ := send(t, rita, "GET", at, "", false)
	seen := regexp.MustCompile(`name="seen" value="([^"]+)"`).FindStringSubmatch(page)[1]
	type answer struct {
		who    string
		status int
		body   string
	}
	answers := make(chan answer, 2)
	var ready, done sync.WaitGroup
	ready.Add(1)
	for who, by := range map[string]struct {
		c      *http.Client
		choice string
	}{"rita": {rita, "A"}, "sam": {sam, "B"}} {
		done.Go(func() {
			ready.Wait()
			status, body, _ := post(t, by.c, at+"/decide", url.Values{"seen": {seen}, "choice": {by.choice}, "reason": {"said " + who}})
			answers <- answer{who, status, body}
		})
	}
	ready.Done()
	done.Wait()
	first, second := <-answers, <-answers
	if first.status != http.StatusSeeOther {
		first, second = second, first
	}
	if first.status != http.StatusSeeOther || second.status != http.StatusUnprocessableEntity {
		t.Fatalf("%s: %d, %s: %d", first.who, first.status, second.who, second.status)
	}
	if !strings.Contains(second.body, `role="alert"`) || !strings.Contains(second.body, "said "+first.who) || !strings.Contains(second.body, first.who) {
		t.Errorf("%s is not told that %s was faster: %.600s", second.who, first.who, second.body)
	}
	if got := s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 1)}); len(got) != 1 || got[0] != broker.Ack() {
		t.Fatalf("the late write: %+v", got)
	}
	_, page, _ = send(t, rita, "GET", at, "", false)
	for _, want := range []string{"•••5555", `id="ruling"`, "D-CC/1/record/1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the item is not open again with the late write: no %s", want)
		}
	}
	var by []string
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "decision"}, false) {
		check(t, err)
		by = append(by, f.By)
	}
	if len(by) != 1 || by[0] != first.who {
		t.Errorf("the ledger has decisions by %v", by)
	}
}

// What was set aside and would be in order by the forms of today is applied as it is;
// what was rejected is opened again on its page.
func TestJudgedAgainAndReopened(t *testing.T) {
	dir := t.TempDir()
	cfg := packed(t, filepath.Join(dir, "hub"), filepath.Join(dir, "journal"))
	s, err := server.Open(t.Context(), cfg)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		check(t, <-ended)
		check(t, s.Close())
	})
	x := enrol(t, s, "D-CC", 0, time.Now().UnixMilli())
	home := entry.Ref{Type: "household", ID: "H-AA"}
	check(t, s.Author().Import(t.Context(), "U1", []ingest.Fixture{{Ref: home, Fields: map[string]any{"gacha": "aa", "phone": "13904830000"}}}))
	for _, phone := range []string{"139", "13904836666", "13904837777"} {
		write(t, s, x, home, phone)
	}
	s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 3)})
	// Two are set aside for what was wrong with the form of then.
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error {
		old := store.Judgement{Verdict: store.Quarantined, Code: "phone_shape", Words: "as it was judged then"}
		return tx.Judge(x.chain, map[dot.Seq]store.Judgement{2: old, 3: old})
	}))
	rita := joined(t, s, "rita", "reconciler", "*")
	base := "http://" + s.HTTPAddr()
	verdict := func(seq int) string {
		t.Helper()
		r, err := s.Office().Record(t.Context(), x.chain.At(dot.Seq(seq)), "en")
		check(t, err)
		return r.Verdict + " " + r.Code
	}
	var done console.BulkDone
	_, body, _ := send(t, rita, "POST", base+"/api/v1/office/alike", `{"kind":"quarantine","code":"phone_shape","choice":"judge","reason":"the form was mended","count":3,"entries":["D-CC/1/record/1","D-CC/1/record/2","D-CC/1/record/3"]}`, false)
	check(t, json.Unmarshal([]byte(body), &done))
	if done.Decided != 2 || len(done.Left) != 1 || done.Left[0].Code != "unchanged" {
		t.Fatalf("judged again: %s", body)
	}
	for seq, want := range map[int]string{1: "quarantined phone_shape", 2: "duplicate corrected", 3: "duplicate corrected"} {
		if got := verdict(seq); got != want {
			t.Errorf("record %d is %s, want %s", seq, got, want)
		}
	}
	at := "/records/D-CC/1/record/1"
	rule := func(choice, code string) {
		t.Helper()
		_, page, _ := send(t, rita, "GET", base+at, "", false)
		if !strings.Contains(page, `name="choice" value="`+choice+`"`) {
			t.Errorf("the page does not offer %s", choice)
		}
		f := url.Values{"dot": {"D-CC/1/record/1"}, "seen": {code}, "choice": {choice}, "reason": {"because"}, "back": {at}}
		if status, _, to := post(t, rita, base+"/queue/aside", f); status != http.StatusSeeOther || to != at {
			t.Errorf("%s: %d %s", choice, status, to)
		}
	}
	rule("reject", "phone_shape")
	if got := verdict(1); got != "refused rejected" {
		t.Errorf("rejected: %s", got)
	}
	// The queue lists it no more: a ruling that is turned down shows the record again.
	f := url.Values{"dot": {"D-CC/1/record/1"}, "seen": {"phone_shape"}, "choice": {"reopen"}, "reason": {"he called back"}, "back": {at}}
	if status, page, _ := post(t, rita, base+"/queue/aside", f); status != http.StatusUnprocessableEntity || !strings.Contains(page, `id="reopen-D-CC/1/record/1" open`) || !strings.Contains(page, `value="he called back"`) || !strings.Contains(page, `name="back" value="`+at+`"`) {
		t.Errorf("a ruling turned down on the record's page: %d, what was typed is lost", status)
	}
	rule("reopen", "rejected")
	if got := verdict(1); got != "quarantined phone_shape" {
		t.Errorf("reopened: %s", got)
	}
	rule("return", "phone_shape")
	rule("reopen", "returned")
	if _, page, _ := send(t, rita, "GET", base+at, "", false); !strings.Contains(page, "because") || strings.Contains(page, `value="reopen"`) {
		t.Error("the page does not tell the rulings, or offers what is not lawful")
	}
}
