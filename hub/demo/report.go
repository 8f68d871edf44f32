package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"otor/hub/contact"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

// Report is what came of the day. Every number is counted at the hub or at the
// devices after the day, none is taken from the scenario.
type Report struct {
	Devices      []DeviceReport `json:"devices"`
	Outcomes     map[string]int `json:"outcomes"`    // of the scenario's records
	Quarantined  map[string]int `json:"quarantined"` // by reason, of everything that arrived
	Unattributed int            `json:"unattributed"`
	// TransportDuplicates are the copies that the planned replays made;
	// AccidentalResends those that the devices sent twice on their own.
	TransportDuplicates int              `json:"transport_duplicates"`
	AccidentalResends   int              `json:"accidental_resends"`
	Gaps                []server.GapLine `json:"gaps"`
	ClockFindings       []ClockFinding   `json:"clock_findings"`
	// Morning and Evening are what the hub's entities came to by the pack's rules.
	Morning        *Picture           `json:"morning"`
	Evening        *Picture           `json:"evening"`
	StockChanged   []StockLine        `json:"stock_changed"`
	Open           map[string]int     `json:"open"` // items, by kind
	ParallelMerges int                `json:"parallel_merges"`
	Replicas       []Replica          `json:"replicas"`
	Items          []store.Item       `json:"items"`
	Expected       *ExpectationReport `json:"expected"`
	Mismatches     []Mismatch         `json:"mismatches"`
}

// DeviceReport is the account of one device.
type DeviceReport struct {
	Device     dot.Device         `json:"device"`
	Captured   int                `json:"captured"`
	Received   int                `json:"received"`
	Held       int                `json:"held"`
	SetAside   int                `json:"set_aside"`
	Waiting    int                `json:"waiting"`
	Copies     int                `json:"copies"`
	Last       map[string]dot.Seq `json:"last"` // by lane
	HeadsEqual bool               `json:"heads_equal"`
	Carried    map[dot.Device]int `json:"carried,omitempty"` // entries that another device brought
	Corrected  []CorrectedExample `json:"corrected,omitempty"`
	gapsOf     []server.GapLine   // for the printed report
	hubHeads   map[dot.Chain]entry.Hash
}

// CorrectedExample shows how a wrong clock's entries are kept.
type CorrectedExample struct {
	Dot           dot.Dot   `json:"dot"`
	DeviceTime    time.Time `json:"device_time"`
	CorrectedTime time.Time `json:"corrected_time"`
}

// ClockFinding is a device whose clock was found wrong.
type ClockFinding struct {
	Device  dot.Device `json:"device"`
	OffsetS int64      `json:"offset_s"`
	Words   string     `json:"words"`
}

// ExpectationReport says which of the file's expectations this program checked.
type ExpectationReport struct {
	Compared    []string `json:"compared"`
	NotCompared []string `json:"not_compared"`
}

// Mismatch is one expectation that did not come true.
type Mismatch struct {
	What     string `json:"what"`
	Expected any    `json:"expected"`
	Got      any    `json:"got"`
}

