// Package enrol makes a device out of a folder.
//
// The person gets a one-time code from the hub's operator, by eye or by QR. The
// code holds a secret and the pin of the hub's certificate authority, so the
// device knows whom it talks to before it says anything: it connects by TLS to
// an authority with that pin or not at all (see package trust for what is and
// is not compared). It makes its keys itself, and sends the public halves with
// a proof. What comes back, and the secrets that never leave, go into one file,
// written at the very end.
//
// The hub's answer may get lost after the code was spent, or the program may be
// killed before it has stored it. The keys are on the disk before the request
// goes out, so the same command repeats the same request, and the hub answers the
// same keys again for an hour.
//
// The credentials in it are the one part that changes later: a contact renews
// them, and a device that was away for longer than they last gets new ones by
// its door, where it proves that it still has its signing key.
//
//   - [Enrol] does it, [Load] reads it back as an [Identity].
//   - [Move] tells an enrolled device where its hub is by now.
//   - [Identity.Take] stores new credentials, [Identity.Knock] asks for them by the door.
//   - [Error] is what went wrong, in words; its Kind is [ErrCredential],
//     [ErrUnreachable], [ErrHub] or [ErrStorage].
package enrol

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/trust"
	"otor/internal/wire"
)

// The kinds of trouble, for exit codes: the code or the hub's certificate is
// not accepted (6), the hub does not answer (5), the hub answers with trouble of
// its own or nonsense (1), the address is no address (2), the folder cannot be written (4).
var (
	ErrCredential  = errors.New("not accepted")
	ErrUnreachable = errors.New("hub not reached")
	ErrHub         = errors.New("trouble at the hub")
	ErrUsage       = errors.New("address not understood")
	ErrStorage     = errors.New("folder cannot be written")
)

// Error says what went wrong, with which thing, and what to do.
type Error struct {
	Kind error
	wire.Refusal
	Err   error // the cause, may be nil
	again bool  // the same request may do better
}

func (e *Error) Error() string { return e.Refusal.Error() }

func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

func fail(kind error, code, what, which, do string, err error) *Error {
	return &Error{Kind: kind, Refusal: wire.Refusal{Code: code, What: what, Which: which, Do: do}, Err: err}
}

// Dialer opens connections; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Config says where and with what to enrol.
type Config struct {
	Dir     string
	Hub     string // host, host:port or URL; may be empty when Code is a QR code's text
	Code    string // as typed, or the text of the QR code
	Version string // the agent's
	Dialer  Dialer // a plain one when nil
	Log     *slog.Logger
	// HTTPTimeout bounds one request, 30 s when 0. A lost answer is asked for
	// twice more.
	HTTPTimeout time.Duration
}

// Result is what the device became.
type Result struct {
	Device      dot.Device
	Incarnation dot.Incarnation
}

// DefaultPort is the hub's HTTP port, taken when an address names none.
const DefaultPort = "8480"

// Enrol trades the code for an identity and stores it in cfg.Dir. It wraps
// [ErrEnrolled] when the folder has one, and [ErrDamaged] too when that is damaged; all other errors are [*Error]. After an
// error the folder has no identity; where the code may be spent it has the keys
// with which the same code is tried again.
func Enrol(ctx context.Context, cfg Config) (Result, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTPTimeout <= 0 {
		cfg.HTTPTimeout = 30 * time.Second
	}
	if cfg.Dialer == nil {
		cfg.Dialer = &net.Dialer{}
	}
	if err := vacant(cfg.Dir); err != nil {
		return Result{}, err
	}
	code, hub, err := parseCode(cfg.Code)
	if err != nil {
		return Result{}, fail(ErrCredential, "code_mistyped", err.Error(), "", "type it again as the hub's screen shows it", err)
	}
	if cfg.Hub != "" {
		hub = cfg.Hub
	}
	base, err := hubURL(hub)
	if err != nil {
		return Result{}, fail(ErrUsage, "bad_address", "the hub's address is not understood: "+err.Error(), clip(hub), "give it as host or host:port, as the hub's operator names it", err)
	}
	if err := writable(cfg.Dir); err != nil {
		return Result{}, fail(ErrStorage, "not_writable", "the device's folder cannot be written: "+err.Error(), cfg.Dir, "make room or choose another folder with --data; the code is not spent", err)
	}
	id, err := join(ctx, cfg, code, base)
	if err != nil {
		return Result{}, errors.Join(err, forget(cfg.Dir, err))
	}
	if err := vacant(cfg.Dir); err != nil { // another process was faster
		return Result{}, err
	}
	if err := id.save(cfg.Dir); err != nil {
		return Result{}, fail(ErrStorage, "not_written", "the hub accepted this device, but its identity could not be stored: "+err.Error(), cfg.Dir, "make room, then run the same command again within the hour", err)
	}
	if err := forget(cfg.Dir, nil); err != nil {
		cfg.Log.Warn("what was kept for repeating the enrolment could not be removed", "err", err)
	}
	cfg.Log.Info("enrolled", "device", id.Device, "incarnation", id.Incarnation, "hub", base)
	return Result{Device: id.Device, Incarnation: id.Incarnation}, nil
}

