package postgres

import "github.com/jackc/pgx/v5/pgconn"

// How texts are kept.
var (
	Escape   = escape
	Unescape = unescape
)

// Told explains an error with a code of PostgreSQL's.
func Told(code string) error {
	return (&server{name: "hub on db"}).told(code, &pgconn.PgError{Code: code, Message: "as the server says it"})
}
