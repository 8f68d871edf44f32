package console

import (
	"context"
	"net/http"
	"strings"
	"time"

	"otor/internal/webui"
)

// Ledger is what the hub and its operators did.
type Ledger interface {
	// Facts lists the newest facts of a kind about a subject, newest first; empty: of
	// all. It looks through the newest most facts.
	Facts(ctx context.Context, kind, subject string, most int) ([]FactRow, error)
}

// FactRow is one fact; Body is its JSON.
type FactRow struct {
	Number                  uint64
	At                      time.Time
	By, Kind, Subject, Body string
}

// mostFacts bounds how far back the page looks.
const mostFacts = 500

var ledgerPage = webui.NewTemplate(files, "ledger.html", "nav.html")

type ledgerView struct {
	Frame
	Kind, Subject, Trouble, Note string
	Facts                        []factView
}

type factView struct {
	FactRow
	Clock string
}

func (s *site) ledger(w http.ResponseWriter, r *http.Request) {
	v := ledgerView{Frame: s.frame(r, "/ledger"), Kind: strings.TrimSpace(r.FormValue("kind")), Subject: strings.TrimSpace(r.FormValue("subject"))}
	v.title(v.Words.T("menu.ledger"))
	v.Still = true
	v.Note = v.Words.T("ledger.note", "n", mostFacts)
	status := http.StatusOK
	facts, err := s.Ledger.Facts(r.Context(), v.Kind, v.Subject, mostFacts)
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, f := range facts {
		v.Facts = append(v.Facts, factView{f, v.Words.Clock(v.Now, f.At)})
	}
	webui.Render(w, ledgerPage, status, v, s.Log)
}
