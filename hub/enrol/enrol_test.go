package enrol_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"otor/hub/enrol"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/wire"
)

// fake is the part of the hub's database that enrolling needs, in memory.
type fake struct {
	mu      sync.Mutex
	devices map[dot.Device]store.Device
	codes   map[[32]byte]*code
	keys    map[string]store.Key
	broken  error
}

type code struct {
	device  dot.Device
	expires int64
	used    bool
}

func newFake() *fake {
	return &fake{devices: map[dot.Device]store.Device{}, codes: map[[32]byte]*code{}, keys: map[string]store.Key{}}
}

func (f *fake) Invite(_ context.Context, in store.Invitation, again bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.devices[in.Device]
	if d.EnrolledAt != 0 && !again {
		return fmt.Errorf("device %s: %w", in.Device, store.ErrExists)
	}
	d.ID, d.Scopes = in.Device, in.Scopes
	f.devices[in.Device] = d
	f.codes[in.CodeHash] = &code{device: in.Device, expires: in.ExpiresAt}
	return nil
}

func (f *fake) Redeem(_ context.Context, e store.Enrolment) (store.Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.codes[e.CodeHash]
	switch {
	case f.broken != nil:
		return store.Key{}, f.broken
	case c == nil:
		return store.Key{}, store.ErrNotFound
	case c.used:
		return store.Key{}, store.ErrCodeUsed
	case e.At >= c.expires:
		return store.Key{}, store.ErrCodeExpired
	}
	c.used = true
	d := f.devices[c.device]
	d.Incarnation++
	d.EnrolledAt = e.At
	f.devices[c.device] = d
	k := store.Key{Device: d.ID, Incarnation: d.Incarnation, SignKey: e.SignKey, NatsKey: e.NatsKey, EnrolledAt: e.At}
	f.keys[fmt.Sprint(d.ID, d.Incarnation)] = k
	return k, nil
}

func (f *fake) Device(_ context.Context, id dot.Device) (store.Device, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.devices[id], nil
}

func (f *fake) Devices(context.Context) ([]store.Device, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []store.Device
	for _, d := range f.devices {
		out = append(out, d)
	}
	return out, nil
}

func (f *fake) Key(_ context.Context, d dot.Device, i dot.Incarnation) (store.Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys[fmt.Sprint(d, i)], nil
}

type issuer struct{}

func (issuer) Issue(d dot.Device, pub string, scopes []string) (wire.Credentials, error) {
	return wire.Credentials{JWT: fmt.Sprintf("jwt %s %s %v", d, pub[:1], scopes), Door: fmt.Sprintf("door %s %s", d, pub[:1])}, nil
}

type hub struct {
	*fake
	now     time.Time
	handler http.Handler
	pin     identity.Pin
}

