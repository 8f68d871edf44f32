package webui

import _ "embed"

// mongolianFont is Noto Sans Mongolian (SIL Open Font License 1.1).
//
//go:embed font/noto-sans-mongolian.woff2
var mongolianFont []byte

// AddMongolian serves the font of the traditional script, and returns the style
// sheet's part that names it and sets the class tall downwards. Where a browser
// cannot set text so, what is tall is not shown.
func (a *Assets) AddMongolian() []byte {
	a.Add("noto-sans-mongolian.woff2", mongolianFont)
	return []byte(`@font-face { font-family: "Noto Sans Mongolian"; font-display: swap; unicode-range: U+1800-18AF; src: url("` +
		a.URL("noto-sans-mongolian.woff2") + `") format("woff2"); }
.tall { display: none; }
@supports (writing-mode: vertical-lr) {
  .tall { display: inline-block; writing-mode: vertical-lr; font: 24px/1.3 "Noto Sans Mongolian", "Mongolian Baiti", sans-serif; overflow-wrap: normal; }
}
`)
}
