package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"otor/internal/dot"
	"otor/internal/lane"
)

// view shows the day as it passes: a bar for the day and one for each device,
// on a terminal; a line an event otherwise; nothing when the report is JSON.
type view struct {
	p     *player
	out   io.Writer
	bars  *mpb.Progress
	day   *mpb.Bar
	each  map[dot.Device]*mpb.Bar
	quiet bool
	words atomic.Pointer[string]
}

// refresh is how often the live view is drawn.
const refresh = 100 * time.Millisecond

func newView(o *Options, p *player) *view {
	v := &view{p: p, out: o.Out, each: map[dot.Device]*mpb.Bar{}, quiet: o.JSON}
	empty := ""
	v.words.Store(&empty)
	if v.quiet {
		return v
	}
	s := p.scenario
	fmt.Fprintf(o.Out, "Otor demo: %s, %s. %d devices, %d records, real agents and a real hub on loopback.\n",
		s.Meta.Title, s.Meta.T0.Format("2006-01-02"), len(s.Devices), len(s.Records))
	if !o.Terminal {
		return v
	}
	v.bars = mpb.New(mpb.WithOutput(o.Out), mpb.WithWidth(40), mpb.WithRefreshRate(refresh))
	v.day = v.bars.AddBar(int64(len(p.events)),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return p.clock.Now().Format("15:04") + "  day " }, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return *v.words.Load() })))
	for _, d := range s.Devices {
		v.each[d.ID] = v.deviceBar(d.ID)
	}
	return v
}

// deviceBar shows how much of what a device captured is at the hub.
func (v *view) deviceBar(d dot.Device) *mpb.Bar {
	total := int64(0)
	for _, r := range v.p.scenario.Records {
		if r.Device == d {
			total++
		}
	}
	for _, f := range v.p.scenario.Foreign {
		if f.Claims == d {
			total++
		}
	}
	return v.bars.AddBar(max(total, 1),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return string(d) + " " }, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return v.deviceWords(d) })))
}

func (v *view) deviceWords(d dot.Device) string {
	m := v.p.members[d]
	captured, received, gaps := counts(m)
	signal := "no signal"
	if m.line.isUp() {
		signal = "signal"
	}
	s := fmt.Sprintf("%-9s captured %2d, at the hub %2d, waiting %2d", signal, captured, received, captured-received)
	if len(gaps) > 0 {
		s += ", gap " + lane.Format(gaps)
	}
	return s
}

// counts reads a device's own account.
func counts(m *member) (captured, received uint64, gaps []lane.Range) {
	for _, c := range m.Store().Chains() {
		captured += uint64(c.Last)
		received += c.Received.Len()
		gaps = append(gaps, c.Received.Gaps()...)
	}
	return captured, received, gaps
}

// step shows that something happened.
func (v *view) step() {
	switch {
	case v.quiet:
	case v.bars == nil:
		fmt.Fprintf(v.out, "%s  %s\n", v.p.at.Format("15:04:05"), v.p.what)
	default:
		what := v.p.what
		v.words.Store(&what)
		v.day.SetCurrent(int64(v.p.done))
		v.tick()
	}
}

// tick redraws what the devices say.
func (v *view) tick() {
	for d, bar := range v.each {
		_, received, _ := counts(v.p.members[d])
		bar.SetCurrent(int64(received))
	}
}

// end leaves the last picture standing.
func (v *view) end() {
	if v.bars == nil {
		return
	}
	v.tick()
	time.Sleep(2 * refresh) // the last picture is the one that stays
	for _, bar := range v.each {
		bar.Abort(false)
	}
	v.day.Abort(false)
	v.bars.Wait()
}

// print writes the report for people.
func (r *Report) print(out io.Writer, p *player) error {
	fmt.Fprintln(out, "\nWhat the hub can account for:")
	t := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "device\tcaptured\treceived\theld\tset aside\twaiting\tcopies\tlast\tgaps\tclock\theads")
	for _, d := range r.Devices {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", d.Device, d.Captured, d.Received, d.Held, d.SetAside, d.Waiting,
			d.Copies, lastWords(d.Last), gapWords(d), clockWords(d.Device, r.ClockFindings), map[bool]string{true: "equal", false: "DIFFERENT"}[d.HeadsEqual])
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\noutcomes of %d records: %s\n", len(p.scenario.Records), mapWords(r.Outcomes))
	fmt.Fprintf(out, "quarantined: %s; from unknown signers: %d\n", mapWords(r.Quarantined), r.Unattributed)
	fmt.Fprintf(out, "copies that arrived again and were not counted: %d planned, %d accidental\n", r.TransportDuplicates, r.AccidentalResends)
	zone := p.scenario.Meta.T0.Location()
	for _, d := range r.Devices {
		for by, n := range d.Carried {
			fmt.Fprintf(out, "carried: %d of %s came by %s\n", n, d.Device, by)
		}
		for _, c := range d.Corrected {
			fmt.Fprintf(out, "corrected: %s says %s, was %s\n", c.Dot, c.DeviceTime.In(zone).Format("15:04:05"), c.CorrectedTime.In(zone).Format("15:04:05"))
		}
	}
	printPictures(out, r)
	if r.Expected != nil {
		fmt.Fprintf(out, "expected by the file: %s: %s\n", strings.Join(r.Expected.Compared, ", "),
			map[bool]string{true: "all as expected", false: "NOT as expected"}[len(r.Mismatches) == 0])
		if len(r.Expected.NotCompared) > 0 {
			fmt.Fprintf(out, "not computed by this version: %s\n", strings.Join(r.Expected.NotCompared, ", "))
		}
	}
	for _, m := range r.Mismatches {
		fmt.Fprintln(out, "MISMATCH", m.Words())
	}
	return nil
}

// printPictures says what the hub's entities came to, in the morning and in the evening.
func printPictures(out io.Writer, r *Report) {
	if r.Morning == nil || r.Evening == nil {
		return
	}
	for _, x := range []struct {
		what     string
		from, to map[string]int
	}{{"pensions", r.Morning.Pensions, r.Evening.Pensions}, {"balance", r.Morning.Balance, r.Evening.Balance}} {
		fmt.Fprintf(out, "%s in the morning: %s; in the evening: %s\n", x.what, mapWords(x.from), mapWords(x.to))
	}
	for _, s := range r.StockChanged {
		fmt.Fprintf(out, "stock at day's end: %s at %s: %d\n", s.Item, s.Station, s.Qty)
	}
}

func lastWords(last map[string]dot.Seq) string {
	s := fmt.Sprintf("r%d", last[dot.Record.String()])
	if n := last[dot.Alert.String()]; n > 0 {
		s += fmt.Sprintf("+a%d", n)
	}
	return s
}

// clockWords is what was found about a device's clock, shortly.
func clockWords(d dot.Device, found []ClockFinding) string {
	for _, c := range found {
		if c.Device == d {
			return strings.TrimPrefix(c.Words, "device clock ")
		}
	}
	return "right"
}

func gapWords(d DeviceReport) string {
	if len(d.gapsOf) == 0 {
		return "none"
	}
	var parts []string
	for _, g := range d.gapsOf {
		end := "still open"
		if g.ClosedAt != nil {
			end = g.ClosedAt.Format("15:04")
		}
		parts = append(parts, fmt.Sprintf("{%s} %s to %s", strings.Trim(fmt.Sprint(g.Missing), "[]"), g.OpenedAt.Format("15:04"), end))
	}
	return strings.Join(parts, "; ")
}

func mapWords(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
