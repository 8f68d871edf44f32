package console_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"otor/hub/console"
	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

// noticed is what a hub noticed, in memory.
type noticed struct{ all console.Noticed }

func (n noticed) Noticed(context.Context, int) (console.Noticed, error) { return n.all, nil }
func (noticed) Confirm(context.Context, []string) error                 { return nil }
func (noticed) ConfirmLife(context.Context, string, uint32) error       { return nil }

// much is one of each thing that a hub notices.
func much() noticed {
	var n console.Noticed
	n.Warnings = []console.Warning{{Code: "journal_same_disk", Which: "/srv/otor/journal"}, {Code: "journal_unread", Which: "input/output error"}}
	for _, d := range []string{"D-101", "D-102"} {
		n.Doubts = append(n.Doubts, console.DoubtRow{Device: d, Why: "the hub was restored from 2025-09-17 without its journal", Since: ago(3)})
	}
	for i, code := range []string{"clock_skew", "fork", "chain_mismatch", "many_holes", "twins", "database_damaged", "entity_unsent", "ingest_trouble", "false_claim", "hub_restored", "regained", "of_later"} {
		f := console.FindingRow{Device: fmt.Sprintf("D-2%02d", i), Code: code, Words: "as it was noted: " + code, Value: 47 * 60_000, Since: ago(2)}
		if code == "twins" {
			f.Twins = []uint32{3}
		}
		n.Findings = append(n.Findings, f)
	}
	n.Findings = append(n.Findings, console.FindingRow{Device: "D-301", Code: "clock_skew", Value: -9 * 60_000, Since: ago(1)})
	for _, code := range []string{"malformed", "unknown_key", "revoked", "bad_signature", "body_mismatch", "ingest_failed"} {
		n.Frames = append(n.Frames, console.FrameRow{Via: "D-101", Claims: "D-777", Code: code, Words: "noted", At: ago(1), Size: 312})
	}
	n.Total = 80
	return noticed{n}
}

// noticing serves pages of a hub that noticed something, to somebody who may do some acts.
func noticing(t *testing.T, n console.Findings, h *hub, may ...string) string {
	t.Helper()
	site := console.New(console.Config{
		Fleet: h, Findings: n, Plans: nil, Clock: func() time.Time { return now }, DefaultLang: "en",
		Visitor: func(context.Context) console.Visitor {
			return console.Visitor{Name: "dorji", Title: "Dorji", May: func(act string) bool { return strings.Contains(" "+strings.Join(may, " ")+" ", " "+act+" ") }}
		},
	})
	guard := &webui.Guard{Secret: "secret", Token: "token", Pages: site.Pages}
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = webui.NewServer(ctx, guard.Wrap(site.Mux), slog.New(slog.DiscardHandler))
	srv.Start()
	t.Cleanup(func() { cancel(); srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

func TestTheFleetLeadsToWhatWasNoticed(t *testing.T) {
	for want, n := range map[string]console.Findings{"The hub noticed 17 things": much(), "The hub noticed nothing": noticed{}} {
		if code, body := visit(t, noticing(t, n, day(), "view")); code != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, `href="/findings"`) {
			t.Errorf("%d: the fleet does not say %q", code, want)
		}
	}
}

func TestFindingsInBrowser(t *testing.T) {
	b := webuitest.Start(t)
	h := day()
	h.fleet.Devices[0].Plan = []console.Absence{absence(6, 1, 7)}
	h.fleet.Devices[1].Plan = []console.Absence{absence(6, -3, 7)}
	for i := range h.fleet.Devices {
		at := ago(5)
		if i < 1 {
			h.fleet.Devices[i].LastSeen = &at
		}
		h.fleet.Devices[i].Expect(now)
	}
	url := noticing(t, much(), h, "view", "devices", "dispatch")
	b.Resize(webuitest.Desk)
	b.Open(webui.EnterURL(url, "secret"))
	for _, page := range []string{"findings", "plan", ""} {
		b.Open(url + "/" + page)
		for _, lang := range []string{"zh", "mn", "en"} {
			b.Follow("#lang-" + lang)
			b.Await(fmt.Sprintf(`document.documentElement.lang === %q`, lang))
			for _, size := range webuitest.Sizes {
				b.Resize(size)
				b.Check(webuitest.Rules{MinText: 16, MinTarget: 48, Contrast: 7})
				b.Shot(fmt.Sprintf("hub-%s-%s-%d", "planned"+page, lang, size.Width))
			}
			if got := webuitest.Eval[bool](b, `/\[[a-z_]+\.[a-z_.]+\]/.test(document.body.innerText)`); got {
				t.Errorf("%s in %s lacks words", page, lang)
			}
		}
	}
	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
}
