package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
)

const deviceColumns = "d.name, d.scopes, d.added_at, d.enrolled_at, d.revoked_at, d.incarnation," +
	" d.contact_at, d.skew, d.version, d.battery, d.disk_free, d.blobs, coalesce(o.expires_at, 0), d.pack, d.pack_version" +
	" FROM devices d LEFT JOIN codes o ON o.device = d.name AND o.used_at = 0 AND o.replaced_at = 0"

func scanDevice(s Row) (store.Device, error) {
	d := store.Device{
		ID: dot.Device(s.Text(0)), AddedAt: s.Int64(2), EnrolledAt: s.Int64(3), RevokedAt: s.Int64(4),
		Incarnation: dot.Incarnation(s.Int64(5)), //nolint:gosec // was one when it was stored
		Contact: store.Contact{
			At: s.Int64(6), Skew: s.Int64(7), Version: s.Text(8),
			Battery: int(s.Int64(9)), DiskFree: s.Int64(10), Blobs: int(s.Int64(11)),
			Pack: s.Text(13), PackVersion: uint32(s.Int64(14)), //nolint:gosec // was one when it was stored
		},
		CodeExpiresAt: s.Int64(12),
	}
	if err := json.Unmarshal(s.Bytes(1), &d.Scopes); err != nil {
		return d, fmt.Errorf("%w: scopes of %s: %w", ErrDamagedRow, d.ID, err)
	}
	return d, nil
}

// Devices lists all devices by name.
func (s *Store) Devices(ctx context.Context) (out []store.Device, err error) {
	err = s.read(ctx, "list devices", func(c *conn) error {
		return c.each("SELECT "+deviceColumns+" ORDER BY d.name", nil, func(r Row) error {
			d, err := scanDevice(r)
			out = append(out, d)
			return err
		})
	})
	return out, err
}

