package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/webui"
)

// Queue is what waits for a person to decide.
type Queue interface {
	// Items lists open items of a kind, oldest first, in the words of a language: those
	// behind a page's Next. Refusal: bad_cursor.
	Items(ctx context.Context, q ItemQuery) (ItemPage, error)
	// Counts counts the open items by kind.
	Counts(ctx context.Context) (map[string]Waiting, error)
	// Take notes that whoever asks looks at an item, which was from's; Release gives it
	// back. Refusals: not_open, owner_changed, not_owner.
	Take(ctx context.Context, id int64, from string) error
	Release(ctx context.Context, id int64) error
	// Beside gives the open items of the same kind after and before one; 0: none.
	Beside(ctx context.Context, id int64) (next, previous int64, err error)
	// DecideAlike decides several that are there for the same reason. Refusals: bad_count,
	// not_alike, bad_choice.
	DecideAlike(ctx context.Context, b Bulk) (BulkDone, error)
	// Item gives one, open or not. An unknown one is a [webui.Refusal] not_found.
	Item(ctx context.Context, id int64, lang string) (Item, error)
	// Decide follows a choice, if what it was made on still stands. Refusals:
	// item_changed, reason_missing, bad_choice, bad_value, not_decidable, undo_over.
	Decide(ctx context.Context, id int64, c Choice) error
}

// Holes is what arrived and was set aside, and what did not arrive.
type Holes interface {
	// Aside lists entries that were set aside, the newest first, and counts all.
	Aside(ctx context.Context, q AsideQuery) (AsidePage, error)
	// RuleAside rules on one of them; a *webui.Refusal says why not.
	RuleAside(ctx context.Context, c AsideChoice) error
	Gaps(ctx context.Context) ([]Gap, error)
	// Seal gives up waiting for a gap (law L7). Refusals: reason_missing, no_gap.
	Seal(ctx context.Context, g Gap, reason string) error
}

// ItemQuery chooses open items.
type ItemQuery struct {
	Kind  string
	Mine  bool   // those alone that whoever asks has taken
	After string // ItemPage.Next of the page before
	Lang  string
}

// Waiting counts what waits, and says since when the oldest of it does; zero: none.
type Waiting struct {
	N      uint64
	Oldest time.Time
}

// With counts n more, of which the oldest waits since then.
func (x Waiting) With(n uint64, since time.Time) Waiting {
	if n > 0 && (x.N == 0 || since.Before(x.Oldest)) {
		x.Oldest = since
	}
	x.N += n
	return x
}

// ItemPage is a page of open items; Next is where the one behind it begins, "" at the end.
type ItemPage struct {
	Items []Item
	Next  string
}

// Item is something that a person has to look at.
type Item struct {
	ID        int64
	Code      string // the rule that opened it; none of a conflict
	Kind      string // conflict, duplicate, twin, review, flag
	Entity    string // type/id
	About     string // the entity, as people call it
	Field     string // in words
	Notice    string // what a rule noticed
	Keeps     string // the entry that counts, of a duplicate or a twin
	Entries   []string
	Owner     string
	Open      bool
	OpenedAt  time.Time
	ClosedAt  time.Time // zero: open
	DecidedBy string
	Reason    string
	Undo      bool // may be taken back now
	Decision  dot.Dot
	Base      string
	BaseKnown bool
	Sides     []Side
	Offers    []string  // of what a rule noticed: link, keep, accept, return, clear
	Seen      []dot.Dot // what a decision must have had in view
	Asked     string    // the question that the authors have yet to answer
	AskedBy   string
	Times     int
	Decidable bool        // by choosing a side
	Other     []OtherPart // what another value takes; none: there is no other
}

// Choice is what an operator decides about an item.
type Choice struct {
	Choice, Reason string
	Other          map[string]string // another value as it was typed, by OtherPart.Name
	Seen           []dot.Dot
	Decision       dot.Dot   // of undo: the decision that is to be taken back
	ClosedAt       time.Time // of undo: when that was made
}

// AsideQuery chooses entries that were set aside: at most so many of those before an
// arrival number, 0: from the newest. Most is 0 to count alone.
type AsideQuery struct {
	Before int64
	Most   int
	Lang   string
}

// AsidePage is a page of them; Next is what the one behind it is before, 0 at the end.
type AsidePage struct {
	Rows []AsideRow
	Next int64
	All  Waiting
}

// AsideRow is an entry that was set aside.
type AsideRow struct {
	Dot, Form, Entity, Actor, Code, Words string
	ReceivedAt                            time.Time
	Answers                               []Answer // none where it cannot be read, or its form is not here
	Ruled                                 bool     // it was returned to its author
	May                                   []string // what can be ruled on it by whoever looks
}

