package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"otor/internal/webui"
)

// Outlook is what charts are drawn of.
type Outlook interface {
	// Trend gives how the hub stood from a moment on, in order: in steps of minutes or of
	// an hour. ok is false for whoever does not see everything.
	Trend(ctx context.Context, from time.Time, fine bool) (points []Point, ok bool, err error)
	// Amounts gives what entities amount to; nil when it is not worked out yet, or no pack
	// says what entities mean.
	Amounts(ctx context.Context, lang string) (*Amounts, error)
}

// Point is how the hub stood in one step of time; Contacts and Entries are what came in it.
type Point struct {
	At                                   time.Time
	Waiting, Missing, Contacts, Received uint64
}

// Amounts are what the entities that a reader sees come to.
type Amounts struct {
	AsOf    time.Time
	Checks  []Check
	Balance *Balance
}

// Check is how far some work is done: each bucket says how many are how urgent, the
// most urgent first.
type Check struct {
	Label   string
	Buckets []Share
}

// Share is a number out of a whole. Without a label of the pack's it is what is due
// (danger), or not yet.
type Share struct {
	Label, Tone string // tone: ok, wait, danger
	N           uint64
}

// Balance is what households have against what they are allowed.
type Balance struct {
	Label, Unit string
	Status      []Share
	Heaviest    []Load
}

// Load is one household's; Share is what is beyond what is allowed, by it.
type Load struct {
	Name, ID               string
	Counted, Allowed, Over float64
	Tone                   string
}

// chartsView is what charts.html shows.
type chartsView struct {
	Trend   *trendView
	Closed  string // why there is no trend
	Checks  []coverView
	Balance *balanceView
	AsOf    string // of checks and balance
	Pending string // they are not there yet
}

type trendView struct {
	Long                 bool // ninety days, else one
	ShortURL, LongURL    string
	Backlog, Came        plot
	Rows                 []trendRow
	Sentence, CameSpoken string
	Ticks                []string
}

// plot is one drawing: paths and bars in a box of plotWide by plotHigh.
type plot struct {
	Top         string // what the upper edge stands for
	Area, Lower string // paths
	Bars        []bar
}

type bar struct{ X, Y, W, H string }

type trendRow struct{ When, Waiting, Missing, Contacts, Received string }

const plotWide, plotHigh = 600.0, 150.0

// The two spans that are shown, and how many rows the table beside them has.
const (
	shortSpan = 24 * time.Hour
	longSpan  = 90 * 24 * time.Hour
)

// spanOf reads which span somebody wants to see.
func spanOf(r *http.Request) (long bool) { return r.URL.Query().Get("span") == "long" }

// charts draws them; what cannot be read is left out, and the log says why.
func (s *site) charts(r *http.Request, w *webui.Words, now time.Time) (v chartsView) {
	long := spanOf(r)
	span := shortSpan
	if long {
		span = longSpan
	}
	from := now.Add(-span)
	points, ok, err := s.Outlook.Trend(r.Context(), from, !long)
	switch {
	case err != nil:
		s.Log.Error("chart: how the hub stood is not readable", "err", err)
		v.Closed = w.T("chart.broken")
	case !ok:
		v.Closed = w.T("chart.whole")
	case len(points) == 0:
		v.Closed = w.T("chart.none")
	default:
		v.Trend = trend(w, points, from, now, long)
	}
	a, err := s.Outlook.Amounts(r.Context(), w.Lang)
	switch {
	case err != nil:
		s.Log.Error("chart: what entities amount to is not known", "err", err)
		v.Pending = w.T("chart.broken")
	case a == nil:
		v.Pending = w.T("chart.pending")
	default:
		v.AsOf = w.T("fleet.as_of", "at", w.Clock(now, a.AsOf))
		v.Checks, v.Balance = checks(w, a.Checks), balance(w, a.Balance)
	}
	return v
}

