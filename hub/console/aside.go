package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"otor/internal/dot"
	"otor/internal/webui"
)

// asideBefore is where a page of what was set aside begins; a ruling that is turned down
// leaves whoever ruled on the same page.
func asideBefore(r *http.Request) int64 {
	n, err := strconv.ParseInt(r.FormValue("before"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// asideURL is the address of a page of what was set aside.
func asideURL(before int64) string {
	args := url.Values{"kind": {KindAside}}
	if before > 0 {
		args.Set("before", strconv.FormatInt(before, 10))
	}
	return "/queue?" + args.Encode()
}

// asideChoice reads the form of a ruling.
func asideChoice(r *http.Request) AsideChoice {
	c := AsideChoice{Dot: r.PostFormValue("dot"), Choice: r.PostFormValue("choice"), Seen: r.PostFormValue("seen"), Reason: r.PostFormValue("reason"), Answers: map[string]string{}}
	for name, v := range r.PostForm {
		if of, ok := strings.CutPrefix(name, "answer."); ok && len(v) > 0 && v[0] != "" {
			c.Answers[of] = v[0]
		}
	}
	return c
}

// ruleAside rules on an entry that was set aside. It goes back to the page that the form
// was on, also when it is turned down: the queue may not list the entry.
func (s *site) ruleAside(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	c := asideChoice(r)
	back := r.PostFormValue("back")
	ofRecord := strings.HasPrefix(back, "/records/")
	if err := s.Holes.RuleAside(r.Context(), c); err != nil {
		trouble, status := s.trouble(r, err)
		if d, bad := dot.Parse(c.Dot); bad == nil && ofRecord {
			s.showRecord(w, r, status, d, recordView{Trouble: trouble, Ruled: c})
			return
		}
		s.showQueue(w, r, status, KindAside, trouble)
		return
	}
	to := asideURL(asideBefore(r))
	if ofRecord {
		to = webui.LocalPath(back)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
