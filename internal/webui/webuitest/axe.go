package webuitest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// axeScript is axe-core, which knows what pages owe to those who use them by
// other means than sight and touch (WCAG 2.2).
//
//go:embed axe/axe.min.js
var axeScript string

// axeRun asks for every rule of WCAG 2.2 A and AA and of good practice, with those
// of level AAA, of which contrast of 7:1 is one, and the size of targets besides.
const axeRun = `window.axeDone = null, axe.run(document, {
  runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "wcag2aaa"] },
  rules: { "target-size": { enabled: true }, "color-contrast-enhanced": { enabled: true } },
}).then((r) => { window.axeDone = { rules: r.passes.length + r.violations.length, found: r.violations.map((v) => ({ id: v.id, help: v.help, at: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)) })) }; },
  (e) => { window.axeDone = { rules: 0, found: [{ id: "axe", help: String(e), at: [] }] }; }), true`

// Axe fails for everything that axe-core finds wrong with the page that is
// shown, and when it looked at next to nothing.
func (b *Browser) Axe() {
	b.t.Helper()
	for _, f := range b.AxeFinds() {
		b.t.Errorf("page: %s", f)
	}
}

// AxeFinds lists what axe-core finds wrong.
func (b *Browser) AxeFinds() (out []string) {
	b.t.Helper()
	Eval[bool](b, axeScript+"\n;true")
	Eval[bool](b, axeRun)
	b.Await(`window.axeDone !== null`)
	var res struct {
		Rules int `json:"rules"`
		Found []struct {
			ID, Help string
			At       []string
		} `json:"found"`
	}
	if err := json.Unmarshal([]byte(Eval[string](b, `JSON.stringify(window.axeDone)`)), &res); err != nil {
		b.t.Fatalf("axe: %v", err)
	}
	if res.Rules < leastRules {
		out = append(out, fmt.Sprintf("axe looked at %d rules, less than %d", res.Rules, leastRules))
	}
	for _, f := range res.Found {
		out = append(out, f.ID+": "+f.Help+": "+strings.Join(f.At, " | "))
	}
	return out
}

// leastRules is how many rules of axe-core apply to the plainest of pages.
const leastRules = 15