func newHub() *hub {
	h := &hub{fake: newFake(), now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	h.handler = enrol.NewHandler(enrol.Config{
		Store: h.fake, Issuer: issuer{}, NatsURLs: []string{"tls://127.0.0.1:4222"}, CA: []byte("ca"),
		Now: func() time.Time { return h.now },
	})
	return h
}

func (h *hub) invite(t *testing.T, d dot.Device) identity.Code {
	t.Helper()
	c, _, err := enrol.Invite(t.Context(), h.fake, enrol.Invitation{Device: d, Scopes: []string{"b", "a", "b"}, Pin: h.pin, Again: true}, h.now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(t testing.TB, secret identity.Secret) wire.EnrolRequest {
	t.Helper()
	key, err := identity.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	r := wire.EnrolRequest{Secret: secret[:], SignKey: key.Public(), NatsKey: pub, Version: "test"}
	r.Proof = key.Sign(identity.ForEnrol, r.ProofMessage())
	return r
}

func body(t testing.TB, r wire.EnrolRequest) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// post returns the status, the reply and the error's code.
func (h *hub) post(t *testing.T, remote string, b []byte) (int, wire.EnrolReply, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, wire.EnrolPath, bytes.NewReader(b))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = remote
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	var answer struct {
		wire.EnrolReply
		Error wire.Refusal `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != http.StatusOK && (answer.Error.What == "" || answer.Error.Do == "") {
		t.Errorf("%d: words are missing: %s", w.Code, w.Body)
	}
	return w.Code, answer.EnrolReply, answer.Error.Code
}

func TestEnrolOnce(t *testing.T) {
	h := newHub()
	c := h.invite(t, "D-101")
	first := request(t, c.Secret)
	status, reply, _ := h.post(t, "10.0.0.1:1", body(t, first))
	if status != http.StatusOK || reply.Device != "D-101" || reply.Incarnation != 1 || reply.Previous != 0 ||
		reply.JWT != "jwt D-101 U [a b]" || reply.Door != "door D-101 U" || reply.HubTime != h.now.UnixMilli() {
		t.Fatalf("%d %+v", status, reply)
	}
	// The answer got lost: the same keys ask again and get the same life.
	status, reply, _ = h.post(t, "10.0.0.1:2", body(t, first))
	if status != http.StatusOK || reply.Device != "D-101" || reply.Incarnation != 1 {
		t.Errorf("asked again: %d %+v", status, reply)
	}
	// Other keys do not, and neither do the same ones much later.
	if status, _, code := h.post(t, "10.0.0.1:3", body(t, request(t, c.Secret))); status != http.StatusGone || code != "code_used" {
		t.Errorf("other keys: %d %s", status, code)
	}
	h.now = h.now.Add(enrol.RepeatWithin + time.Second)
	if status, _, code := h.post(t, "10.0.0.1:4", body(t, first)); status != http.StatusGone || code != "code_used" {
		t.Errorf("much later: %d %s", status, code)
	}
	// A second code starts a second life.
	status, reply, _ = h.post(t, "10.0.0.1:5", body(t, request(t, h.invite(t, "D-101").Secret)))
	if status != http.StatusOK || reply.Incarnation != 2 || reply.Previous != 1 {
		t.Errorf("second life: %d %+v", status, reply)
	}
}

func TestRefusals(t *testing.T) {
	h := newHub()
	good := request(t, h.invite(t, "D-1").Secret)
	expired := h.invite(t, "D-2")
	change := func(f func(*wire.EnrolRequest)) []byte {
		r := good
		f(&r)
		return body(t, r)
	}
	for name, c := range map[string]struct {
		body   []byte
		after  time.Duration
		status int
		code   string
	}{
		"unknown":         {body: body(t, request(t, identity.Secret{1})), status: 403, code: "code_unknown"},
		"expired":         {body: body(t, request(t, expired.Secret)), after: enrol.MaxCodeTTL, status: 410, code: "code_expired"},
		"empty":           {body: nil, status: 400, code: "bad_request"},
		"not JSON":        {body: []byte("{"), status: 400, code: "bad_request"},
		"trailing":        {body: append(body(t, good), "{}"...), status: 400, code: "bad_request"},
		"too long":        {body: []byte(`{"version":"` + strings.Repeat("x", enrol.MaxBody) + `"}`), status: 400, code: "bad_request"},
		"short secret":    {body: change(func(r *wire.EnrolRequest) { r.Secret = r.Secret[1:] }), status: 400, code: "bad_request"},
		"no NATS key":     {body: change(func(r *wire.EnrolRequest) { r.NatsKey = "" }), status: 400, code: "bad_request"},
		"account key":     {body: change(func(r *wire.EnrolRequest) { r.NatsKey = "A" + r.NatsKey[1:] }), status: 400, code: "bad_request"},
		"foreign proof":   {body: change(func(r *wire.EnrolRequest) { r.Proof = request(t, identity.Secret{}).Proof }), status: 400, code: "bad_request"},
		"no proof":        {body: change(func(r *wire.EnrolRequest) { r.Proof = nil }), status: 400, code: "bad_request"},
		"swapped NATS":    {body: change(func(r *wire.EnrolRequest) { r.NatsKey = request(t, identity.Secret{}).NatsKey }), status: 400, code: "bad_request"},
		"endless version": {body: change(func(r *wire.EnrolRequest) { r.Version = strings.Repeat("v", 65) }), status: 400, code: "bad_request"},
	} {
		t.Run(name, func(t *testing.T) {
			began := h.now
			defer func() { h.now = began }()
			h.now = h.now.Add(c.after)
			if status, _, code := h.post(t, "10.1.0."+fmt.Sprint(len(name))+":1", c.body); status != c.status || code != c.code {
				t.Errorf("got %d %s, want %d %s", status, code, c.status, c.code)
			}
		})
	}
	// None of it spent the good code.
	if status, _, code := h.post(t, "10.0.0.1:1", body(t, good)); status != http.StatusOK {
		t.Errorf("the good one afterwards: %d %s", status, code)
	}
	for _, r := range []*http.Request{
		httptest.NewRequestWithContext(t.Context(), http.MethodGet, wire.EnrolPath, nil),
		httptest.NewRequestWithContext(t.Context(), http.MethodPost, wire.EnrolPath, strings.NewReader("a=b")),
	} {
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed && w.Code != http.StatusBadRequest {
			t.Errorf("%s without a type: %d", r.Method, w.Code)
		}
	}
}

func TestTroubleOfTheHubCostsNothing(t *testing.T) {
	h := newHub()
	req := body(t, request(t, h.invite(t, "D-1").Secret))
	h.broken = errors.New("disk on fire")
	for range 50 {
		if status, _, code := h.post(t, "10.0.0.1:1", req); status != 500 || code != "internal" {
			t.Fatalf("%d %s", status, code)
		}
	}
	h.broken = nil
	if status, _, _ := h.post(t, "10.0.0.1:1", req); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}

func TestThrottle(t *testing.T) {
	h := newHub()
	good := body(t, request(t, h.invite(t, "D-1").Secret))
	wrong := body(t, request(t, identity.Secret{9}))
	refused := func(remote string) bool {
		status, _, code := h.post(t, remote, wrong)
		return status == http.StatusTooManyRequests && code == "throttled"
	}
	n := 0
	for ; n < 100 && !refused(fmt.Sprintf("10.0.0.1:%d", n)); n++ {
	}
	if n != 10 {
		t.Errorf("one address had %d tries", n)
	}
	if status, _, _ := h.post(t, "10.0.0.1:1", good); status != http.StatusTooManyRequests {
		t.Errorf("a throttled address must wait even with a good code: %d", status)
	}
	if refused("10.0.0.2:1") {
		t.Error("the neighbour is throttled too")
	}
	// An IPv6 host owns a whole network.
	for n = 0; n < 100 && !refused(fmt.Sprintf("[2001:db8::%x]:1", n+1)); n++ {
	}
	if n != 10 {
		t.Errorf("one IPv6 network had %d tries", n)
	}
	h.now = h.now.Add(time.Minute)
	if status, _, _ := h.post(t, "10.0.0.1:1", good); status != http.StatusOK {
		t.Errorf("a minute later: %d", status)
	}
	// All addresses together, more of them than are remembered.
	for n = 0; n < 10000 && !refused(fmt.Sprintf("10.%d.%d.1:1", 1+n/250, n%250)); n++ {
	}
	if n > 200 {
		t.Errorf("all together had %d tries", n)
	}
	for i := range 10000 {
		h.now = h.now.Add(time.Second)
		h.post(t, fmt.Sprintf("10.%d.%d.2:1", i/250, i%250), wrong)
	}
	if refused("10.200.0.1:1") {
		t.Error("still throttled when things are quiet")
	}
}

func TestInvite(t *testing.T) {
	h := newHub()
	for name, in := range map[string]enrol.Invitation{
		"bad name": {Device: "d 1"},
		"the hub":  {Device: dot.Hub},
		"too long": {Device: "D-1", TTL: enrol.MaxCodeTTL + 1},
		"negative": {Device: "D-1", TTL: -1},
	} {
		if _, _, err := enrol.Invite(t.Context(), h.fake, in, h.now, rand.Reader); err == nil {
			t.Errorf("%s: invited", name)
		}
	}
	c := h.invite(t, "D-1")
	if back, err := identity.ParseCode(c.String()); err != nil || back != c {
		t.Errorf("the code does not read back: %v", err)
	}
	if h.codes[c.Secret.Hash()] == nil || len(h.codes) != 1 {
		t.Error("the code's hash is not what is kept")
	}
	h.post(t, "10.0.0.1:1", body(t, request(t, c.Secret)))
	_, _, err := enrol.Invite(t.Context(), h.fake, enrol.Invitation{Device: "D-1"}, h.now, rand.Reader)
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("enrolled already: %v", err)
	}
}

func TestQR(t *testing.T) {
	text := identity.Code{}.QRText("https://192.168.100.200:8480")
	s, err := enrol.QR(text)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	width := -1
	for i, l := range lines {
		plain := strings.TrimSuffix(strings.TrimPrefix(l, "\x1b[30;107m"), "\x1b[0m")
		if len(plain)+len("\x1b[30;107m")+len("\x1b[0m") != len(l) {
			t.Errorf("line %d sets no colours", i)
		}
		n := len([]rune(plain))
		if width < 0 {
			width = n
		}
		if n != width {
			t.Errorf("line %d has %d characters, the others %d", i, n, width)
		}
		if !strings.HasPrefix(plain, "    ") || !strings.HasSuffix(plain, "    ") {
			t.Errorf("line %d has no margin", i)
		}
	}
	if 2*len(lines) < width || 2*len(lines) > width+1 {
		t.Errorf("%d lines of %d characters are no square", len(lines), width)
	}
	if width > 76 {
		t.Errorf("%d characters do not fit a terminal of 80", width)
	}
	if _, err := enrol.QR(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text that does not fit is drawn")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(`{"secret":"AAAAAAAAAAA=","nats_key":"U","sign_key":"","proof":null}`))
	f.Add(body(f, request(f, identity.Secret{1, 2, 3})))
	f.Fuzz(func(t *testing.T, b []byte) {
		req, secret, err := enrol.Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(req.Secret, secret[:]) || !req.SignKey.Verify(identity.ForEnrol, req.ProofMessage(), req.Proof) {
			t.Error("a request without a valid proof was taken")
		}
	})
}
