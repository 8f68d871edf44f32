package ingest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// TestTranscripts runs the stories in testdata. Each directive is one thing
// that happens; see [script] for what there is.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return // what a property test left behind
		}
		s := &script{world: newWorld(t, nil), histories: make(map[string]*history)}
		datadriven.RunTest(t, path, s.do)
	})
}

// A hub whose transactions release no more than one segment, and that starts anew between
// any two of them, comes to the same in every story.
func TestTranscriptsALittleAtATime(t *testing.T) {
	releases := 0
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		s := &script{world: newWorld(t, nil), histories: make(map[string]*history), narrow: true}
		s.restart()
		datadriven.RunTest(t, path, s.do)
		releases += s.releases
	})
	if releases < 3 {
		t.Errorf("%d transactions went on where one had ended", releases)
	}
}

// script understands these directives, with chains written D-101/1/record:
//
//	enrol D-101 ...          lets devices in (again: a new incarnation)
//	revoke D-101
//	clock 10:31              sets the hub's clock
//	skew D-101 47m           what the last hello told of a device's clock
//	mint CHAIN to=N [as=FAULT] [branch=B from=N] [wall=HH:MM] [offset=47m]
//	rehome CHAIN into=CHAIN from=N [branch=B]  what B has from N on goes on in another life
//	seal CHAIN FIRST-LAST    an operator gives up waiting
//	aside D-101              forks, and where their facts are now
//	take                     one arrival a line, all in one transaction:
//	                         CHAIN FIRST-LAST [branch=B] [via=D] [key=WORDS] [tampered] or: bytes WORDS via=D
//	show D-101               everything the hub has of it
//	times D-101              its entries' two times
//	strangers                what nobody vouches for
type script struct {
	*world
	histories map[string]*history // by chain and branch
	narrow    bool                // its hub releases one segment a transaction
	releases  int
}

// restart is a hub that begins with what the database says.
func (s *script) restart() {
	s.Ingest = ingest.New(s.cfg)
	s.Narrow(1, 1)
}

// released goes on with a chain until nothing of it is to be released, and gives the last receipt.
func (s *script) released(t *testing.T, c dot.Chain, signed []byte) []byte {
	t.Helper()
	for s.narrow {
		l, err := laneOf(t.Context(), s.Store, c)
		check(t, err)
		if !ingest.Unreleased(l) {
			break
		}
		s.restart()
		r, err := s.Release(t.Context(), c)
		check(t, err)
		s.releases, signed = s.releases+1, r.Receipt
	}
	return signed
}

