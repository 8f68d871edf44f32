package sim

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"time"
)

// Control breaks a promise on purpose.
type Control string

// The controls. A run under any of them but Sound must be found out.
const (
	Sound Control = ""
	// NoDedup: the hub does not recognise copies.
	NoDedup Control = "no-dedup"
	// NoSync: a device's store says "saved" before the disk has it.
	NoSync Control = "no-sync"
	// CustodyIsReceipt: a device takes the stream's acknowledgement for the hub's.
	CustodyIsReceipt Control = "custody-is-receipt"
	// ReceiptFirst: the hub sends its receipt before it commits.
	ReceiptFirst Control = "receipt-first"
	// NoChild: a hub that was put back to an older copy never takes notice.
	NoChild Control = "no-child"
	// NoCall: a hub that starts asks nobody to say hello.
	NoCall Control = "no-call"
	// CursorFirst: a device stores a page's cursor before its rows.
	CursorFirst Control = "cursor-first"
	// NoRehome: a device of which the hub has another history leaves it at that.
	NoRehome Control = "no-rehome"
	// NoLink: the hub takes each form of a re-homed fact for a fact of its own.
	NoLink Control = "no-link"
	// Absorb: the hub takes contexts into what an entity has seen.
	Absorb Control = "absorb"
	// Ignore: the hub takes no notice of contexts.
	Ignore Control = "ignore"
	// NoMarks: the hub believes every cursor, whatever became of its database.
	NoMarks Control = "no-marks"
	// EarlyArchive: the hub says of what it received that it is archived, and makes no
	// backup beyond the first.
	EarlyArchive Control = "early-archive"
)

// Controls lists those that break something.
func Controls() []Control {
	return []Control{NoDedup, NoSync, CustodyIsReceipt, ReceiptFirst, NoChild, NoCall, CursorFirst, NoMarks, NoRehome, NoLink, Absorb, Ignore, EarlyArchive}
}

// wordsOf is what a violation says that comes of a control. That something else went wrong
// as well does not show that anybody looks at what was broken.
var wordsOf = map[Control]string{
	NoDedup:          "exists already",
	NoSync:           "I1: after a restart",
	CustodyIsReceipt: "for received, of which the hub has committed less",
	ReceiptFirst:     "L5: a receipt for",
	NoChild:          "after the last trouble",
	NoCall:           "after the last trouble",
	CursorFirst:      " rows of ",
	NoMarks:          " rows of ",
	NoRehome:         "after the last trouble",
	NoLink:           " took effect as ",
	Absorb:           "is gone, though nobody who replaced it had it in view",
	Ignore:           "stands, though somebody replaced it who had it in view",
	EarlyArchive:     "L8: ",
}

// FoundOut gives the violation that shows that a control was found out; "" when there is none.
func (r Report) FoundOut(c Control) string {
	for _, v := range r.Violations {
		if words := wordsOf[c]; words != "" && strings.Contains(v, words) {
			return v
		}
	}
	return ""
}

// Config is what a run is made of.
type Config struct {
	Seed    uint64
	Dir     string // empty, for the databases
	Control Control
	// Patient lets links stand and loses no news once trouble is over: what a link that stands
	// missed must come all the same. Runs of odd seeds without a control are patient anyway; in
	// the others the links of who is behind are ended now and then.
	Patient bool
	Log     *slog.Logger // of the programs; nil: silent
	Trace   io.Writer    // gets a line for each thing that happens; may be nil
}

// Report says what came of a run.
type Report struct {
	Seed       uint64
	Violations []string // of what must hold; the first maxViolations
	Work       Work
	Virtual    time.Duration // how long the run was for its actors
	// Digest covers everything that happened, in order for each actor.
	Digest [32]byte
}

// maxViolations ends a run: what follows the first ones is mostly their echo.
const maxViolations = 12

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, digest %s, %s: %s", r.Seed, hex.EncodeToString(r.Digest[:6]), r.Virtual.Round(time.Second), r.Work)
	for _, v := range r.Violations {
		b.WriteString("\n  " + v)
	}
	return b.String()
}

