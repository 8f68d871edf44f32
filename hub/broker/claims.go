package broker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/wire"
)

// MaxTTL bounds the life of a device's ordinary credentials.
const MaxTTL = 30 * 24 * time.Hour

// DoorTTL is how long a door lasts: longer than any phone is away. Each renewal
// brings a new one.
const DoorTTL = 10 * 365 * 24 * time.Hour

// doorPayload bounds a message by the door, in bytes: far above what is said there.
const doorPayload = 4 << 10

// doorSubs bounds the subscriptions of a connection by the door.
const doorSubs = 4

// maxSubs bounds the subscriptions of one device's connection.
const maxSubs = 128

// maxScopes keeps a user JWT well below the server's line limit.
const maxScopes = 64

// forever is when a revoked key's last credential was issued, as the server
// compares it: no credential of the key is younger. (Year 9999; clocks jump.)
const forever = 253402300799

// ErrRevoked marks a key that was revoked; it gets no credentials any more.
var ErrRevoked = errors.New("the key is revoked")

// target is where changed account claims go: the embedded server here, the
// claims-update subject of a cluster elsewhere.
type target interface {
	update(*jwt.AccountClaims, string) error
}

// issuer makes credentials. Two accounts keep devices away from JetStream:
// devices are users of FIELD, which has none; the streams live in STORE, which
// exports to FIELD only the subjects that they capture. In one account a device
// could name "$JS.API..." as the reply of a batch, and JetStream itself would
// send its acknowledgement there, with its own authority.
type issuer struct {
	keys     *keyring
	maxStore int64

	mu      sync.Mutex // guards revoked, and keeps updates in order
	revoked revocations
	target  target // set once, before the first Revoke
}

func public(kp nkeys.KeyPair) string {
	s, err := kp.PublicKey()
	if err != nil {
		panic(err) // only a wiped key has no public half, and ours are never wiped
	}
	return s
}

func (i *issuer) operatorToken() (string, error) {
	c := jwt.NewOperatorClaims(public(i.keys.operator))
	c.Name = "otor"
	c.SystemAccount = public(i.keys.system)
	token, err := c.Encode(i.keys.operator)
	if err != nil {
		return "", fmt.Errorf("sign the operator: %w", err)
	}
	return token, nil
}

func (i *issuer) operatorClaims() (*jwt.OperatorClaims, error) {
	token, err := i.operatorToken()
	if err != nil {
		return nil, err
	}
	return jwt.DecodeOperatorClaims(token)
}

func captured() []string { return append(wire.AlertSubjects(), wire.UpSubjects()...) }

// accounts returns the claims of all accounts, signed, by public key.
func (i *issuer) accounts() (map[string]string, error) {
	system := jwt.NewAccountClaims(public(i.keys.system))
	system.Name = "SYSTEM"

	store := jwt.NewAccountClaims(public(i.keys.store))
	store.Name = "STORE"
	store.Limits.DiskStorage = i.maxStore
	store.Limits.Streams = jwt.NoLimit
	store.Limits.Consumer = jwt.NoLimit
	for _, s := range captured() {
		store.Exports.Add(&jwt.Export{Name: s, Subject: jwt.Subject(s), Type: jwt.Service})
	}
	out := map[string]string{}
	for _, c := range []*jwt.AccountClaims{system, store, i.fieldClaims()} {
		token, err := c.Encode(i.keys.operator)
		if err != nil {
			return nil, fmt.Errorf("sign account %s: %w", c.Name, err)
		}
		out[c.Subject] = token
	}
	return out, nil
}

func (i *issuer) fieldClaims() *jwt.AccountClaims {
	c := jwt.NewAccountClaims(public(i.keys.field))
	c.Name = "FIELD"
	for _, s := range captured() {
		c.Imports.Add(&jwt.Import{Name: s, Subject: jwt.Subject(s), Account: public(i.keys.store), Type: jwt.Service})
	}
	for key := range i.revoked {
		c.RevokeAt(key, time.Unix(forever, 0))
	}
	return c
}

