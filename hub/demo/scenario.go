package demo

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"otor/internal/dot"
)

// Day is the project's own copy of a day's real-shaped input.
//
//go:embed scenario/scenario.json
var Day []byte

// Scenario is a day as its file tells it. Fields that this program does not
// need are left in the file.
type Scenario struct {
	Meta struct {
		ID        string    `json:"id"`
		Title     string    `json:"title_en"`
		T0        time.Time `json:"t0"`
		Fictional bool      `json:"fictional"`
	} `json:"meta"`
	Teams []struct {
		ID string `json:"id"`
		EN string `json:"en"`
	} `json:"teams"`
	Devices        []Device  `json:"devices"`
	OfflineWindows []Window  `json:"offline_windows"`
	Records        []Record  `json:"records"`
	Foreign        []Foreign `json:"foreign_records"`
	Replays        []Replay  `json:"transport_duplicates"`
	Expected       *Expected `json:"expected"`

	// Rest holds the file's lists as they are, for what becomes reference data.
	Rest map[string]json.RawMessage `json:"-"`
}

// Device is one of the day's devices. ClockOffset is how far its clock is
// ahead of true time, in seconds.
type Device struct {
	ID          dot.Device `json:"id"`
	Team        string     `json:"team"`
	User        string     `json:"user"`
	ClockOffset int64      `json:"clock_offset_s"`
}

// Window is a time without signal.
type Window struct {
	Device dot.Device `json:"device"`
	From   time.Time  `json:"from"`
	To     time.Time  `json:"to"`
	Why    string     `json:"why"`
}

// Record is one captured fact: when it truly happened, what the device's clock
// said, and when it first reached the hub.
type Record struct {
	ID            string          `json:"id"`
	Device        dot.Device      `json:"device"`
	Kind          string          `json:"kind"`
	Entity        string          `json:"entity"`
	TrueTime      time.Time       `json:"true_time"`
	DeviceTime    time.Time       `json:"device_time"`
	FirstReceived time.Time       `json:"first_received_at"`
	User          string          `json:"user"`
	Payload       json.RawMessage `json:"payload"`
	GPS           *GPS            `json:"gps"`
}

// GPS is a fix: degrees, metres.
type GPS struct {
	Lon      float64 `json:"lon"`
	Lat      float64 `json:"lat"`
	Accuracy float64 `json:"acc_m"`
}

// Foreign is a record that is not one of the day's: of a device nobody
// enrolled, or made with a form that the hub does not have yet.
type Foreign struct {
	ID       string     `json:"id"`
	Claims   dot.Device `json:"claims_device"`
	Received time.Time  `json:"received_at"`
	Kind     string     `json:"kind"`
	Schema   uint32     `json:"schema"` // form version, 0: the newest
}

// Replay is a frame that arrives once more.
type Replay struct {
	Record string    `json:"record"`
	Again  time.Time `json:"again_received_at"`
	Why    string    `json:"why"`
}

// Expected is what the file's author says must come out, as far as this
// program computes it. Rest holds the other keys.
type Expected struct {
	RecordsUnique      *int               `json:"records_unique"`
	QuarantinedTotal   *int               `json:"quarantined_total"`
	TransportDuplicate *int               `json:"transport_duplicates_dropped"`
	GapOpen            *ExpectedGap       `json:"gap_open"`
	MaxSeq             map[dot.Device]int `json:"max_seq"`
	ByOutcome          map[string]int     `json:"by_outcome"`

	Rest map[string]json.RawMessage `json:"-"`
}

// ExpectedGap is a gap that must have been seen.
type ExpectedGap struct {
	Device  dot.Device `json:"device"`
	Missing []dot.Seq  `json:"missing"`
	From    time.Time  `json:"from"`
	To      time.Time  `json:"to"`
}

// Load reads and checks a scenario file. Its errors name the record at fault.
func Load(r io.Reader) (*Scenario, error) {
	const most = 64 << 20
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("read the scenario: %w", err)
	}
	if len(b) > most {
		return nil, fmt.Errorf("read the scenario: it is over %d MB", most>>20)
	}
	var s Scenario
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read the scenario: %w", err)
	}
	if err := json.Unmarshal(b, &s.Rest); err != nil {
		return nil, fmt.Errorf("read the scenario: %w", err)
	}
	if s.Expected != nil {
		var whole struct {
			Expected map[string]json.RawMessage `json:"expected"`
		}
		if err := json.Unmarshal(b, &whole); err != nil {
			return nil, fmt.Errorf("read the scenario: %w", err)
		}
		s.Expected.Rest = whole.Expected
		for _, known := range []string{"records_unique", "quarantined_total", "transport_duplicates_dropped", "gap_open", "max_seq"} {
			delete(s.Expected.Rest, known)
		}
	}
	return &s, s.check()
}