// Answer is one of a record.
type Answer struct {
	Name   string `json:"name"`
	Label  string `json:"label"`
	Value  string `json:"value"`            // personal numbers are masked
	Masked bool   `json:"masked,omitempty"` // there is more than Value shows
	Open   bool   `json:"-"`                // it can be corrected on the page
	// Choices are what a correction may choose from; none: it is typed.
	Choices []Named `json:"-"`
}

// AsideChoice is what an operator rules on an entry that was set aside.
type AsideChoice struct {
	Dot, Choice, Seen, Reason string
	Answers                   map[string]string // of accept: corrected answers by name, as typed
}

// Gap is a run of missing entries of a chain.
type Gap struct {
	Chain    dot.Chain
	Run      lane.Range
	OpenedAt time.Time
	Held     uint64 // entries that wait above gaps of this chain
}

// tabs are the kinds of what waits, in their order.
var tabs = []string{"conflict", "duplicate", "twin", "review", "flag", "roster", "quarantine", "gap"}

// asideAtOnce is how many a page lists of what was set aside.
const asideAtOnce = 100

var (
	queuePage = webui.NewTemplate(files, "queue.html", "rosterline.html", "nav.html", "asideforms.html")
	itemPage  = webui.NewTemplate(files, "item.html", "nav.html")
)

type tabView struct {
	Kind, Words, Num string
	Oldest           string // since when the oldest waits
	URL              string
	Here             bool
}

type queueView struct {
	Frame
	Kind    string
	Seen    string
	Tabs    []tabView
	Items   []itemLine
	Aside   []asideLine
	Gaps    []gapLine
	Lists   []lineView // open lines of official lists
	Trouble string
	MayRule bool
	Owners  bool   // these are taken on, and given back
	Mine    bool   // those alone of whoever looks
	AllURL  string // the same kind, whosoever they are
	MineURL string
	Typed   AsideChoice  // a ruling that was turned down
	Line    RosterChoice // one about a line of an official list
	Hole    typedSeal
	More    string   // the address of the next page
	Longer  []picked // the addresses of lists that go on, with their titles
	Alike   []bulkGroup
	Alikes  Bulk // what was typed of a decision about several, when it was turned down
}

type itemLine struct {
	Item
	Ago, Clock string
	Values     string
}

type asideLine struct {
	AsideRow
	Ago   string
	Forms asideForms
}

type gapLine struct {
	Chain, Run, Ago, Held   string
	Device, Lane            string
	Incarnation, First, End string
	Open                    bool   // its form, with what was typed into it
	Reason                  string // as typed
}

// typedSeal is a gap that was not given up, and why it should have been.
type typedSeal struct{ Chain, First, Reason string }

func (s *site) queue(w http.ResponseWriter, r *http.Request) {
	s.showQueue(w, r, http.StatusOK, r.FormValue("kind"), "")
}

func (s *site) showQueue(w http.ResponseWriter, r *http.Request, status int, kind, trouble string) {
	if !slices.Contains(tabs, kind) {
		kind = tabs[0]
	}
	v := queueView{Frame: s.frame(r, "/queue"), Kind: kind, Trouble: trouble}
	if r.Method != http.MethodGet { // what was typed stays
		v.Alikes = Bulk{Code: r.PostFormValue("code"), Choice: r.PostFormValue("choice"), Reason: r.PostFormValue("reason")}
		switch kind {
		case KindAside:
			v.Typed = asideChoice(r)
		case "gap":
			v.Hole = typedSeal{r.PostFormValue("chain"), r.PostFormValue("first"), r.PostFormValue("reason")}
		case "roster":
			v.Line = rosterChoice(r)
		}
	}
	if r.Method != http.MethodGet {
		v.Back = "/queue?" + url.Values{"kind": {kind}}.Encode()
	}
	v.title(v.Words.T("queue.title"))
	v.Still = kind == "gap" || kind == "quarantine" || kind == "roster" // somebody fills in a form there
	v.Seen = v.Words.T("fleet.as_of", "at", v.Words.Clock(v.Now, v.Now))
	v.MayRule = v.Who.May("decide")
	v.Owners = kind != KindAside && kind != "gap" && kind != "roster"
	v.Mine = v.Owners && r.FormValue("mine") != ""
	v.AllURL, v.MineURL = queueURL(kind, false, ""), queueURL(kind, true, "")
	counts, err := s.fillQueue(r.Context(), &v, r.FormValue("after"), asideBefore(r))
	if v.MayRule {
		v.Alike = groups(v.Words, &v)
		v.Still = v.Still || len(v.Alike) > 0
	}
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return
		}
		v.Trouble, status = s.trouble(r, err)
	}
	for _, k := range tabs {
		if k == "roster" && !v.Who.May("roster") {
			continue
		}
		t := tabView{Kind: k, Words: v.Words.T("kind." + k), Num: v.Words.Num(counts[k].N), URL: queueURL(k, v.Mine, ""), Here: k == kind}
		if !counts[k].Oldest.IsZero() {
			t.Oldest = v.Words.T("queue.oldest", "ago", v.Words.Ago(v.Now, counts[k].Oldest))
		}
		v.Tabs = append(v.Tabs, t)
	}
	webui.Render(w, queuePage, status, v, s.Log)
}

