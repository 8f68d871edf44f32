package server_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

// All that was set aside can be reached, whoever looks: page by page, each once.
func TestAsidesGoOn(t *testing.T) {
	const n = 130
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error {
		es := make([]store.Entry, 0, n)
		for i := range n {
			e := store.Entry{
				Dot: dot.Chain{Device: "D-AA", Incarnation: 9, Lane: dot.Record}.At(dot.Seq(i + 1)), Form: "gone", Via: "D-AA", ReceivedAt: 1_758_000_000_000, //nolint:gosec // small
				Judgement: store.Judgement{Verdict: store.Quarantined, Code: "malformed"}, Raw: entry.NewRaw([]byte("public"), []byte("private")),
			}
			e.Hash[0], e.Hash[1] = byte(i), 7
			es = append(es, e)
		}
		return tx.Insert(es)
	}))
	rows, more := regexp.MustCompile(`href="/records/(D-AA/9/record/\d+)"`), regexp.MustCompile(`id="more" href="([^"]+)"`)
	for who, scopes := range map[string][]string{"all": {"*"}, "near": {"gacha:aa"}} {
		c := joined(t, s, who, "reconciler", scopes...)
		var got []string
		pages := 0
		for address := "/queue?kind=quarantine"; address != "" && pages < 9; pages++ {
			status, page, _ := send(t, c, http.MethodGet, base+address, "", false)
			if status != http.StatusOK {
				t.Fatalf("%s: %d", address, status)
			}
			if pages > 0 && !strings.Contains(page, `name="before" value="`) {
				t.Error("a ruling on a later page leads to the first one")
			}
			for _, m := range rows.FindAllStringSubmatch(page, -1) {
				got = append(got, m[1])
			}
			address = ""
			if m := more.FindStringSubmatch(page); m != nil {
				address = strings.ReplaceAll(m[1], "&amp;", "&")
			}
		}
		for i, d := range got {
			if want := fmt.Sprint("D-AA/9/record/", n-i); d != want {
				t.Fatalf("%s: place %d has %s, want %s", who, i, d, want)
			}
		}
		if len(got) != n || pages < 2 {
			t.Errorf("%s: %d of %d on %d pages", who, len(got), n, pages)
		}
	}
}
