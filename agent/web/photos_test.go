package web_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"otor/agent/web"
)

// TestPhotosAreShown: the records and the household's file show the photos that are on
// the device, small, with words for who does not see them.
func TestPhotosAreShown(t *testing.T) {
	cfg, _, _ := teamConfig(t)
	d := newDesk(t)
	cfg.Photos = d
	d.files = map[string][]byte{"a.jpg": []byte("a"), "b.jpg": []byte("b")}
	d.photos = []web.Photo{
		{Name: "a.jpg", Size: 150_000, Mime: "image/jpeg", Dot: record.At(1), AtHub: true, Here: true},
		{Name: "b.jpg", Size: 50_000, Mime: "image/jpeg", Dot: record.At(1), Here: true},
		{Name: "gone.jpg", Size: 50_000, Mime: "image/jpeg", Dot: record.At(2), AtHub: true},
		{Name: "voice.m4a", Size: 50_000, Mime: "audio/mp4", Dot: record.At(2), Here: true},
	}
	srv := httptest.NewServer(web.New(cfg))
	t.Cleanup(srv.Close)
	c := reader(t, srv)
	for _, path := range []string{"/records", "/household/H-NB-07"} {
		code, body := page(t, c, srv.URL+path)
		if code != 200 {
			t.Fatalf("%s: status %d", path, code)
		}
		for _, want := range []string{
			`<img src="/api/v1/files/a.jpg?small" alt="Photo 1 of 2: Household visit, `, `<a href="/api/v1/files/a.jpg" aria-label="Photo 1 of 2: `,
			`<img src="/api/v1/files/b.jpg?small" alt="Photo 2 of 2: `,
		} {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not show %s", path, want)
			}
		}
		for _, not := range []string{"gone.jpg", "voice.m4a"} {
			if strings.Contains(body, not) {
				t.Errorf("%s shows %s, which cannot be seen here", path, not)
			}
		}
	}
	if _, body := page(t, c, srv.URL+"/settings"); !strings.Contains(body, "Photos on this phone: 3,") || !strings.Contains(body, "not at the hub yet: 2") {
		t.Error("the settings do not say how much room photos take")
	}
	if code, body := page(t, c, srv.URL+"/api/v1/files/a.jpg?small"); code != 200 || body != "small a" {
		t.Errorf("preview: %d %q", code, body)
	}
	if code, body := page(t, c, srv.URL+"/api/v1/files/a.jpg"); code != 200 || body != "a" {
		t.Errorf("file: %d %q", code, body)
	}
	if code, _ := page(t, c, srv.URL+"/api/v1/files/gone.jpg?small"); code == 200 {
		t.Errorf("a preview of what is not here: %d", code)
	}
}
