package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/internal/cli"
	"otor/internal/e2e"
)

// guard checks at the end that what was saved before is still there, and that
// the store is well.
func guard(t *testing.T, a *e2e.Agent, before []e2e.Saved) {
	t.Helper()
	a.Do(t, "doctor").Want(t, cli.OK)
	have := make(map[string]bool)
	for _, row := range a.Log(t) {
		have[row.Dot.String()] = true
	}
	for _, s := range before {
		if !have[s.Dot.String()] {
			t.Errorf("%s was saved and is not there any more", s.Dot)
		}
	}
}

// TestBadRecords: each bad line is refused in words, by itself.
func TestBadRecords(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	before := a.MustPut(t, strings.Repeat(water, 3), "--form", "water_check")
	cases := []struct {
		name, line, form, code string
		words                  string // in the refusal
	}{
		{"malformed JSON", `{"flow":`, "water_check", "bad_json", "not a JSON object"},
		{"an array", `[1,2]`, "water_check", "bad_json", "not a JSON object"},
		{"wrong type", `{"flow":"good","trough_ok":"yes"}`, "water_check", "bad_type", "trough_ok"},
		{"unknown choice", `{"flow":"plenty"}`, "water_check", "bad_choice", "flow"},
		{"a required field is missing", `{"trough_ok":true}`, "water_check", "missing", "flow"},
		{"an unknown field", `{"flow":"good","colour":"blue"}`, "water_check", "unknown_field", "colour"},
		{"a missing form", strings.TrimSpace(water), "no_such_form", "form_unknown", "no_such_form"},
		{"no form at all", strings.TrimSpace(water), "", "form_missing", "--form"},
		{"10 MB of one value", `{"flow":"` + strings.Repeat("x", 10<<20) + `"}`, "water_check", "too_large", "1 MiB"},
		{"an entry over the limit", `{"words":"` + strings.Repeat("x", 100<<10) + `"}`, "suggestion", "", ""},
		{"a bad time", `{"form":"water_check","at":"yesterday","fields":{"flow":"good"}}`, "", "bad_time", "RFC 3339"},
		{"not UTF-8", "{\"flow\":\"\xff\"}", "water_check", "bad_json", "UTF-8"},
	}
	for _, running := range []bool{false, true} {
		if running {
			a.Start(t)
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				good := `{"form":"water_check","fields":{"flow":"good"}}` + "\n"
				lines := good + c.line + "\n" + good
				flags := []string{}
				if c.form != "" {
					flags = append(flags, "--form", c.form)
				}
				r, saved := a.Put(t, lines, flags...)
				r.Want(t, cli.Refused)
				if len(saved) != 2 || saved[0].Line != 1 || saved[1].Line != 3 {
					t.Errorf("the lines beside it were not saved: %s", r)
				}
				before = append(before, saved...)
				refused := e2e.Lines[e2e.Refused](t, r.Err)
				if len(refused) != 1 {
					t.Fatalf("running %v: %d refusals: %.2000s", running, len(refused), r.Err)
				}
				e := refused[0].Error
				if refused[0].Line != 2 || c.code != "" && e.Code != c.code || e.What == "" || e.Do == "" || !strings.Contains(e.Which+e.What+e.Do, c.words) {
					t.Errorf("running %v: %+v", running, refused[0])
				}
				if len(r.Err) > 4<<10 {
					t.Errorf("the refusal has %d bytes", len(r.Err))
				}
			})
		}
		if running {
			a.Stop(t)
		}
	}
	guard(t, a, before)
	if got := a.Sync(t); got.Remaining != 0 {
		t.Errorf("sync: %+v", got)
	}
	if n := len(h.Entries(t)); n != len(before) {
		t.Errorf("the hub has %d entries, %d were saved", n, len(before))
	}
}

