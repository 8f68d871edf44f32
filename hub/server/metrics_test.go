package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/store"
	"otor/hub/watch"
	"otor/internal/dot"
	"otor/internal/runfile"
	"otor/internal/telemetry/metertest"
)

// What is written about the hub's metrics is told by a hub, and no name is.
func TestMetrics(t *testing.T) {
	s, _ := town(t)
	check(t, s.Store().SetFinding(t.Context(), store.Finding{Device: "D-AA", Code: "clock_skew", OpenedAt: 1, UpdatedAt: 1, Words: "x"}))
	chain := dot.Chain{Device: "D-AA", Incarnation: 1, Lane: dot.Record}
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error {
		return tx.Judge(chain, map[dot.Seq]store.Judgement{1: {Verdict: store.Quarantined, Code: "id_checksum", Words: "x"}})
	}))
	enrol(t, s, "D-CC", 0, 0) // it was lost, and declared more than it sent
	for d, at := range map[dot.Device]int64{"D-BB": time.Now().UnixMilli(), "D-CC": 1} {
		check(t, s.Store().NoteContact(t.Context(), d, store.Contact{At: 1}, []store.Lane{{Chain: dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}, Declared: 9, DeclaredAt: at}}))
	}
	_, err := s.Store().Revoke(t.Context(), "D-CC", 1)
	check(t, err)
	status, scrape, _ := send(t, browser(t), "GET", "http://"+s.HTTPAddr()+"/metrics", "", false)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, scrape)
	}
	names, err := metertest.Named("../../docs/monitoring")
	check(t, err)
	for _, m := range watch.Metrics {
		names = append(names, m.Name)
	}
	if lacking := metertest.Lacking(names, "otor_hub_", scrape); len(lacking) > 0 {
		t.Errorf("nothing is told of %v in\n%s", lacking, scrape)
	}
	for _, want := range []string{
		"otor_hub_reading_ok 1", `otor_hub_aside_entries{code="id_checksum"} 1`, `otor_hub_findings{code="clock_skew"} 1`, "otor_hub_missing_entries 2",
		"otor_hub_waiting_entries 8", `otor_hub_open_items{kind="conflict"} 2`, `otor_hub_devices{state="enrolled"} 2`, "otor_hub_backup_timestamp_seconds 0",
	} {
		if !strings.Contains(scrape, "\n"+want+"\n") {
			t.Errorf("no line %s in\n%s", want, scrape)
		}
	}
	if who := regexp.MustCompile(`D-AA|D-BB|H-AA|H-BB|1390483`).FindString(scrape); who != "" {
		t.Errorf("%s is told", who)
	}
	if old := oldestWaiting.FindStringSubmatch(scrape); old == nil || strings.Contains(old[1], "e+") { // D-BB spoke just now
		t.Errorf("a phone that is lost is waited for: %q", old)
	}
}

var oldestWaiting = regexp.MustCompile(`(?m)^otor_hub_oldest_waiting_seconds (\S+)$`)

// On this machine anybody may scrape; elsewhere a token is needed that sees everything.
func TestWhoMayScrape(t *testing.T) {
	s, dir := town(t)
	address := "http://" + s.HTTPAddr() + "/metrics"
	ask := func(header map[string]string, host string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		check(t, err)
		for k, v := range header {
			req.Header.Set(k, v)
		}
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		check(t, err)
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	token := func(name, scope string) string {
		c := joined(t, s, name, "reconciler", scope)
		_, page, _ := post(t, c, "http://"+s.HTTPAddr()+"/account/tokens", url.Values{"label": {"prometheus"}, "role": {"viewer"}, "scopes": {scope}, "days": {"30"}})
		found := regexp.MustCompile(`id="token">(otor_[^<]+)<`).FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("no token: %.1500s", page)
		}
		return "Bearer " + found[1]
	}
	own, err := runfile.Token(dir)
	check(t, err)
	away := map[string]string{"X-Forwarded-For": "203.0.113.9"}
	for name, x := range map[string]struct {
		header map[string]string
		host   string
		want   int
	}{
		"here":                          {nil, "", http.StatusOK},
		"here, by a strange name":       {nil, "evil.example", http.StatusMisdirectedRequest},
		"a page of elsewhere":           {map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, "", http.StatusForbidden},
		"through a proxy":               {away, "", http.StatusUnauthorized},
		"a wrong token":                 {map[string]string{"Authorization": "Bearer x"}, "", http.StatusUnauthorized},
		"a token for everything":        {map[string]string{"Authorization": token("all", "*"), "X-Forwarded-For": "203.0.113.9"}, "hub.example", http.StatusOK},
		"a token for a part":            {map[string]string{"Authorization": token("part", "gacha:aa")}, "", http.StatusForbidden},
		"the token of the hub's folder": {map[string]string{"Authorization": "Bearer " + own}, "", http.StatusOK},
	} {
		if got := ask(x.header, x.host); got != x.want {
			t.Errorf("%s: %d, want %d", name, got, x.want)
		}
	}
}

// How the hub stands is kept for its charts.
func TestSamples(t *testing.T) {
	s, _ := town(t)
	var got []store.Sample
	for deadline := time.Now().Add(30 * time.Second); len(got) == 0; time.Sleep(10 * time.Millisecond) {
		var err error
		got, err = s.Store().Samples(t.Context(), watch.Steps[1].Each.Milliseconds(), 0) // kept after that of the shorter step
		check(t, err)
		if time.Now().After(deadline) {
			t.Fatal("no sample was kept")
		}
	}
	if got[0].At%3_600_000 != 0 || slices.ContainsFunc(got, func(x store.Sample) bool { return x.Devices > 2 }) {
		t.Errorf("samples of an hour: %+v", got)
	}
}
