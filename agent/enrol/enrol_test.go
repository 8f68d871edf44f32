package enrol_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otor/agent/enrol"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/trust"
	"otor/internal/wire"
)

// hub is a TLS server with its own CA that answers as a test says.
type hub struct {
	*httptest.Server
	pin    identity.Pin
	ca     []byte
	key    identity.SigningKey
	epoch  []byte
	asked  atomic.Int32
	answer func(w http.ResponseWriter, r *http.Request, req wire.EnrolRequest)
}

type names struct {
	dns      string
	from, to time.Time
}

func newHub(t *testing.T, n names) *hub {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	caT := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: n.from, NotAfter: n.to, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, caT, caT, caKey.Public(), caKey)
	must(err)
	ca, err := x509.ParseCertificate(caDER)
	must(err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leafT := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: n.from, NotAfter: n.to, DNSNames: []string{n.dns},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leafT, ca, leafKey.Public(), caKey)
	must(err)
	h := &hub{pin: identity.PinOf(ca.RawSubjectPublicKeyInfo), ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})}
	h.key, err = identity.NewSigningKey(rand.Reader)
	must(err)
	h.epoch, err = receipt.EpochCertificate{Epoch: receipt.Epoch{1}}.Sign(h.key)
	must(err)
	h.answer = func(w http.ResponseWriter, _ *http.Request, _ wire.EnrolRequest) { h.write(w, h.reply()) }
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		var req wire.EnrolRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Errorf("request: %v", err)
		}
		h.answer(w, r, req)
	}))
	h.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leafDER, caDER}, PrivateKey: leafKey}}}
	h.StartTLS()
	t.Cleanup(h.Close)
	return h
}

func goodHub(t *testing.T) *hub {
	return newHub(t, names{trust.HubName, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)})
}

func (h *hub) reply() wire.EnrolReply {
	return wire.EnrolReply{
		Device: "D-101", Incarnation: 3, Previous: 2, JWT: "jwt", NatsURLs: []string{"tls://10.0.0.1:4222"}, CA: string(h.ca),
		HubKey: h.key.Public(), Epoch: h.epoch, Scopes: []string{"route-1"}, HubTime: 1_700_000_000_000,
	}
}

func (h *hub) write(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func (h *hub) refuse(status int, code string) {
	h.answer = func(w http.ResponseWriter, _ *http.Request, _ wire.EnrolRequest) {
		w.WriteHeader(status)
		h.write(w, map[string]any{"error": wire.Refusal{Code: code, What: "no", Do: "ask"}})
	}
}

func (h *hub) code(t *testing.T) identity.Code {
	t.Helper()
	c, err := identity.NewCode(rand.Reader, h.pin)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *hub) host() string { return strings.TrimPrefix(h.URL, "https://") }

// empty fails the test when dir holds anything but, where err leaves open whether
// the code is spent, the keys for another attempt.
func empty(t *testing.T, dir string, err error) {
	t.Helper()
	e, _ := errors.AsType[*enrol.Error](err)
	switch {
	case e == nil, strings.HasPrefix(e.Code, "code_"), e.Code == "bad_address":
	default:
		if err := os.Remove(filepath.Join(dir, "enrolling.json")); err != nil {
			t.Errorf("the keys for another attempt: %v", err)
		}
	}
	nothing(t, dir)
}

func nothing(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", e.Name())
	}
}

