package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"otor/agent/web"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/e2e"
)

const water = `{"flow":"good","trough_ok":true}` + "\n"

// keys lists the keys of a JSON object.
func keys(t *testing.T, text string) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("not a JSON object (%v): %s", err, text)
	}
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

func wantKeys(t *testing.T, text string, want ...string) {
	t.Helper()
	have := keys(t, text)
	for _, w := range want {
		if !slices.Contains(have, w) {
			t.Errorf("no %q in %s", w, text)
		}
	}
}

// TestContract walks through the commands of both programs, with the shapes
// that other programs rely on.
func TestContract(t *testing.T) {
	h := e2e.StartHub(t)
	a := e2e.NewAgent(t, "")

	s := a.Status(t)
	if s.Link.State != web.Unenrolled || s.Device != "" || len(s.Lanes) != 0 {
		t.Errorf("status of an empty folder: %+v", s)
	}
	inv := h.Do(t, "device", "add", "D-101", "--scope", "gacha:a,team:1", "--ttl", "2h", "--json").Want(t, cli.OK)
	wantKeys(t, inv.Out, "device", "code", "expires_at", "qr_text")
	invited := e2e.Decode[server.Invited](t, inv)
	if left := time.Until(invited.ExpiresAt); left < time.Hour || left > 2*time.Hour {
		t.Errorf("the code expires in %s, want 2 h", left)
	}
	r := a.Do(t, "enrol", invited.QRText, "--json").Want(t, cli.OK)
	if got, want := strings.TrimSpace(r.Out), `{"device":"D-101","incarnation":1}`; got != want {
		t.Errorf("enrol: %s, want %s", got, want)
	}

	// Nobody runs: put opens the store itself.
	r, saved := a.Put(t, water+"\n"+water, "--form", "water_check", "--entity", "W-1", "--user", "bat", "--at", "2025-09-18T09:12:00+08:00")
	r.Want(t, cli.OK)
	if len(saved) != 2 || saved[0].Line != 1 || saved[1].Line != 3 || saved[1].Dot.String() != "D-101/1/record/2" || saved[0].SavedAt.IsZero() {
		t.Errorf("put: %s", r)
	}
	r = a.Do(t, "sync", "--json").Want(t, cli.OK)
	// Pulled: what the hub says of these entries.
	if got, want := strings.TrimSpace(r.Out), `{"sent":2,"received":2,"pulled":1,"remaining":0}`; got != want {
		t.Errorf("sync: %s, want %s", got, want)
	}
	r = a.Do(t, "sync", "--json").Want(t, cli.OK)
	if got, want := strings.TrimSpace(r.Out), `{"sent":0,"received":0,"pulled":0,"remaining":0}`; got != want {
		t.Errorf("a sync with nothing new: %s, want %s", got, want)
	}
	r = a.Do(t, "status", "--json").Want(t, cli.OK)
	wantKeys(t, r.Out, "device", "lanes", "waiting", "nothing_lost", "link", "last_contact", "disk_free", "findings")

	// An agent runs: everything goes through it.
	a.Start(t)
	f, ok := e2e.ReadRunFile(t, a.Dir)
	if !ok || f.HTTP != a.HTTP || f.PID == 0 {
		t.Errorf("run.json: %+v, %v", f, ok)
	}
	if got := a.MustPut(t, water+water, "--form", "water_check"); got[1].Dot.Seq != 4 {
		t.Errorf("put through the running agent: %+v", got)
	}
	e2e.Eventually(t, "the running agent to have everything received", func() bool { return a.Status(t).Waiting == 0 })
	if got := a.Sync(t); got.Remaining != 0 {
		t.Errorf("sync through the running agent: %+v", got)
	}
	if log := a.Log(t); len(log) != 4 || log[0].Dot.Seq != 4 || log[3].User != "bat" || log[0].State != web.Received {
		t.Errorf("log: %+v", log)
	}
	r = a.Do(t, "log", "--json", "--limit", "2", "--after", "D-101/1/record/4", "--lane", "record").Want(t, cli.OK)
	if rows := e2e.Lines[web.EntryRow](t, r.Out); len(rows) != 2 || rows[0].Dot.Seq != 3 {
		t.Errorf("log after 4: %s", r)
	}
	a.Do(t, "doctor", "--json").Want(t, cli.Storage).Words(t, "stop the agent")
	if exit := a.Stop(t); exit != cli.OK {
		t.Errorf("agent run ended with exit %d when asked to end", exit)
	}
	if _, ok := e2e.ReadRunFile(t, a.Dir); ok {
		t.Error("run.json is still there after an orderly end")
	}
	r = a.Do(t, "doctor", "--json").Want(t, cli.OK)
	wantKeys(t, r.Out, "device", "well", "lanes", "findings")
	a.Do(t, "doctor").Want(t, cli.OK)

	checkHub(t, h, a)
}

