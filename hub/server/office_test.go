package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/runfile"
	"otor/internal/webui"
	"otor/internal/wire"
)

func dial(t *testing.T, dir string) *server.Client {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, ok, err := server.Dial(t.Context(), dir)
		check(t, err)
		if ok {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal("the hub is not announced")
		}
	}
}

// A client in another process gets what the office itself says.
func TestTheOfficeFromAnotherProcess(t *testing.T) {
	s, dir := serve(t)
	c := dial(t, dir)
	invited, err := c.Invite(t.Context(), "D-900", []string{"team:T1"}, time.Hour, false)
	check(t, err)
	if invited.Device != "D-900" || !strings.Contains(invited.QRText, "otor:enrol?") || time.Until(invited.ExpiresAt) > time.Hour {
		t.Errorf("invited %+v", invited)
	}
	// One clock stands at the end of all numbers: no list ends there.
	x := enrol(t, s, "D-101", 2, math.MaxInt64/2)
	y := enrol(t, s, "D-102", 3, time.Now().UnixMilli())
	s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 2), y.delivery(t, 1, 1), y.delivery(t, 3, 3), {Subject: wire.Relay("D-101"), Data: []byte("rubbish")}})
	got := make(map[dot.Dot]store.Verdict)
	for e, err := range c.Entries(t.Context(), store.EntryQuery{}) {
		check(t, err)
		got[e.Dot] = e.Verdict
	}
	if len(got) != 4 || got[x.chain.At(2)] != store.Applied || got[y.chain.At(3)] != store.Held {
		t.Errorf("entries %v", got)
	}
	n := 0
	for e, err := range c.Entries(t.Context(), store.EntryQuery{Device: "D-102", Verdict: store.Held, Lane: dot.Record, Limit: 5}) {
		check(t, err)
		n++
		if e.Dot != y.chain.At(3) || e.Outcome != "held" {
			t.Errorf("entry %+v", e)
		}
	}
	gaps, err := c.Gaps(t.Context(), false)
	check(t, err)
	strangers, err := c.Unattributed(t.Context())
	check(t, err)
	fleet, err := c.Fleet(t.Context())
	check(t, err)
	if n != 1 || len(gaps) != 1 || gaps[0].Device != "D-102" || len(strangers) != 1 || strangers[0].Via != "D-101" || len(fleet.Devices) != 3 {
		t.Errorf("%d held, gaps %+v, strangers %+v, fleet %+v", n, gaps, strangers, fleet)
	}
	check(t, c.Revoke(t.Context(), "D-900"))
	devices, err := c.Devices(t.Context())
	check(t, err)
	if len(devices) != 3 || devices[2].Device != "D-900" || devices[2].State != "revoked" {
		t.Errorf("devices %+v", devices)
	}
	for what, err := range map[string]error{
		"device_exists":  second(c.Invite(t.Context(), "D-101", nil, 0, false)),
		"device_revoked": second(c.Invite(t.Context(), "D-900", nil, 0, true)),
		"not_found":      c.Revoke(t.Context(), "D-404"),
	} {
		if r, ok := errors.AsType[*webui.Refusal](err); !ok || r.Code != what || r.Do == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheOfficeAsksForTheToken(t *testing.T) {
	s, dir := serve(t)
	dial(t, dir)
	token, err := runfile.Token(dir)
	check(t, err)
	for given, want := range map[string]int{"": 401, "Bearer": 401, "Bearer wrong": 401, token: 401, "Bearer " + token: 200} {
		for _, path := range []string{"devices", "fleet", "entries", "gaps", "items", "unattributed", "findings"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTPAddr()+"/api/v1/office/"+path, nil)
			check(t, err)
			req.Header.Set("Authorization", given)
			resp, err := http.DefaultClient.Do(req)
			check(t, err)
			check(t, resp.Body.Close())
			if resp.StatusCode != want {
				t.Errorf("%s with %q: %s", path, given, resp.Status)
			}
		}
	}
}

func TestAStaleAnnouncementIsNoHub(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := server.Dial(t.Context(), dir); ok || err != nil {
		t.Errorf("nothing announced: %t, %v", ok, err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, ln.Close()) // nobody is there
	check(t, runfile.Write(dir, runfile.Info{PID: 1, HTTP: ln.Addr().String()}))
	if _, ok, err := server.Dial(t.Context(), dir); ok || err != nil {
		t.Errorf("stale: %t, %v", ok, err)
	}
	check(t, os.WriteFile(filepath.Join(dir, "run.json"), []byte("{"), 0o600))
	if _, _, err := server.Dial(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("damaged: %v", err)
	}
}

// One port speaks both: plain HTTP for this machine's browser, TLS for devices;
// and enrolment over TLS alone.
func TestOnePortSpeaksBoth(t *testing.T) {
	s, dir := serve(t)
	dial(t, dir)
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the pin is enrolment's affair
	t.Cleanup(secure.CloseIdleConnections)
	for _, c := range []struct {
		client *http.Client
		url    string
		status int
		code   string
	}{
		{http.DefaultClient, "http://" + s.HTTPAddr() + wire.EnrolPath, http.StatusUpgradeRequired, "tls_required"},
		{secure, "https://" + s.HTTPAddr() + wire.EnrolPath, http.StatusBadRequest, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, strings.NewReader("{"))
		check(t, err)
		resp, err := c.client.Do(req)
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, errors.Join(err, resp.Body.Close()))
		var no struct {
			Error webui.Refusal `json:"error"`
		}
		if err := json.Unmarshal(body, &no); err != nil || resp.StatusCode != c.status || c.code != "" && no.Error.Code != c.code {
			t.Errorf("%s: %s %s", c.url, resp.Status, body)
		}
	}
}

// Connections that say nothing, or not yet everything, hold nobody else up.
func TestSilentConnectionsHoldNobodyUp(t *testing.T) {
	s, dir := serve(t)
	c := dial(t, dir)
	for i := range 120 {
		conn, err := net.Dial("tcp", s.HTTPAddr())
		check(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		if i%3 == 1 {
			_, err = conn.Write([]byte{22}) // as if TLS began
		} else if i%3 == 2 {
			_, err = conn.Write([]byte("GET"))
		}
		check(t, err)
	}
	if _, err := c.Devices(t.Context()); err != nil {
		t.Error(err)
	}
	conn, err := tls.Dial("tcp", s.HTTPAddr(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only whether it answers
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	check(t, err)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 ") {
		t.Errorf("over TLS: %q, %v", line, err)
	}
}