// slotsOf are when the hours of a span begin or, of a long one, the days: by the clock of
// the zone that until is in. A day of it may have 23 or 25 hours.
func slotsOf(from, until time.Time, long bool) (begin []time.Time) {
	at := from.In(until.Location())
	if !long {
		past := time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())
		for at = at.Add(-past); !at.After(until); at = at.Add(time.Hour) {
			begin = append(begin, at)
		}
		return begin
	}
	y, m, d := at.Date()
	for at = dayBegins(y, m, d, at.Location()); !at.After(until); at = dayBegins(y, m, d, at.Location()) {
		begin, d = append(begin, at), d+1
	}
	return begin
}

// dayBegins is midnight, or the hour behind it where the clocks leave that one out.
func dayBegins(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if t.Hour() >= 12 { // of the day before
		t = t.Add(time.Duration(24-t.Hour()) * time.Hour)
	}
	return t
}

// trend draws backlog and contacts.
func trend(w *webui.Words, points []Point, from, until time.Time, long bool) *trendView {
	t := &trendView{Long: long, ShortURL: "/", LongURL: "/?span=long"}
	var waits, most, contacts, received uint64
	var worst Point
	begin := slotsOf(from, until, long)
	slots := make([]Point, len(begin))
	for _, p := range points {
		if p.Waiting >= waits {
			waits, worst = p.Waiting, p
		}
		contacts, received = contacts+p.Contacts, received+p.Received
		after := sort.Search(len(begin), func(i int) bool { return begin[i].After(p.At) })
		x := &slots[max(after-1, 0)]
		x.At, x.Waiting, x.Missing = p.At, max(x.Waiting, p.Waiting), max(x.Missing, p.Missing)
		x.Contacts, x.Received = x.Contacts+p.Contacts, x.Received+p.Received
	}
	for _, x := range slots {
		most = max(most, x.Contacts)
	}
	t.Backlog = lines(w, points, from, until, waits)
	t.Came = bars(w, slots, most)
	last := points[len(points)-1]
	t.Sentence = w.T("chart.backlog.say", "now", w.Num(last.Waiting), "most", w.Num(waits), "at", w.Clock(until, worst.At.In(until.Location())))
	t.CameSpoken = w.T("chart.came.say", "contacts", w.Num(contacts), "received", w.Num(received))
	for i := range 5 {
		t.Ticks = append(t.Ticks, tickWords(until, from.Add(until.Sub(from)*time.Duration(i)/4), long))
	}
	for i, x := range slices.Backward(slots) { // the newest first
		if x.At.IsZero() {
			continue
		}
		t.Rows = append(t.Rows, trendRow{
			tickWords(until, begin[i], long), w.Num(x.Waiting), w.Num(x.Missing), w.Num(x.Contacts), w.Num(x.Received),
		})
	}
	return t
}

// tickWords is a moment beside a chart: the day of a long span, else the time.
func tickWords(now, at time.Time, long bool) string {
	at = at.In(now.Location())
	if long {
		return at.Format("01-02")
	}
	return at.Format("15:04")
}

// roundUp is the next of 1, 2, 5, 10, 20 ...: what the upper edge of a chart stands for.
func roundUp(n uint64) float64 {
	if n == 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(float64(n))))
	for _, k := range []float64{1, 2, 5, 10} {
		if k*step >= float64(n) {
			return k * step
		}
	}
	return 10 * step
}

// edgeWords is what the upper edge of a chart stands for; nothing, where the chart shows
// nothing: an edge of 1 above an empty chart would claim a scale.
func edgeWords(w *webui.Words, most uint64, top float64) string {
	if most == 0 {
		return ""
	}
	return w.Decimal(top, 0)
}