// TestSecondAgent: a folder has one agent.
func TestSecondAgent(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.Start(t)
	before := a.MustPut(t, water, "--form", "water_check")
	e := a.Do(t, "run", "--http", "127.0.0.1:0", "--json").Want(t, cli.Storage).Trouble(t)
	if e.Code != "locked" || e.Do == "" || e.Which != a.Dir {
		t.Errorf("second agent: %+v", e)
	}
	if f, ok := e2e.ReadRunFile(t, a.Dir); !ok || f.HTTP != a.HTTP {
		t.Errorf("the second agent touched run.json: %+v", f)
	}
	before = append(before, a.MustPut(t, water, "--form", "water_check")...)
	a.Stop(t)
	guard(t, a, before)

	e = h.Do(t, "serve", "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--json").Want(t, cli.Storage).Trouble(t)
	if e.Code != "locked" || e.Do == "" {
		t.Errorf("second hub: %+v", e)
	}
	h.Status(t)
}

// TestAddressInUse: the words name the flag's address.
func TestAddressInUse(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	taken := ln.Addr().String()
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.Do(t, "run", "--http", taken).Want(t, cli.Usage).Words(t, taken, "choose another address")
	h.Stop(t)
	h.Do(t, "serve", "--http", taken, "--nats-listen", "127.0.0.1:0").Want(t, cli.Usage).Words(t, taken)
	h.Do(t, "serve", "--nats-listen", taken, "--http", "127.0.0.1:0").Want(t, cli.Usage).Words(t, taken)
}

// TestEnrolment: codes that are used, replaced, expired, mistyped, of another hub.
func TestEnrolment(t *testing.T) {
	h := e2e.StartHub(t)
	used := h.Invite(t, "D-101")
	a := e2e.NewAgent(t, "")
	enrol := func(code string, exit cli.Exit, words ...string) cli.Error {
		t.Helper()
		fresh := e2e.NewAgent(t, "")
		r := fresh.Do(t, "enrol", code, "--hub", h.URL, "--json").Want(t, exit)
		if _, err := os.Stat(filepath.Join(fresh.Dir, "identity.json")); exit != cli.OK && err == nil {
			t.Error("an identity was stored after a refusal")
		}
		e := r.Trouble(t)
		if e.Code == "" || e.What == "" || e.Do == "" {
			t.Errorf("a person cannot act on: %+v", e)
		}
		r.Words(t, words...)
		return e
	}
	if e := enrol(used.Code[:len(used.Code)-1], cli.Credential, "mistyped"); e.Code != "code_mistyped" {
		t.Errorf("a character too few: %+v", e)
	}
	swapped := []byte(used.Code)
	swapped[0] = map[bool]byte{true: '3', false: '4'}[swapped[0] != '3']
	enrol(string(swapped), cli.Credential, "mistyped")
	enrol("hello", cli.Credential, "mistyped")

	a.Do(t, "enrol", used.Code, "--hub", h.URL).Want(t, cli.OK)
	enrol(used.Code, cli.Credential, "used")
	a.Do(t, "enrol", used.Code, "--hub", h.URL).Want(t, cli.Refused).Words(t, a.Dir, "--data")
	guard(t, a, nil)

	replaced := h.Invite(t, "D-102")
	h.Invite(t, "D-102")
	enrol(replaced.Code, cli.Credential)

	expired := h.Invite(t, "D-103", "--ttl", "1s")
	e2e.Eventually(t, "the code to expire", func() bool { return time.Now().After(expired.ExpiresAt) })
	enrol(expired.Code, cli.Credential, "expired")

	other := e2e.StartHub(t)
	foreign := other.Invite(t, "D-104")
	if e := enrol(foreign.Code, cli.Credential); e.Code != "not_the_hub" {
		t.Errorf("a code of another hub: %+v", e)
	}
	e2e.Run(t, nil, "agent", "enrol", used.Code, "--hub", "ftp://x", "--data", t.TempDir()).Want(t, cli.Usage)
	e2e.Run(t, nil, "agent", "enrol", used.Code, "--data", t.TempDir()).Want(t, cli.Usage)
	h.Do(t, "device", "add", "D-101", "--scope", "a").Want(t, cli.Refused).Words(t, "--again")
	h.Do(t, "device", "revoke", "D-999").Want(t, cli.Refused).Words(t, "D-999")
}

