package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"otor/internal/webui"
)

// SilentAfter is from when on a device counts as silent.
const SilentAfter = 15 * time.Minute

// Plans takes what operators know of devices that will be out of reach. Refusals of
// both: unknown_device; of Plan also bad_window, plan_full, plan_words, plan_revoked.
type Plans interface {
	// Plan adds an absence, in place of the device's that starts at the same moment.
	Plan(ctx context.Context, device string, a Absence) error
	// Unplan takes back all that is planned for a device.
	Unplan(ctx context.Context, device string) error
}

// Absence is a time in which a device is expected to be out of reach.
type Absence struct {
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	Words     string    `json:"words,omitempty"` // why
	By        string    `json:"by"`
	PlannedAt time.Time `json:"planned_at"`
}

// Expect works out of the device's plan what its silence means at a moment: it is within
// an absence, or it did not come back from one. That it was to be heard from between two
// absences and was not makes it overdue, unless the second was planned after the first
// had ended: then somebody knew.
func (d *DeviceRow) Expect(now time.Time) {
	d.ExpectedBack, d.OverdueSince = nil, nil
	if d.Revoked || d.LastSeen != nil && now.Sub(*d.LastSeen) < SilentAfter {
		return
	}
	var away, missed *Absence // the one that it is within, the last that it did not come back from
	plan := slices.SortedFunc(slices.Values(d.Plan), func(a, b Absence) int { return a.From.Compare(b.From) })
	for _, a := range joined(plan) {
		switch {
		case a.From.After(now):
		case a.Until.After(now):
			away = &a
		case d.LastSeen == nil || d.LastSeen.Before(a.Until):
			missed = &a
		}
	}
	switch {
	case away != nil && (missed == nil || !away.PlannedAt.Before(missed.Until)):
		d.ExpectedBack = &away.Until
	case missed != nil:
		d.OverdueSince = &missed.Until
	}
}

// joined makes one of absences that touch or overlap, out of those in order of their start.
func joined(plan []Absence) (out []Absence) {
	for _, a := range plan {
		if n := len(out); n > 0 && !a.From.After(out[n-1].Until) {
			if last := &out[n-1]; a.Until.After(last.Until) {
				last.Until, last.PlannedAt = a.Until, a.PlannedAt
			}
			continue
		}
		out = append(out, a)
	}
	return out
}

// silence says what a device that is silent is by the plan.
func (s *site) silence(w *webui.Words, d DeviceRow, now time.Time) chip {
	switch {
	case d.OverdueSince != nil:
		return chip{"danger", "danger", w.T("state.overdue", "at", w.Clock(now, *d.OverdueSince))}
	case d.ExpectedBack != nil:
		return chip{"off", "clock", w.T("state.expected", "at", w.Clock(now, *d.ExpectedBack))}
	default:
		return chip{"off", "silent", w.T("state.silent")}
	}
}

// planned puts absences that are not long over into words.
func planned(w *webui.Words, now time.Time, plan []Absence) (out []string) {
	for _, a := range plan {
		line := w.T("plan.window", "from", w.Clock(now, a.From), "until", w.Clock(now, a.Until))
		if a.Words != "" {
			line += " · " + a.Words
		}
		out = append(out, line+" · "+whoWords(w, a.By))
	}
	return out
}

var planPage = webui.NewTemplate(files, "plan.html", "nav.html")

type planView struct {
	Frame
	Devices                    []planRow
	Device, From, Until, Typed string // into the form, when it was refused
	Note, Trouble              string
	None                       bool // nothing is planned
}

type planRow struct {
	Device, Team string
	State        chip
	Windows      []string
	Here         bool
}

// minuteForm is how browsers write a moment without a zone, spacedForm how people do.
const (
	minuteForm = "2006-01-02T15:04"
	spacedForm = "2006-01-02 15:04"
)

func (s *site) plan(w http.ResponseWriter, r *http.Request) {
	s.showPlan(w, r, http.StatusOK, planView{Device: r.FormValue("device")})
}

func (s *site) showPlan(w http.ResponseWriter, r *http.Request, status int, v planView) {
	v.Frame = s.frame(r, "/")
	if r.Method != http.MethodGet {
		v.Back = "/plan"
	}
	v.Still = true
	v.title(v.Words.T("plan.title"))
	v.Note = v.Words.T("plan.note", "zone", v.Now.Format("-07:00"))
	if v.From == "" {
		v.From = v.Now.Format(minuteForm)
	}
	f, err := s.Fleet.Fleet(r.Context())
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	v.None = true
	for _, d := range f.Devices {
		if d.Revoked {
			continue
		}
		x := planRow{Device: string(d.Device), Team: d.Team, Windows: planned(v.Words, v.Now, d.Plan), Here: string(d.Device) == v.Device}
		if s.silent(d, v.Now) {
			x.State = s.silence(v.Words, d, v.Now)
		}
		v.Devices, v.None = append(v.Devices, x), v.None && len(x.Windows) == 0
	}
	webui.Render(w, planPage, status, v, s.Log)
}

func (s *site) makePlan(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	v := planView{Device: r.PostFormValue("device"), From: r.PostFormValue("from"), Until: r.PostFormValue("until"), Typed: r.PostFormValue("words")}
	a := Absence{Words: v.Typed}
	err := s.minute(v.From, &a.From)
	if err == nil {
		err = s.minute(v.Until, &a.Until)
	}
	if err == nil {
		err = s.Plans.Plan(r.Context(), v.Device, a)
	}
	if err != nil {
		var status int
		v.Trouble, status = s.trouble(r, err)
		s.showPlan(w, r, status, v)
		return
	}
	http.Redirect(w, r, "/plan", http.StatusSeeOther)
}

// minute reads a moment of the console's zone.
func (s *site) minute(typed string, into *time.Time) (err error) {
	typed = strings.TrimSpace(typed)
	for _, form := range []string{minuteForm, spacedForm} {
		if *into, err = time.ParseInLocation(form, typed, s.Clock().Location()); err == nil {
			return nil
		}
	}
	return &webui.Refusal{Code: "bad_minute", What: "this is no day and time", Which: typed, Do: "write it like 2025-09-18 18:30"}
}

func (s *site) unplan(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := s.Plans.Unplan(r.Context(), r.PostFormValue("device")); err != nil {
		trouble, status := s.trouble(r, err)
		s.showPlan(w, r, status, planView{Trouble: trouble})
		return
	}
	http.Redirect(w, r, "/plan", http.StatusSeeOther)
}
