package server_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/internal/webui"
)

// What is turned down says what to do, in the reader's language, and keeps what was typed.
func TestRefusalsKeepWhatWasTyped(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	boss := joined(t, s, "boss", "administrator", "*")
	for _, test := range []struct {
		path string
		form url.Values
		want []string
	}{
		{"/operators", url.Values{"name": {"noor"}, "title": {"Noor B."}, "role": {"administrator"}, "scopes": {"gacha:NB"}}, []string{"请把可见范围填为 *", `value="noor"`, "Noor B.", `value="gacha:NB `, `value="administrator" selected`}},
		{"/operators", url.Values{"name": {"N"}, "role": {"viewer"}, "scopes": {"gacha:NB"}}, []string{"n：不能用作用户名"}},
		{"/operators/change", url.Values{"name": {"boss"}, "title": {"The boss"}, "role": {"administrator"}, "scopes": {"gacha:NB"}}, []string{"请把可见范围填为 *", `id="operator-boss" open`, `value="The boss"`, `value="gacha:NB"`}},
		{"/devices/invite", url.Values{"device": {"d 1"}, "scopes": {"gacha:x team:y"}, "again": {"yes"}}, []string{`value="d 1"`, `value="gacha:x team:y"`, `value="yes" checked`}},
		{"/queue/gaps/seal", url.Values{"chain": {"D-AA/1/record"}, "first": {"2"}, "last": {"2"}, "reason": {"  "}}, []string{`id="seal-D-AA-1-record-2" open`, "请写理由"}},
		{"/account/tokens", url.Values{"label": {"sheet"}, "role": {"reconciler"}, "scopes": {"gacha:NB"}, "days": {"999"}}, []string{`value="sheet"`, `value="reconciler" selected`, `value="gacha:NB"`, `value="999"`}},
	} {
		status, body, _ := post(t, boss, base+test.path, test.form)
		if status < 400 || status >= 500 {
			t.Errorf("%s %v: %d", test.path, test.form, status)
		}
		for _, want := range test.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s %v: the page lacks %s", test.path, test.form, want)
			}
		}
	}
}

// Who posts after the session has ended comes back to the page that they were on, which
// says that it was not done; nobody is sent elsewhere by it.
func TestPostAfterTheSession(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	rita := joined(t, s, "rita", "administrator", "*")
	if status, _, _ := post(t, rita, base+"/signout", nil); status != http.StatusSeeOther {
		t.Fatal(status)
	}
	for path, next := range map[string]string{
		"/queue/17/decide": "/queue/17", "/operators/change": "/operators", "/account/factor/off": "/account/factor/off",
		"/queue/gaps/seal": "/queue/gaps/seal", "/records/reveal": "/records", "/nowhere/at/all": "/",
	} {
		status, _, to := post(t, rita, base+path, url.Values{"reason": {"because"}})
		want := "/signin?" + url.Values{"lost": {"1"}, "next": {next}}.Encode()
		if status != http.StatusSeeOther || to != want {
			t.Errorf("%s: %d %s, want %s", path, status, to, want)
		}
	}
	_, _, to := post(t, rita, base+"/records/reveal", url.Values{"back": {"/records/D-AA/1/record/1"}})
	if !strings.Contains(to, url.QueryEscape("/records/D-AA/1/record/1")) {
		t.Errorf("the page that the form named: %s", to)
	}
	if _, _, to = post(t, rita, base+"/queue/aside", url.Values{"back": {"//evil.example/x"}}); strings.Contains(to, "evil") {
		t.Errorf("elsewhere: %s", to)
	}
	_, body, _ := send(t, rita, "GET", base+"/signin?lost=1&next=%2Fqueue%3Fkind%3Dgap", "", false)
	if !strings.Contains(body, "没有执行") || !strings.Contains(body, `name="lost"`) {
		t.Errorf("the way in does not say that it was not done: %.900s", body)
	}
	in := url.Values{"name": {"rita"}, "password": {"wrong"}, "next": {"/queue?kind=gap"}, "lost": {"1"}}
	if _, body, _ := post(t, rita, base+"/signin", in); !strings.Contains(body, `name="lost"`) {
		t.Error("forgotten after a wrong password")
	}
	in.Set("password", password)
	status, _, to := post(t, rita, base+"/signin", in)
	if status != http.StatusSeeOther || to != "/queue?kind=gap&not_done=1" {
		t.Fatalf("signed in: %d %s", status, to)
	}
	if _, body, _ := send(t, rita, "GET", base+to, "", false); !strings.Contains(body, "没有执行") || !strings.Contains(body, `name="back" value="/queue?kind=gap"`) {
		t.Error("the page does not say that it was not done")
	}
	if _, body, _ := send(t, rita, "GET", base+"/queue?kind=gap", "", false); strings.Contains(body, "没有执行") {
		t.Error("the page says so forever")
	}
}

// A translation of what the hub says goes by its English: one that nothing says any more is
// of no use.
func TestWordsOfRefusalsAreSaid(t *testing.T) {
	all, err := webui.LoadCatalogues(os.DirFS("../console"))
	check(t, err)
	said := ""
	for _, dir := range []string{".", "../access", "../console"} {
		files, err := filepath.Glob(dir + "/*.go")
		check(t, err)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			check(t, err)
			said += string(b)
		}
	}
	for _, key := range all.Keys() {
		what, ok := strings.CutPrefix(key, "refusal.")
		if ok && strings.Contains(what, " ") && !strings.Contains(said, `"`+what+`"`) {
			t.Errorf("nothing says %q", what)
		}
	}
}