// TestNobodyAnswers: a hub that is away is no harm.
func TestNobodyAnswers(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	inv := h.Invite(t, "D-102")
	h.Kill()
	e := e2e.Run(t, nil, "agent", "enrol", inv.Code, "--hub", h.URL, "--data", t.TempDir(), "--json").Want(t, cli.Unreachable).Trouble(t)
	if e.Code != "unreachable" || e.Do == "" {
		t.Errorf("enrol: %+v", e)
	}
	before := a.MustPut(t, water+water, "--form", "water_check")
	for _, running := range []bool{false, true} {
		if running {
			a.Start(t)
		}
		r := a.Do(t, "sync", "--timeout", "2s", "--json").Want(t, cli.Unreachable)
		if got, want := strings.TrimSpace(r.Out), `{"sent":0,"received":0,"pulled":0,"remaining":2}`; got != want {
			t.Errorf("running %v: sync printed %s, want %s", running, got, want)
		}
		if e := r.Trouble(t); e.Code != "unreachable" || e.Do == "" || e.Which+e.What == "" {
			t.Errorf("running %v: %+v", running, e)
		}
		a.Do(t, "status").Want(t, cli.OK)
		if running {
			a.Stop(t)
		}
	}
	guard(t, a, before)
	h.Start(t)
	if got := a.Sync(t); got.Received != 2 || got.Remaining != 0 {
		t.Errorf("sync when the hub is back: %+v", got)
	}
}

// TestRevoked: the hub's no has its own exit code, and loses nothing.
func TestRevoked(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	before := a.MustPut(t, water, "--form", "water_check")
	h.Do(t, "device", "revoke", "D-101").Want(t, cli.OK)
	for _, running := range []bool{false, true} {
		if running {
			a.Start(t)
		}
		r := a.Do(t, "sync", "--timeout", "3s", "--json").Want(t, cli.Credential)
		if e := r.Trouble(t); e.Code != "refused" || e.Do == "" {
			t.Errorf("running %v: %+v", running, e)
		}
		if running {
			a.Stop(t)
		}
	}
	guard(t, a, before)
	h.Do(t, "device", "add", "D-101", "--scope", "a", "--again").Want(t, cli.Refused)
}

// TestNotEnrolled: an empty folder says what to do.
func TestNotEnrolled(t *testing.T) {
	a := e2e.NewAgent(t, "")
	for _, args := range [][]string{{"run"}, {"put", "--form", "visit"}, {"log"}, {"sync"}, {"doctor"}} {
		e := a.Do(t, append(args, "--json")...).Want(t, cli.Credential).Trouble(t)
		if e.Code != "not_enrolled" || !strings.Contains(e.Do, "agent enrol CODE") {
			t.Errorf("%v: %+v", args, e)
		}
	}
	if _, err := os.Stat(a.Dir); err == nil {
		t.Error("looking at an empty folder made it")
	}
	h := e2e.NewHub(t, "")
	h.Do(t, "status").Want(t, cli.Usage).Words(t, "hub serve")
}

// TestDamage: the doctor names what was changed on the disk, with exit 7.
func TestDamage(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.MustPut(t, strings.Repeat(water, 20), "--form", "water_check")
	if err := os.Remove(filepath.Join(a.Dir, "db", "MANIFEST")); err != nil {
		t.Fatal(err)
	}
	e := a.Do(t, "doctor", "--json").Want(t, cli.Integrity).Trouble(t)
	if e.What == "" || e.Do == "" {
		t.Errorf("doctor: %+v", e)
	}
	a.Do(t, "put", "--form", "water_check").Want(t, cli.Integrity)
}
