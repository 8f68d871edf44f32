package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"otor/internal/webui"
)

// Prefs are what a person sets on the device. It is safe for concurrent use.
type Prefs interface {
	Preferences() Preferences
	// SetPreferences keeps them durably. What a person can mend is a *Refusal.
	SetPreferences(ctx context.Context, p Preferences) error
	// Scopes lists what the device is given by the hub, and how old that is.
	Scopes() []ScopeAge
	// Recheck begins another check of every entry, in the background.
	Recheck()
}

// Preferences are whose records are captured, and what the link may move, in
// bytes both ways together; 0: no bound.
type Preferences struct {
	User    string
	Day     uint64
	Contact uint64
}

// ScopeAge is how old what a scope brought is.
type ScopeAge struct {
	Scope   string
	Rows    uint64
	AsOf    *time.Time // when the device last had all that the hub had; nil: never
	Loading bool       // it is being fetched anew
}

// settingsView is what settings.html shows.
type settingsView struct {
	webui.Frame
	Strip     strip
	Link      string
	LinkWhy   string
	Attempt   string
	AttemptOK bool
	User      string
	Users     []userChoice
	Scopes    []scopeRow
	Today     string
	Day       string // in MB; "" no bound
	Contact   string
	Check     string
	Checking  bool
	Findings  []Finding
	Lanes     []LaneStatus
	DiskFree  string
	Photos    string // how much room they take; "": there are none
	Removed   string // how long they stay, and how many went; "": they stay
	Life      string
	Wrong     *Refusal
}

type userChoice struct {
	ID, Name, Role string
	On             bool
}

type scopeRow struct{ Name, Age string }

var settingsPage = webui.NewTemplate(files, "settings.html", "parts.html")

func (s *site) settings(w http.ResponseWriter, r *http.Request) { s.showSettings(w, r, nil) }

func (s *site) showSettings(w http.ResponseWriter, r *http.Request, wrong *Refusal) {
	v := settingsView{Frame: s.frame(r, "nav.settings"), Wrong: wrong}
	v.Still = true
	words, now := v.Words, s.Clock()
	st, err := s.Device.Status(r.Context())
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	v.Strip, v.Link = sentence(words, st, now), linkWords(words, st.Link, now)
	if st.Link.Words != "" {
		v.LinkWhy = words.T("home.why", "what", st.Link.Words)
	}
	v.Attempt, v.AttemptOK = s.lastAttempt(words, now)
	v.Today, v.Findings, v.Lanes = words.T("home.today", "size", size(st.Link.Today)), st.Findings, st.Lanes
	v.DiskFree = words.T("home.disk", "size", size(st.DiskFree))
	v.Photos, v.Removed = s.kept(r, words), removed(words, st.PhotosKept)
	v.Check = words.T("check.complete")
	if c := st.Check; !c.Complete {
		v.Check, v.Checking = words.T("check.running", "n", c.Done, "of", c.Total), true
	}
	p := s.Prefs.Preferences()
	v.User, v.Day, v.Contact = p.User, megabytes(p.Day), megabytes(p.Contact)
	for _, sc := range s.Prefs.Scopes() {
		v.Scopes = append(v.Scopes, s.scopeRow(r, words, sc))
	}
	v.Users = s.users(r, words, p.User)
	status := http.StatusOK
	if wrong != nil {
		status = http.StatusBadRequest
	}
	webui.Render(w, settingsPage, status, v, s.Log)
}

func (s *site) scopeRow(r *http.Request, words *webui.Words, sc ScopeAge) scopeRow {
	row := scopeRow{Name: sc.Scope, Age: words.T("age.never")}
	kind, id, _ := strings.Cut(sc.Scope, ":")
	if words.Has("scope." + kind) {
		row.Name = strings.TrimSpace(words.T("scope."+kind) + " " + id)
	}
	if t, err := s.tell(r, words); err == nil {
		for _, e := range t.pack.Entities {
			if n := t.named(e.Type, id); n != "" && id != "" {
				row.Name = strings.TrimSpace(words.T("scope."+kind) + " " + n)
			}
		}
	}
	if sc.AsOf != nil {
		row.Age = words.T("age.asof", "at", words.Clock(s.Clock(), *sc.AsOf), "ago", words.Ago(s.Clock(), *sc.AsOf))
	}
	if sc.Loading {
		row.Age = words.T("age.loading")
	}
	return row
}

// users lists those that the pack says use devices.
func (s *site) users(r *http.Request, words *webui.Words, chosen string) []userChoice {
	t, err := s.tell(r, words)
	if err != nil || t.pages().Users == nil {
		return nil
	}
	u := t.pages().Users
	var out []userChoice
	for _, id := range t.book.IDs(u.Type) {
		th, _ := t.book.Thing(u.Type, id)
		c := userChoice{ID: id, Name: t.name(u.Type, id), Role: t.value(u.Type, u.Role, th.text(u.Role)), On: id == chosen}
		if team := th.text(u.Team); team != "" {
			c.Role = strings.TrimPrefix(c.Role+" · "+t.value(u.Type, u.Team, team), " · ")
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b userChoice) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// saveSettings keeps whose records these are and what the link may move.
func (s *site) saveSettings(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	words := texts().Pick(r, s.DefaultLang)
	p := s.Prefs.Preferences()
	if err := r.ParseForm(); err != nil {
		s.showSettings(w, r, &Refusal{Code: "bad_form", What: words.T("settings.unread"), Do: words.T("settings.unread.do")})
		return
	}
	if r.PostForm.Has("user") {
		p.User = strings.TrimSpace(r.PostForm.Get("user"))
	}
	for name, into := range map[string]*uint64{"day": &p.Day, "contact": &p.Contact} {
		if !r.PostForm.Has(name) {
			continue
		}
		n, ok := bytesOf(r.PostForm.Get(name))
		if !ok {
			s.showSettings(w, r, &Refusal{Code: "bad_budget", What: words.T("settings.budget.bad"), Which: clipQuery(r.PostForm.Get(name)), Do: words.T("settings.budget.do")})
			return
		}
		*into = n
	}
	if err := s.Prefs.SetPreferences(r.Context(), p); err != nil {
		s.showSettings(w, r, asRefusal(err))
		return
	}
	http.Redirect(w, r, "/settings", http.StatusSeeOther)
}

func (s *site) recheck(w http.ResponseWriter, r *http.Request) {
	s.Prefs.Recheck()
	http.Redirect(w, r, "/settings", http.StatusSeeOther)
}

const megabyte = 1_000_000

// megabytes writes a bound as it is typed in; "" for none.
func megabytes(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(n)/megabyte, 'f', -1, 64)
}

// bytesOf reads a bound in megabytes; nothing means no bound.
func bytesOf(text string) (uint64, bool) {
	text = strings.ReplaceAll(strings.TrimSpace(text), ",", ".")
	if text == "" {
		return 0, true
	}
	mb, err := strconv.ParseFloat(text, 64)
	if err != nil || !(mb >= 0 && mb <= 1e6) {
		return 0, false
	}
	return uint64(mb * megabyte), true
}

// laneWords says how far one lane has got.
func (v settingsView) LaneWords(l LaneStatus) string {
	return v.Words.T("lane.account", "last", fmt.Sprint(l.Last), "received", fmt.Sprint(l.Received), "archived", fmt.Sprint(l.Archived))
}