func (s *Scenario) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Meta.T0.IsZero() {
		bad("meta.t0: the day needs a start")
	}
	if len(s.Devices) == 0 {
		bad("devices: there are none")
	}
	known := map[dot.Device]bool{dot.Hub: true}
	for _, d := range s.Devices {
		if _, err := dot.ParseDevice(string(d.ID)); err != nil {
			bad("devices: %w", err)
		}
		if known[d.ID] {
			bad("devices: %s stands twice", d.ID)
		}
		known[d.ID] = true
	}
	for _, w := range s.OfflineWindows {
		if !known[w.Device] || !w.To.After(w.From) {
			bad("offline_windows: %s from %s to %s: unknown device, or it ends before it starts", w.Device, w.From, w.To)
		}
	}
	ids := make(map[string]bool)
	for _, r := range s.Records {
		switch {
		case ids[r.ID]:
			bad("records: %s stands twice", r.ID)
		case !known[r.Device]:
			bad("records: %s: device %s is not among the devices", r.ID, r.Device)
		case r.TrueTime.Before(s.Meta.T0):
			bad("records: %s happened before the day's start", r.ID)
		case r.FirstReceived.Before(r.TrueTime):
			bad("records: %s was received before it happened", r.ID)
		}
		ids[r.ID] = true
	}
	for _, r := range s.Replays {
		if !ids[r.Record] {
			bad("transport_duplicates: there is no record %s", r.Record)
		}
	}
	return errors.Join(errs...)
}

// Online reports whether a device has signal at t. A window holds from its
// start to just before its end.
func (s *Scenario) Online(d dot.Device, t time.Time) bool {
	for _, w := range s.OfflineWindows {
		if w.Device == d && !t.Before(w.From) && t.Before(w.To) {
			return false
		}
	}
	return true
}

// Carrier names the device that carries for d at t: the one with signal that
// comes first by name. ok is false when nobody has any.
func (s *Scenario) Carrier(d dot.Device, t time.Time) (carrier dot.Device, ok bool) {
	var able []dot.Device
	for _, o := range s.Devices {
		if o.ID != d && s.Online(o.ID, t) {
			able = append(able, o.ID)
		}
	}
	if len(able) == 0 {
		return "", false
	}
	return slices.Min(able), true
}

// step says what happens; its order is the order among things of the same moment.
type step int

const (
	stepReference step = iota
	stepLinkUp
	stepCapture
	stepOperator
	stepDeliver
	stepForeign
	stepReplay
	stepLinkDown
)

// event is one thing that happens.
type event struct {
	at      time.Time
	step    step
	device  dot.Device
	record  *Record
	foreign *Foreign
	replay  *Replay
	office  *Reference
}

// events lists the day in order.
func (s *Scenario) events() []event {
	var out []event
	for _, d := range s.Devices {
		if s.Online(d.ID, s.Meta.T0) {
			out = append(out, event{at: s.Meta.T0, step: stepLinkUp, device: d.ID})
		}
	}
	for _, w := range s.OfflineWindows {
		if s.Online(w.Device, w.From.Add(-time.Nanosecond)) && w.From.After(s.Meta.T0) {
			out = append(out, event{at: w.From, step: stepLinkDown, device: w.Device})
		}
		if s.Online(w.Device, w.To) {
			out = append(out, event{at: w.To, step: stepLinkUp, device: w.Device})
		}
	}
	for i := range s.Records {
		r := &s.Records[i]
		if r.Device == dot.Hub {
			out = append(out, event{at: r.TrueTime, step: stepOperator, device: dot.Hub, record: r})
			continue
		}
		out = append(out,
			event{at: r.TrueTime, step: stepCapture, device: r.Device, record: r},
			event{at: r.FirstReceived, step: stepDeliver, device: r.Device, record: r})
	}
	for i := range s.Foreign {
		out = append(out, event{at: s.Foreign[i].Received, step: stepForeign, device: s.Foreign[i].Claims, foreign: &s.Foreign[i]})
	}
	for i := range s.Replays {
		out = append(out, event{at: s.Replays[i].Again, step: stepReplay, replay: &s.Replays[i]})
	}
	inOrder(out)
	return out
}

func inOrder(es []event) {
	slices.SortStableFunc(es, func(a, b event) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.step, b.step))
	})
}
