package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/webui/webuitest"
)

// uploads posts a list as the page does, and gives where the draft is.
func uploads(t *testing.T, c *http.Client, base, kind, file string, body []byte) (status int, to, page string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	check(t, form.WriteField("kind", kind))
	part, err := form.CreateFormFile("file", file)
	check(t, err)
	_, err = part.Write(body)
	check(t, err)
	check(t, form.Close())
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/roster", &b)
	check(t, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := c.Do(req)
	check(t, err)
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	_, err = text.ReadFrom(resp.Body)
	check(t, err)
	return resp.StatusCode, resp.Header.Get("Location"), text.String()
}

// settled waits until nothing is being done on a draft any more, and gives its page.
func settled(t *testing.T, c *http.Client, address string) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		status, page, _ := send(t, c, "GET", address, "", false)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", address, status, page)
		}
		working := strings.Contains(page, `id="progress"`)
		if types := webuitest.Types(page); types == webuitest.Reloads(page) || working && types {
			t.Fatalf("it takes typing: %t, at work: %t, and loads itself anew: %t", types, working, webuitest.Reloads(page))
		}
		if !working {
			return page
		}
		if time.Now().After(deadline) {
			t.Fatalf("still at it: %s", page)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A list is uploaded, looked at, its columns chosen, imported, and decided about on the
// pages; before it is imported nothing of it is kept but a file that goes again.
func TestRosterPages(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "hub")
	s := rosterHub(t, dir, filepath.Join(root, "journal"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	closed := false
	stop := func() {
		if !closed {
			closed = true
			cancel()
			check(t, <-ended)
			check(t, s.Close())
		}
	}
	defer stop()
	base := "http://" + s.HTTPAddr()
	rita := joined(t, s, "rita", "reconciler", "*")
	kept := func() int {
		list, err := os.ReadDir(filepath.Join(dir, "drafts"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(list)
	}
	status, _, page := uploads(t, rita, base, "other", "x.csv", []byte("姓名,身份证号\n"))
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `role="alert"`) || kept() != 0 {
		t.Errorf("no such kind: %d %.2000s", status, page)
	}
	_, to, _ := uploads(t, rita, base, "pension_list", "x.pdf", []byte("%PDF-1.4"))
	if page := settled(t, rita, base+to); !strings.Contains(page, `id="trouble-of"`) || strings.Contains(page, `id="import"`) {
		t.Errorf("a PDF: %s", page)
	}

	odd := bytes.Replace(dirtyCSV(), []byte("身份证号码"), []byte("号"), 1)
	odd = bytes.Replace(odd, []byte("联系电话"), []byte("打"), 1)
	status, to, _ = uploads(t, rita, base, "pension_list", "名单.csv", odd)
	if status != http.StatusSeeOther || !strings.HasPrefix(to, "/roster/draft/") {
		t.Fatalf("upload: %d %s", status, to)
	}
	page = settled(t, rita, base+to)
	if !strings.Contains(page, `id="trouble-of"`) || strings.Contains(page, `id="import"`) || strings.Contains(page, numbered("1948-12-01", 1)) {
		t.Fatalf("columns that are not understood: %s", page)
	}
	_, _, _ = send(t, rita, "POST", base+to+"/import", "", true)
	if page := settled(t, rita, base+to); strings.Contains(page, `id="imported"`) {
		t.Fatal("imported without columns")
	}
	choice := url.Values{"header_row": {"2"}, "column.name": {"0"}, "column.resident_id": {"1"}, "column.phone": {"2"}}
	if status, page, _ := send(t, rita, "POST", base+to, choice.Encode(), true); status != http.StatusSeeOther {
		t.Fatalf("choose: %d %s", status, page)
	}
	page = settled(t, rita, base+to)
	if !strings.Contains(page, `id="import"`) || !strings.Contains(page, `id="problems"`) || kept() != 2 {
		t.Fatalf("after choosing, %d files: %s", kept(), page)
	}
	if all, err := s.Office().Rosters(t.Context()); err != nil || all[0].Import != 0 {
		t.Fatalf("before importing: %+v, %v", all, err)
	}
	_, _, _ = send(t, rita, "POST", base+to+"/import", "", true)
	if page = settled(t, rita, base+to); !strings.Contains(page, `id="imported"`) || kept() != 1 {
		t.Fatalf("after importing, %d files: %s", kept(), page)
	}
	if got := standings(t, s); got != afterImport {
		t.Errorf("standings:\n%s", got)
	}

	_, page, _ = send(t, rita, "GET", base+"/queue?kind=roster", "", false)
	if strings.Count(page, `<article class="row" id="line-`) != 6 || strings.Contains(page, numbered("1960-06-06", 3)) {
		t.Errorf("the queue: %s", page)
	}
	_, page, _ = send(t, rita, "GET", base+"/roster/list/pension_list?standing=missing", "", false)
	if strings.Count(page, `<article class="row" id="line-`) != 2 || !strings.Contains(page, "乌云") {
		t.Errorf("the list: %s", page)
	}
	l := lines(t, s)["7"]
	rule := url.Values{"key": {l.Key}, "seen": {l.Seen}, "choice": {"note"}, "reason": {"moved away"}, "back": {"/queue?kind=roster"}}
	if status, page, to := send(t, rita, "POST", base+"/roster/list/pension_list", rule.Encode(), true); status != http.StatusSeeOther || to != "/queue?kind=roster" {
		t.Errorf("rule: %d %s %s", status, to, page)
	}
	rule.Set("seen", "what it was before")
	rule.Set("back", "/roster/list/pension_list")
	if status, page, _ := send(t, rita, "POST", base+"/roster/list/pension_list", rule.Encode(), true); status != http.StatusUnprocessableEntity || !strings.Contains(page, `role="alert"`) {
		t.Errorf("rule on what it was: %d", status)
	}
	for _, path := range []string{"/roster/list/other", "/roster/draft/nothing"} {
		if status, _, _ := send(t, rita, "GET", base+path, "", false); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", path, status)
		}
	}
	// Whoever acts is in the ledger by name.
	for _, kind := range []string{"roster", "roster_ruling"} {
		for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: kind}, false) {
			check(t, err)
			if f.By != "rita" {
				t.Errorf("%s by %q", kind, f.By)
			}
		}
	}
	stop()
	if kept() != 0 {
		t.Errorf("%d files stay", kept())
	}
}