// queueURL is the address of a page of the queue.
func queueURL(kind string, mine bool, after string) string {
	q := url.Values{"kind": {kind}}
	if mine {
		q.Set("mine", "1")
	}
	if after != "" {
		q.Set("after", after)
	}
	return "/queue?" + q.Encode()
}

func (s *site) fillQueue(ctx context.Context, v *queueView, after string, before int64) (map[string]Waiting, error) {
	counts, err := s.Queue.Counts(ctx)
	if err != nil {
		return map[string]Waiting{}, err
	}
	if v.Kind != KindAside && v.Kind != "gap" {
		page, err := s.Queue.Items(ctx, ItemQuery{Kind: v.Kind, Mine: v.Mine, After: after, Lang: v.Words.Lang})
		if err != nil {
			return counts, err
		}
		for _, it := range page.Items {
			line := itemLine{Item: it, Ago: v.Words.Ago(v.Now, it.OpenedAt), Clock: v.Words.Clock(v.Now, it.OpenedAt)}
			for i, side := range it.Sides {
				if i > 0 {
					line.Values += " · "
				}
				line.Values += side.Letter + " " + side.Value
			}
			v.Items = append(v.Items, line)
		}
		if page.Next != "" {
			v.More = queueURL(v.Kind, v.Mine, page.Next)
		}
	}
	q := AsideQuery{Lang: v.Words.Lang} // what they answer is read for their own tab alone
	if v.Kind == KindAside {
		q.Before, q.Most = before, asideAtOnce
	}
	aside, err := s.Holes.Aside(ctx, q)
	if err != nil {
		return counts, err
	}
	counts[KindAside] = aside.All
	gaps, err := s.Holes.Gaps(ctx)
	if err != nil {
		return counts, err
	}
	for _, g := range gaps {
		counts["gap"] = counts["gap"].With(1, g.OpenedAt)
	}
	if err := s.fillRosters(ctx, v, counts); err != nil {
		return counts, err
	}
	switch v.Kind {
	case KindAside:
		if aside.Next > 0 {
			v.More = asideURL(aside.Next)
		}
		for _, a := range aside.Rows {
			a.Words = reasonWords(v.Words, a.Code, a.Words)
			line := asideLine{AsideRow: a, Ago: v.Words.Ago(v.Now, a.ReceivedAt)}
			line.Forms = asideForms{Words: v.Words, Dot: a.Dot, Seen: a.Code, Answers: a.Answers, May: a.May, Before: before}
			if v.Typed.Dot == a.Dot {
				line.Forms.Typed = v.Typed
			}
			v.Aside = append(v.Aside, line)
		}
	case "gap":
		for _, g := range gaps {
			line := gapLine{
				Chain: g.Chain.String(), Run: g.Run.String(), Ago: v.Words.Ago(v.Now, g.OpenedAt), Held: v.Words.Num(g.Held),
				Device: string(g.Chain.Device), Lane: g.Chain.Lane.String(), Incarnation: strconv.FormatUint(uint64(g.Chain.Incarnation), 10),
				First: strconv.FormatUint(uint64(g.Run.First), 10), End: strconv.FormatUint(uint64(g.Run.Last), 10),
			}
			if v.Hole.Chain == line.Chain && v.Hole.First == line.First {
				line.Open, line.Reason = true, v.Hole.Reason
			}
			v.Gaps = append(v.Gaps, line)
		}
	}
	return counts, nil
}

// seal gives up waiting for a gap.
func (s *site) seal(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	first, err := dot.Parse(r.PostFormValue("chain") + "/" + r.PostFormValue("first"))
	end, endErr := strconv.ParseUint(r.PostFormValue("last"), 10, 53)
	if err = cmp.Or(err, endErr); err == nil {
		err = s.Holes.Seal(r.Context(), Gap{Chain: first.Chain, Run: lane.Run(first.Seq, dot.Seq(end))}, r.PostFormValue("reason"))
	} else {
		err = &webui.Refusal{Code: "no_gap", What: "this is no gap", Which: r.PostFormValue("chain")}
	}
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showQueue(w, r, status, "gap", trouble)
		return
	}
	http.Redirect(w, r, "/queue?"+url.Values{"kind": {"gap"}}.Encode(), http.StatusSeeOther)
}
