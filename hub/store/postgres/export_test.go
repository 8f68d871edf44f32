package postgres

// How texts are kept.
var (
	Escape   = escape
	Unescape = unescape
)