// Device reads one device; [store.ErrNotFound] when there is none of that name.
func (s *Store) Device(ctx context.Context, id dot.Device) (d store.Device, err error) {
	err = s.read(ctx, "device "+string(id), func(c *conn) error {
		found, err := device(c, id, &d)
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
	return d, err
}

func device(c *conn, id dot.Device, into *store.Device) (found bool, err error) {
	return c.one("SELECT "+deviceColumns+" WHERE d.name = ?", []any{string(id)},
		func(r Row) (err error) { *into, err = scanDevice(r); return err })
}

// Invite opens a one-time code.
func (s *Store) Invite(ctx context.Context, in store.Invitation, again bool) error {
	return s.write(ctx, "invite "+string(in.Device), func(w *writer) error { return w.invite(in, again) })
}

func (w *writer) invite(in store.Invitation, again bool) error {
	if _, err := dot.ParseDevice(string(in.Device)); err != nil {
		return err
	}
	var d store.Device
	found, err := device(w.conn, in.Device, &d)
	switch {
	case err != nil:
		return err
	case d.RevokedAt != 0:
		return store.ErrRevoked
	case d.EnrolledAt != 0 && !again:
		return fmt.Errorf("enrolled already: %w", store.ErrExists)
	}
	if !found || len(in.Scopes) > 0 {
		if err := saveScopes(w, in); err != nil {
			return err
		}
	}
	if err := w.exec("UPDATE codes SET replaced_at = ? WHERE device = ? AND used_at = 0 AND replaced_at = 0", max(in.AddedAt, 1), string(in.Device)); err != nil {
		return err
	}
	err = w.exec("INSERT INTO codes (hash, device, added_at, expires_at) VALUES (?, ?, ?, ?)", in.CodeHash[:], string(in.Device), in.AddedAt, in.ExpiresAt)
	if errors.Is(err, ErrTaken) {
		return fmt.Errorf("this code was given out before: %w", store.ErrExists)
	}
	return err
}

func saveScopes(w *writer, in store.Invitation) error {
	b, err := scopesJSON(in.Scopes)
	if err != nil {
		return err
	}
	return w.exec("INSERT INTO devices (name, scopes, added_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET scopes = excluded.scopes",
		string(in.Device), b, in.AddedAt)
}

func scopesJSON(scopes []string) (string, error) {
	if scopes == nil {
		scopes = []string{}
	}
	b, err := json.Marshal(scopes)
	return string(b), err
}

// Redeem spends a code. Writing transactions follow one another, so of two
// that bring the same code the second finds it used.
func (s *Store) Redeem(ctx context.Context, e store.Enrolment) (key store.Key, err error) {
	err = s.write(ctx, "redeem an enrolment code", func(w *writer) (err error) {
		key, err = w.redeem(e)
		return err
	})
	if err != nil {
		return store.Key{}, err
	}
	return key, nil
}

func (w *writer) redeem(e store.Enrolment) (key store.Key, err error) {
	var name string
	var expires, used, replaced int64
	found, err := w.one("SELECT device, expires_at, used_at, replaced_at FROM codes WHERE hash = ?", []any{e.CodeHash[:]}, func(r Row) error {
		name, expires, used, replaced = r.Text(0), r.Int64(1), r.Int64(2), r.Int64(3)
		return nil
	})
	switch {
	case err != nil:
		return key, err
	case !found:
		return key, store.ErrNotFound
	case used != 0:
		return key, fmt.Errorf("code of %s: %w", name, store.ErrCodeUsed)
	case replaced != 0:
		return key, fmt.Errorf("code of %s: a newer one replaced it: %w", name, store.ErrCodeExpired)
	case e.At >= expires:
		return key, fmt.Errorf("code of %s: %w", name, store.ErrCodeExpired)
	}
	var d store.Device
	if found, err = device(w.conn, dot.Device(name), &d); err != nil || !found {
		return key, errors.Join(err, errMissing(found, "device "+name))
	}
	if d.RevokedAt != 0 {
		return key, fmt.Errorf("device %s: %w", name, store.ErrRevoked)
	}
	next, err := nextLife(w.conn, d.ID)
	if err != nil {
		return key, err
	}
	key = store.Key{Device: d.ID, Incarnation: next, SignKey: e.SignKey, NatsKey: e.NatsKey, EnrolledAt: e.At}
	return key, w.enrol(key, e.CodeHash)
}

func errMissing(found bool, what string) error {
	if found {
		return nil
	}
	return fmt.Errorf("%w: %s is missing", ErrDamagedRow, what)
}

// enrol spends the code and stores the key under its incarnation.
func (w *writer) enrol(k store.Key, codeHash [32]byte) error {
	if err := w.exec("UPDATE codes SET used_at = ? WHERE hash = ? AND used_at = 0", max(k.EnrolledAt, 1), codeHash[:]); err != nil {
		return err
	}
	err := w.exec("INSERT INTO device_keys (device, incarnation, sign_key, nats_key, enrolled_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		string(k.Device), int64(k.Incarnation), k.SignKey[:], k.NatsKey, k.EnrolledAt)
	if err != nil {
		return err
	}
	if w.changed == 0 {
		return w.sameKey(k)
	}
	return w.exec("UPDATE devices SET enrolled_at = ?1, incarnation = CASE WHEN incarnation < ?2 THEN ?2 ELSE incarnation END WHERE name = ?3", k.EnrolledAt, int64(k.Incarnation), string(k.Device))
}

// sameKey is content when the key that is there is this one.
func (w *writer) sameKey(k store.Key) error {
	have, found, err := keyOf(w.conn, k.Device, k.Incarnation)
	if err != nil {
		return err
	}
	if !found || have.SignKey != k.SignKey || have.NatsKey != k.NatsKey {
		return fmt.Errorf("incarnation %d of %s has another key: %w", k.Incarnation, k.Device, store.ErrExists)
	}
	return nil
}

// Revoke ends a device for good.
func (s *Store) Revoke(ctx context.Context, d dot.Device, at int64) (keys []store.Key, err error) {
	err = s.write(ctx, "revoke "+string(d), func(w *writer) (err error) {
		keys, err = w.revoke(d, at)
		return err
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

func (w *writer) revoke(d dot.Device, at int64) (keys []store.Key, err error) {
	err = w.exec("UPDATE devices SET revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END WHERE name = ?", max(at, 1), string(d))
	if err != nil {
		return nil, err
	}
	if w.changed == 0 {
		return nil, store.ErrNotFound
	}
	if err := w.exec("UPDATE device_keys SET revoked_at = ? WHERE device = ? AND revoked_at = 0", max(at, 1), string(d)); err != nil {
		return nil, err
	}
	if err := w.exec("UPDATE codes SET replaced_at = ? WHERE device = ? AND used_at = 0 AND replaced_at = 0", max(at, 1), string(d)); err != nil {
		return nil, err
	}
	if err := w.exec("DELETE FROM doubts WHERE device = ?", string(d)); err != nil {
		return nil, err
	}
	err = w.each("SELECT "+keyColumns+" WHERE device = ? ORDER BY incarnation", []any{string(d)}, func(r Row) error {
		k, err := scanKey(r)
		keys = append(keys, k)
		return err
	})
	return keys, err
}

const keyColumns = "device, incarnation, sign_key, nats_key, enrolled_at, revoked_at FROM device_keys"

func scanKey(r Row) (store.Key, error) {
	k := store.Key{
		Device: dot.Device(r.Text(0)), Incarnation: dot.Incarnation(r.Int64(1)), //nolint:gosec // was one when it was stored
		NatsKey: r.Text(3), EnrolledAt: r.Int64(4), RevokedAt: r.Int64(5),
	}
	return k, digest(r, 2, k.SignKey[:])
}

// Revoked lists the keys of revoked devices.
func (s *Store) Revoked(ctx context.Context) (keys []store.Key, err error) {
	err = s.read(ctx, "list revoked keys", func(c *conn) error {
		return c.each("SELECT "+keyColumns+" WHERE revoked_at <> 0 ORDER BY device, incarnation", nil, func(r Row) error {
			k, err := scanKey(r)
			keys = append(keys, k)
			return err
		})
	})
	return keys, err
}

// Key reads the key that one life of a device signs with; [store.ErrNotFound]
// when there is none.
func (s *Store) Key(ctx context.Context, d dot.Device, i dot.Incarnation) (k store.Key, err error) {
	err = s.read(ctx, fmt.Sprintf("key of %s/%d", d, i), func(c *conn) error {
		var found bool
		k, found, err = signerOf(c, d, i)
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
	return k, err
}

func keyOf(c *conn, d dot.Device, i dot.Incarnation) (k store.Key, found bool, err error) {
	found, err = c.one("SELECT "+keyColumns+" WHERE device = ? AND incarnation = ?", []any{string(d), int64(i)},
		func(r Row) (err error) { k, err = scanKey(r); return err })
	return k, found, err
}

// signerOf is the key of an enrolment, or of the one that a life belongs to.
func signerOf(c *conn, d dot.Device, i dot.Incarnation) (store.Key, bool, error) {
	l, found, err := life(c, d, i)
	if err != nil {
		return store.Key{}, false, err
	}
	enrolled := i
	if found {
		enrolled = l.Enrolled
	}
	k, found, err := keyOf(c, d, enrolled)
	k.Incarnation = i
	return k, found, err
}

// Keys reads the keys of all enrolments, newest first.
func (s *Store) Keys(ctx context.Context, d dot.Device) (ks []store.Key, err error) {
	err = s.read(ctx, "keys of "+string(d), func(c *conn) error {
		return c.each("SELECT "+keyColumns+" WHERE device = ? ORDER BY incarnation DESC", []any{string(d)}, func(r Row) error {
			k, err := scanKey(r)
			ks = append(ks, k)
			return err
		})
	})
	return ks, err
}

// NoteContact stores a hello.
func (s *Store) NoteContact(ctx context.Context, d dot.Device, c store.Contact, declared []store.Lane) error {
	return s.write(ctx, "note contact with "+string(d), func(w *writer) error {
		err := w.exec("UPDATE devices SET contact_at = ?, skew = ?, version = ?, battery = ?, disk_free = ?, blobs = ?, pack = ?, pack_version = ? WHERE name = ?",
			c.At, c.Skew, c.Version, int64(c.Battery), c.DiskFree, int64(c.Blobs), c.Pack, int64(c.PackVersion), string(d))
		if err != nil {
			return err
		}
		if w.changed == 0 {
			return store.ErrNotFound
		}
		for _, l := range declared {
			if l.Chain.Device != d {
				return fmt.Errorf("lane %s is another device's", l.Chain)
			}
			if l.Declared > dot.MaxSeq {
				return fmt.Errorf("lane %s: seq %d is above the highest possible", l.Chain, l.Declared)
			}
			id, err := w.chain(l.Chain, true)
			if err != nil {
				return err
			}
			err = w.exec("UPDATE chains SET declared = ?1, declared_head = ?2, declared_at = ?3 WHERE id = ?4 AND declared <= ?1",
				int64(l.Declared), orNull(l.DeclaredHead), l.DeclaredAt, id) //nolint:gosec // checked above
			if err != nil {
				return err
			}
		}
		return nil
	})
}
