package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"otor/internal/pack"
	"otor/internal/webui/webuitest"
)

// A pack is checked and published on its page; one that is wrong is told by file and
// line, and nothing of it is taken.
func TestPacksPage(t *testing.T) {
	w := startWorker(t, filepath.Join(t.TempDir(), "hub"), "")
	s := w.Server
	base := "http://" + s.HTTPAddr()
	sam, rita := joined(t, s, "sam", "administrator", "*"), joined(t, s, "rita", "reconciler", "*")

	zip := newerPack(t)
	if status, _ := sent(t, rita, base+"/packs", zip); status != http.StatusForbidden {
		t.Errorf("a reconciler publishes: %d", status)
	}
	wrong, err := pack.Zip(fstest.MapFS{"pack.toml": {Data: []byte("id = \"x\"\nversion = 0\n")}})
	check(t, err)
	status, page := sent(t, sam, base+"/packs", wrong)
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "pack.toml:") {
		t.Errorf("a wrong pack: %d %.2000s", status, page)
	}
	if status, page = sent(t, sam, base+"/packs/check", zip); status != http.StatusOK || !strings.Contains(page, `id="done"`) {
		t.Errorf("a check: %d %.2000s", status, page)
	}
	versions := func() int {
		all, err := s.Office().Packs(t.Context())
		check(t, err)
		return len(all)
	}
	if n := versions(); n != 1 {
		t.Fatalf("after a check there are %d versions", n)
	}
	if status, page = sent(t, sam, base+"/packs", zip); status != http.StatusOK || !strings.Contains(page, `id="done"`) {
		t.Errorf("publishing: %d %.2000s", status, page)
	}
	if n := versions(); n != 2 {
		t.Errorf("there are %d versions", n)
	}
	_, page, _ = send(t, sam, "GET", base+"/packs", "", false)
	if strings.Count(page, "<article") != 2 || !strings.Contains(page, "sam") {
		t.Errorf("the page lists: %.3000s", page)
	}
	if status, _, _ := send(t, sam, "GET", base+"/packs/check", "", false); status != http.StatusSeeOther {
		t.Errorf("the page of a check, loaded anew: %d", status)
	}
}

// The page as it looks: a wrong pack, one that is checked, one that is published.
func TestPacksInBrowser(t *testing.T) {
	b := webuitest.Start(t)
	w := startWorker(t, filepath.Join(t.TempDir(), "hub"), "")
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		check(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		return filepath.Join(dir, name)
	}
	wrong, err := pack.Zip(fstest.MapFS{"pack.toml": {Data: []byte("id = \"x\"\nversion = 0\n")}})
	check(t, err)
	bad, good := file("wrong.zip", wrong), file("good.zip", newerPack(t))
	signsIn(t, b, w.Server)
	for _, lang := range []string{"zh", "mn", "en"} {
		b.Follow("#lang-" + lang)
		b.Open("http://" + w.HTTPAddr() + "/packs")
		b.Choose("#file", good)
		b.Follow("#check-pack")
		b.Await(`document.querySelector("#done")`)
		looked(b, "packs-fine-"+lang)
		b.Choose("#file", bad)
		b.Follow("#publish-pack")
		b.Await(`document.querySelectorAll("#faults li").length > 0`)
		looked(b, "packs-wrong-"+lang)
		b.Open("http://" + w.HTTPAddr() + "/packs")
	}
	b.Choose("#file", good)
	b.Follow("#publish-pack")
	b.Await(`document.querySelectorAll("#packs article").length === 2`)
	looked(b, "packs-published")
}
