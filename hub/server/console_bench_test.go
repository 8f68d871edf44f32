package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/hub/store/postgres/scratch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/sheet"
)

var benchDatabase = flag.String("database", "", "address of an empty PostgreSQL database for BenchmarkConsole, scratch: a server of its own; none: SQLite")

var benchRecords = flag.Int("records", 5000, "records of BenchmarkConsole; a fifth as many entities, a two hundredth as many open items")

// BenchmarkConsole measures the pages of a large hub through HTTP, as an administrator and
// as an operator of one gacha of forty, and a statement of everything. Its figures are in
// docs/performance.md.
func BenchmarkConsole(b *testing.B) {
	dir := b.TempDir()
	p, err := pack.Transhumance()
	if err != nil {
		b.Fatal(err)
	}
	if *benchDatabase == "scratch" {
		*benchDatabase = scratch.Database(b, "")
	}
	began := time.Now()
	s, err := server.Open(b.Context(), server.Config{
		Dir: filepath.Join(dir, "hub"), Journal: filepath.Join(dir, "journal"), NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Packs: pack.NewShelf(p), Database: *benchDatabase, MaxStore: 16 << 20, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	crowd(b, s, p, *benchRecords)
	bustle(b, s, *benchRecords)
	fmt.Printf("%d records made in %s\n", *benchRecords, time.Since(began).Round(time.Second))
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	items, err := s.Store().Items(b.Context(), store.ItemQuery{State: store.Open, Kind: store.Flags, Limit: 1})
	if err != nil || len(items) == 0 {
		b.Fatal(items, err)
	}
	pages := []string{
		"/", "/devices", "/route", "/photos", "/packs", "/ledger", "/statements", "/exports", "/operators", "/roster", "/roster/list/pension_list", "/account",
		"/queue", "/queue?kind=flag", "/queue?kind=conflict", "/queue?kind=quarantine", "/queue?kind=gap", fmt.Sprintf("/queue/%d", items[0].ID), "/records", "/records?form=visit&device=D-103", "/records?verdict=flagged",
		"/records?" + url.Values{"text": {"要饲料"}}.Encode(), "/records?" + url.Values{"text": {"第777号"}}.Encode(), "/records?entity=household/H-000777", "/records?from=2025-03-01&until=2025-03-02&form=visit",
		"/records/D-103/1/record/7", "/entities?" + url.Values{"text": {"巴特尔"}}.Encode(), "/entities?text=H-000777", "/entities/household/H-000777",
	}
	base := "http://" + s.HTTPAddr()
	for b.Loop() {
		for who, c := range map[string]*http.Client{"all": entered(b, s, "boss", "administrator", "*"), "one gacha": entered(b, s, "rita", "reconciler", "gacha:g07")} {
			for _, page := range pages {
				var status int
				took := make([]time.Duration, 0, 40)
				for range cap(took) {
					start := time.Now()
					req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, base+page, nil)
					if err != nil {
						b.Fatal(err)
					}
					resp, err := c.Do(req)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil {
						b.Fatal(err)
					}
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusForbidden {
						b.Fatalf("%s: %s", page, resp.Status)
					}
					took, status = append(took, time.Since(start)), resp.StatusCode
				}
				slices.Sort(took)
				at, _ := url.QueryUnescape(page)
				fmt.Printf("%-9s %d p50 %6.1f ms  p95 %6.1f ms  %s\n", who, status, ms(took[len(took)/2]), ms(took[len(took)*95/100]), at)
			}
		}
		start := time.Now()
		if _, err := s.Office().Statement(b.Context(), reconcile.Terms{Subject: reconcile.OfAll, From: time.UnixMilli(0), Until: time.Now().AddDate(1, 0, 0)}); err != nil {
			b.Fatal(err)
		}
		fmt.Printf("a statement of everything: %.1f s\n", time.Since(start).Seconds())
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// entered adds an operator with a token, and gives a client that sends it.
func entered(b *testing.B, s *server.Server, name, role, scope string) *http.Client {
	b.Helper()
	l, err := s.Office().AddOperator(b.Context(), server.NewOperator{Name: fmt.Sprintf("%s-%d", name, time.Now().UnixNano()), Title: name, Role: role, Scopes: []string{scope}})
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(l.Link)
	if err != nil {
		b.Fatal(err)
	}
	c := benchBrowser()
	resp, err := c.PostForm("http://"+s.HTTPAddr()+"/join", url.Values{"k": {u.Query().Get("k")}, "password": {password}, "again": {password}})
	if err != nil {
		b.Fatal(err)
	}
	_ = resp.Body.Close()
	return c
}

// crowd fills a hub: a fifth as many entities as records, a two hundredth as many open
// items. It writes what ingest would write of them, without merging.
func crowd(b *testing.B, s *server.Server, p *pack.Pack, n int) {
	b.Helper()
	const devices, gachas, atOnce = 8, 40, 1000
	cfg := ingest.Config{Forms: p.Forms, Zone: time.UTC, Masks: p.Domain().Mask}
	day := time.Date(2025, 1, 1, 6, 0, 0, 0, time.UTC).UnixMilli()
	homes := max(n/10, 1)
	for i := range devices {
		d := dot.Device(fmt.Sprintf("D-1%02d", i))
		err := s.Store().Invite(b.Context(), store.Invitation{Device: d, Scopes: []string{fmt.Sprintf("gacha:g%02d", i)}, CodeHash: [32]byte{byte(i + 1)}, AddedAt: day, ExpiresAt: day + 1}, true)
		if err != nil {
			b.Fatal(err)
		}
	}
	put := func(first, last int, do func(tx store.Tx, i int) error) {
		for ; first < last; first += atOnce {
			err := s.Store().Ingest(b.Context(), func(tx store.Tx) error {
				for i := first; i < min(first+atOnce, last); i++ {
					if err := do(tx, i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	put(0, homes, func(tx store.Tx, i int) error {
		for typ, fields := range map[string]map[string]any{
			"household": {"gacha": fmt.Sprintf("g%02d", i%gachas), "phone": fmt.Sprintf("139%08d", i), "head": fmt.Sprintf("P-%06d", i)},
			"person":    {"household": fmt.Sprintf("H-%06d", i), "name_zh": []string{"巴特尔", "斯琴", "高娃", "乌云"}[i%4] + fmt.Sprint(i)},
		} {
			ref := entry.Ref{Type: typ, ID: map[string]string{"household": "H", "person": "P"}[typ] + fmt.Sprintf("-%06d", i)}
			state := merge.New(ref)
			c := merge.Change{Dot: dot.Chain{Device: dot.Hub, Incarnation: 1, Lane: dot.Record}.At(dot.Seq(i + 1)), HLC: hlc.Time{Millis: day}}
			for name, v := range fields {
				ws, err := state.Confirm(p.Domain().Type(typ), name, v, false)
				if err != nil {
					return err
				}
				c.Writes = append(c.Writes, ws...)
			}
			state.Apply(c)
			err := tx.SaveEntities([]store.Entity{{Ref: ref, Rev: 1, State: state.Encode(), Scopes: []string{fmt.Sprintf("gacha:g%02d", i%gachas)}}})
			if err == nil {
				err = tx.SetEntityWords(ref, reconcile.EntityWords(p.Domain(), p.Domain().Type(typ), ref, state))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	put(0, n, func(tx store.Tx, i int) error {
		d := dot.Chain{Device: dot.Device(fmt.Sprintf("D-1%02d", i%devices)), Incarnation: 1, Lane: dot.Record}.At(dot.Seq(i/devices + 1))
		home := fmt.Sprintf("H-%06d", i*7%homes)
		wall := day + int64(i)*int64(300*24*time.Hour/time.Millisecond)/int64(n)
		pub := entry.Public{Dot: d, HLC: hlc.Time{Millis: wall}, Wall: wall, Actor: fmt.Sprintf("U-%02d", i%20), Form: entry.FormRef{ID: "visit", Version: 1}, Refs: []entry.Ref{{Type: "household", ID: home}}}
		if i%3 > 0 {
			pub.Form.ID = "livestock_count"
		}
		if d.Seq == 1 {
			pub.Origin = &entry.Origin{Reason: entry.Installed}
		}
		priv := entry.Private{Fields: map[string]any{"entity": home, "needs": []string{"要饲料", "水井干了", "路不好走"}[i%3] + fmt.Sprintf(" 第%d号", i%5000)}}
		rawPub, err := pub.Encode()
		if err != nil {
			return err
		}
		rawPriv, err := priv.Encode()
		if err != nil {
			return err
		}
		e := ingest.Describe(d, entry.NewRaw(rawPub, rawPriv), 0, cfg)
		e.ReceivedAt, e.Judgement = wall, store.Judgement{Verdict: store.Applied}
		switch {
		case i%200 == 0:
			e.Judgement = store.Judgement{Verdict: store.Flagged, Code: "far_away"}
		case i%1000 == 7:
			e.Judgement = store.Judgement{Verdict: store.Quarantined, Code: "no_form"}
		}
		if err := tx.Insert([]store.Entry{e}); err != nil {
			return err
		}
		if i%500 == 3 {
			photo := entry.Blob{Hash: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))), Size: 80_000, Mime: "image/jpeg"}
			if err := tx.NameBlobs(d, wall, []entry.Blob{photo}); err != nil {
				return err
			}
		}
		if i%200 == 0 {
			it := store.Item{Kind: store.Flags, Entity: entry.Ref{Type: "household", ID: home}, Field: "far_away " + d.String(), Entries: []dot.Dot{d}, Evidence: json.RawMessage(`{"rule":"far_away","words":"far from where it is said to be"}`), OpenedAt: wall, State: store.Open, Times: 1}
			if _, err := tx.PutItem(it); err != nil {
				return err
			}
		}
		if i%atOnce < devices || i >= n-devices {
			l, err := tx.Lane(d.Chain)
			if err != nil {
				return err
			}
			l.Received, l.ReceivedAt = lane.NewSet(lane.Run(1, dot.Seq(max(n/devices, 1)))), wall
			return tx.SaveLane(l)
		}
		return nil
	})
}

// bustle adds what an office does: a fortieth of a percent as many invitations as records,
// a statement a day of a month, a route with 100 places and 200 hazards, and a list with a
// fiftieth as many persons.
func bustle(b *testing.B, s *server.Server, n int) {
	b.Helper()
	for i := range n / 4000 {
		if _, err := s.Office().Invite(b.Context(), dot.Device(fmt.Sprintf("D-2%04d", i)), []string{fmt.Sprintf("gacha:g%02d", i%40)}, time.Hour, false); err != nil {
			b.Fatal(err)
		}
	}
	var route []ingest.Fixture
	for i := range 200 {
		if i < 100 {
			route = append(route, ingest.Fixture{Ref: entry.Ref{Type: "waypoint", ID: fmt.Sprintf("W-%03d", i)}, Fields: map[string]any{"name_zh": fmt.Sprintf("第%d站", i), "seq": int64(i), "km": 2.5 * float64(i), "kind": "well"}})
		}
		route = append(route, ingest.Fixture{Ref: entry.Ref{Type: "hazard", ID: fmt.Sprintf("Z-%03d", i)}, Fields: map[string]any{"type": "flood", "severity": int64(i % 4), "passable": "no", "open": true}})
	}
	if err := s.Author().Import(b.Context(), "U-01", route); err != nil {
		b.Fatal(err)
	}
	day := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 30 {
		if _, err := s.Office().Statement(b.Context(), reconcile.Terms{Subject: reconcile.OfDevice, Name: "D-103", From: day.AddDate(0, 0, i), Until: day.AddDate(0, 0, i+1)}); err != nil {
			b.Fatal(err)
		}
	}
	var list bytes.Buffer
	err := sheet.WriteCSV(&list, sheet.Table{Columns: []sheet.Column{{Title: "姓名"}, {Title: "身份证号"}, {Title: "联系电话"}}, Rows: func(yield func([]any) bool) {
		for i := range n / 50 {
			if !yield([]any{fmt.Sprintf("某人%d", i%977), numbered(fmt.Sprintf("19%02d-%02d-%02d", 30+i%30, 1+i/30%12, 1+i/360%28), i/10080), fmt.Sprintf("154%08d", i/3)}) {
				return
			}
		}
	}})
	if err == nil {
		_, err = s.Office().ImportRoster(b.Context(), server.RosterUpload{Kind: "pension_list", File: "list.csv", Body: list.Bytes()})
	}
	if err != nil {
		b.Fatal(err)
	}
}

// benchBrowser keeps cookies and follows nothing.
func benchBrowser() *http.Client {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
