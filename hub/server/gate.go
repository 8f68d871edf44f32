package server

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os/user"
	"path"
	"strings"
	"sync"
	"time"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/identity"
	"otor/internal/webui"
)

// Acts of routes beside those of roles.
const (
	actOpen access.Act = "open" // for whoever comes: the way in itself
	actOwn  access.Act = "own"  // for whoever is signed in
)

// whole are the acts that reach beyond any scope.
var whole = map[access.Act]bool{
	access.Devices: true, access.Packs: true, access.Operators: true, access.Audit: true, access.Backup: true,
	access.Roster: true, // an official list is about people of all scopes
}

// gate stands before the pages and the API: it finds out who asks, and lets
// through what their role may do. What part of the data that is about is asked
// where the data is, see [Office.sight].
//
//   - A browser has the cookie of a session, or that of the launch secret, which
//     nobody gets but whoever started this program and asked for it.
//   - A program has a token of an operator's, or the one in the hub's folder.
//
// Who reads the hub's own folder could read and change all that is in it by
// other means: they count as an administrator, and their acts are written down
// as the command line's, with the name that the system knows them by.
type gate struct {
	desk  *access.Desk
	token string
	guard *webui.Guard
	pages *webui.Refuser
	log   *slog.Logger
}

// asHeader names the system's user behind the folder's token.
const asHeader = "Otor-User"

// systemUser is who runs this program, as the system calls them.
var systemUser = sync.OnceValue(func() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return plainName(u.Username)
})

// plainName keeps a name short and printable.
func plainName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '(' && r != ')' {
			return r
		}
		return '_'
	}, s)
	if s == "" {
		return "unknown"
	}
	return s[:min(len(s), 64)]
}

// commandLine is how acts of the command line are written down.
func commandLine(name string) string { return "command line (" + name + ")" }

// actor is who acts: an operator, or the command line.
func actor(ctx context.Context) string {
	if who, ok := access.From(ctx); ok {
		return who.Name
	}
	return commandLine(systemUser())
}

// machine is who reads the hub's folder.
func machine(name string) access.Who {
	w := access.Machine()
	w.Name, w.Title = name, name
	return w
}

// asker is the operator behind ctx; the command line when nobody came by a door.
func asker(ctx context.Context) access.Who {
	if who, ok := access.From(ctx); ok {
		return who
	}
	return machine(commandLine(systemUser()))
}

// who finds out who asks. Refusal: not_signed_in.
func (g *gate) who(r *http.Request) (access.Who, error) {
	if auth := r.Header.Get("Authorization"); auth != "" {
		scheme, given, _ := strings.Cut(auth, " ")
		given = strings.TrimSpace(given)
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(given), []byte(g.token)) == 1 {
			return machine(commandLine(plainName(r.Header.Get(asHeader)))), nil
		}
		return g.desk.ByToken(r.Context(), given)
	}
	if c, err := r.Cookie(console.SessionCookie(r)); err == nil {
		session := g.desk.BySession
		if unasked(r) {
			session = g.desk.WatchSession
		}
		who, err := session(r.Context(), c.Value)
		if _, refused := errors.AsType[*access.Refusal](err); !refused {
			return who, err
		}
	}
	if g.guard.Entered(r) {
		return machine("owner of this machine"), nil
	}
	return g.desk.BySession(r.Context(), "")
}

// unasked reports whether a page asked by itself, as it does to be up to date: an open
// page keeps no session from ending. Browsers say what they ask for on HTTPS and on their
// own machine, where sessions are.
func unasked(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Method == http.MethodGet && mode != "" && mode != "navigate"
}

