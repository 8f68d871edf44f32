package console

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"otor/internal/webui"
)

// Door lets people in. What it turns down is a [webui.Refusal] whose code has
// words in the catalogues, "door.CODE".
type Door interface {
	// SignIn begins a session and gives the secret for the browser's cookie. from
	// is host:port.
	SignIn(ctx context.Context, name, password, code, from string) (secret string, err error)
	SignOut(ctx context.Context, secret string) error
	// Join spends a one-time link, sets a password and begins a session.
	Join(ctx context.Context, link, password, from string) (secret string, err error)
	// ChangePassword changes one's own and ends all sessions of one's own.
	ChangePassword(ctx context.Context, was, now, from string) error
}

// SessionCookie is the name of the cookie of a session.
func SessionCookie(r *http.Request) string { return webui.CookieName(r) + "-session" }

// MaxForm bounds what a page posts, in bytes.
const MaxForm = 64 << 10

var doorPage = webui.NewTemplate(files, "door.html", "nav.html")

// doorView is the way in: signing in, or using a link.
type doorView struct {
	Frame
	Join, Next, Name string
	Link             string // the secret of a one-time link
	Trouble          string
	Lost             bool // something was posted after the session had ended
}

// unsafe reports whether a password would go over a network in the clear.
func unsafe(r *http.Request) bool {
	if r.TLS != nil {
		return false
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip, parsed := netip.ParseAddr(host)
	return err != nil || parsed != nil || !ip.Unmap().IsLoopback()
}

// secured sends those who came by plain HTTP from another machine to HTTPS.
func (s *site) secured(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !unsafe(r):
			h(w, r)
		case r.Method == http.MethodGet:
			http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusSeeOther)
		default:
			s.pages.Refuse(w, r, http.StatusUpgradeRequired, "plain")
		}
	}
}

func (s *site) signInPage(w http.ResponseWriter, r *http.Request) {
	v := doorView{Next: webui.LocalPath(r.FormValue("next")), Lost: r.FormValue("lost") == "1"}
	if v.Lost {
		v.Trouble = s.words(r).T("door.session_over")
	}
	s.showDoor(w, r, http.StatusOK, v)
}

func (s *site) joinPage(w http.ResponseWriter, r *http.Request) {
	s.showDoor(w, r, http.StatusOK, doorView{Link: r.FormValue("k"), Join: "join"})
}

func (s *site) showDoor(w http.ResponseWriter, r *http.Request, status int, v doorView) {
	v.Frame = s.frame(r, "")
	v.Events, v.Nav = "", nil
	v.Back = "/signin"
	key := "door.signin"
	if v.Join != "" {
		key = "door.join"
		v.Switch = false // the link is in the address: nothing leads away from here
	}
	v.title(v.Words.T(key))
	webui.Render(w, doorPage, status, v, s.Log)
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	v := doorView{Next: webui.LocalPath(r.PostFormValue("next")), Name: r.PostFormValue("name"), Lost: r.PostFormValue("lost") == "1"}
	secret, err := s.Door.SignIn(r.Context(), v.Name, r.PostFormValue("password"), r.PostFormValue("code"), r.RemoteAddr)
	s.let(w, r, secret, err, v)
}

func (s *site) join(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	v := doorView{Link: r.PostFormValue("k"), Join: "join", Next: "/"}
	if r.PostFormValue("password") != r.PostFormValue("again") {
		v.Trouble = s.words(r).T("door.not_the_same")
		s.showDoor(w, r, http.StatusForbidden, v)
		return
	}
	secret, err := s.Door.Join(r.Context(), v.Link, r.PostFormValue("password"), r.RemoteAddr)
	s.let(w, r, secret, err, v)
}

// let gives the cookie of a session that began, or says why none did.
func (s *site) let(w http.ResponseWriter, r *http.Request, secret string, err error, v doorView) {
	if err != nil {
		var status int
		v.Trouble, status = s.trouble(r, err)
		s.showDoor(w, r, status, v)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: SessionCookie(r), Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
	to := v.Next
	if u, err := url.Parse(to); err == nil && v.Lost {
		q := u.Query()
		q.Set(notDone, "1")
		u.RawQuery = q.Encode()
		to = u.String()
	}
	http.Redirect(w, r, webui.LocalPath(to), http.StatusSeeOther)
}

// notDone marks, in a page's address, that what was last sent from it was not done.
const notDone = "not_done"

func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(SessionCookie(r)); err == nil {
		if err := s.Door.SignOut(r.Context(), c.Value); err != nil {
			s.Log.Error("session not ended", "err", err)
			s.pages.Refuse(w, r, http.StatusInternalServerError, "broken")
			return
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name: SessionCookie(r), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1, Secure: r.TLS != nil,
	})
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

// Visitor is who looks at a page.
type Visitor struct {
	Name, Title, Role string
	Scopes            []string
	Own               bool // signed in by a password of their own
	May               func(act string) bool
}

// Frame is what every page of the console has around its own matter.
type Frame struct {
	webui.Frame
	Who     Visitor
	Nav     []navItem
	NotDone bool // what was last sent from this page was not done: the session had ended
}

type navItem struct {
	URL, Words string
	Here       bool
}

// title names a page.
func (f *Frame) title(words string) {
	f.Heading, f.Title = words, words+" · Otor"
}

func (s *site) words(r *http.Request) *webui.Words { return texts().Pick(r, s.DefaultLang) }

// frame makes the frame of the page at here, a path of the menu.
func (s *site) frame(r *http.Request, here string) Frame {
	f := Frame{Frame: webui.NewFrame(r, texts(), s.assets, "console.css", s.DefaultLang, s.Clock()), Who: s.Visitor(r.Context())}
	f.Who.Title = whoWords(f.Words, f.Who.Title)
	f.Script = s.assets.URL("console.js")
	if r.Method != http.MethodGet { // the answer to a form: its address cannot be asked for anew
		f.Events, f.Back = "", cmp.Or(here, "/")
	}
	if f.NotDone = r.Method == http.MethodGet && r.URL.Query().Has(notDone); f.NotDone {
		q := r.URL.Query()
		q.Del(notDone)
		f.Back = webui.LocalPath(strings.TrimSuffix(r.URL.Path+"?"+q.Encode(), "?"))
	}
	for _, m := range menu {
		if f.Who.May != nil && f.Who.May(m.act) {
			f.Nav = append(f.Nav, navItem{URL: m.path, Words: f.Words.T(m.key), Here: m.path == here})
		}
	}
	return f
}

// menu are the pages that lead to all others, with the act that each takes.
var menu = []struct{ path, key, act string }{
	{"/", "menu.fleet", "view"},
	{"/queue", "menu.queue", "view"},
	{"/records", "menu.records", "view"},
	{"/roster", "menu.roster", "roster"},
	{"/route", "menu.route", "view"},
	{"/photos", "menu.photos", "view"},
	{"/statements", "menu.statements", "sign"},
	{"/exports", "menu.exports", "export"},
	{"/devices", "menu.devices", "devices"},
	{"/packs", "menu.packs", "packs"},
	{"/operators", "menu.operators", "operators"},
	{"/ledger", "menu.ledger", "audit"},
}
