package server_test

import (
	"net/http"
	"testing"

	"otor/internal/webui/webuitest"
)

// Where its script does not run, a page of the console loads itself anew now and then, but
// none on which somebody may be typing.
func TestNoPageReloadsOverWhatIsTyped(t *testing.T) {
	s, _ := town(t)
	steppe(t, s)
	boss := joined(t, s, "boss", "administrator", "*")
	typed, reloaded := 0, 0
	for _, path := range []string{
		"/", "/devices", "/route", "/photos", "/packs", "/ledger", "/statements", "/exports", "/operators", "/roster", "/account", "/queue", "/queue?kind=flag",
		"/queue?kind=conflict", "/queue?kind=quarantine", "/queue?kind=gap", "/queue?kind=roster", "/records", "/records/D-AA/1/record/1", "/entities?text=H-AA", "/entities/household/H-AA",
	} {
		status, body, _ := send(t, boss, "GET", "http://"+s.HTTPAddr()+path, "", false)
		if status != http.StatusOK && status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
		types, reloads := webuitest.Types(body), webuitest.Reloads(body)
		if types && reloads {
			t.Errorf("%s loads itself anew over what is typed", path)
		}
		if types {
			typed++
		}
		if reloads {
			reloaded++
		}
	}
	if typed < 8 || reloaded < 3 {
		t.Errorf("%d pages take typing, %d load themselves anew", typed, reloaded)
	}
}