func (s *script) do(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	switch d.Cmd {
	case "enrol":
		for _, a := range d.CmdArgs {
			check(t, s.enrol(t.Context(), dot.Device(a.Key)))
		}
		return ""
	case "revoke":
		_, err := s.Revoke(t.Context(), dot.Device(d.CmdArgs[0].Key), s.now.UnixMilli())
		check(t, err)
		return ""
	case "clock":
		s.now = clock(t, d.CmdArgs[0].Key)
		return ""
	case "skew":
		by, err := time.ParseDuration(d.CmdArgs[1].Key)
		check(t, err)
		check(t, s.NoteContact(t.Context(), dot.Device(d.CmdArgs[0].Key), store.Contact{At: s.now.UnixMilli(), Skew: by.Milliseconds()}, nil))
		return ""
	case "mint":
		return s.mint(t, d)
	case "rehome":
		return s.rehome(t, d)
	case "seal":
		return s.sealed(t, d)
	case "aside":
		return s.aside(t, dot.Device(d.CmdArgs[0].Key))
	case "take":
		return s.take(t, d.Input)
	case "show":
		return s.show(t, dot.Device(d.CmdArgs[0].Key))
	case "times":
		return s.times(t, dot.Device(d.CmdArgs[0].Key))
	case "strangers":
		return s.strangers(t)
	}
	t.Fatalf("%s: no such directive", d.Cmd)
	return ""
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func clock(t *testing.T, hhmm string) time.Time {
	t.Helper()
	c, err := time.Parse("15:04", hhmm)
	check(t, err)
	return time.Date(noon.Year(), noon.Month(), noon.Day(), c.Hour(), c.Minute(), 0, 0, zone)
}

func shown(ms int64) string { return time.UnixMilli(ms).In(zone).Format("15:04") }

func chainOf(t *testing.T, text string) dot.Chain {
	t.Helper()
	x, err := dot.Parse(text + "/1")
	check(t, err)
	return x.Chain
}

// history finds or begins a history.
func (s *script) history(c dot.Chain, branch string) *history {
	name := c.String() + " " + branch
	if s.histories[name] == nil {
		s.histories[name] = newHistory(c, branch)
	}
	return s.histories[name]
}

func (s *script) mint(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	c := chainOf(t, d.CmdArgs[0].Key)
	branch, to, from, as := "main", 0, 0, ""
	wall, offset := "", ""
	d.MaybeScanArgs(t, "branch", &branch)
	d.MaybeScanArgs(t, "from", &from)
	d.MaybeScanArgs(t, "as", &as)
	d.MaybeScanArgs(t, "wall", &wall)
	d.MaybeScanArgs(t, "offset", &offset)
	d.ScanArgs(t, "to", &to)
	if from > 0 {
		s.histories[c.String()+" "+branch] = s.history(c, "main").branch(branch, dot.Seq(from))
	}
	at := clockOf{wall: s.now}
	if wall != "" {
		at.wall = clock(t, wall)
	}
	if offset != "" {
		by, err := time.ParseDuration(offset)
		check(t, err)
		at.offset = &entry.Offset{Millis: by.Milliseconds(), Age: 60}
	}
	h := s.history(c, branch)
	for h.last() < dot.Seq(to) {
		h.mint(fault(as), at)
	}
	return ""
}

// arrival reads one line of take.
func (s *script) arrival(t *testing.T, line string) ingest.Arrival {
	t.Helper()
	words := strings.Fields(line)
	opt := make(map[string]string)
	for _, w := range words[2:] {
		k, v, _ := strings.Cut(w, "=")
		opt[k] = v
	}
	if words[0] == "bytes" {
		return ingest.Arrival{Sender: dot.Device(opt["via"]), Frame: []byte(words[1])}
	}
	c := chainOf(t, words[0])
	h := s.history(c, cmpOr(opt["branch"], "main"))
	var r lane.Range
	if n, _ := fmt.Sscanf(words[1], "%d-%d", &r.First, &r.Last); n == 1 {
		r.Last = r.First
	}
	key := s.keys[c.Device]
	if words := opt["key"]; words != "" || key.IsZero() {
		key = keyFrom("key " + words)
	}
	f, err := h.seal(r, key)
	check(t, err)
	if _, ok := opt["tampered"]; ok {
		other := h.branch("other", r.First)
		for other.last() < r.Last {
			other.mint("", clockOf{wall: s.now})
		}
		g, err := other.seal(r, key)
		check(t, err)
		f = swapBody(t, f, g)
	}
	a := ingest.Arrival{Sender: c.Device, Frame: f}
	if via := opt["via"]; via != "" {
		a.Sender, a.Relayed = dot.Device(via), true
	}
	return a
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func (s *script) take(t *testing.T, input string) string {
	t.Helper()
	var as []ingest.Arrival
	lines := strings.Split(strings.TrimSpace(input), "\n")
	for _, line := range lines {
		as = append(as, s.arrival(t, line))
	}
	results, err := s.Take(t.Context(), as)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	last := make(map[dot.Chain][]byte)
	for _, r := range results {
		if signed := s.released(t, r.Chain, nil); signed != nil {
			last[r.Chain] = signed
		}
	}
	var out strings.Builder
	for i, r := range results {
		if signed := last[r.Chain]; signed != nil {
			r.Receipt = signed
		}
		fmt.Fprintf(&out, "%s: ", lines[i])
		if r.Unattributed != "" {
			fmt.Fprintf(&out, "nobody vouches for it: %s\n", r.Unattributed)
			continue
		}
		fmt.Fprintf(&out, "new %d, copies %d, forked %d; %s\n", r.New, r.Copies, r.Forked, s.receipt(t, r.Receipt))
	}
	return out.String()
}

// receipt says what a receipt covers, and in which history its head lies.
func (s *script) receipt(t *testing.T, b []byte) string {
	t.Helper()
	r, err := receipt.Open(b, s.cfg.Key.Public())
	check(t, err)
	words := fmt.Sprintf("receipt through %d", r.Through)
	if len(r.Extra) > 0 {
		words += " and " + lane.Format(r.Extra)
	}
	var in []string
	for _, h := range s.histories {
		if h.chain == r.Chain && r.Through <= h.last() && h.heads[r.Through] == r.Head {
			in = append(in, h.name)
		}
	}
	slices.Sort(in)
	if len(in) == 0 {
		return words + ", a head of NO history"
	}
	return words + ", head as in " + strings.Join(in, ", ")
}

// show tells all that the hub has of a device, equal neighbours together.
func (s *script) show(t *testing.T, d dot.Device) string {
	t.Helper()
	var out strings.Builder
	lanes, err := s.LanesOf(t.Context(), d)
	check(t, err)
	es, err := entriesOf(t.Context(), s.Store, d)
	check(t, err)
	slices.SortFunc(es, func(a, b store.ListedEntry) int { return a.Dot.Compare(b.Dot) })
	gaps, err := s.Gaps(t.Context(), true)
	check(t, err)
	for _, l := range lanes {
		fmt.Fprintf(&out, "%s: through %d, copies %d\n", l.Chain, l.Received.Through(), l.Duplicates)
		for i := 0; i < len(es); {
			j := i
			for j < len(es) && (j == i || es[j].Dot.Seq == es[j-1].Dot.Seq+1) && es[j].Dot.Chain == es[i].Dot.Chain && judged(es[j]) == judged(es[i]) {
				j++
			}
			if es[i].Dot.Chain == l.Chain {
				fmt.Fprintf(&out, "  %s %s\n", lane.Run(es[i].Dot.Seq, es[j-1].Dot.Seq), judged(es[i]))
			}
			i = j
		}
		for _, g := range gaps {
			if g.Chain != l.Chain {
				continue
			}
			end := "still open"
			if g.ClosedAt != 0 {
				end = "to " + shown(g.ClosedAt)
			}
			fmt.Fprintf(&out, "  gap {%s} from %s %s\n", g.Run, shown(g.OpenedAt), end)
		}
	}
	return out.String() + s.alarms(t, d)
}

func judged(e store.ListedEntry) string {
	words := string(e.Judgement.Verdict)
	if e.Judgement.Code != "" {
		words += " " + e.Judgement.Code
	}
	if e.Via != "" {
		words += " via " + string(e.Via)
	}
	return words
}

// alarms tells the forks and findings of a device.
func (s *script) alarms(t *testing.T, d dot.Device) string {
	t.Helper()
	var out strings.Builder
	forks, err := s.Forks(t.Context())
	check(t, err)
	for _, f := range forks {
		if f.Dot.Device == d {
			fmt.Fprintf(&out, "set aside %s: %s\n", f.Dot, f.Code)
		}
	}
	findings, err := s.Findings(t.Context(), true)
	check(t, err)
	for _, f := range findings {
		if f.Device == d {
			fmt.Fprintf(&out, "finding %s %d: %s\n", f.Code, f.Value, f.Words)
		}
	}
	return out.String()
}

func (s *script) times(t *testing.T, d dot.Device) string {
	t.Helper()
	var out strings.Builder
	es, err := entriesOf(t.Context(), s.Store, d)
	check(t, err)
	for _, e := range es {
		fmt.Fprintf(&out, "%s: device %s, corrected %s, received %s\n", e.Dot, shown(e.DeviceTime), shown(e.CorrectedTime), shown(e.ReceivedAt))
	}
	return out.String()
}

// strangers lists by code: which of one transaction's frames was set aside
// first says nothing.
func (s *script) strangers(t *testing.T) string {
	t.Helper()
	us, err := s.Unattributed(t.Context())
	check(t, err)
	var out []string
	for _, u := range us {
		out = append(out, fmt.Sprintf("%s via %s, calls itself %q: %s\n", u.Code, u.Via, u.Claims, u.Words))
	}
	slices.Sort(out)
	return strings.Join(out, "")
}
