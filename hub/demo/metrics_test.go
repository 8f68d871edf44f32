package demo_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"otor/internal/telemetry/metertest"
)

// What is written about a device's metrics is told by a device, to programs on its own
// machine, and not to pages of elsewhere.
func TestDeviceMetrics(t *testing.T) {
	p := newPair(t)
	p.put(t, 3)
	p.allThere(t, 3)
	u, err := url.Parse(<-p.page)
	check(t, err)
	address := "http://" + u.Host + "/metrics"
	status, scrape := ask(t, address, "", nil)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, scrape)
	}
	names, err := metertest.Named("../../docs/monitoring")
	check(t, err)
	if lacking := metertest.Lacking(names, "otor_agent_", scrape); len(lacking) > 0 {
		t.Errorf("nothing is told of %v in\n%s", lacking, scrape)
	}
	for _, want := range []string{
		"otor_agent_entries_total 3", "otor_agent_waiting_entries 0", "otor_agent_nothing_lost 1", `otor_agent_link{state="online"} 1`, "otor_agent_reading_ok 1",
	} {
		if !strings.Contains(scrape, "\n"+want+"\n") {
			t.Errorf("no line %s in\n%s", want, scrape)
		}
	}
	if strings.Contains(scrape, "D-101") || strings.Contains(scrape, "H-0") {
		t.Errorf("a name is told: %s", scrape)
	}
	for name, x := range map[string]struct {
		host   string
		header map[string]string
	}{
		"a strange name": {"evil.example", nil}, "a page of elsewhere": {"", map[string]string{"Sec-Fetch-Site": "cross-site"}},
		"through a proxy": {"", map[string]string{"X-Forwarded-For": "203.0.113.9"}},
	} {
		if status, body := ask(t, address, x.host, x.header); status == http.StatusOK || strings.Contains(body, "otor_agent_waiting") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func ask(t *testing.T, address, host string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, address, nil)
	check(t, err)
	req.Host = host
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, string(b)
}