// report counts what is there now.
func (p *player) report(ctx context.Context) (*Report, error) {
	r := &Report{Outcomes: map[string]int{}, Quarantined: map[string]int{}, Items: []store.Item{}, Mismatches: []Mismatch{}, ClockFindings: []ClockFinding{}}
	byDot := make(map[dot.Dot][]store.ListedEntry)
	for e, err := range p.hub.Store().Entries(ctx, store.EntryQuery{}) {
		if err != nil {
			return nil, err
		}
		byDot[e.Dot] = append(byDot[e.Dot], e)
		if e.Judgement.Verdict == store.Quarantined {
			r.Quarantined[e.Judgement.Code]++
		}
	}
	for _, x := range p.dots {
		for _, e := range byDot[x] {
			r.Outcomes[server.Outcome(e.Judgement.Verdict)]++
		}
	}
	office := p.hub.Office()
	var err error
	if r.Gaps, err = office.Gaps(ctx, true); err != nil {
		return nil, err
	}
	totals, err := p.hub.Store().Totals(ctx)
	if err != nil {
		return nil, err
	}
	r.Unattributed = int(totals.Unattributed)
	r.TransportDuplicates = int(p.replayedCopies)
	r.AccidentalResends = int(totals.Duplicates - p.replayedCopies)
	findings, err := office.Findings(ctx, true)
	if err != nil {
		return nil, err
	}
	for _, f := range findings {
		if f.Code == "clock_skew" {
			skew := time.Duration(f.Value) * time.Millisecond
			r.ClockFindings = append(r.ClockFindings, ClockFinding{f.Device, int64(skew.Round(time.Second) / time.Second), contact.SkewWords(skew)})
		}
	}
	for _, d := range p.scenario.Devices {
		dr, err := p.deviceReport(ctx, d.ID, byDot, r)
		if err != nil {
			return nil, err
		}
		r.Devices = append(r.Devices, dr)
	}
	if r.Morning, r.Evening = p.morning, nil; r.Morning == nil {
		r.Morning = &Picture{stock: map[string]StockLine{}}
	}
	if r.Evening, err = p.picture(ctx); err != nil {
		return nil, err
	}
	r.StockChanged = stockChanged(r.Morning, r.Evening)
	if r.Items, err = p.hub.Store().Items(ctx, store.ItemQuery{}); err != nil {
		return nil, err
	}
	if err := p.itemCounts(ctx, r, byDot); err != nil {
		return nil, err
	}
	p.account(r, byDot)
	if err := p.replicas(ctx, r); err != nil {
		return nil, err
	}
	return r, p.compare(r, byDot)
}

// deviceReport compares a device with what the hub has of it.
func (p *player) deviceReport(ctx context.Context, d dot.Device, byDot map[dot.Dot][]store.ListedEntry, r *Report) (DeviceReport, error) {
	out := DeviceReport{Device: d, Last: map[string]dot.Seq{}, Carried: map[dot.Device]int{}, HeadsEqual: true, hubHeads: map[dot.Chain]entry.Hash{}}
	lanes, err := p.hub.Store().LanesOf(ctx, d)
	if err != nil {
		return out, err
	}
	for _, l := range lanes {
		out.hubHeads[l.Chain] = l.Head
		out.Copies += int(l.Duplicates)
	}
	for _, c := range p.members[d].Store().Chains() {
		if c.Last == 0 {
			continue
		}
		out.Captured += int(c.Last)
		out.Last[c.Chain.Lane.String()] = c.Last
		out.HeadsEqual = out.HeadsEqual && out.hubHeads[c.Chain] == c.Head
		for s := dot.Seq(1); s <= c.Last; s++ {
			es := byDot[c.Chain.At(s)]
			if len(es) == 0 {
				out.Waiting++
				continue
			}
			out.Received++
			out.count(es[0])
		}
	}
	for _, g := range r.Gaps {
		if g.Device == d {
			out.gapsOf = append(out.gapsOf, g)
		}
	}
	return out, nil
}

// count adds one received entry to a device's account.
func (d *DeviceReport) count(e store.ListedEntry) {
	switch e.Judgement.Verdict {
	case store.Held:
		d.Held++
	case store.Quarantined, store.Refused:
		d.SetAside++
	case store.Applied, store.Merged, store.Conflict, store.Duplicate, store.Review, store.Flagged:
	}
	if e.Via != "" {
		d.Carried[e.Via]++
	}
	const skewShown = 5 * time.Minute
	if off := time.Duration(e.DeviceTime-e.CorrectedTime) * time.Millisecond; off.Abs() >= skewShown && len(d.Corrected) < 2 {
		d.Corrected = append(d.Corrected, CorrectedExample{e.Dot, time.UnixMilli(e.DeviceTime).UTC(), time.UnixMilli(e.CorrectedTime).UTC()})
	}
}

