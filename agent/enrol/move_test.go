package enrol_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"otor/agent/enrol"
	"otor/internal/identity"
	"otor/internal/wire"
)

// where makes the hub answer where it is.
func (h *hub) where(key identity.PublicKey, urls ...string) {
	h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != wire.WherePath || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		h.write(w, wire.Where{HubKey: key, NatsURLs: urls})
	})
}

func TestMove(t *testing.T) {
	h, stranger := goodHub(t), goodHub(t)
	dir := t.TempDir()
	if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: h.URL, Code: h.code(t).String()}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, enrol.FileName)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stranger.where(h.key.Public(), "tls://10.6.6.6:4222") // it says whatever it likes
	for name, c := range map[string]struct {
		set  func()
		hub  string
		kind error
	}{
		"a stranger":       {func() {}, stranger.URL, enrol.ErrCredential},
		"nobody":           {func() {}, "127.0.0.1:1", enrol.ErrUnreachable},
		"no address":       {func() {}, "", enrol.ErrUsage},
		"an older hub":     {func() { h.Config.Handler = http.NotFoundHandler() }, h.URL, enrol.ErrHub},
		"another hub":      {func() { h.where(stranger.key.Public(), "tls://10.0.0.2:4222") }, h.URL, enrol.ErrCredential},
		"no NATS address":  {func() { h.where(h.key.Public()) }, h.URL, enrol.ErrHub},
		"NATS without TLS": {func() { h.where(h.key.Public(), "nats://10.0.0.2:4222") }, h.URL, enrol.ErrHub},
	} {
		c.set()
		if _, err := (enrol.Move{Dir: dir, Hub: c.hub}).Do(t.Context()); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != string(before) {
			t.Errorf("%s: the identity was changed, %v", name, err)
		}
	}
	h.where(h.key.Public(), "tls://10.0.0.2:4222", "tls://10.0.0.3:4222")
	moved, err := enrol.Move{Dir: dir, Hub: h.host()}.Do(t.Context())
	if err != nil || moved.Hub != h.URL {
		t.Fatalf("%+v, %v", moved, err)
	}
	id, err := enrol.Load(dir)
	if err != nil || id.Hub != h.URL || !slices.Equal(id.NatsURLs, []string{"tls://10.0.0.2:4222", "tls://10.0.0.3:4222"}) || id.JWT != "jwt" {
		t.Errorf("%+v, %v", id, err)
	}
	if _, err := (enrol.Move{Dir: t.TempDir(), Hub: h.URL}).Do(t.Context()); !errors.Is(err, enrol.ErrNotEnrolled) {
		t.Errorf("an empty folder: %v", err)
	}
}
