package webui

import (
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed refused.html
var refusedHTML string

var refusedPage = template.Must(template.New("refused").Parse(refusedHTML))

// Refuser renders what a request gets that is not let through: a page in plain
// words for people, a [Refusal] for programs.
type Refuser struct {
	Texts       *Catalogues
	DefaultLang string
}

// Refuse answers with the words for code: "host", "enter", "origin", "token",
// "method" or "notfound". Under /api/ it answers with JSON in English.
func (p *Refuser) Refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	if isAPI(r) {
		en := p.Texts.Words("en")
		if code == "token" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="otor"`)
		}
		WriteRefusal(w, status, &Refusal{
			Code: apiCode(code), What: en.T("refused." + code + ".what"),
			Which: r.Method + " " + clip(r.URL.Path), Do: en.T("refused." + code + ".api"),
		})
		return
	}
	p.page(w, r, status, code, "")
}

// onward is a page that goes on to / by itself.
func (p *Refuser) onward(w http.ResponseWriter, r *http.Request) {
	p.page(w, r, http.StatusOK, "onward", "/")
}

func (p *Refuser) page(w http.ResponseWriter, r *http.Request, status int, code, next string) {
	words := p.Texts.Pick(r, p.DefaultLang)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = refusedPage.Execute(w, map[string]any{ // the client is gone if this fails
		"Words": words, "Style": refusedStyle.URL("refused.css"), "Next": next,
		"What": words.T("refused." + code + ".what"), "Do": words.T("refused." + code + ".do"),
	})
}

func apiCode(code string) string {
	switch code {
	case "host":
		return "host_not_allowed"
	case "origin":
		return "cross_origin"
	case "enter":
		return "not_signed_in"
	case "token":
		return "bad_token"
	case "method":
		return "method_not_allowed"
	default:
		return "not_found"
	}
}

// clip keeps hostile input short in answers.
func clip(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
