package server_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/internal/dot"
)

// The ledger's page tells in the reader's language who did what to which thing, goes back
// to the first fact, and shows no more of a person than before.
func TestLedgerPage(t *testing.T) {
	const number, phone = "999922196001010018", "13904831234"
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	boss := joined(t, s, "boss", "administrator", "*")
	for i := range 110 {
		_, err := s.Office().Invite(t.Context(), dot.Device("D-9"+strconv.Itoa(i)), []string{"gacha:aa"}, 0, false)
		check(t, err)
	}
	items, err := s.Office().Items(t.Context(), false)
	check(t, err)
	var seen reconcile.Dispute
	check(t, json.Unmarshal(items[0].Evidence, &seen))
	_, err = s.Office().Decide(t.Context(), items[0].ID, server.Ruling{Choice: "A", Reason: "is " + number + " still at " + phone, Seen: seen.Displayed})
	check(t, err)
	read := func(address string) string {
		t.Helper()
		status, page, _ := send(t, boss, "GET", base+address, "", false)
		if status != http.StatusOK || strings.Contains(page, "⟦") {
			t.Fatalf("%s: %d %.1500s", address, status, page)
		}
		if strings.Contains(page, number) || strings.Contains(page, phone) {
			t.Errorf("%s shows a person's number", address)
		}
		return page
	}
	page := read("/ledger?kind=decision")
	for _, want := range []string{"<h2>处理决定 · <a href=\"/entities/household/H-AA\">", "<dd>采用甲方（A）的值</dd>", "<dt>理由</dt>", "命令行（"} {
		if !strings.Contains(page, want) {
			t.Errorf("the decision lacks %q: %s", want, page[strings.Index(page, `id="facts"`):])
		}
	}
	rows := regexp.MustCompile(`id="row-(\d+)"`)
	older := regexp.MustCompile(`id="older" href="([^"]+)"`)
	last, pages := 1<<30, 0
	for address := "/ledger"; address != ""; pages++ {
		page := read(address)
		for _, m := range rows.FindAllStringSubmatch(page, -1) {
			n, err := strconv.Atoi(m[1])
			check(t, err)
			if last != 1<<30 && n != last-1 {
				t.Errorf("fact %d follows %d", n, last)
			}
			last = n
		}
		address = ""
		if m := older.FindStringSubmatch(page); m != nil {
			address = m[1]
		}
	}
	if last != 1 || pages < 2 {
		t.Errorf("the list ends at %d after %d pages", last, pages)
	}
	page = read("/ledger?by=boss")
	if !strings.Contains(page, "<dd>登录") && !strings.Contains(page, "<dd>用链接设置密码</dd>") || strings.Contains(page, "邀请设备 · ") {
		t.Errorf("what boss did: %.3000s", page[strings.Index(page, `id="facts"`):])
	}
}
