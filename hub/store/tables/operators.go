package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"otor/hub/store"
)

const operatorColumns = "name, title, role, scopes, password, totp, totp_step, added_at, disabled_at, generation, factor_at FROM operators"

func scanOperator(r Row) (store.Operator, error) {
	o := store.Operator{
		Name: r.Text(0), Title: r.Text(1), Role: r.Text(2), Password: r.Text(4), TOTP: blob(r, 5),
		TOTPStep: r.Int64(6), AddedAt: r.Int64(7), DisabledAt: r.Int64(8), Generation: r.Int64(9), FactorAt: r.Int64(10),
	}
	if err := json.Unmarshal(r.Bytes(3), &o.Scopes); err != nil {
		return o, fmt.Errorf("%w: scopes of %s: %w", ErrDamagedRow, o.Name, err)
	}
	return o, nil
}

func operator(c *conn, name string) (o store.Operator, err error) {
	found, err := c.one("SELECT "+operatorColumns+" WHERE name = ?", []any{name},
		func(r Row) (err error) { o, err = scanOperator(r); return err })
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return o, err
}

// list writes names as JSON; none as an empty list.
func list(names []string) (string, error) {
	if names == nil {
		names = []string{}
	}
	b, err := json.Marshal(names)
	return string(b), err
}

