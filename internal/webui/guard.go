package webui

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// csp lets a page load from its own server only. Nothing is inline.
const csp = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Guard stands before a handler and lets through only requests that
//
//   - name an allowed Host exactly,
//   - carry the cookie that GET /enter?k=SECRET gave them, or, under /api/,
//     "Authorization: Bearer TOKEN",
//   - and, when they change something, come from the same origin.
//
// Everything under /static/ needs the right Host only: the refusal page wants
// its style. An empty Secret or Token matches nothing.
//
// Browsers do not keep cookies apart by port, so the cookie's name carries the
// port and its value is derived from the secret, never the secret itself: two
// programs on one machine neither disturb nor impersonate each other, and a
// restart ends every earlier visit.
type Guard struct {
	// Secret is made anew at each launch, at least 128 random bits.
	Secret string
	// Token is what other programs of the same user read from a 0600 file.
	Token string
	// Hosts are the names allowed besides loopback at the listener's port: "name"
	// (with no port or the listener's own) or "name:port".
	Hosts []string
	// Behind says that the handler behind asks by itself who it is: Guard then
	// looks at hosts and origins, and gives the cookie of [Guard.Entered] if there
	// is a Secret.
	Behind bool
	Log    *slog.Logger
	// Pages renders refusals; nil means [Shared] with DefaultLang "zh".
	Pages *Refuser
}

// Wrap returns next behind the guard.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	gate := *g
	if gate.Log == nil {
		gate.Log = slog.New(slog.DiscardHandler)
	}
	if gate.Pages == nil {
		gate.Pages = &Refuser{Texts: Shared(), DefaultLang: "zh"}
	}
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		if !gate.hostAllowed(r) {
			gate.refuse(w, r, http.StatusMisdirectedRequest, "host")
			return
		}
		if r.URL.Path == "/favicon.ico" { // some browsers ask for it before they have read the page
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/static/") {
			next.ServeHTTP(w, r)
			return
		}
		if r.URL.Path == "/enter" && (gate.Secret != "" || !gate.Behind) {
			gate.enter(w, r)
			return
		}
		if code := gate.denied(r); code != "" && !gate.Behind {
			gate.refuse(w, r, statusOf(code), code)
			return
		}
		if err := cross.Check(r); err != nil || foreignRead(r) {
			gate.refuse(w, r, http.StatusForbidden, "origin")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// hostAllowed compares the Host header with the list, byte for byte after
// lowering its case. Nothing is resolved: that is what rebinding plays on.
func (g *Guard) hostAllowed(r *http.Request) bool {
	host := strings.ToLower(r.Host)
	port := localPort(r)
	if port != "" {
		for _, name := range []string{"127.0.0.1", "localhost", "[::1]"} {
			if host == name+":"+port || (port == "80" && host == name) {
				return true
			}
		}
	}
	for _, h := range g.Hosts {
		h = strings.ToLower(h)
		if h != "" && (host == h || (port != "" && host == h+":"+port)) {
			return true
		}
	}
	return false
}

// localPort is the port on which the request came in, "" if that is unknown.
func localPort(r *http.Request) string {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return ""
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return ""
	}
	_, port, err := net.SplitHostPort(ap.String())
	if err != nil {
		return ""
	}
	return port
}

// foreignRead reports whether another page asks for something other than to
// be followed as a link. Such a request could only be there to measure us.
func foreignRead(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// denied says why r may not pass: "", "token" or "enter".
func (g *Guard) denied(r *http.Request) string {
	if auth := r.Header.Get("Authorization"); auth != "" && isAPI(r) {
		scheme, given, _ := strings.Cut(auth, " ")
		if strings.EqualFold(scheme, "Bearer") && same(strings.TrimSpace(given), g.Token) {
			return ""
		}
		return "token"
	}
	if g.Entered(r) {
		return ""
	}
	return "enter"
}

// Entered reports whether a browser came in by the launch secret.
func (g *Guard) Entered(r *http.Request) bool {
	c, err := r.Cookie(CookieName(r))
	return err == nil && g.Secret != "" && same(c.Value, cookieValue(g.Secret))
}

// enter trades the launch secret for a cookie.
func (g *Guard) enter(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		g.refuse(w, r, http.StatusMethodNotAllowed, "method")
		return
	}
	if !same(r.URL.Query().Get("k"), g.Secret) {
		g.Log.Warn("page refused: wrong or old secret", "from", r.RemoteAddr)
		g.refuse(w, r, http.StatusForbidden, "enter")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: CookieName(r), Value: cookieValue(g.Secret), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
	// A redirect that another site began would go on without a Strict cookie.
	// A page of our own that goes on by itself carries it.
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		g.Pages.onward(w, r)
	default:
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	g.Pages.Refuse(w, r, status, code)
}

func statusOf(code string) int {
	if code == "token" {
		return http.StatusUnauthorized
	}
	return http.StatusForbidden
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// same compares in constant time; an empty want never matches.
func same(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != ""
}

// CookieName is the cookie of a browser that came in by the launch secret; it
// tells programs on other ports of this machine apart.
func CookieName(r *http.Request) string {
	if port := localPort(r); port != "" {
		return "otor-" + port
	}
	return "otor"
}

func cookieValue(secret string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("otor page visit 1"))
	return hex.EncodeToString(m.Sum(nil))
}
