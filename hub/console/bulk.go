package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"otor/internal/dot"
	"otor/internal/webui"
)

// KindAside is the kind of a [Bulk] about entries that were set aside.
const KindAside = "quarantine"

// Bulk decides several by one word: those that are there for the same reason.
type Bulk struct {
	Kind    string     `json:"kind"`
	Code    string     `json:"code"` // the rule that opened all of them, or the code under which they stand aside
	Choice  string     `json:"choice"`
	Reason  string     `json:"reason"`
	Count   int        `json:"count"` // how many whoever decides had in view
	Items   []BulkItem `json:"items,omitempty"`
	Entries []string   `json:"entries,omitempty"` // of KindAside
}

// BulkItem is one of them, with what was displayed of it.
type BulkItem struct {
	ID   int64     `json:"id"`
	Seen []dot.Dot `json:"seen"`
}

// BulkDone says what came of it.
type BulkDone struct {
	Decided int `json:"decided"`
	// Left are those that are as they were, by their names, with why.
	Left []BulkLeft `json:"left"`
}

// BulkLeft is one that was not decided.
type BulkLeft struct {
	Name string `json:"name"`
	Code string `json:"code"`
	What string `json:"what"`
}

// Add counts one: err, when it is a refusal, says why it is as it was; other errors come
// back, and end the work.
func (d *BulkDone) Add(name string, err error) error {
	if err == nil {
		d.Decided++
		return nil
	}
	no, ok := errors.AsType[*webui.Refusal](err)
	if !ok {
		return err
	}
	d.Left = append(d.Left, BulkLeft{Name: name, Code: no.Code, What: no.What})
	return nil
}

// bulkGroup is what a page of the queue offers to decide alike.
type bulkGroup struct {
	Kind, Code, Words string
	Count             int
	Offers            []optionView
	Members           []string // an item's number and what was displayed of it, or an entry
	Choice, Reason    string   // as typed, when it was turned down
}

// codeWords says why something was set aside, by its code where there are no words.
func codeWords(w *webui.Words, code string) string {
	if key := "code." + code; w.Has(key) {
		return w.T(key)
	}
	return code
}

// reasonWords say in the reader's language why something was ruled as it was; words are
// the hub's own, in English, which tell more.
func reasonWords(w *webui.Words, code, words string) string {
	if key := "code." + code; w.Lang != "en" && w.Has(key) {
		return w.T(key)
	}
	return words
}

// groups gathers what is there for the same reason.
func groups(w *webui.Words, v *queueView) (out []bulkGroup) {
	add := func(code, words, member string, offers []string) {
		if code == "" || len(offers) == 0 {
			return
		}
		at := slices.IndexFunc(out, func(g bulkGroup) bool { return g.Code == code })
		if at < 0 {
			g := bulkGroup{Kind: v.Kind, Code: code, Words: words}
			for _, c := range offers {
				key := "choice." + c
				if v.Kind == KindAside {
					key = "aside." + c
				}
				g.Offers = append(g.Offers, optionView{Choice: c, Words: w.T(key)})
			}
			out, at = append(out, g), len(out)
		}
		out[at].Count++
		out[at].Members = append(out[at].Members, member)
	}
	for _, it := range v.Items {
		member := []string{strconv.FormatInt(it.ID, 10)}
		for _, d := range it.Seen {
			member = append(member, d.String())
		}
		add(it.Code, it.Notice, strings.Join(member, " "), it.Offers)
	}
	for _, a := range v.Aside {
		offers := slices.DeleteFunc(slices.Clone(a.May), func(c string) bool { return c == "accept" || c == "reopen" })
		add(a.Code, codeWords(w, a.Code), a.Dot, offers)
	}
	for i := range out {
		if out[i].Code == v.Alikes.Code {
			out[i].Choice, out[i].Reason = v.Alikes.Choice, v.Alikes.Reason
		}
	}
	return slices.DeleteFunc(out, func(g bulkGroup) bool { return g.Count < 2 })
}

// decideAlike follows the form by which several are decided.
func (s *site) decideAlike(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	b := Bulk{Kind: r.PostFormValue("kind"), Code: r.PostFormValue("code"), Choice: r.PostFormValue("choice"), Reason: r.PostFormValue("reason")}
	b.Count, _ = strconv.Atoi(r.PostFormValue("count")) // another number is refused
	for _, member := range r.PostForm["member"] {
		if b.Kind == KindAside {
			b.Entries = append(b.Entries, member)
			continue
		}
		it, ok := readMember(member)
		if !ok {
			s.pages.Refuse(w, r, http.StatusBadRequest, "broken")
			return
		}
		b.Items = append(b.Items, it)
	}
	done, err := s.Queue.DecideAlike(r.Context(), b)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showQueue(w, r, status, b.Kind, trouble)
		return
	}
	if len(done.Left) > 0 {
		s.showQueue(w, r, http.StatusConflict, b.Kind, leftWords(s.words(r), done))
		return
	}
	http.Redirect(w, r, "/queue?"+url.Values{"kind": {b.Kind}}.Encode(), http.StatusSeeOther)
}

func readMember(s string) (it BulkItem, ok bool) {
	parts := strings.Fields(s)
	if len(parts) == 0 {
		return it, false
	}
	var err error
	if it.ID, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return it, false
	}
	for _, name := range parts[1:] {
		d, err := dot.Parse(name)
		if err != nil {
			return it, false
		}
		it.Seen = append(it.Seen, d)
	}
	return it, true
}

// leftWords says how far a decision about several came.
func leftWords(w *webui.Words, done BulkDone) string {
	left := func(key string, more ...any) string {
		return w.T(key, append([]any{"done", done.Decided, "left", len(done.Left), "which", leftNames(done.Left)}, more...)...)
	}
	for _, l := range done.Left {
		if l.Code != "item_changed" && l.Code != "changed" {
			return left("bulk.turned_down", "why", refusalWords(w, &webui.Refusal{Code: l.Code, What: l.What}))
		}
	}
	return left("bulk.left")
}

// leftNames names some of those that were left.
func leftNames(left []BulkLeft) string {
	const some = 5
	var names []string
	for i, l := range left {
		if i == some {
			names = append(names, "…")
			break
		}
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}
