package web_test

import (
	"testing"

	"otor/internal/webui/webuitest"
)

// Where the page's script does not run, a page loads itself anew now and then, but none
// on which somebody may be typing.
func TestNoPageReloadsOverWhatIsTyped(t *testing.T) {
	srv, c, _, _ := team(t)
	typed, reloaded := 0, 0
	for _, path := range []string{
		"/", "/households", "/households?q=x", "/household/H-NB-07", "/due", "/route", "/bulletins", "/bulletin/B-03", "/stations", "/station/S1",
		"/sos", "/sos/sent?entry=D-101/1/alert/1", "/records", "/records?list=drafts", "/records?list=returned", "/settings",
	} {
		_, body := page(t, c, srv.URL+path)
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
	if typed < 5 || reloaded < 5 {
		t.Errorf("%d pages take typing, %d load themselves anew", typed, reloaded)
	}
}
