// Package webuitest looks at pages as their readers do: in a real Chromium, at
// the sizes of a phone and a desk.
//
// Pages are held to what the design asks for: nothing to scroll sideways, text
// large and dark enough, targets large enough for cold hands, nothing loaded
// from elsewhere, no complaint in the browser's console.
//
// A machine without Chromium skips these tests with a notice; with "chromium"
// in OTOR_REQUIRE they fail instead. OTOR_CHROMIUM names another binary.
// OTOR_SCREENSHOTS names a folder to keep pictures in.
package webuitest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Size is a window in CSS pixels.
type Size struct{ Width, Height int64 }

// The sizes that every page is looked at in.
var (
	Phone = Size{390, 844}
	Small = Size{320, 640}
	Desk  = Size{1280, 800}
	Sizes = []Size{Phone, Small, Desk}
)

// Rules are what a page is held to.
type Rules struct {
	MinText   float64 // CSS pixels
	MinTarget float64 // CSS pixels, height and width of what can be pressed
	Contrast  float64 // WCAG ratio of text to its ground
}

// Browser is one window.
type Browser struct {
	t    testing.TB
	ctx  context.Context
	size Size

	mu       sync.Mutex
	trouble  []string // guarded by mu: what the browser complained of
	requests []string // guarded by mu
}

const patience = 30 * time.Second

// Start opens Chromium, or skips the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := find()
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), "chromium") {
			t.Fatalf("chromium is required here: %v", err)
		}
		t.Skipf("skipped: %v; install Chromium or set OTOR_CHROMIUM to look at pages", err)
	}
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(patience))
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	b := &Browser{t: t}
	ctx, stop := chromedp.NewContext(alloc, chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser, so that its folder can be removed
		stop()
		stopAlloc()
	})
	b.Do(chromedp.Navigate("about:blank"))
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatalf("browser: %v", err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatalf("browser: %v", err)
	}
	return b
}

func find() (string, error) {
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	if p := os.Getenv("OTOR_CHROMIUM"); p != "" {
		names = []string{p}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Chromium found (looked for %s)", strings.Join(names, ", "))
}

func (b *Browser) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, ev.Request.URL)
	case *runtime.EventExceptionThrown:
		b.trouble = append(b.trouble, ev.ExceptionDetails.Text+" "+ev.ExceptionDetails.URL)
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			b.trouble = append(b.trouble, ev.Entry.Text+" "+ev.Entry.URL)
		}
	}
}

// Do performs steps; the test fails if one does.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := within(func() error { return chromedp.Do(b.ctx, steps...) }); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// Open shows the page at url.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(url))
}

// Click presses what the CSS selector finds.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.Do(chromedp.Click(chromedp.CSS(selector)))
}

// Follow presses what the CSS selector finds and waits until the page that it
// leads to is there: a look at the old one would see it torn down.
func (b *Browser) Follow(selector string) {
	b.t.Helper()
	Eval[bool](b, `window.left = true`)
	b.Click(selector)
	b.Await(`!window.left && document.readyState === "complete"`)
}

// within runs f for as long as patience lasts. The first use of a browser must
// not be bound to a shorter life than the browser's own, so the limit stands
// beside it and not in its context.
func within(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return fmt.Errorf("not done within %v", patience)
	}
}

// Visit opens the page that a link leads to. Unlike Follow it does not press the link,
// which a page that changes by itself may replace meanwhile.
func (b *Browser) Visit(selector string) {
	b.t.Helper()
	b.Await(fmt.Sprintf("document.querySelector(%q)", selector))
	b.Open(Eval[string](b, fmt.Sprintf("document.querySelector(%q).href", selector)))
}

// Resize sets the window.
func (b *Browser) Resize(s Size) {
	b.t.Helper()
	b.size = s
	b.view(s)
}

func (b *Browser) view(s Size) {
	b.t.Helper()
	var opts []chromedp.EmulateViewportOption
	if s.Width < 600 {
		opts = append(opts, chromedp.EmulateMobile)
	}
	b.Do(chromedp.EmulateViewport(s.Width, s.Height, opts...))
}