// Work counts what happened in one run or in many.
type Work struct {
	Steps         int `json:"steps"`
	Captures      int `json:"captures"`
	Notes         int `json:"notes"` // operators' own entries
	DeviceCrashes int `json:"device_crashes"`
	Torn          int `json:"torn"` // of those, in the middle of a commit
	HubCrashes    int `json:"hub_crashes"`
	Rollbacks     int `json:"rollbacks"` // of the hub, to an older copy
	Epochs        int `json:"epochs"`    // begun because devices proved that
	Connections   int `json:"connections"`
	Frames        int `json:"frames"`
	Losses        int `json:"losses"`     // frames, acknowledgements, hellos, receipts
	Copies        int `json:"copies"`     // entries that the hub recognised as copies
	Held          int `json:"held"`       // frames that arrived above a hole
	Carried       int `json:"carried"`    // frames passed on for others
	Forged        int `json:"forged"`     // frames that nobody vouches for
	Hostile       int `json:"hostile"`    // frames of the device that breaks the rules
	Odd           int `json:"odd"`        // writes in its entries
	Lost          int `json:"lost"`       // times that the stream lost all it held
	Jumps         int `json:"jumps"`      // of clocks
	Published     int `json:"published"`  // rows of feeds
	Pages         int `json:"pages"`      // that devices applied
	Turns         int `json:"turns"`      // scopes that went back, or were loaded anew
	PutBacks      int `json:"put_backs"`  // of devices' folders, to an older copy
	Twins         int `json:"twins"`      // folders that were copied and went on twice
	Books         int `json:"books"`      // of lives that a device lost
	Rehomed       int `json:"rehomed"`    // entries that got another name
	Sealed        int `json:"sealed"`     // holes that an operator gave up
	Late          int `json:"late"`       // entries that came for such a hole
	Pruned        int `json:"pruned"`     // entries that devices removed since the archive has them
	Edits         int `json:"edits"`      // captures that write into entities
	Unwritable    int `json:"unwritable"` // forms that did not fit, since a hostile value had to be named in them
	Decisions     int `json:"decisions"`  // of operators, about conflicts
	Whole         int `json:"whole"`      // runs in which each device had one folder: who had seen what was asked
	Writes        int `json:"writes"`     // into registers, that came to stand in the ledger
	Conflicts     int `json:"conflicts"`  // that were open when all was calm
}

// Add adds another run's counts.
func (w *Work) Add(o Work) {
	sum, part := reflect.ValueOf(w).Elem(), reflect.ValueOf(o)
	for i := range sum.NumField() {
		sum.Field(i).SetInt(sum.Field(i).Int() + part.Field(i).Int())
	}
}

func (w Work) String() string {
	v := reflect.ValueOf(w)
	parts := make([]string, v.NumField())
	for i := range parts {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		parts[i] = fmt.Sprintf("%s %d", strings.ReplaceAll(name, "_", " "), v.Field(i).Int())
	}
	return strings.Join(parts, ", ")
}

// Asked reports whether the oracle was asked in enough of so many runs.
func (w Work) Asked(runs int) bool { return float64(w.Whole) >= leastWhole*float64(runs) }

// Least says what a run did too little of to count; empty when it did enough.
func (w Work) Least() string {
	for _, n := range []struct {
		what        string
		have, least int
	}{
		{"steps", w.Steps, 100},
		{"captures", w.Captures, 40},
		{"device crashes", w.DeviceCrashes, 1},
		{"hub crashes", w.HubCrashes, 1},
		{"connections", w.Connections, 4},
		{"frames", w.Frames, 10},
		{"losses", w.Losses, 1},
		{"copies", w.Copies, 1},
		{"forged frames", w.Forged, 1},
		{"pages", w.Pages, 4},
		{"writes of a run with one folder a device", w.Writes, 10 * w.Whole},
	} {
		if n.have < n.least {
			return fmt.Sprintf("%d %s, at least %d count", n.have, n.what, n.least)
		}
	}
	return ""
}