// logged is a log that several write to.
type logged struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// What a list stopped at stands in the log, where it is the hub's own trouble: the page
// sends people there, and does not show it.
func TestTroubleWithAnUploadedListIsLogged(t *testing.T) {
	root := t.TempDir()
	cfg := packed(t, filepath.Join(root, "hub"), filepath.Join(root, "journal"))
	log := &logged{}
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	s, err := server.Open(t.Context(), cfg)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		check(t, <-ended)
		check(t, s.Close())
	}()
	base := "http://" + s.HTTPAddr()
	rita := joined(t, s, "rita", "reconciler", "*")
	_, to, _ := uploads(t, rita, base, "pension_list", "名单.csv", []byte("甲,乙\n吉雅,x\n"))
	settled(t, rita, base+to)
	drafts := filepath.Join(cfg.Dir, "drafts")
	files, err := os.ReadDir(drafts)
	check(t, err)
	for _, f := range files {
		check(t, os.Remove(filepath.Join(drafts, f.Name())))
	}
	if len(files) != 1 || strings.Contains(log.String(), "an uploaded list") {
		t.Fatalf("%d files, log %s", len(files), log)
	}
	choice := url.Values{"header_row": {"1"}, "column.name": {"0"}, "column.resident_id": {"1"}}
	if status, page, _ := post(t, rita, base+to, choice); status != http.StatusSeeOther {
		t.Fatalf("choose: %d %.300s", status, page)
	}
	page := settled(t, rita, base+to)
	if !strings.Contains(log.String(), "an uploaded list: not done") || !strings.Contains(log.String(), "read an uploaded list") || strings.Contains(page, "read an uploaded list") || !strings.Contains(page, `id="trouble-of"`) {
		t.Errorf("log %s, page %.3000s", log, page)
	}
}
