package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"otor/hub/store"
	"otor/hub/store/tables"
)

// Codes of errors, from appendix A of PostgreSQL's manual. A class is the first two letters.
const (
	uniqueViolation    = "23505"
	exclusionViolation = "23P01"
	readOnlyTx         = "25006"
	noSuchDatabase     = "3D000"
	noPrivilege        = "42501"
	diskFull           = "53100"
	lockNotAvailable   = "55P03"
	queryCancelled     = "57014"

	classConnection  = "08"
	classRole        = "28" // wrong password, unknown user
	classRollback    = "40" // a deadlock: somebody else's transactions are in the way
	classResources   = "53"
	classIntervened  = "57" // shut down, starting up
	classDataDamaged = "XX"
)

// Explain puts an error into words that the operator can act on, and into the
// contract's errors. Errors of other kinds pass through. No word of it comes from
// the password.
func (s *server) Explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		if pgErr.Code == queryCancelled && ctx.Err() != nil {
			return ctx.Err()
		}
		return s.told(pgErr.Code, err)
	}
	var connectErr *pgconn.ConnectError
	var netErr net.Error
	switch {
	case errors.Is(err, tables.ErrDamagedRow):
		return fmt.Errorf("%w: %s; restore the newest backup: devices send again what it lacks (%w)", store.ErrDamaged, s.name, err)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &connectErr), errors.As(err, &netErr), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, pgconn.ErrConnClosed), pgconn.SafeToRetry(err):
		return s.away(err)
	}
	return err
}

func (s *server) away(err error) error {
	return fmt.Errorf("%w: %s does not answer; see that the server runs and that its address is right; what devices send waits meanwhile (%w)", store.ErrAway, s.name, err)
}

// told explains an error that the server tells.
func (s *server) told(code string, err error) error {
	class := code[:min(2, len(code))]
	switch {
	case code == diskFull:
		return fmt.Errorf("%w: no space left for %s; free some, nothing that was acknowledged is lost (%w)", store.ErrFull, s.name, err)
	case code == readOnlyTx:
		return fmt.Errorf("%w: %s takes no writes; it may be a standby: name the primary (%w)", store.ErrReadOnly, s.name, err)
	case code == noPrivilege:
		return fmt.Errorf("%w: the user of %s may not do that; make it the owner of the database (%w)", store.ErrReadOnly, s.name, err)
	case code == noSuchDatabase:
		return fmt.Errorf("%w: there is no database %s; make it with createdb (%w)", store.ErrAway, s.name, err)
	case code == lockNotAvailable, class == classRollback:
		return fmt.Errorf("%w: something else keeps %s locked; find it in pg_stat_activity (%w)", store.ErrLocked, s.name, err)
	case class == classRole:
		return fmt.Errorf("%w: %s does not let this user in; see PGPASSWORD, the pgpass file and pg_hba.conf (%w)", store.ErrDenied, s.name, err)
	case class == classDataDamaged && strings.HasPrefix(code, "XX00") && code != "XX000":
		return fmt.Errorf("%w: %s; restore the newest backup: devices send again what it lacks (%w)", store.ErrDamaged, s.name, err)
	case class == classConnection, class == classResources, class == classIntervened:
		return s.away(err)
	}
	return err
}
