package webuitest

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// Choose chooses a file in the field that the CSS selector finds.
func (b *Browser) Choose(selector, file string) {
	b.t.Helper()
	b.Do(chromedp.SetUploadFiles(chromedp.CSS(selector), []string{file}))
}

// Download presses what the CSS selector finds, and gives the file that the browser
// stores because of it, with its name.
func (b *Browser) Download(selector string) (name string, content []byte) {
	b.t.Helper()
	dir := b.t.TempDir()
	_, err := chromedp.Call(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
	})
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	b.Click(selector)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		list, err := os.ReadDir(dir)
		if err != nil {
			b.t.Fatal(err)
		}
		// While it comes in it has another name.
		if len(list) != 1 || strings.HasSuffix(list[0].Name(), ".crdownload") || strings.HasPrefix(list[0].Name(), ".") {
			continue
		}
		if content, err = os.ReadFile(filepath.Join(dir, list[0].Name())); err != nil {
			b.t.Fatal(err)
		}
		return list[0].Name(), content
	}
	b.t.Fatalf("nothing was stored when %s was pressed", selector)
	return "", nil
}
