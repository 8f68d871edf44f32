package webui

import "embed"

// The form page's program is built from src by vite; what is committed in
// bundle is what the build gives, byte for byte.
//
//go:embed bundle
var bundle embed.FS

// FormScript is the form page's program, FormStyle its style sheet. The form
// engine in it is @getodk/xforms-engine (Apache-2.0).
func FormScript() []byte { return Part(bundle, "bundle/form.js") }

// FormStyle is the form page's style sheet.
func FormStyle() []byte { return Part(bundle, "bundle/form.css") }
