package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nkeys"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/runfile"
)

// enrolled makes the folder of a device whose hub is nowhere.
func enrolled(t *testing.T) string {
	t.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text, err := json.Marshal(enrol.Identity{
		Version: 1, Protection: enrol.Unprotected, Device: "D-101", Incarnation: 1, Hub: "https://127.0.0.1:1", NatsURLs: []string{"tls://127.0.0.1:1"},
		CA: authority(t), Epoch: []byte{}, JWT: "none", Secrets: enrol.Secrets{NatsSeed: string(seed), SignSeed: make([]byte, 32), StoreKey: make([]byte, 32)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, enrol.FileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// settings are those of the device in a folder, whose clock stands still.
func settings(t *testing.T, dir string) device.Config {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	return device.Config{
		Dir: dir, HTTP: "127.0.0.1:0", Forms: p.Forms, Types: p.Domain().Type, Mask: p.Domain().Mask, Demo: true, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return asOf }, Zone: time.UTC,
	}
}

// openDevice opens an enrolled device whose hub is nowhere.
func openDevice(t *testing.T, ready func(string)) (*device.Device, string) {
	t.Helper()
	dir := enrolled(t)
	cfg := settings(t, dir)
	cfg.Ready = ready
	d, err := device.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, dir
}

var asOf = time.Date(2025, 9, 18, 6, 0, 0, 0, time.UTC)

// known is what the hub knows of an entity: one value a field.
func known(t *testing.T, n uint64, typ, id string, fields map[string]any) feed.Row {
	t.Helper()
	s := merge.New(entry.Ref{Type: typ, ID: id})
	c := merge.Change{Dot: dot.Chain{Device: dot.Hub, Incarnation: 1, Lane: dot.Record}.At(dot.Seq(n)), HLC: hlc.Time{Millis: int64(n)}} //nolint:gosec // small
	for name, v := range fields {
		raw, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		c.Writes = append(c.Writes, merge.Write{Register: name, Op: entry.Set, Raw: raw})
	}
	s.Apply(c)
	return feed.Row{N: n, Kind: feed.Entity, Key: feed.EntityKey(s.Ref), Rev: n, Body: s.Encode()}
}

const banner = "gacha:NB"

// settle gives a device three households and two persons.
func settle(t *testing.T, d *device.Device) {
	t.Helper()
	if err := d.Store().GrantScopes(t.Context(), []string{banner}); err != nil {
		t.Fatal(err)
	}
	page(t, d.Store(), banner, 5, false,
		known(t, 1, "household", "H-NB-07", map[string]any{"gacha": "NB", "phone": "15412345678", "grid": "\u4e4c\u5170\u7f51\u683c"}),
		known(t, 2, "household", "H-NB-08", map[string]any{"gacha": "NB", "phone": "15487654321"}),
		known(t, 3, "household", "H-NB-070", map[string]any{"gacha": "NB", "grid": "\uff2e\uff22\uff0d\uff10\uff11"}), // full-width NB-01
		known(t, 4, "person", "P001", map[string]any{"name_zh": "\u989d\u5c14\u6566\u82b1", "name_latin": "Erdene"}),
		known(t, 5, "person", "P002", map[string]any{"name_zh": "\u5b9d\u82b1", "name_latin": "\u042d\u0440\u0434\u044d\u043d\u044d \u182d\u1820\u182f"}),
	)
	if err := d.Store().ConfirmFeeds(t.Context(), []string{banner}); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	d, _ := openDevice(t, nil)
	settle(t, d)
	find := func(words string) string {
		t.Helper()
		found, err := d.Find(t.Context(), words, 20)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, f := range found {
			ids = append(ids, f.ID)
			if strings.Contains(f.Words, "154") {
				t.Errorf("%s: a telephone is shown whole: %q", f.ID, f.Words)
			}
		}
		return strings.Join(ids, " ")
	}
	for _, tc := range []struct{ words, want string }{
		{"H-NB-07", "H-NB-07 H-NB-070"},                           // the one that is named so comes first
		{"h-nb-08", "H-NB-08"},                                    // capitals do not matter
		{"\uff28\uff0d\uff2e\uff22\uff0d\uff10\uff18", "H-NB-08"}, // nor does width, asked
		{"nb-01", "H-NB-070"},                                     // or kept
		{"15412345678", "H-NB-07"},
		{"87654321", "H-NB-08"},  // the end of a telephone
		{"\u5c14\u6566", "P001"}, // a part of a Chinese name
		{"\u82b1", "P001 P002"},
		{"\u82b1\u3000erdene", "P001"},                   // every word must be there; an ideographic space is one
		{"\u044d\u0440\u0434\u044d\u043d\u044d", "P002"}, // Mongolian in Cyrillic letters
		{"\u182d\u1820\u182f", "P002"},                   // and in its own
		{"nobody", ""},
	} {
		if got := find(tc.words); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.words, got, tc.want)
		}
	}
	if _, err := d.Find(t.Context(), " \u3000 ", 20); !hasCode(err, "no_words") {
		t.Errorf("no words: %v", err)
	}
	if got, err := d.Find(t.Context(), "nb", 2); err != nil || len(got) != 2 {
		t.Errorf("two at most: %v %v", got, err)
	}

	// What changes is found as it is now: what this device writes, what the hub
	// sends, what goes away, and what is not this device's any more.
	_, err := d.Capture(t.Context(), capture.Request{
		Form: "household_edit", EntityType: "household", Entity: "H-NB-08", Actor: "U01", Fields: map[string]any{"set": map[string]any{"phone": "15400001111"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := find("15400001111"); got != "H-NB-08" {
		t.Errorf("what this device wrote: %q", got)
	}
	gone := feed.Row{N: 7, Kind: feed.Gone, Key: "person/P002", Rev: 7}
	page(t, d.Store(), banner, 7, false, known(t, 6, "person", "P001", map[string]any{"name_zh": "\u683c\u65e5\u52d2"}), gone)
	for words, want := range map[string]string{"\u683c\u65e5\u52d2": "P001", "\u82b1": "", "p002": "", "H-NB-07": "H-NB-07 H-NB-070"} {
		if got := find(words); got != want {
			t.Errorf("after a page, %q: %q, want %q", words, got, want)
		}
	}
	if err := d.Store().GrantScopes(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := find("H-NB-07"); got != "" {
		t.Errorf("of a scope that was taken: %q", got)
	}
}

func hasCode(err error, code string) bool {
	r, ok := errors.AsType[*web.Refusal](err)
	return ok && r.Code == code
}

// The local API answers as the device does, and says how old the data is.
func TestFindAndShowByAPI(t *testing.T) {
	ready := make(chan string, 1)
	d, dir := openDevice(t, func(page string) { ready <- page })
	settle(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	defer func() { cancel(); <-done }()
	at, err := url.Parse(<-ready)
	if err != nil {
		t.Fatal(err)
	}
	token, err := runfile.Token(dir)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string, q url.Values, into any) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.Host+path+"?"+q.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode == http.StatusOK {
			if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
				t.Fatal(err)
			}
		}
		return answer.StatusCode
	}
	var found []web.Found
	if code := ask("/api/v1/find", url.Values{"words": {"12345678"}}, &found); code != http.StatusOK || len(found) != 1 || found[0].ID != "H-NB-07" {
		t.Errorf("find: %d %v", code, found)
	}
	for _, q := range []string{"words=", "words=x&limit=0", "words=x&limit=201"} {
		v, err := url.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		if code := ask("/api/v1/find", v, nil); code < 400 || code > 499 {
			t.Errorf("%s: %d", q, code)
		}
	}
	for _, name := range []string{"household/H-NB-07", "h-nb-07"} {
		var v web.EntityView
		if code := ask("/api/v1/show", url.Values{"entity": {name}}, &v); code != http.StatusOK || v.ID != "H-NB-07" || v.Scope != banner || v.AsOf == nil || !v.AsOf.Equal(asOf) {
			t.Errorf("show %s: %d %+v", name, code, v)
		}
		phone := slices.IndexFunc(v.Fields, func(f web.FieldView) bool { return f.Name == "phone" })
		if phone < 0 || v.Fields[phone].Value != "****5678" {
			t.Errorf("show %s: telephone %v", name, v.Fields)
		}
	}
	if code := ask("/api/v1/show", url.Values{"entity": {"H-NB-99"}}, nil); code < 400 || code > 499 {
		t.Errorf("an entity that is not here: %d", code)
	}
}
