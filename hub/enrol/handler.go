package enrol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nkeys"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/throttle"
	"otor/internal/wire"
)

// MaxBody bounds a request's body in bytes.
const MaxBody = 8 << 10

// maxVersion bounds the agent's version in a request.
const maxVersion = 64

// Store is what enrolling needs of the hub's database.
type Store interface {
	Redeem(ctx context.Context, e store.Enrolment) (store.Key, error)
	Device(ctx context.Context, id dot.Device) (store.Device, error)
	Devices(ctx context.Context) ([]store.Device, error)
	Key(ctx context.Context, d dot.Device, i dot.Incarnation) (store.Key, error)
}

// Issuer makes NATS credentials.
type Issuer interface {
	Issue(d dot.Device, natsPub string, scopes []string) (wire.Credentials, error)
}

// Config says what a Handler answers with.
type Config struct {
	Store    Store
	Issuer   Issuer
	NatsURLs []string
	CA       []byte // PEM
	HubKey   identity.PublicKey
	Epoch    []byte // signed epoch certificate
	Log      *slog.Logger
	Now      func() time.Time
}

// Handler trades codes for credentials: POST [wire.EnrolPath].
type Handler struct {
	cfg Config
	// A code has 64 secret bits, so guessing is hopeless anyway; this keeps it
	// from loading the database.
	throttle *throttle.Throttle
}

// NewHandler makes a Handler. Log and Now may be nil.
func NewHandler(cfg Config) *Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{cfg: cfg, throttle: throttle.New(throttle.Usual, cfg.Now())}
}

// Where tells enrolled devices where the hub is by now: GET [wire.WherePath].
// They know by its certificate whom they ask, so nothing in it is secret or signed.
func (h *Handler) Where(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, wire.Where{HubKey: h.cfg.HubKey, NatsURLs: h.cfg.NatsURLs})
}

// refusal is an answer other than yes.
type refusal struct {
	status int
	wire.Refusal
}

func (r *refusal) Error() string { return r.Refusal.Error() }

func refuse(status int, code, what, do string) *refusal {
	return &refusal{status, wire.Refusal{Code: code, What: what, Do: do}}
}

// The refusals. None says anything about other devices or codes.
var (
	errUnknown = refuse(http.StatusForbidden, "code_unknown", "the hub does not know this enrolment code", "ask the hub's operator for a new one (hub device add)")
	errUsed    = refuse(http.StatusGone, "code_used", "this enrolment code was used already", "ask the hub's operator for a new one (hub device add)")
	errExpired = refuse(http.StatusGone, "code_expired", "this enrolment code has expired", "ask the hub's operator for a new one (hub device add)")
	errOurs    = refuse(http.StatusInternalServerError, "internal", "the hub could not finish the enrolment", "try again; if it stays so, the hub's log says why")
)

func badRequest(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "bad_request", fmt.Sprintf(format, args...), "use an agent of the same version as the hub")
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		write(w, http.StatusMethodNotAllowed, problem{badRequest("this address takes POST only").Refusal})
		return
	}
	if wait := h.throttle.Wait(r.RemoteAddr, h.cfg.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		write(w, http.StatusTooManyRequests, problem{wire.Refusal{
			Code: "throttled", What: "too many wrong enrolment codes came from this address", Do: "wait a minute, then try again",
		}})
		return
	}
	reply, err := h.enrol(w, r)
	if err == nil {
		h.cfg.Log.Info("device enrolled", "device", reply.Device, "incarnation", reply.Incarnation, "remote", r.RemoteAddr)
		write(w, http.StatusOK, reply)
		return
	}
	no, ok := errors.AsType[*refusal](err)
	if !ok {
		h.cfg.Log.Error("enrolment not finished", "remote", r.RemoteAddr, "error", err)
		no = errOurs
	} else {
		h.cfg.Log.Warn("enrolment refused", "code", no.Code, "remote", r.RemoteAddr)
	}
	if no.status != http.StatusInternalServerError {
		h.throttle.Wrong(r.RemoteAddr, h.cfg.Now())
	}
	write(w, no.status, problem{no.Refusal})
}