func TestEnrol(t *testing.T) {
	h := goodHub(t)
	var seen wire.EnrolRequest
	h.answer = func(w http.ResponseWriter, r *http.Request, req wire.EnrolRequest) {
		seen = req
		if r.URL.Path != wire.EnrolPath || r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		h.write(w, h.reply())
	}
	for name, c := range map[string]func(identity.Code) enrol.Config{
		"bare": func(c identity.Code) enrol.Config { return enrol.Config{Hub: h.host(), Code: c.String()} },
		"http": func(c identity.Code) enrol.Config { return enrol.Config{Hub: "http://" + h.host(), Code: c.String()} },
		"https": func(c identity.Code) enrol.Config {
			return enrol.Config{Hub: h.URL + "/", Code: " " + strings.ToLower(c.String())}
		},
		"QR":        func(c identity.Code) enrol.Config { return enrol.Config{Code: c.QRText(h.URL)} },
		"QR beaten": func(c identity.Code) enrol.Config { return enrol.Config{Hub: h.URL, Code: c.QRText("127.0.0.1:1")} },
	} {
		t.Run(name, func(t *testing.T) {
			code := h.code(t)
			cfg := c(code)
			cfg.Dir, cfg.Version = filepath.Join(t.TempDir(), "a", "b"), "1.0"
			got, err := enrol.Enrol(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got != (enrol.Result{Device: "D-101", Incarnation: 3}) {
				t.Errorf("got %+v", got)
			}
			id, err := enrol.Load(cfg.Dir)
			if err != nil {
				t.Fatal(err)
			}
			sign, err := id.SigningKey()
			if err != nil {
				t.Fatal(err)
			}
			if !seen.SignKey.Verify(identity.ForEnrol, seen.ProofMessage(), seen.Proof) || seen.SignKey != sign.Public() ||
				string(seen.Secret) != string(code.Secret[:]) || seen.Version != "1.0" {
				t.Errorf("the request was %+v", seen)
			}
			if id.Hub != h.URL || id.Protection != enrol.Unprotected || id.Previous != 2 || id.StoreKey() == [32]byte{} || id.HubKey != h.key.Public() {
				t.Errorf("the identity is %+v", id)
			}
			info, err := os.Stat(filepath.Join(cfg.Dir, enrol.FileName))
			if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("identity file: %v %v", info.Mode(), err)
			}
			if s := fmt.Sprintf("%v %+v %#v %v", id, id.Secrets, id.Secrets, *id); strings.Contains(s, id.Secrets.NatsSeed) {
				t.Errorf("printing shows secrets: %s", s)
			}
			before := h.asked.Load()
			if _, err := enrol.Enrol(t.Context(), cfg); !errors.Is(err, enrol.ErrEnrolled) || h.asked.Load() != before {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// A device's clock may be anything, so certificate dates do not count.
func TestDatesDoNotCount(t *testing.T) {
	h := newHub(t, names{trust.HubName, time.Now().AddDate(-20, 0, 0), time.Now().AddDate(-10, 0, 0)})
	if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: t.TempDir(), Hub: h.URL, Code: h.code(t).String()}); err != nil {
		t.Fatal(err)
	}
}

func TestFailuresWriteNothing(t *testing.T) {
	h, stranger := goodHub(t), goodHub(t)
	misnamed := newHub(t, names{"station.otor.internal", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)})
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	code := h.code(t).String()
	mistyped := []byte(code)
	mistyped[0] = map[bool]byte{true: 'A', false: 'B'}[mistyped[0] == 'B']
	refuse := func(status int, code string) func() { return func() { h.refuse(status, code) } }
	change := func(f func(*wire.EnrolReply)) func() {
		return func() {
			h.answer = func(w http.ResponseWriter, _ *http.Request, _ wire.EnrolRequest) {
				r := h.reply()
				f(&r)
				h.write(w, r)
			}
		}
	}
	for name, c := range map[string]struct {
		set  func()
		hub  string
		code string
		kind error
		word string
	}{
		"mistyped":       {code: string(mistyped), kind: enrol.ErrCredential, word: "code_mistyped"},
		"short":          {code: code[:20], kind: enrol.ErrCredential, word: "code_mistyped"},
		"no code":        {code: " ", kind: enrol.ErrCredential, word: "code_mistyped"},
		"unknown":        {set: refuse(403, "code_unknown"), kind: enrol.ErrCredential, word: "code_unknown"},
		"used":           {set: refuse(410, "code_used"), kind: enrol.ErrCredential, word: "code_used"},
		"expired":        {set: refuse(410, "code_expired"), kind: enrol.ErrCredential, word: "code_expired"},
		"throttled":      {set: refuse(429, "throttled"), kind: enrol.ErrUnreachable, word: "throttled"},
		"bad request":    {set: refuse(400, "bad_request"), kind: enrol.ErrHub, word: "bad_request"},
		"not a hub":      {set: refuse(404, ""), kind: enrol.ErrHub, word: "bad_answer"},
		"nobody":         {hub: nobody, kind: enrol.ErrUnreachable, word: "unreachable"},
		"no such name":   {hub: "nowhere.invalid", kind: enrol.ErrUnreachable, word: "unreachable"},
		"other hub":      {hub: stranger.URL, kind: enrol.ErrCredential, word: "not_the_hub"},
		"wrong role":     {hub: misnamed.URL, code: misnamed.code(t).String(), kind: enrol.ErrCredential, word: "not_the_hub"},
		"ftp":            {hub: "ftp://" + h.host(), kind: enrol.ErrUsage, word: "bad_address"},
		"a path":         {hub: h.URL + "/x", kind: enrol.ErrUsage, word: "bad_address"},
		"nonsense":       {hub: "a b%zz", kind: enrol.ErrUsage, word: "bad_address"},
		"no hub":         {hub: " ", kind: enrol.ErrUsage, word: "bad_address"},
		"other CA":       {set: change(func(r *wire.EnrolReply) { r.CA = string(stranger.ca) }), kind: enrol.ErrHub, word: "bad_answer"},
		"other epoch":    {set: change(func(r *wire.EnrolReply) { r.Epoch = stranger.epoch }), kind: enrol.ErrHub, word: "bad_answer"},
		"no credentials": {set: change(func(r *wire.EnrolReply) { r.JWT = "" }), kind: enrol.ErrHub, word: "bad_answer"},
		"bad name":       {set: change(func(r *wire.EnrolReply) { r.Device = "../x" }), kind: enrol.ErrHub, word: "bad_answer"},
		"plain NATS":     {set: change(func(r *wire.EnrolReply) { r.NatsURLs = []string{"nats://10.0.0.1:4222"} }), kind: enrol.ErrHub, word: "bad_answer"},
		"endless answer": {set: change(func(r *wire.EnrolReply) { r.JWT = strings.Repeat("x", 1<<20) }), kind: enrol.ErrHub, word: "bad_answer"},
		"redirect": {set: func() {
			h.answer = func(w http.ResponseWriter, r *http.Request, _ wire.EnrolRequest) {
				http.Redirect(w, r, stranger.URL+wire.EnrolPath, http.StatusTemporaryRedirect)
			}
		}, kind: enrol.ErrHub, word: "bad_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.set != nil {
				c.set()
			}
			if c.hub == "" {
				c.hub = h.URL
			}
			if c.code == "" {
				c.code = code
			}
			strangers := stranger.asked.Load()
			dir := t.TempDir()
			_, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: c.hub, Code: c.code, HTTPTimeout: 10 * time.Second})
			e, ok := errors.AsType[*enrol.Error](err)
			if !ok || !errors.Is(err, c.kind) || e.Code != c.word || e.What == "" {
				t.Fatalf("got %v (%+v), want %v %s", err, e, c.kind, c.word)
			}
			if stranger.asked.Load() != strangers {
				t.Error("the code went to a stranger")
			}
			empty(t, dir, err)
			if _, err := enrol.Load(dir); !errors.Is(err, enrol.ErrNotEnrolled) {
				t.Errorf("load: %v", err)
			}
		})
	}
}