// AddOperator adds an operator.
func (s *Store) AddOperator(ctx context.Context, o store.Operator) error {
	scopes, err := list(o.Scopes)
	if err != nil {
		return err
	}
	return s.write(ctx, "add operator "+o.Name, func(w *writer) error {
		err := w.exec("INSERT INTO operators (name, title, role, scopes, password, totp, totp_step, added_at, disabled_at, generation, factor_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			o.Name, o.Title, o.Role, scopes, o.Password, o.TOTP, o.TOTPStep, o.AddedAt, o.DisabledAt, o.Generation, o.FactorAt)
		if errors.Is(err, ErrTaken) {
			return store.ErrExists
		}
		return err
	})
}

// ChangeOperator reads, changes and writes an operator in one transaction.
func (s *Store) ChangeOperator(ctx context.Context, name string, change func(*store.Operator) error) error {
	return s.write(ctx, "change operator "+name, func(w *writer) error {
		was, err := operator(w.conn, name)
		if err != nil {
			return err
		}
		now := was
		if err := change(&now); err != nil {
			return err
		}
		scopes, err := list(now.Scopes)
		if err != nil {
			return err
		}
		err = w.exec("UPDATE operators SET title = ?, role = ?, scopes = ?, password = ?, totp = ?, totp_step = ?, disabled_at = ?, generation = ?, factor_at = ? WHERE name = ?",
			now.Title, now.Role, scopes, now.Password, now.TOTP, now.TOTPStep, now.DisabledAt, now.Generation, now.FactorAt, name)
		if err == nil && now.DisabledAt != was.DisabledAt {
			err = w.exec("UPDATE api_tokens SET revoked_at = ? WHERE operator = ? AND revoked_at = 0", max(was.DisabledAt, now.DisabledAt), name)
		}
		if err != nil || now.Generation == was.Generation {
			return err
		}
		if err := w.exec("DELETE FROM sessions WHERE operator = ?", name); err != nil {
			return err
		}
		return w.exec("DELETE FROM links WHERE operator = ?", name)
	})
}

// Operator reads one operator.
func (s *Store) Operator(ctx context.Context, name string) (o store.Operator, err error) {
	err = s.read(ctx, "operator "+name, func(c *conn) (err error) { o, err = operator(c, name); return err })
	return o, err
}

// ListOperators lists operators by name.
func (s *Store) ListOperators(ctx context.Context) (out []store.Operator, err error) {
	err = s.read(ctx, "list operators", func(c *conn) error {
		return c.each("SELECT "+operatorColumns+" ORDER BY name", nil, func(r Row) error {
			o, err := scanOperator(r)
			out = append(out, o)
			return err
		})
	})
	return out, err
}

// AddSession stores a session.
func (s *Store) AddSession(ctx context.Context, v store.Session) error {
	return s.write(ctx, "begin a session of "+v.Operator, func(w *writer) error {
		if _, err := operator(w.conn, v.Operator); err != nil {
			return err
		}
		if err := w.exec("DELETE FROM sessions WHERE ends_at < ?", v.BeganAt); err != nil {
			return err
		}
		return w.exec("INSERT INTO sessions (hash, operator, generation, began_at, seen_at, ends_at, came_from) VALUES (?, ?, ?, ?, ?, ?, ?)",
			v.Hash[:], v.Operator, v.Generation, v.BeganAt, v.SeenAt, v.EndsAt, v.From)
	})
}

// Session reads a session.
func (s *Store) Session(ctx context.Context, hash [32]byte) (v store.Session, err error) {
	err = s.read(ctx, "session", func(c *conn) error {
		found, err := c.one("SELECT operator, generation, began_at, seen_at, ends_at, came_from FROM sessions WHERE hash = ?", []any{hash[:]},
			func(r Row) error {
				v = store.Session{
					Hash: hash, Operator: r.Text(0), Generation: r.Int64(1), BeganAt: r.Int64(2),
					SeenAt: r.Int64(3), EndsAt: r.Int64(4), From: r.Text(5),
				}
				return nil
			})
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
	return v, err
}

// SeeSession notes when a session was last used.
func (s *Store) SeeSession(ctx context.Context, hash [32]byte, at int64) error {
	return s.write(ctx, "note a session", func(w *writer) error {
		return w.exec("UPDATE sessions SET seen_at = CASE WHEN seen_at < ?1 THEN ?1 ELSE seen_at END WHERE hash = ?2", at, hash[:])
	})
}

// EndSession forgets a session.
func (s *Store) EndSession(ctx context.Context, hash [32]byte) error {
	return s.write(ctx, "end a session", func(w *writer) error {
		return w.exec("DELETE FROM sessions WHERE hash = ?", hash[:])
	})
}

// AddLink replaces the operator's links by one.
func (s *Store) AddLink(ctx context.Context, l store.Link) error {
	return s.write(ctx, "make a link for "+l.Operator, func(w *writer) error {
		if _, err := operator(w.conn, l.Operator); err != nil {
			return err
		}
		if err := w.exec("DELETE FROM links WHERE operator = ?", l.Operator); err != nil {
			return err
		}
		return w.exec("INSERT INTO links (hash, operator, added_at, expires_at) VALUES (?, ?, ?, ?)", l.Hash[:], l.Operator, l.AddedAt, l.ExpiresAt)
	})
}

// SpendLink uses a link up. One that is over is forgotten too, so the
// transaction commits before that is said.
func (s *Store) SpendLink(ctx context.Context, hash [32]byte, at int64) (name string, err error) {
	var expires int64
	err = s.write(ctx, "spend a link", func(w *writer) error {
		found, err := w.one("SELECT operator, expires_at FROM links WHERE hash = ?", []any{hash[:]}, func(r Row) error {
			name, expires = r.Text(0), r.Int64(1)
			return nil
		})
		switch {
		case err != nil:
			return err
		case !found:
			return store.ErrNotFound
		}
		return w.exec("DELETE FROM links WHERE hash = ?", hash[:])
	})
	if err == nil && at >= expires {
		return "", fmt.Errorf("link of %s: %w", name, store.ErrCodeExpired)
	}
	return name, err
}

const tokenColumns = "hash, operator, label, role, scopes, added_at, expires_at, revoked_at FROM api_tokens"

func scanToken(r Row) (store.APIToken, error) {
	t := store.APIToken{
		Operator: r.Text(1), Label: r.Text(2), Role: r.Text(3),
		AddedAt: r.Int64(5), ExpiresAt: r.Int64(6), RevokedAt: r.Int64(7),
	}
	if err := json.Unmarshal(r.Bytes(4), &t.Scopes); err != nil {
		return t, fmt.Errorf("%w: scopes of token %s: %w", ErrDamagedRow, t.Label, err)
	}
	return t, digest(r, 0, t.Hash[:])
}

// AddToken adds a token.
func (s *Store) AddToken(ctx context.Context, t store.APIToken) error {
	scopes, err := list(t.Scopes)
	if err != nil {
		return err
	}
	return s.write(ctx, "add token "+t.Label, func(w *writer) error {
		if _, err := operator(w.conn, t.Operator); err != nil {
			return err
		}
		err := w.exec("INSERT INTO api_tokens (hash, operator, label, role, scopes, added_at, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			t.Hash[:], t.Operator, t.Label, t.Role, scopes, t.AddedAt, t.ExpiresAt, t.RevokedAt)
		if errors.Is(err, ErrTaken) {
			return store.ErrExists
		}
		return err
	})
}

// Token reads a token.
func (s *Store) Token(ctx context.Context, hash [32]byte) (t store.APIToken, err error) {
	err = s.read(ctx, "token", func(c *conn) error {
		found, err := c.one("SELECT "+tokenColumns+" WHERE hash = ?", []any{hash[:]},
			func(r Row) (err error) { t, err = scanToken(r); return err })
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
	return t, err
}

// Tokens lists tokens by operator and label.
func (s *Store) Tokens(ctx context.Context) (out []store.APIToken, err error) {
	err = s.read(ctx, "list tokens", func(c *conn) error {
		return c.each("SELECT "+tokenColumns+" ORDER BY operator, label, added_at", nil, func(r Row) error {
			t, err := scanToken(r)
			out = append(out, t)
			return err
		})
	})
	return out, err
}

// RevokeToken ends a token.
func (s *Store) RevokeToken(ctx context.Context, name, label string, at int64) error {
	return s.write(ctx, "revoke token "+label, func(w *writer) error {
		err := w.exec("UPDATE api_tokens SET revoked_at = ? WHERE operator = ? AND label = ? AND revoked_at = 0", max(at, 1), name, label)
		if err != nil || w.changed > 0 {
			return err
		}
		found, err := w.one("SELECT 1 FROM api_tokens WHERE operator = ? AND label = ?", []any{name, label}, func(Row) error { return nil })
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
}