func num(x float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0") }

// lines draws what waits as an area and what is missing in gaps as one in front of it.
// Where nothing is known, since the hub did not run, nothing is drawn.
func lines(w *webui.Words, points []Point, from, until time.Time, most uint64) plot {
	top := roundUp(most)
	p := plot{Top: edgeWords(w, most, top)}
	pause := 3 * median(points)
	x := func(t time.Time) float64 { return plotWide * float64(t.Sub(from)) / float64(until.Sub(from)) }
	draw := func(value func(Point) uint64) string {
		var b strings.Builder
		for i := 0; i < len(points); {
			j := i + 1
			for j < len(points) && points[j].At.Sub(points[j-1].At) <= pause {
				j++
			}
			fmt.Fprintf(&b, "M%s %s", num(x(points[i].At)), num(plotHigh))
			for _, q := range points[i:j] {
				fmt.Fprintf(&b, "L%s %s", num(x(q.At)), num(plotHigh*(1-float64(value(q))/top)))
			}
			end := points[j-1]
			right := x(end.At) + max(2, plotWide*float64(median(points))/float64(until.Sub(from)))
			right = min(right, plotWide)
			fmt.Fprintf(&b, "L%s %sV%sZ", num(right), num(plotHigh*(1-float64(value(end))/top)), num(plotHigh))
			i = j
		}
		return b.String()
	}
	p.Area = draw(func(q Point) uint64 { return q.Waiting })
	p.Lower = draw(func(q Point) uint64 { return q.Missing })
	return p
}

// median is about how far points are apart.
func median(points []Point) time.Duration {
	least := time.Duration(math.MaxInt64 / 4)
	for i := 1; i < len(points); i++ {
		least = min(least, points[i].At.Sub(points[i-1].At))
	}
	if len(points) < 2 {
		return time.Minute
	}
	return least
}

// bars draws what came in each slot.
func bars(w *webui.Words, slots []Point, most uint64) plot {
	top := roundUp(most)
	p := plot{Top: edgeWords(w, most, top)}
	wide := plotWide / float64(len(slots))
	for i, x := range slots {
		if x.Contacts == 0 {
			continue
		}
		high := plotHigh * float64(x.Contacts) / top
		p.Bars = append(p.Bars, bar{num(float64(i)*wide + wide*.12), num(plotHigh - high), num(wide * .76), num(high)})
	}
	return p
}

// coverView is one check: a bar of parts, and the table that says the same.
type coverView struct {
	Label, Sentence string
	Parts           []partView
}

type partView struct {
	X, W               string // of a bar 100 wide
	Label, N, Of, Tone string
}

func parts(w *webui.Words, shares []Share) (out []partView, total uint64) {
	for _, x := range shares {
		total += x.N
	}
	at := 0.0
	for _, x := range shares {
		if x.N == 0 {
			continue
		}
		share := float64(x.N) / float64(total)
		if x.Label == "" && x.Tone == "danger" {
			x.Label = w.T("chart.due")
		} else if x.Label == "" {
			x.Label = w.T("chart.later")
		}
		out = append(out, partView{num(at), num(100 * share), x.Label, w.Num(x.N), w.Percent(share), x.Tone})
		at += 100 * share
	}
	return out, total
}

func checks(w *webui.Words, all []Check) (out []coverView) {
	for _, c := range all {
		ps, total := parts(w, c.Buckets)
		if total == 0 {
			continue
		}
		var covered uint64
		for _, b := range c.Buckets {
			if b.Tone == "ok" {
				covered += b.N
			}
		}
		say := w.T("chart.check.say", "covered", w.Num(covered), "share", w.Percent(float64(covered)/float64(total)), "n", total)
		if covered == 0 {
			say = w.T("chart.check.none", "n", total)
		}
		out = append(out, coverView{c.Label, say, ps})
	}
	return out
}

type balanceView struct {
	Label, Unit string
	Parts       []partView
	Rows        []loadView
}

type loadView struct{ Name, ID, Counted, Allowed, Over, W, Tone string }

func balance(w *webui.Words, b *Balance) *balanceView {
	if b == nil {
		return nil
	}
	v := &balanceView{Label: b.Label, Unit: b.Unit}
	v.Parts, _ = parts(w, b.Status)
	most := 0.0
	for _, l := range b.Heaviest {
		most = max(most, l.Over)
	}
	for _, l := range b.Heaviest {
		v.Rows = append(v.Rows, loadView{l.Name, l.ID, w.Decimal(l.Counted, 1), w.Decimal(l.Allowed, 1), w.Percent(l.Over), num(100 * l.Over / most), l.Tone})
	}
	if len(v.Parts) == 0 {
		return nil
	}
	return v
}