// account checks what must hold of any day: every captured entry is in the
// ledger, once, and both sides have the same heads.
func (p *player) account(r *Report, byDot map[dot.Dot][]store.ListedEntry) {
	for _, d := range r.Devices {
		if d.Received != d.Captured {
			r.Mismatches = append(r.Mismatches, Mismatch{"received of " + string(d.Device), d.Captured, d.Received})
		}
		if !d.HeadsEqual {
			r.Mismatches = append(r.Mismatches, Mismatch{"heads of " + string(d.Device), "equal on both sides", "different"})
		}
	}
	for x, es := range byDot {
		if len(es) != 1 {
			r.Mismatches = append(r.Mismatches, Mismatch{"entries " + x.String(), 1, len(es)})
		}
	}
	slices.SortFunc(r.Mismatches, func(a, b Mismatch) int { return cmp.Compare(a.What, b.What) })
}

// compare holds the report against the file's expectations, where it has some.
func (p *player) compare(r *Report, byDot map[dot.Dot][]store.ListedEntry) error {
	want := p.scenario.Expected
	if want == nil {
		return nil
	}
	rep := &ExpectationReport{}
	r.Expected = rep
	check := func(what string, expected, got any, equal bool) {
		rep.Compared = append(rep.Compared, what)
		if !equal {
			r.Mismatches = append(r.Mismatches, Mismatch{what, expected, got})
		}
	}
	if want.RecordsUnique != nil {
		unique := 0
		for _, x := range p.dots {
			if len(byDot[x]) == 1 {
				unique++
			}
		}
		check("records_unique", *want.RecordsUnique, unique, unique == *want.RecordsUnique)
	}
	if want.QuarantinedTotal != nil {
		aside := r.Unattributed
		for _, n := range r.Quarantined {
			aside += n
		}
		check("quarantined_total", *want.QuarantinedTotal, aside, aside == *want.QuarantinedTotal)
	}
	if want.TransportDuplicate != nil {
		check("transport_duplicates_dropped", *want.TransportDuplicate, r.TransportDuplicates, r.TransportDuplicates == *want.TransportDuplicate)
	}
	p.compareMaxSeq(want, check)
	if want.GapOpen != nil {
		got := gapLike(r.Gaps, want.GapOpen)
		check("gap_open", want.GapOpen, got, got != nil)
	}
	err := p.wants(r, check)
	rep.NotCompared = slices.Sorted(maps.Keys(want.Rest))
	return err
}

// compareMaxSeq compares how many of the day's records each device captured:
// the file's seq is the order of capture over both lanes.
func (p *player) compareMaxSeq(want *Expected, check func(what string, expected, got any, equal bool)) {
	if want.MaxSeq == nil {
		return
	}
	captured := map[dot.Device]int{}
	for _, x := range p.dots {
		if x.Device != dot.Hub {
			captured[x.Device]++
		}
	}
	check("max_seq", want.MaxSeq, captured, maps.Equal(want.MaxSeq, captured))
}

// gapLike finds the gap that was expected, to the minute.
func gapLike(gaps []server.GapLine, want *ExpectedGap) *server.GapLine {
	minute := func(t time.Time) int64 { return t.Unix() / 60 }
	for _, g := range gaps {
		if g.Device == want.Device && slices.Equal(g.Missing, want.Missing) && g.ClosedAt != nil &&
			minute(g.OpenedAt) == minute(want.From) && minute(*g.ClosedAt) == minute(want.To) {
			return &g
		}
	}
	return nil
}

// Words sums up a mismatch.
func (m Mismatch) Words() string {
	return fmt.Sprintf("%s: expected %s, got %s", m.What, asJSON(m.Expected), asJSON(m.Got))
}

// asJSON writes a value as the files write it.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