// The answer is lost twice; the third time the same keys get it.
func TestLostAnswerIsAskedForAgain(t *testing.T) {
	h := goodHub(t)
	keys := map[identity.PublicKey]bool{}
	h.answer = func(w http.ResponseWriter, _ *http.Request, req wire.EnrolRequest) {
		keys[req.SignKey] = true
		if h.asked.Load() < 3 {
			panic(http.ErrAbortHandler) // the line is cut after the hub did its part
		}
		h.write(w, h.reply())
	}
	dir := t.TempDir()
	if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: h.URL, Code: h.code(t).String()}); err != nil {
		t.Fatal(err)
	}
	if len(keys) != 1 || h.asked.Load() != 3 {
		t.Errorf("asked %d times with %d keys", h.asked.Load(), len(keys))
	}
}

func TestLostForGoodSaysWhatToDo(t *testing.T) {
	h := goodHub(t)
	h.answer = func(http.ResponseWriter, *http.Request, wire.EnrolRequest) { panic(http.ErrAbortHandler) }
	dir := t.TempDir()
	_, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: h.URL, Code: h.code(t).String()})
	e, ok := errors.AsType[*enrol.Error](err)
	if !ok || e.Code != "answer_lost" || !errors.Is(err, enrol.ErrUnreachable) || !strings.Contains(e.Do, "same command again") {
		t.Fatalf("got %v", err)
	}
	empty(t, dir, err)
}

