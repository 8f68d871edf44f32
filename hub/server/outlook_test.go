package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

// steppe gives the town's two gachas each a household that is over what it is allowed, a
// pension check that is overdue, and a photo.
func steppe(t *testing.T, s *server.Server) map[string]string {
	t.Helper()
	photos := make(map[string]string)
	for _, g := range []string{"aa", "bb"} {
		up := strings.ToUpper(g)
		home := "H-" + up
		ref := func(typ, id string) entry.Ref { return entry.Ref{Type: typ, ID: id} }
		check(t, s.Author().Import(t.Context(), "U-"+up, []ingest.Fixture{
			{Ref: ref("coefficient_table", "CT-1"), Fields: map[string]any{"active": true}},
			{Ref: ref("coefficient", "C-1"), Fields: map[string]any{"table": "CT-1", "species": "sheep", "age": "adult", "su": 1.0}},
			{Ref: ref("person", "P-"+up), Fields: map[string]any{"household": home, "name_zh": "名" + up, "name_latin": "Name " + up}},
			{Ref: ref("plot", "PL-"+up), Fields: map[string]any{"household": home, "regime": "balance", "area_mu": 2000.0, "mu_per_sheep_unit": 20.0}},
			{Ref: ref("herd", "HD-"+up), Fields: map[string]any{"household": home, "species": "sheep", "age": "adult", "count": int64(150)}},
			{Ref: ref("pension", "PN-"+up), Fields: map[string]any{"person": "P-" + up, "scheme": "resident", "checks": []any{"2020-01-01"}}},
			{Ref: ref("household", home), Fields: map[string]any{"gacha": g, "head": "P-" + up}},
		}))
		h := entry.Hash(sha256.Sum256([]byte(g)))
		photos[g] = hex.EncodeToString(h[:])
		check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error {
			d := dot.Chain{Device: dot.Device("D-" + up), Incarnation: 1, Lane: dot.Record}.At(1)
			return tx.NameBlobs(d, time.Now().UnixMilli(), []entry.Blob{{Hash: h, Size: 10, Mime: "image/jpeg"}})
		}))
	}
	return photos
}

// page asks for a page until it has some words, which come by themselves.
func page(t *testing.T, c *http.Client, address, words string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, body, _ := send(t, c, "GET", address, "", false)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", address, status)
		}
		if strings.Contains(body, words) {
			return body
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never says %q:\n%s", address, words, body)
		}
	}
}

// Charts, photos and the map of the route tell nobody of what they must not see, not even
// as a part of a number; whoever sees everything is told of all of it.
func TestOutlookKeepsToScopes(t *testing.T) {
	s, _ := town(t)
	photos := steppe(t, s)
	base := "http://" + s.HTTPAddr()
	one := joined(t, s, "one", "viewer", "gacha:aa")
	all := joined(t, s, "all", "viewer", "*")
	for _, x := range []struct {
		client     *http.Client
		n          int
		over, none []string
	}{{one, 1, []string{"名AA"}, []string{"名BB", "H-BB", "D-BB", "trend-table"}}, {all, 2, []string{"名AA", "名BB", "trend-table"}, nil}} {
		var shown string
		for _, want := range append([]string{fmt.Sprintf(`<b class="num">%d</b>`, x.n)}, x.over...) {
			shown = page(t, x.client, base+"/", want)
		}
		if strings.Contains(shown, fmt.Sprintf(`<b class="num">%d</b>`, 3-x.n)) {
			t.Errorf("another number is told as well:\n%s", shown)
		}
		if !strings.Contains(shown, "50%") {
			t.Error("that they are half over what is allowed is not told")
		}
		for _, none := range x.none {
			if strings.Contains(shown, none) {
				t.Errorf("%s is told", none)
			}
		}
		list := page(t, x.client, base+"/photos", "D-AA/1/record/1")
		if strings.Contains(list, "D-BB/1/record/1") != (x.n == 2) {
			t.Errorf("photos, of %d gachas:\n%s", x.n, list)
		}
		if _, list, _ := send(t, x.client, "GET", base+"/photos?record=D-BB/1/record/1", "", false); strings.Contains(list, photos["bb"]) != (x.n == 2) {
			t.Errorf("a record's photos, of %d gachas", x.n)
		}
	}
	for q, status := range map[string]int{"record=nonsense": http.StatusUnprocessableEntity, "day=yesterday": http.StatusUnprocessableEntity, "before=x": http.StatusOK, "day=2001-02-03": http.StatusOK} {
		if got, body, _ := send(t, all, "GET", base+"/photos?"+q, "", false); got != status || strings.Contains(body, "D-AA/1/record/1") != (q == "before=x") {
			t.Errorf("%s: %d", q, got)
		}
	}
}

// Many photos are paged, each once, whoever looks.
func TestPhotoPages(t *testing.T) {
	s, _ := town(t)
	const n = 61
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error {
		for i := range n {
			d := dot.Chain{Device: []dot.Device{"D-AA", "D-BB"}[i%2], Incarnation: 1, Lane: dot.Record}.At(1)
			if err := tx.NameBlobs(d, int64(i+1), []entry.Blob{{Hash: entry.Hash{byte(i + 1)}, Size: 10, Mime: "image/jpeg"}}); err != nil {
				return err
			}
		}
		return nil
	}))
	for scope, want := range map[string]int{"*": n, "gacha:aa": (n + 1) / 2, "gacha:none": 0} {
		c := joined(t, s, "see"+strings.Trim(strings.ReplaceAll(scope, ":", "-"), "*"), "viewer", scope)
		seen := make(map[string]int)
		next := "/photos"
		for pages := 0; next != "" && pages < 10; pages++ {
			_, body, _ := send(t, c, "GET", "http://"+s.HTTPAddr()+next, "", false)
			for i := range n {
				id := hex.EncodeToString([]byte{byte(i + 1)}) + strings.Repeat("0", 62)
				if strings.Contains(body, `data-photo="`+id+`"`) {
					seen[id]++
				}
			}
			next = ""
			if _, rest, ok := strings.Cut(body, `href="/photos?before=`); ok {
				next = "/photos?before=" + rest[:strings.IndexByte(rest, '"')]
			}
		}
		if len(seen) != want {
			t.Errorf("%s: %d photos of %d", scope, len(seen), want)
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s: photo %s stands on %d pages", scope, id[:2], times)
			}
		}
	}
}
