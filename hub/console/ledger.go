package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"otor/internal/webui"
)

// Ledger is what the hub and its operators did.
type Ledger interface {
	// Facts lists facts, newest first, in the words of a language; what is private is
	// left out of them.
	Facts(ctx context.Context, q LedgerQuery) (FactPage, error)
	// Doers lists by whom there may be facts, as far as whoever looks may know of them.
	Doers(ctx context.Context) ([]string, error)
}

// LedgerQuery chooses facts. Empty fields do not restrict.
type LedgerQuery struct {
	Kind, By, Subject, Lang string
	Before                  uint64 // exclusive; 0: from the newest
	Most                    int
}

// FactPage is a page of facts; Next is what the one behind it is before, 0 at the end.
type FactPage struct {
	Rows []FactRow
	Next uint64
}

// FactRow is one fact. Body is its JSON, with what is private left out.
type FactRow struct {
	Number                  uint64
	At                      time.Time
	By, Kind, Subject, Body string
	Form                    string          // what the record is that it is about; "": it is about none, or unknown
	About, Link             string          // what it is about by name, and the address of its page; "": unknown
	Terms                   *StatementTerms // of a statement or an export
	Parts                   []FactPart
}

// FactPart is something that a fact says, named by one of the words fact_part.NAME.
type FactPart struct {
	Name, Value string
	Of          string // the set of codes that Value is one of; "": it is shown as it is
}

// key is that of the words for a value that is a code; "" of others.
func (p FactPart) key() string {
	switch p.Of {
	case "what":
		return "fact_what." + p.Value
	case "choice":
		return "fact_choice." + p.Value
	case "aside":
		return "fact_aside." + p.Value
	case "doubt":
		return "fact_doubt." + p.Value
	case "numbers":
		return "fact_numbers." + p.Value
	case "":
		return ""
	}
	return p.Of + "." + p.Value
}

// FactKinds are the kinds of facts that have words: what operators do first.
var FactKinds = []string{
	"decision", "aside", "authored", "sealed", "revealed", "export", "statement", "roster", "roster_ruling", "roster_piece", "access",
	"owner", "invited", "enrolled", "granted", "revoked", "confirmed", "twin_confirmed", "planned", "unplanned", "pack", "pack_piece",
	"opened", "backed_up", "restored", "replayed", "succeeded",
}

// factsAtOnce is how many facts a page shows.
const factsAtOnce = 100

var ledgerPage = webui.NewTemplate(files, "ledger.html", "nav.html")

type ledgerView struct {
	Frame
	Query   LedgerQuery
	Kinds   []picked
	Doers   []string
	Trouble string
	Facts   []factView
	pages
	Filtered bool
}

type factView struct {
	FactRow
	Clock, KindWords, ByWords, ByURL string
	Said                             []saidView
}

type saidView struct{ Name, Value string }

func (s *site) ledger(w http.ResponseWriter, r *http.Request) {
	v := ledgerView{Frame: s.frame(r, "/ledger")}
	v.title(v.Words.T("menu.ledger"))
	v.Still = true
	v.Query = LedgerQuery{
		Kind: r.FormValue("kind"), By: strings.TrimSpace(r.FormValue("by")), Subject: strings.TrimSpace(r.FormValue("subject")), Lang: v.Words.Lang, Most: factsAtOnce,
	}
	v.Filtered = v.Query.Kind != "" || v.Query.By != "" || v.Query.Subject != ""
	v.Query.Before = before(r)
	for _, k := range FactKinds {
		v.Kinds = append(v.Kinds, picked{k, v.Words.T("fact." + k), k == v.Query.Kind})
	}
	if v.Query.Kind != "" && !slices.Contains(FactKinds, v.Query.Kind) { // of a later program
		v.Kinds = append(v.Kinds, picked{v.Query.Kind, v.Query.Kind, true})
	}
	status := http.StatusOK
	page, err := s.Ledger.Facts(r.Context(), v.Query)
	if err == nil {
		v.Doers, err = s.Ledger.Doers(r.Context())
	}
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, f := range page.Rows {
		v.Facts = append(v.Facts, factIn(v.Words, v.Now, f))
	}
	if page.Next > 0 {
		v.Next = ledgerURL(v.Query, page.Next)
	}
	if v.Query.Before > 0 {
		v.Newest = ledgerURL(v.Query, 0)
	}
	webui.Render(w, ledgerPage, status, v, s.Log)
}

func ledgerURL(q LedgerQuery, before uint64) string {
	args := url.Values{}
	for name, v := range map[string]string{"kind": q.Kind, "by": q.By, "subject": q.Subject} {
		if v != "" {
			args.Set(name, v)
		}
	}
	if before > 0 {
		args.Set("before", strconv.FormatUint(before, 10))
	}
	if len(args) == 0 {
		return "/ledger"
	}
	return "/ledger?" + args.Encode()
}

// factIn puts a fact into words.
func factIn(w *webui.Words, now time.Time, f FactRow) factView {
	v := factView{FactRow: f, Clock: w.Clock(now, f.At), KindWords: f.Kind, ByWords: whoWords(w, f.By), ByURL: ledgerURL(LedgerQuery{By: f.By}, 0)}
	if key := "fact." + f.Kind; w.Has(key) {
		v.KindWords = w.T(key)
	}
	if f.Form != "" {
		v.About = strings.TrimSuffix(formWords(w, f.Form)+" · "+f.About, " · ")
	}
	if f.Terms != nil {
		v.About = about(w, *f.Terms)
		v.Said = append(v.Said, saidView{w.T("fact_part.period"), period(w, *f.Terms)})
	}
	for _, p := range f.Parts {
		said := saidView{p.Name, p.Value}
		if key := "fact_part." + p.Name; w.Has(key) {
			said.Name = w.T(key)
		}
		if key := p.key(); w.Has(key) {
			said.Value = w.T(key)
		}
		v.Said = append(v.Said, said)
	}
	return v
}