// wrap lets through to mux what acts say of its routes. A route that they do
// not name is for whoever reads the hub's folder alone.
func (g *gate) wrap(mux *http.ServeMux, acts map[string]access.Act) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		act, named := acts[pattern]
		if act == actOpen {
			mux.ServeHTTP(w, r)
			return
		}
		who, err := g.who(r)
		switch {
		case err != nil:
			g.stranger(w, r, mux, err)
		case pattern == "", act == actOwn, allowed(who, act), !named && who.By == "machine":
			mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
		default:
			g.refuse(w, r, http.StatusForbidden, "act", &webui.Refusal{
				Code: "not_allowed", What: fmt.Sprintf("%s may not do this: it takes more than the role %s with the scopes %s", who.Name, who.Role, strings.Join(who.Scopes, " ")),
				Which: r.Method + " " + r.URL.Path, Do: "ask an administrator",
			})
		}
	})
}

// allowed reports whether who may do act at all.
func allowed(who access.Who, act access.Act) bool {
	return who.Role.May(act) && (!whole[act] || access.Covers(who.Scopes, access.Everywhere))
}

// pageOf is the page from which something was posted: the one that the form says, or the
// nearest one above its address. Browsers are told to send no referrer.
func pageOf(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) string {
	r.Body = http.MaxBytesReader(w, r.Body, console.MaxForm)
	if back := webui.LocalPath(r.PostFormValue("back")); back != "/" {
		return back
	}
	for at := r.URL.Path; at != "/" && at != "."; at = path.Dir(at) {
		page := r.Clone(r.Context())
		page.Method, page.URL.Path, page.URL.RawPath = http.MethodGet, at, ""
		if _, pattern := mux.Handler(page); strings.HasPrefix(pattern, http.MethodGet+" ") {
			return webui.LocalPath(at)
		}
	}
	return "/"
}

// stranger answers somebody who is not signed in: a page sends them to the way in.
func (g *gate) stranger(w http.ResponseWriter, r *http.Request, mux *http.ServeMux, err error) {
	refused, ok := errors.AsType[*access.Refusal](err)
	if !ok {
		g.log.Error("it could not be found out who asks", "err", err)
		g.refuse(w, r, http.StatusInternalServerError, "broken", &webui.Refusal{Code: "internal", What: "it could not be found out who asks", Do: "try again; why stands in the hub's log"})
		return
	}
	if isAPI(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="otor"`)
		webui.WriteRefusal(w, http.StatusUnauthorized, &webui.Refusal{Code: refused.Code, What: refused.What, Which: refused.Which, Do: refused.Do})
		return
	}
	q := url.Values{}
	if r.Method != http.MethodGet {
		q.Set("next", pageOf(w, r, mux))
		q.Set("lost", "1")
	} else if r.URL.Path != "/" {
		q.Set("next", webui.LocalPath(r.URL.RequestURI()))
	}
	http.Redirect(w, r, strings.TrimSuffix("/signin?"+q.Encode(), "?"), http.StatusSeeOther)
}

func (g *gate) refuse(w http.ResponseWriter, r *http.Request, status int, page string, refusal *webui.Refusal) {
	if isAPI(r) {
		webui.WriteRefusal(w, status, refusal)
		return
	}
	g.pages.Refuse(w, r, status, page)
}

func isAPI(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == metricsPath
}

// openDesk makes the room that lets operators in. What it notes are facts of the ledger.
func openDesk(st store.Operators, key identity.SigningKey, l *ledger.Ledger, now func() time.Time) (*access.Desk, error) {
	derived, err := hkdf.Key(sha256.New, key.Seed(), nil, "otor hub second factors 1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of second factors: %w", err)
	}
	return access.New(access.Config{
		Store: st, SealKey: [32]byte(derived), Random: rand.Reader, Now: now,
		Note: func(ctx context.Context, n access.Note) error {
			_, err := l.Record(ctx, ledger.Act{By: n.Who, Kind: kindAccess, Subject: n.Subject, Body: accessFact{What: n.Kind, Words: n.Words}}, nil)
			return err
		},
	})
}

// kindAccess is that somebody came in, was refused, or was given or lost access.
const kindAccess = "access"

// accessFact says what happened. Access itself is no fact: whoever was shut out
// after a backup works here again once it is restored, until shut out anew.
type accessFact struct {
	What  string `json:"what"` // operator_added, signed_in, refused, token_made, ...
	Words string `json:"words,omitempty"`
}