func vacant(dir string) error {
	_, err := os.Lstat(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail(ErrStorage, "not_readable", "the device's folder cannot be read: "+err.Error(), dir, "check the folder's rights or choose another with --data", err)
	}
	// The key of what was saved here is in that file, so a damaged one is not replaced either.
	if _, err := Load(dir); errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrEnrolled, err)
	}
	return fmt.Errorf("%s: %w; choose another folder with --data", dir, ErrEnrolled)
}

func parseCode(text string) (identity.Code, string, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "otor:") {
		return identity.ParseQRText(strings.TrimSpace(text))
	}
	code, err := identity.ParseCode(text)
	return code, "", err
}

// hubURL makes an https URL of what people type. What they say of http or https
// does not matter: an enrolment always goes by TLS, pinned.
func hubURL(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", errors.New("it is empty")
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		if l := strings.ToLower(scheme); l != "http" && l != "https" {
			return "", fmt.Errorf("%q is not spoken here", clip(scheme))
		}
		s = rest
	}
	// A bare IPv6 address has no port to cut off.
	if ip := net.ParseIP(s); ip != nil && strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	u, err := url.Parse("https://" + s)
	if err != nil {
		return "", errors.New("it is no host or host:port")
	}
	if u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("it is no host or host:port")
	}
	port := u.Port()
	if port == "" {
		port = DefaultPort
	}
	return "https://" + net.JoinHostPort(u.Hostname(), port), nil
}

// join talks to the hub and builds the identity from the answer.
func join(ctx context.Context, cfg Config, code identity.Code, base string) (*Identity, error) {
	k, err := keysFor(cfg.Dir, code.Secret)
	if err != nil {
		return nil, fail(ErrStorage, "no_keys", "the device's keys could not be stored: "+err.Error(), cfg.Dir, "make room or choose another folder with --data; the code is not spent", err)
	}
	req := wire.EnrolRequest{Secret: code.Secret[:], SignKey: k.sign.Public(), NatsKey: k.nats, Version: cfg.Version}
	req.Proof = k.sign.Sign(identity.ForEnrol, req.ProofMessage())
	reply, err := ask(ctx, cfg, code.Pin, base, req)
	if err != nil {
		return nil, err
	}
	if err := checkReply(reply, code.Pin); err != nil {
		return nil, fail(ErrHub, "bad_answer", "the hub's answer is not usable: "+err.Error(), base, "update hub and agent to the same version, then ask for a new code", err)
	}
	return &Identity{
		Version: formatVersion, Protection: Unprotected,
		Device: reply.Device, Incarnation: reply.Incarnation, Previous: reply.Previous,
		Hub: base, NatsURLs: reply.NatsURLs, CA: reply.CA, HubKey: reply.HubKey, Epoch: reply.Epoch,
		Scopes: reply.Scopes, EnrolledAt: reply.HubTime, JWT: reply.JWT, Door: reply.Door,
		Secrets: k.secrets(),
	}, nil
}

func checkReply(r wire.EnrolReply, pin identity.Pin) error {
	if _, err := dot.ParseDevice(string(r.Device)); err != nil {
		return err
	}
	if r.Incarnation == 0 || r.JWT == "" {
		return errors.New("it names no incarnation or no credentials")
	}
	if err := checkNATS(r.NatsURLs); err != nil {
		return err
	}
	root, err := trust.Root([]byte(r.CA))
	if err != nil {
		return err
	}
	if !pin.Matches(root.RawSubjectPublicKeyInfo) {
		return errors.New("its CA certificate does not have the pin in the code")
	}
	if _, err := receipt.OpenEpoch(r.Epoch, r.HubKey); err != nil {
		return fmt.Errorf("its epoch: %w", err)
	}
	return nil
}

func checkNATS(urls []string) error {
	if len(urls) == 0 {
		return errors.New("it names no NATS address")
	}
	for _, s := range urls {
		if u, err := url.Parse(s); err != nil || u.Scheme != "tls" || u.Hostname() == "" || u.Port() == "" {
			return fmt.Errorf("NATS address %q is not tls://host:port", clip(s))
		}
	}
	return nil
}

// clip bounds what comes from outside into a message.
func clip(s string) string {
	const most = 240
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