// enrol does it; an error that is no *refusal is the hub's own trouble.
func (h *Handler) enrol(w http.ResponseWriter, r *http.Request) (wire.EnrolReply, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return wire.EnrolReply{}, badRequest("the request is not application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return wire.EnrolReply{}, badRequest("the request is longer than %d bytes or was cut short", MaxBody)
	}
	req, secret, err := Decode(body)
	if err != nil {
		return wire.EnrolReply{}, err
	}
	now := h.cfg.Now()
	key, err := h.cfg.Store.Redeem(r.Context(), store.Enrolment{
		CodeHash: secret.Hash(), SignKey: req.SignKey, NatsKey: req.NatsKey, At: now.UnixMilli(),
	})
	switch {
	case errors.Is(err, store.ErrCodeUsed):
		if key, err = h.again(r.Context(), req, now); err != nil {
			return wire.EnrolReply{}, err
		}
	case errors.Is(err, store.ErrCodeExpired):
		return wire.EnrolReply{}, errExpired
	case errors.Is(err, store.ErrNotFound):
		return wire.EnrolReply{}, errUnknown
	case err != nil:
		return wire.EnrolReply{}, fmt.Errorf("redeem a code: %w", err)
	}
	return h.reply(r.Context(), key, now)
}

// again finds the device that spent this code a short while ago with these very
// keys; errUsed when it was another one.
func (h *Handler) again(ctx context.Context, req wire.EnrolRequest, now time.Time) (store.Key, error) {
	devices, err := h.cfg.Store.Devices(ctx)
	if err != nil {
		return store.Key{}, fmt.Errorf("look for an enrolment: %w", err)
	}
	since := now.Add(-RepeatWithin).UnixMilli()
	for _, d := range devices {
		if d.EnrolledAt < since || d.RevokedAt != 0 || d.Incarnation == 0 {
			continue
		}
		key, err := h.cfg.Store.Key(ctx, d.ID, d.Incarnation)
		if err != nil {
			return store.Key{}, fmt.Errorf("look for an enrolment: %w", err)
		}
		if key.SignKey == req.SignKey && key.NatsKey == req.NatsKey && key.RevokedAt == 0 {
			return key, nil
		}
	}
	return store.Key{}, errUsed
}

func (h *Handler) reply(ctx context.Context, key store.Key, now time.Time) (wire.EnrolReply, error) {
	device, err := h.cfg.Store.Device(ctx, key.Device)
	if err != nil {
		return wire.EnrolReply{}, fmt.Errorf("enrol %s: %w", key.Device, err)
	}
	issued, err := h.cfg.Issuer.Issue(key.Device, key.NatsKey, device.Scopes)
	if err != nil {
		return wire.EnrolReply{}, fmt.Errorf("enrol %s: %w", key.Device, err)
	}
	return wire.EnrolReply{
		Device: key.Device, Incarnation: key.Incarnation, Previous: key.Incarnation - 1,
		JWT: issued.JWT, Door: issued.Door, NatsURLs: h.cfg.NatsURLs, CA: string(h.cfg.CA), HubKey: h.cfg.HubKey, Epoch: h.cfg.Epoch,
		Scopes: device.Scopes, HubTime: now.UnixMilli(),
	}, nil
}

// Decode reads and checks a request's body, proof included. Its errors are
// answers to the device; no code was looked at yet.
func Decode(body []byte) (wire.EnrolRequest, identity.Secret, error) {
	var req wire.EnrolRequest
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&req); err != nil {
		return req, identity.Secret{}, badRequest("the request is not the JSON that was expected")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return req, identity.Secret{}, badRequest("something follows the request's JSON")
	}
	var secret identity.Secret
	if len(req.Secret) != len(secret) {
		return req, secret, badRequest("the code's secret has %d bytes, want %d", len(req.Secret), len(secret))
	}
	copy(secret[:], req.Secret)
	if !nkeys.IsValidPublicUserKey(req.NatsKey) {
		return req, secret, badRequest("the NATS key is not a public user key")
	}
	if len(req.Version) > maxVersion {
		return req, secret, badRequest("the agent's version has more than %d characters", maxVersion)
	}
	if !req.SignKey.Verify(identity.ForEnrol, req.ProofMessage(), req.Proof) {
		return req, secret, badRequest("the proof does not fit the keys")
	}
	return req, secret, nil
}

// problem is the shape of every error that the hub answers over HTTP.
type problem struct {
	Error wire.Refusal `json:"error"`
}

func write(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the peer is gone: nobody is left to tell
}
