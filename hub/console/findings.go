package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"otor/internal/webui"
)

// Findings is what the hub itself noticed, of what whoever asks sees.
type Findings interface {
	// Noticed lists it. Frames that nobody vouches for are there for whoever may audit,
	// at most so many of them, the newest first.
	Noticed(ctx context.Context, most int) (Noticed, error)
	// Confirm says that devices in doubt were not revoked. Refusal: not_in_doubt.
	Confirm(ctx context.Context, devices []string) error
	// ConfirmLife lets a copy of a device's folder have everything. Refusal: no_twin.
	ConfirmLife(ctx context.Context, device string, life uint32) error
}

// Noticed is what the hub noticed and nobody has settled.
type Noticed struct {
	Warnings []Warning
	Doubts   []DoubtRow
	Findings []FindingRow
	Frames   []FrameRow
	Total    int // of frames that are kept
}

// Count is how much of it wants to be looked at. Frames stay where they are and are counted elsewhere.
func (n Noticed) Count() int { return len(n.Warnings) + len(n.Doubts) + len(n.Findings) }

// Warning is about the hub: journal_same_disk or journal_unread, and which folder or why.
type Warning struct{ Code, Which string }

// DoubtRow is a device that may send and is told nothing.
type DoubtRow struct {
	Device, Why string
	Since       time.Time
}

// FindingRow is about a device. Value is of the code's own unit.
type FindingRow struct {
	Device, Code, Words string
	Value               int64
	Since               time.Time
	Twins               []uint32 // lives that wait to be confirmed
}

// FrameRow is a frame that nobody known vouches for.
type FrameRow struct {
	Via, Claims, Code, Words string
	At                       time.Time
	Size                     int
}

// mostFrames bounds the frames of a page.
const mostFrames = 50

var findingsPage = webui.NewTemplate(files, "findings.html", "nav.html")

type findingsView struct {
	Frame
	Warnings   []noticeView
	Doubts     []noticeView
	Findings   []noticeView
	Frames     []frameView
	FramesNote string
	MayAct     bool
	Quiet      bool // nothing was noticed
	Trouble    string
}

// noticeView is one thing that was noticed: what, since when, and what to do.
type noticeView struct {
	Device, What, Since, Do, Raw string
	Tone                         string // and shape
	Twins                        []twinView
}

type twinView struct {
	Life  uint32
	Words string
}

type frameView struct{ When, What, Ways, Raw string }

func (s *site) findings(w http.ResponseWriter, r *http.Request) {
	s.showFindings(w, r, http.StatusOK, "")
}

func (s *site) showFindings(w http.ResponseWriter, r *http.Request, status int, trouble string) {
	v := findingsView{Frame: s.frame(r, "/"), Trouble: trouble}
	if r.Method != http.MethodGet {
		v.Back = "/findings"
	}
	v.Still = true
	words := v.Words
	v.title(words.T("findings.title"))
	v.MayAct = v.Who.May != nil && v.Who.May("devices")
	n, err := s.Findings.Noticed(r.Context(), mostFrames)
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	v.Quiet = err == nil && n.Count() == 0
	for _, x := range n.Warnings {
		v.Warnings = append(v.Warnings, noticeView{What: words.T("warning."+x.Code, "which", x.Which), Do: words.T("warning." + x.Code + ".do")})
	}
	for _, d := range n.Doubts {
		v.Doubts = append(v.Doubts, noticeView{Device: d.Device, Since: words.T("findings.since", "at", words.Clock(v.Now, d.Since)), Raw: d.Why})
	}
	for _, f := range n.Findings {
		v.Findings = append(v.Findings, found(words, v.Now, f))
	}
	for _, f := range n.Frames {
		x := frameView{When: words.Clock(v.Now, f.At), What: f.Code, Raw: f.Words}
		if key := "frame." + f.Code; words.Has(key) {
			x.What = words.T(key)
		}
		x.Ways = words.T("findings.ways", "via", cmp.Or(f.Via, "—"), "claims", cmp.Or(f.Claims, "—"), "n", int64(f.Size))
		v.Frames = append(v.Frames, x)
	}
	if n.Total > len(n.Frames) {
		v.FramesNote = words.T("findings.frames_more", "n", int64(len(n.Frames)), "all", int64(n.Total))
	}
	webui.Render(w, findingsPage, status, v, s.Log)
}

// found puts a finding into words; one of a code without words speaks for itself.
func found(w *webui.Words, now time.Time, f FindingRow) noticeView {
	v := noticeView{Device: f.Device, Tone: "danger", What: f.Words, Since: w.T("findings.since", "at", w.Clock(now, f.Since))}
	key := "finding." + f.Code
	if f.Code == "clock_skew" && f.Value < 0 {
		key = "finding.clock_slow"
	}
	if w.Has(key) {
		v.What = w.T(key, "n", f.Value, "span", w.Span(time.Duration(f.Value)*time.Millisecond))
		v.Do, v.Raw = w.T(key+".do"), f.Words
	}
	if f.Code == "hub_restored" || f.Code == "regained" { // it goes its way by itself
		v.Tone = "wait"
	}
	for _, life := range f.Twins {
		v.Twins = append(v.Twins, twinView{life, w.T("findings.twin", "n", int64(life))})
	}
	return v
}

// noticed says in the fleet's page how much the hub noticed.
func (s *site) noticed(r *http.Request, w *webui.Words) chip {
	n, err := s.Findings.Noticed(r.Context(), 0)
	switch {
	case err != nil:
		s.Log.Error("fleet page: what was noticed is not readable", "err", err)
		return chip{"danger", "danger", w.T("findings.title")}
	case n.Count() == 0:
		return chip{"off", "ok", w.T("findings.none")}
	}
	return chip{"danger", "danger", w.T("findings.count", "n", int64(n.Count()))}
}

func (s *site) confirm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	_ = r.PostFormValue("device") // parses
	devices := slices.DeleteFunc(slices.Clone(r.PostForm["device"]), func(d string) bool { return d == "" })
	err := error(&webui.Refusal{Code: "bad_request", What: "no device is named"})
	if len(devices) > 0 { // without a name all would be meant
		err = s.Findings.Confirm(r.Context(), devices)
	}
	s.afterFinding(w, r, err)
}

func (s *site) confirmLife(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	life, err := strconv.ParseUint(r.PostFormValue("life"), 10, 32)
	if err != nil {
		err = &webui.Refusal{Code: "bad_request", What: "this is no number of a life", Which: r.PostFormValue("life")}
	} else {
		err = s.Findings.ConfirmLife(r.Context(), r.PostFormValue("device"), uint32(life))
	}
	s.afterFinding(w, r, err)
}

func (s *site) afterFinding(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showFindings(w, r, status, trouble)
		return
	}
	http.Redirect(w, r, "/findings", http.StatusSeeOther)
}