// checkHub looks at the hub's side of TestContract, with and without a running hub.
func checkHub(t *testing.T, h *e2e.Hub, a *e2e.Agent) {
	t.Helper()
	for _, running := range []bool{true, false} {
		if !running {
			if exit := h.Stop(t); exit != cli.OK {
				t.Errorf("hub serve ended with exit %d when asked to end", exit)
			}
		}
		entries := h.Do(t, "entries", "--device", "D-101", "--lane", "record", "--verdict", "applied").Want(t, cli.OK)
		lines := strings.Split(strings.TrimSpace(entries.Out), "\n")
		if len(lines) != 4 {
			t.Fatalf("running %v: %s", running, entries)
		}
		wantKeys(t, lines[0], "dot", "hash", "form", "form_version", "entity", "device_time", "corrected_time", "received_at", "verdict", "outcome")
		if some := h.Entries(t, "--after", "1", "--limit", "2"); len(some) != 2 || some[0].Number != 2 {
			t.Errorf("entries --after 1 --limit 2: %+v", some)
		}
		st := h.Status(t)
		if len(st.Devices) != 1 || st.Devices[0].Received != 4 || st.Devices[0].Waiting != 0 || st.Epoch == "" || st.Devices[0].LastSeen == nil {
			t.Errorf("hub status: %+v", st)
		}
		if head := a.Status(t).Lanes[1].Head; head != st.Devices[0].Lanes[len(st.Devices[0].Lanes)-1].Head {
			t.Errorf("the heads differ: device %s, hub %+v", head, st.Devices[0].Lanes)
		}
		for _, list := range []string{"gaps", "unattributed", "findings"} {
			if r := h.Do(t, list, "--json").Want(t, cli.OK); r.Out != "" {
				t.Errorf("hub %s: %s, want none", list, r)
			}
		}
		ds := e2e.Lines[server.Enrolled](t, h.Do(t, "device", "list", "--json").Want(t, cli.OK).Out)
		if len(ds) != 1 || ds[0].State != "enrolled" {
			t.Errorf("device list: %+v", ds)
		}
		for _, words := range []string{"status", "gaps", "unattributed", "findings", "device list"} {
			h.Do(t, strings.Fields(words)...).Want(t, cli.OK)
		}
	}
}

// TestStaleAnnouncement: what a killed program leaves delays nobody.
func TestStaleAnnouncement(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.Start(t)
	before := a.MustPut(t, water, "--form", "water_check")
	a.Kill()
	if _, ok := e2e.ReadRunFile(t, a.Dir); !ok {
		t.Fatal("a killed agent left no run.json")
	}
	after := a.MustPut(t, water, "--form", "water_check")
	if after[0].Dot.Seq != before[0].Dot.Seq+1 {
		t.Errorf("put %s after %s", after[0].Dot, before[0].Dot)
	}
	a.Status(t)
	a.Do(t, "doctor").Want(t, cli.OK)
	h.Kill()
	if got := h.Status(t); len(got.Devices) != 1 {
		t.Errorf("status of a killed hub: %+v", got)
	}
	h.Start(t)
	if got := a.Sync(t); got.Remaining != 0 {
		t.Errorf("sync with the hub that came back: %+v", got)
	}
}

// TestSilentPort: somebody listens where an agent was announced, and is none.
func TestSilentPort(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	// The hub's own port does not take the agent's token.
	b, err := json.Marshal(e2e.RunFile{PID: os.Getpid(), HTTP: strings.TrimPrefix(h.URL, "https://")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.Dir, "run.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := a.MustPut(t, water, "--form", "water_check"); len(got) != 1 {
		t.Errorf("put: %+v", got)
	}
}

// TestToken: the API answers only who can read the folder.
func TestToken(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.Start(t)
	for _, dir := range []string{h.Dir, a.Dir} {
		fi, err := os.Stat(filepath.Join(dir, "token"))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s/token has mode %v", dir, fi.Mode())
		}
	}
	for _, url := range []string{
		"http://" + a.HTTP + "/api/v1/status",
		strings.Replace(h.URL, "https", "http", 1) + "/api/v1/office/devices",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer wrong")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Errorf("%s answers a wrong token", url)
		}
	}
}

// TestPrecedence: flag over environment over file.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.toml")
	for _, folder := range []string{"from-file", "from-env", "from-flag"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("data = "+strconv.Quote(filepath.Join(dir, "from-file"))+"\nhttp = \"127.0.0.1:0\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// doctor names the folder that it looked at.
	r := e2e.Run(t, nil, "agent", "doctor", "--config", file).Want(t, cli.Credential).Words(t, "from-file")
	if strings.Contains(r.Err, "from-env") {
		t.Error(r)
	}
	t.Setenv("XDG_DATA_HOME", dir)
	if runtime.GOOS == "linux" {
		e2e.Run(t, nil, "agent", "doctor").Want(t, cli.Credential).Words(t, filepath.Join(dir, "otor", "agent"))
	}
	e2e.Run(t, nil, "agent", "doctor", "--config", file, "--data", filepath.Join(dir, "from-flag")).Want(t, cli.Credential).Words(t, "from-flag")
	if err := os.WriteFile(file, []byte("zone = \"UTC\"\nlog_level = \"info\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := e2e.Run(t, nil, "agent", "status", "--json", "--config", file).Want(t, cli.Usage).Trouble(t)
	if !strings.Contains(e.What, "agent.toml:2") || !strings.Contains(e.Do, "log-level") {
		t.Errorf("unknown setting: %+v", e)
	}
}