// Eval evaluates a JavaScript expression in the page.
func Eval[T any](b *Browser, js string) T {
	b.t.Helper()
	v, err := tryEval[T](b, js)
	if err != nil {
		b.t.Fatalf("evaluating %.60s: %v", js, err)
	}
	return v
}

func tryEval[T any](b *Browser, js string) (v T, err error) {
	err = within(func() error {
		v, err = chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
		return err
	})
	return v, err
}

// Await waits until a JavaScript condition holds, also across navigations.
func (b *Browser) Await(condition string) {
	b.t.Helper()
	end := time.Now().Add(patience)
	for {
		ok, err := tryEval[bool](b, "!!("+condition+")")
		if err == nil && ok {
			return
		}
		if time.Now().After(end) {
			text, _ := tryEval[string](b, "document.body.innerText") // only to tell more
			b.t.Fatalf("waited in vain for %s (%v); the page says:\n%s", condition, err, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Shot keeps a picture of the whole page when OTOR_SCREENSHOTS names a folder.
func (b *Browser) Shot(name string) {
	b.t.Helper()
	dir := os.Getenv("OTOR_SCREENSHOTS")
	if dir == "" {
		return
	}
	// The window is made as tall as the page: capturing beyond the window
	// never ends on some builds while a stream of events is open.
	tall := b.size
	tall.Height = max(tall.Height, min(Eval[int64](b, "document.documentElement.scrollHeight"), 6000))
	b.view(tall)
	var png []byte
	err := within(func() (err error) {
		png, err = chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		return err
	})
	b.view(b.size)
	if err != nil {
		b.t.Fatalf("picture %s: %v", name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Check holds the page that is shown to the rules.
func (b *Browser) Check(r Rules) {
	b.t.Helper()
	rules, _ := json.Marshal(r) // three numbers
	for _, f := range Eval[[]string](b, "("+inspect+")("+string(rules)+")") {
		b.t.Errorf("page: %s", f)
	}
}

// Trouble returns what the browser complained of so far, and forgets it.
func (b *Browser) Trouble() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.trouble
	b.trouble = nil
	return out
}

// Elsewhere returns the requests that did not go to base. Pictures that the browser itself
// draws beside a field, as that of a calendar, go nowhere.
func (b *Browser) Elsewhere(base string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, u := range b.requests {
		if !strings.HasPrefix(u, base+"/") && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:") {
			out = append(out, u)
		}
	}
	return out
}

// Slow makes the browser's processor so many times slower.
func (b *Browser) Slow(times float64) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: times}); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// Forget empties the browser's cache, as in one that was never here.
func (b *Browser) Forget() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.ClearBrowserCache, chromedp.Void{}); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// ForgetAll empties all that the browser keeps of sites: what Forget does, and cookies and
// storage, the way in among them.
func (b *Browser) ForgetAll() {
	b.t.Helper()
	b.Forget()
	Eval[bool](b, `(localStorage.clear(), sessionStorage.clear(), true)`)
	if _, err := chromedp.Call(b.ctx, network.ClearBrowserCookies, chromedp.Void{}); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// Press presses keys, as "\t" for Tab, "\r" for Enter, " " for the space bar.
func (b *Browser) Press(keys string) {
	b.t.Helper()
	b.Do(chromedp.KeyEvent(keys))
}

// TabTo presses Tab until the element that the CSS selector finds has the focus,
// and fails when it cannot be reached so.
func (b *Browser) TabTo(selector string) {
	b.t.Helper()
	const most = 250
	at := "!!document.activeElement?.matches(" + quote(selector) + ")"
	for range most {
		if Eval[bool](b, at) {
			return
		}
		b.Press("\t")
	}
	b.t.Fatalf("%s cannot be reached by the keyboard", selector)
}

func quote(s string) string { q, _ := json.Marshal(s); return string(q) } // a string