// user issues credentials for a device: publish on its own subjects, hear its
// own inbox and receipts and the news of what it may pull, and nothing else.
func (i *issuer) user(d dot.Device, key string, scopes []string, ttl time.Duration, now time.Time) (string, error) {
	if ttl <= 0 || ttl > MaxTTL {
		return "", fmt.Errorf("credentials of %s: they may last up to %s, not %s", d, MaxTTL, ttl)
	}
	if len(scopes) > maxScopes {
		return "", fmt.Errorf("credentials of %s: %d scopes, at most %d can be granted", d, len(scopes), maxScopes)
	}
	c, err := i.claims(d, key, ttl, now)
	if err != nil {
		return "", err
	}
	c.Permissions.Pub.Allow.Add(wire.Up(dot.Alert, d), wire.Up(dot.Record, d), wire.HelloOn(d), wire.PullOn(d), wire.RefillOn(d), wire.BlobOn(d), wire.Relay(d))
	c.Permissions.Sub.Allow.Add(wire.InboxPrefix(d)+".>", wire.ReceiptFor(d))
	for _, s := range feed.Scopes(d, scopes) {
		if !ValidScope(s) {
			return "", fmt.Errorf("credentials of %s: scope %q: only letters, digits, '-', '_' and ':' are allowed, at most %d", d, s, maxScope)
		}
		c.Permissions.Sub.Allow.Add(wire.News(s))
	}
	c.Limits.Payload = MaxPayload
	c.Limits.Subs = maxSubs
	return i.sign(c)
}

// door issues what a device comes back with after its ordinary credentials ran
// out. Its subject is not the one for hellos: what came by the door is known by
// the server's own permissions, whatever the message says of itself. It names
// the same key as the ordinary credentials, so that revoking the key shuts both.
func (i *issuer) door(d dot.Device, key string, ttl time.Duration, now time.Time) (string, error) {
	c, err := i.claims(d, key, ttl, now)
	if err != nil {
		return "", err
	}
	c.Tags.Add("door")
	c.Permissions.Pub.Allow.Add(wire.DoorOn(d))
	c.Permissions.Sub.Allow.Add(wire.InboxPrefix(d) + ".>")
	c.Limits.Payload = doorPayload
	c.Limits.Subs = doorSubs
	return i.sign(c)
}

// claims begins credentials for the holder of a key that is not revoked.
func (i *issuer) claims(d dot.Device, key string, ttl time.Duration, now time.Time) (*jwt.UserClaims, error) {
	if _, err := dot.ParseDevice(string(d)); err != nil {
		return nil, err
	}
	if !nkeys.IsValidPublicUserKey(key) {
		return nil, fmt.Errorf("credentials of %s: its NATS key is not a public user key", d)
	}
	i.mu.Lock()
	_, gone := i.revoked[key]
	i.mu.Unlock()
	if gone {
		return nil, fmt.Errorf("credentials of %s: %w", d, ErrRevoked)
	}
	c := jwt.NewUserClaims(key)
	c.Name = string(d)
	c.Expires = now.Add(ttl).Unix()
	c.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard)
	return c, nil
}

func (i *issuer) sign(c *jwt.UserClaims) (string, error) {
	token, err := c.Encode(i.keys.field)
	if err != nil {
		return "", fmt.Errorf("sign credentials of %s: %w", c.Name, err)
	}
	return token, nil
}

const maxScope = 64

// ValidScope reports whether s can be a scope's name: one token of a subject.
func ValidScope(s string) bool {
	if s == "" || len(s) > maxScope {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != ':'
	})
}

// revoke makes a key useless for good. It is on the disk BEFORE the server is
// told, so that a restart cannot bring the key back.
func (i *issuer) revoke(key string, now time.Time) error {
	if !nkeys.IsValidPublicUserKey(key) {
		return errors.New("revoke: not a public NATS user key")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, done := i.revoked[key]; !done {
		next := maps.Clone(i.revoked)
		next[key] = now.Unix()
		if err := i.keys.writeRevocations(next); err != nil {
			return fmt.Errorf("revoke %s: %w", key, err)
		}
		i.revoked = next
	}
	c := i.fieldClaims()
	token, err := c.Encode(i.keys.operator)
	if err != nil {
		return fmt.Errorf("revoke %s: %w", key, err)
	}
	if err := i.target.update(c, token); err != nil {
		return fmt.Errorf("revoke %s: it is stored, and holds after a restart, but the running server was not told: %w", key, err)
	}
	return nil
}

// worker issues the credentials of the hub's own connection to an account, of a
// type. They hold as long as this process keeps the key.
func worker(account nkeys.KeyPair, name, typ string) (token string, key nkeys.KeyPair, err error) {
	if key, err = nkeys.CreateUser(); err != nil {
		return "", nil, err
	}
	c := jwt.NewUserClaims(public(key))
	c.Name = name
	c.AllowedConnectionTypes.Add(typ)
	token, err = c.Encode(account)
	return token, key, err
}
