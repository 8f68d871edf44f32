package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"otor/hub/console"
)

// longLists has more open lines than a tab shows; the rest of the queue is empty.
type longLists struct {
	console.Queue
	console.Holes
	console.Rosters
}

func (longLists) Counts(context.Context) (map[string]console.Waiting, error) {
	return map[string]console.Waiting{}, nil
}

func (longLists) Items(context.Context, console.ItemQuery) (console.ItemPage, error) {
	return console.ItemPage{}, nil
}

func (longLists) Aside(context.Context, console.AsideQuery) (console.AsidePage, error) {
	return console.AsidePage{}, nil
}
func (longLists) Gaps(context.Context) ([]console.Gap, error) { return nil, nil }
func (longLists) Lists(context.Context, string) ([]console.RosterList, error) {
	return []console.RosterList{{Kind: "pension_list", Title: "Pensions", Open: map[string]int{"missing": 500}}}, nil
}

func (longLists) Lines(_ context.Context, _ console.RosterQuery, most int, _ string) (out []console.RosterLine, more bool, err error) {
	for i := range most {
		out = append(out, console.RosterLine{Key: fmt.Sprint("row:", i+2), Row: i + 2, Standing: "missing", Open: true, Listed: &console.RosterPerson{Name: "N"}})
	}
	return out, true, nil
}

// A list that the roster tab cuts leads on from its last line.
func TestALongListGoesOn(t *testing.T) {
	l := longLists{}
	site := console.New(console.Config{
		Fleet: &hub{}, Queue: l, Holes: l, Rosters: l,
		Visitor: func(context.Context) console.Visitor {
			return console.Visitor{May: func(string) bool { return true }}
		},
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/queue?kind=roster", nil)
	r.Header.Set("Accept-Language", "en")
	w := httptest.NewRecorder()
	site.Mux.ServeHTTP(w, r)
	body := w.Body.String()
	if want := `href="/roster/list/pension_list?after=101&amp;key=row%3A101&amp;open=true">More of: Pensions</a>`; w.Code != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("%d, without %s: %.3000s", w.Code, want, body[max(0, len(body)-3000):])
	}
}
