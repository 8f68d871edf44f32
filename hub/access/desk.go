package access

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"otor/hub/store"
	"otor/internal/throttle"
)

// How long things last.
const (
	IdleAfter   = 30 * time.Minute // a session that is not used
	SessionEnds = 12 * time.Hour   // any session
	LinkEnds    = 24 * time.Hour
	TokenEnds   = 366 * 24 * time.Hour // the most
	seenEvery   = time.Minute          // how exactly the last use of a session is kept
)

// hashers bounds how many passwords are hashed at a time, and with it the memory.
const hashers = 2

// Note is an audit row: who did what to which operator.
type Note struct {
	Who     string
	Kind    string // operator_added, operator_changed, signed_in, refused, ...
	Subject string
	Words   string
}

// Config is what a Desk works with. Store, SealKey, Random and Now are needed.
type Config struct {
	Store   store.Operators
	SealKey [32]byte // seals second factors in the database
	Random  io.Reader
	Now     func() time.Time
	Cost    Cost // zero: Usual
	// Note writes the audit. A note that cannot be written stops the act. nil: none is kept.
	Note func(context.Context, Note) error
}

// Desk lets operators in. It is safe for concurrent use.
type Desk struct {
	Config
	box    cipher.AEAD
	byFrom *throttle.Throttle
	turns  chan struct{} // a place for each password that is being hashed
	dummy  string        // a hash that no password has, for names that do not exist
	people sync.Mutex    // held while an administrator changes an operator: of two who shut each other out one stays
	codes  sync.Mutex    // held while a code of a second factor is checked and counted
	mu     sync.Mutex    // guards byName
	byName map[string]*failures
}

// failures are wrong passwords of one name in a row.
type failures struct {
	n    int
	last time.Time
}

// A name's wrong passwords: from the sixth on it waits, twice as long each time.
const (
	freeFailures = 5
	firstWait    = 10 * time.Second
	longestWait  = 15 * time.Minute
	maxNames     = 4096
)

// New returns a Desk.
func New(cfg Config) (*Desk, error) {
	if cfg.Cost == (Cost{}) {
		cfg.Cost = Usual
	}
	d := &Desk{
		Config: cfg, byFrom: throttle.New(throttle.Usual, cfg.Now()),
		turns: make(chan struct{}, hashers), byName: map[string]*failures{},
	}
	var err error
	if d.box, err = newBox(cfg.SealKey); err != nil {
		return nil, fmt.Errorf("seal second factors: %w", err)
	}
	filler := make([]byte, 24)
	if _, err := io.ReadFull(cfg.Random, filler); err != nil {
		return nil, fmt.Errorf("draw a password that nobody has: %w", err)
	}
	d.dummy, err = cfg.Cost.hash(base64.RawURLEncoding.EncodeToString(filler), cfg.Random)
	return d, err
}

// secret draws a secret for a cookie, a link or a token, and its hash.
func (d *Desk) secret() (text string, hash [32]byte, err error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(d.Random, b); err != nil {
		return "", hash, fmt.Errorf("draw a secret: %w", err)
	}
	text = base64.RawURLEncoding.EncodeToString(b)
	return text, hashOf(text), nil
}

// hashOf is what is kept of a secret. The secrets are 256 random bits, so a
// plain hash gives nothing away.
func hashOf(secret string) [32]byte { return sha256.Sum256([]byte("otor access\x00" + secret)) }

func (d *Desk) note(ctx context.Context, n Note) error {
	if d.Note == nil {
		return nil
	}
	if err := d.Config.Note(ctx, n); err != nil {
		return fmt.Errorf("write the audit (%s %s): %w", n.Kind, n.Subject, err)
	}
	return nil
}

// turn runs fn when there is a place to hash a password.
func (d *Desk) turn(ctx context.Context, fn func() error) error {
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
		return fn()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Empty reports whether nobody can work here yet: there is no administrator
// with a password.
func (d *Desk) Empty(ctx context.Context) (bool, error) {
	all, err := d.Store.ListOperators(ctx)
	if err != nil {
		return false, err
	}
	for _, o := range all {
		if o.Role == string(Administrator) && o.DisabledAt == 0 && o.Password != "" {
			return false, nil
		}
	}
	return true, nil
}

// find reads an operator who works here.
func (d *Desk) find(ctx context.Context, name string) (store.Operator, error) {
	o, err := d.Store.Operator(ctx, name)
	if err == nil && o.DisabledAt != 0 {
		err = fmt.Errorf("operator %s was shut out: %w", name, store.ErrNotFound)
	}
	return o, err
}

func whoIs(o store.Operator, by string) Who {
	title := o.Title
	if title == "" {
		title = o.Name
	}
	return Who{Name: o.Name, Title: title, Role: Role(o.Role), Scopes: o.Scopes, By: by}
}

func notFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
