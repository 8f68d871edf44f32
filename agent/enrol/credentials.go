package enrol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"otor/internal/durable"
	"otor/internal/identity"
	"otor/internal/wire"
)

// ErrCredentials marks new credentials that are not this device's.
var ErrCredentials = errors.New("the hub gave credentials that are not for this device")

// Span is when credentials begin and end, by the hub's clock; zero when their
// text tells nothing.
type Span struct{ Issued, Expires time.Time }

// Half is when half of it is over.
func (s Span) Half() time.Time { return s.Issued.Add(s.Expires.Sub(s.Issued) / 2) }

// Span reads it from the ordinary credentials.
func (id *Identity) Span() Span {
	c, err := jwt.DecodeUserClaims(id.JWT)
	if err != nil || c.Expires == 0 {
		return Span{}
	}
	return Span{Issued: time.Unix(c.IssuedAt, 0), Expires: time.Unix(c.Expires, 0)}
}

// Holding says in a hello what credentials the device has.
func (id *Identity) Holding() *wire.Holding {
	h := &wire.Holding{Incarnation: id.Incarnation, Door: id.Door != ""}
	if s := id.Span(); !s.Expires.IsZero() {
		h.Expires = s.Expires.Unix()
	}
	return h
}

// natsKey is the public half of the key that credentials must name.
func (id *Identity) natsKey() (string, error) {
	pair, err := nkeys.FromSeed([]byte(id.Secrets.NatsSeed))
	if err != nil {
		return "", fmt.Errorf("NATS key of %s: %w", id, err)
	}
	return pair.PublicKey()
}

// Take puts new credentials into the identity's file in dir and returns the
// identity with them. All else in the file stays as it is, also what this
// version does not know. They may be used only once Take has returned: after
// any error, or a crash at any point, the file holds the old ones or the new
// ones, whole. Calls for one folder must not overlap.
func (id *Identity) Take(dir string, c wire.Credentials) (*Identity, error) {
	if err := id.suits(c); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	stored, err := Load(dir)
	if err != nil {
		return nil, fmt.Errorf("store new credentials: %w", err)
	}
	if stored.Device != id.Device || stored.Incarnation != id.Incarnation || stored.Secrets.NatsSeed != id.Secrets.NatsSeed {
		return nil, fmt.Errorf("store new credentials: %s is another device's (%s) by now; stop this program and start it again", path, stored)
	}
	changes := map[string]any{"jwt": c.JWT}
	if c.Door != "" {
		changes["door"] = c.Door
	}
	text, err := changed(path, changes)
	if err != nil {
		return nil, fmt.Errorf("store new credentials: %w", err)
	}
	if err := sweep(dir); err != nil {
		return nil, fmt.Errorf("store new credentials: %w", err)
	}
	if err := durable.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("store new credentials: %w", err)
	}
	next := *id
	next.JWT, next.Door = c.JWT, doorOf(c, id.Door)
	return &next, nil
}

// suits checks that credentials are for this device's key and from the
// authority that gave the first ones.
func (id *Identity) suits(c wire.Credentials) error {
	key, err := id.natsKey()
	if err != nil {
		return err
	}
	issuer := ""
	if old, err := jwt.DecodeUserClaims(id.JWT); err == nil {
		issuer = old.Issuer
	}
	for _, token := range []string{c.JWT, c.Door} {
		if token == "" && c.JWT != "" {
			continue // no new door
		}
		u, err := jwt.DecodeUserClaims(token) // checks the signature as well
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrCredentials, err)
		case u.Subject != key:
			return fmt.Errorf("%w: they name another key", ErrCredentials)
		case issuer != "" && u.Issuer != issuer:
			return fmt.Errorf("%w: another authority signed them", ErrCredentials)
		}
	}
	return nil
}

func doorOf(c wire.Credentials, old string) string {
	if c.Door == "" {
		return old
	}
	return c.Door
}

// changed gives the file's text with other values in it. All else stays as it
// is, also what this version does not know.
func changed(path string, values map[string]any) ([]byte, error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := make(map[string]json.RawMessage)
	if err := json.Unmarshal(old, &all); err != nil {
		return nil, err
	}
	for name, v := range values {
		if all[name], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		return nil, err
	}
	_, err = parse(path, b.Bytes()) // what is written can be read again
	return b.Bytes(), err
}

// sweep removes what a crash in the middle of a write left behind: it holds secrets.
func sweep(dir string) error {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "."+FileName+".") && strings.HasSuffix(f.Name(), ".new") {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return err
}

// maxRounds bounds the dialogue at the door: asking, answering, and answering
// once more when the first challenge was too old.
const maxRounds = 3

// Knock asks for new credentials by the door, with ask carrying one message to
// the hub and its answer back. A hub that says no makes it a [*wire.Refusal].
// Nothing is stored yet, see [Identity.Take].
func (id *Identity) Knock(ctx context.Context, ask func(context.Context, []byte) ([]byte, error)) (wire.Credentials, error) {
	none := wire.Credentials{}
	sign, err := id.SigningKey()
	if err != nil {
		return none, err
	}
	key, err := id.natsKey()
	if err != nil {
		return none, err
	}
	h := wire.DoorHello{Incarnation: id.Incarnation}
	for range maxRounds {
		b, err := wire.Marshal(h)
		if err != nil {
			return none, err
		}
		reply, err := ask(ctx, b)
		if err != nil {
			return none, err
		}
		a, err := wire.Unmarshal[wire.DoorAnswer](reply)
		switch {
		case err != nil:
			return none, err
		case a.Refused != nil:
			return none, a.Refused
		case a.Credentials != nil:
			return *a.Credentials, nil
		case len(a.Challenge) == 0:
			return none, fmt.Errorf("%w: the hub says nothing at the door", wire.ErrMalformed)
		}
		h.Challenge, h.Proof = a.Challenge, sign.Sign(identity.ForDoor, wire.DoorProof(a.Challenge, id.Device, key))
	}
	return none, errors.New("the hub did not take the answer to its challenge in time")
}
