package bucket_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"otor/hub/blob"
	"otor/hub/blob/bucket"
	"otor/internal/entry"
)

// store is an object store that holds one bucket and keeps what is put, as S3
// answers over HTTP. It looks whether requests are signed, not by whom.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
	away    bool
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(status int, code string) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
		}
	}
	key, ok := strings.CutPrefix(r.URL.Path, "/photos/")
	switch {
	case s.away:
		fail(http.StatusServiceUnavailable, "ServiceUnavailable")
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "):
		fail(http.StatusForbidden, "AccessDenied")
	case !ok:
		fail(http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPut:
		b, err := io.ReadAll(r.Body)
		if err != nil {
			fail(http.StatusBadRequest, "IncompleteBody")
			return
		}
		s.objects[key] = unchunked(r, b)
		w.Header().Set("ETag", `"1"`)
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case s.objects[key] == nil:
		fail(http.StatusNotFound, "NoSuchKey")
	default:
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Fri, 27 Nov 2026 09:00:00 GMT")
		w.Header().Set("Content-Length", strconv.Itoa(len(s.objects[key])))
		if r.Method == http.MethodGet {
			_, _ = w.Write(s.objects[key])
		}
	}
}

// unchunked takes the signatures out of a body that is signed piece by piece.
func unchunked(r *http.Request, b []byte) []byte {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return b
	}
	var out []byte
	for {
		head, rest, ok := bytes.Cut(b, []byte("\r\n"))
		size, _, _ := bytes.Cut(head, []byte(";"))
		n, err := strconv.ParseInt(string(size), 16, 32)
		if !ok || err != nil || n == 0 || int(n) > len(rest) {
			return out
		}
		out, b = append(out, rest[:n]...), rest[n+2:]
	}
}

func TestVault(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "hub")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s := &store{objects: map[string][]byte{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	open := func(path string) *bucket.Vault {
		t.Helper()
		v, err := bucket.Open(server.URL + path + "?region=here")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	ctx := context.Background()
	r := blob.NewRoom(t.TempDir(), open("/photos/otor/hub"))
	b := bytes.Repeat([]byte("a photo "), 5000)
	h := entry.Hash(sha256.Sum256(b))
	if at, whole, err := r.Append(ctx, h, int64(len(b)), 0, b[:30000]); at != 30000 || whole || err != nil {
		t.Fatal(at, whole, err)
	}
	if len(s.objects) > 0 {
		t.Error("a part of a photo is in the bucket")
	}
	s.away = true
	if _, _, err := r.Append(ctx, h, int64(len(b)), 30000, b[30000:]); err == nil {
		t.Error("a bucket that is away took a photo")
	}
	s.away = false
	at, whole, err := r.At(ctx, h)
	if err != nil || whole || at != 30000 {
		t.Fatal("after the bucket was away: ", at, whole, err)
	}
	if at, whole, err = r.Append(ctx, h, int64(len(b)), 30000, b[30000:]); at != int64(len(b)) || !whole || err != nil {
		t.Fatal(at, whole, err)
	}
	for key, got := range s.objects {
		if !strings.HasPrefix(key, "otor/hub/") || !bytes.Equal(got, b) {
			t.Errorf("%s has %d bytes", key, len(got))
		}
	}
	if err := r.Check(ctx, h); err != nil {
		t.Error(err)
	}
	f, err := r.Open(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || !bytes.Equal(got, b) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if err := r.Remove(ctx, h); err != nil {
		t.Error(err)
	}
	if _, err := r.Open(ctx, h); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a removed photo: %v", err)
	}
	if _, whole, err := blob.NewRoom(t.TempDir(), open("/elsewhere")).Append(ctx, h, int64(len(b)), 0, b); err == nil || whole {
		t.Errorf("a bucket that is not there took a photo: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "photos", "s3://photos", "https://host", "https://key:secret@host/photos", "ftp://host/photos", "https://ho st/x"} {
		if _, err := bucket.Open(bad); !errors.Is(err, bucket.ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	v, err := bucket.Open("https://s3.example.org/photos")
	if err != nil || v.Where() != "bucket photos at s3.example.org" {
		t.Errorf("%v, %v", v, err)
	}
}
