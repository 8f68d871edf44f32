package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/webui"
)

var (
	zone = time.FixedZone("", 8*3600)
	noon = time.Date(2025, 9, 18, 13, 5, 0, 0, zone)
)

// phone is a device in memory. It refuses records of the form "unknown_form"
// and fails on the form "broken_store".
type phone struct {
	webui.Bell

	mu       sync.Mutex
	rows     []web.EntryRow // oldest first
	puts     []web.PutRequest
	state    web.LinkState
	link     web.Link // but for state and since
	check    web.Check
	lost     bool
	findings []web.Finding
	received int
	contact  *time.Time
	syncErr  error
	broken   error
	syncs    int
	prefs    web.Preferences
	rechecks int

	inFlight, mostInFlight int
	hold                   chan struct{} // Put waits for it when set
}

var record = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}

func newPhone() *phone { return &phone{state: web.Online} }

func (p *phone) capture(form, entity string, at time.Time) dot.Dot {
	d := record.At(dot.Seq(len(p.rows) + 1))
	p.rows = append(p.rows, web.EntryRow{Dot: d, Hash: entry.Hash{byte(len(p.rows))}, Form: form, FormVersion: 1, Entity: entity, User: "U01", DeviceTime: at, State: web.Saved, Size: 400})
	return d
}

// receive lets the hub confirm the n oldest entries.
func (p *phone) receive(n int, at time.Time) {
	p.mu.Lock()
	for i := range p.rows[:n] {
		p.rows[i].State, p.rows[i].ReceivedAt = web.Received, &at
	}
	p.received, p.contact = n, &at
	p.mu.Unlock()
	p.Ring()
}

func (p *phone) Status(context.Context) (web.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return web.Status{}, p.broken
	}
	last := dot.Seq(len(p.rows))
	link := p.link
	link.State, link.Since = p.state, noon.Add(-40*time.Minute)
	return web.Status{
		Device: "D-101", Waiting: uint64(len(p.rows) - p.received), NothingLost: !p.lost,
		Lanes: []web.LaneStatus{{Incarnation: 1, Lane: dot.Record, Last: last, Received: dot.Seq(p.received), Head: entry.Hash{7}}},
		Link:  link, LastContact: p.contact, Check: p.check, DiskFree: 3 << 30, Findings: p.findings,
	}, nil
}

func (p *phone) Log(_ context.Context, q web.LogQuery) ([]web.EntryRow, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []web.EntryRow
	skip := !q.After.IsZero()
	for _, r := range slices.Backward(p.rows) {
		if !skip && len(out) < q.Limit && (q.Lane == 0 || r.Dot.Lane == q.Lane) && (q.Only == "" || (q.Only == web.OnlyWaiting) == (r.State == web.Saved || r.State == web.Custody)) {
			out = append(out, r)
		}
		if r.Dot == q.After {
			skip = false
		}
	}
	return out, nil
}

func (p *phone) Begin(_ context.Context, r web.PutRequest) func() (web.PutResult, error) {
	return func() (web.PutResult, error) { return p.put(r) }
}

func (p *phone) put(r web.PutRequest) (web.PutResult, error) {
	p.mu.Lock()
	p.inFlight++
	p.mostInFlight = max(p.mostInFlight, p.inFlight)
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	switch r.Form {
	case "unknown_form":
		return web.PutResult{}, fmt.Errorf("capture: %w", &web.Refusal{Code: "form_unknown", What: "there is no such form", Which: r.Form, Do: "update the forms"})
	case "broken_store":
		return web.PutResult{}, fmt.Errorf("disk gone")
	}
	if !json.Valid(r.Fields) {
		return web.PutResult{}, fmt.Errorf("fields are not JSON")
	}
	p.puts = append(p.puts, r)
	d := p.capture(r.Form, r.Entity, noon)
	return web.PutResult{Dot: d, SavedAt: noon}, nil
}

func (p *phone) Sync(context.Context) (web.SyncResult, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.syncs++
	if p.syncErr != nil {
		return web.SyncResult{}, p.syncErr
	}
	return web.SyncResult{Sent: 3, Received: 3, Pulled: 1}, nil
}

func (p *phone) Changes() (<-chan struct{}, func()) { return p.Listen() }

func (p *phone) Preferences() web.Preferences {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prefs
}

func (p *phone) SetPreferences(_ context.Context, q web.Preferences) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.Day > 0 && q.Day < 10_000 {
		return &web.Refusal{Code: "bad_budget", What: "too small", Do: "give more"}
	}
	p.prefs = q
	return nil
}

func (p *phone) Scopes() []web.ScopeAge {
	return []web.ScopeAge{{Scope: "everyone", Rows: 12, AsOf: p.contact}, {Scope: "gacha:NB", Loading: true}}
}

func (p *phone) Recheck() { p.mu.Lock(); p.rechecks++; p.mu.Unlock() }

// day fills the phone as on an ordinary day.
func (p *phone) day() *phone {
	for i, f := range []string{"visit H-NB-07", "livestock_count H-NB-07", "pension_auth P007", "subsidy_application H-CD-04", "visit H-CD-18", "hazard W3"} {
		form, entity, _ := strings.Cut(f, " ")
		p.capture(form, entity, noon.Add(time.Duration(i-6)*37*time.Minute))
	}
	at := noon.Add(-3*time.Hour - 53*time.Minute)
	p.receive(3, at)
	p.rows[0].State = web.Archived
	p.rows[3].State = web.Custody
	sos := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Alert}.At(1)
	p.rows[5].Dot, p.rows[5].Form = sos, "sos"
	return p
}

var titles = map[string]map[string]string{
	"visit":               {"zh": "入户走访", "en": "Household visit", "mn": "Айлд очих"},
	"livestock_count":     {"zh": "牲畜清点", "en": "Livestock count", "mn": "Малын тооллого"},
	"pension_auth":        {"zh": "养老待遇资格认证", "en": "Pension authentication", "mn": "Тэтгэврийн баталгаажуулалт"},
	"subsidy_application": {"zh": "草畜平衡奖补申请", "en": "Grassland balance subsidy", "mn": "Бэлчээрийн нөхөн олговор"},
	"sos":                 {"zh": "求救", "en": "SOS", "mn": "Яаралтай тусламж"},
}

func config(p *phone) web.Config {
	return web.Config{
		Device: p, Prefs: p, Token: "token", Secret: "secret", Clock: func() time.Time { return noon },
		FormTitle: func(lang, form string) string { return titles[form][lang] },
	}
}