// An enrolment that ends before its answer is stored, by a cut or a kill, is
// finished by the same command: it sends the same keys. Another code gets others.
func TestTheSameCommandRepeatsTheSameRequest(t *testing.T) {
	h := goodHub(t)
	var keys []identity.PublicKey
	ctx, cancel := context.WithCancel(t.Context())
	h.answer = func(_ http.ResponseWriter, r *http.Request, req wire.EnrolRequest) {
		keys = append(keys, req.SignKey)
		cancel()
		<-r.Context().Done()
	}
	dir := t.TempDir()
	code, other := h.code(t).String(), h.code(t).String()
	_, err := enrol.Enrol(ctx, enrol.Config{Dir: dir, Hub: h.URL, Code: code})
	if !errors.Is(err, enrol.ErrUnreachable) {
		t.Fatalf("got %v", err)
	}
	aside := t.TempDir()
	if err := os.CopyFS(aside, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	h.answer = func(w http.ResponseWriter, _ *http.Request, req wire.EnrolRequest) {
		keys = append(keys, req.SignKey)
		h.write(w, h.reply())
	}
	for folder, code := range map[string]string{dir: code, aside: other} {
		if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: folder, Hub: h.URL, Code: code}); err != nil {
			t.Fatal(err)
		}
		id, err := enrol.Load(folder)
		if err != nil {
			t.Fatal(err)
		}
		sign, err := id.SigningKey()
		if err != nil || (sign.Public() == keys[0]) != (folder == dir) || sign.Public() != keys[len(keys)-1] {
			t.Errorf("the same keys: %v, %v", sign.Public() == keys[0], err)
		}
		if err := os.Remove(filepath.Join(folder, enrol.FileName)); err != nil {
			t.Fatal(err)
		}
		nothing(t, folder)
	}
}

// The hub enrols the device and its answer is lost; the next attempts go over a network
// with a login page, and with a mistyped address. The keys that the hub knows stay.
func TestALoginPageDoesNotTakeTheKeys(t *testing.T) {
	h, login := goodHub(t), goodHub(t)
	keys := map[identity.PublicKey]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	h.answer = func(_ http.ResponseWriter, r *http.Request, req wire.EnrolRequest) {
		keys[req.SignKey] = true
		cancel()
		<-r.Context().Done()
	}
	cfg := enrol.Config{Dir: t.TempDir(), Hub: h.URL, Code: h.code(t).String()}
	if _, err := enrol.Enrol(ctx, cfg); !errors.Is(err, enrol.ErrUnreachable) {
		t.Fatal(err)
	}
	for at, word := range map[string]string{login.URL: "not_the_hub", "ftp://" + h.host(): "bad_address"} {
		wrong := cfg
		wrong.Hub = at
		_, err := enrol.Enrol(t.Context(), wrong)
		if e, ok := errors.AsType[*enrol.Error](err); !ok || e.Code != word {
			t.Fatalf("%s: %v", at, err)
		}
	}
	h.answer = func(w http.ResponseWriter, _ *http.Request, req wire.EnrolRequest) {
		keys[req.SignKey] = true
		h.write(w, h.reply())
	}
	if _, err := enrol.Enrol(t.Context(), cfg); err != nil || len(keys) != 1 {
		t.Fatalf("the hub saw %d keys: %v", len(keys), err)
	}
}

func TestFolderThatCannotBeWrittenSpendsNothing(t *testing.T) {
	h := goodHub(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := enrol.Enrol(t.Context(), enrol.Config{Dir: filepath.Join(file, "dir"), Hub: h.URL, Code: h.code(t).String()})
	if !errors.Is(err, enrol.ErrStorage) || h.asked.Load() != 0 {
		t.Errorf("got %v after %d requests", err, h.asked.Load())
	}
}

func TestLoadRefuses(t *testing.T) {
	h := goodHub(t)
	dir := t.TempDir()
	if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: h.URL, Code: h.code(t).String()}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, enrol.FileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		is   error
		word string
	}{
		"empty":      {"", enrol.ErrDamaged, ""},
		"cut":        {string(good[:len(good)/2]), enrol.ErrDamaged, ""},
		"zeros":      {string(make([]byte, len(good))), enrol.ErrDamaged, ""},
		"no key":     {strings.Replace(string(good), `"store_key": "`, `"store_key": "AAAA`, 1), enrol.ErrDamaged, ""},
		"newer":      {strings.Replace(string(good), `"version": 1`, `"version": 2`, 1), enrol.ErrNewer, "newer agent"},
		"passphrase": {strings.Replace(string(good), `"protection": "none"`, `"protection": "passphrase"`, 1), enrol.ErrNewer, "newer agent"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := enrol.Load(dir)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: h.URL, Code: h.code(t).String()}); !errors.Is(err, enrol.ErrEnrolled) || errors.Is(err, enrol.ErrDamaged) != errors.Is(c.is, enrol.ErrDamaged) {
			t.Errorf("%s: enrolled over it: %v", name, err)
		}
	}
}
