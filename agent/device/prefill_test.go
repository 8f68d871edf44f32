package device_test

import (
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"otor/agent/device"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/pack"
)

// A form that corrects a household begins with what is known of it, in the
// groups in which it asks, and with nothing else.
func TestKnown(t *testing.T) {
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	f, ok := p.Forms.Latest("household_edit")
	if !ok {
		t.Fatal("the pack has no household_edit")
	}
	s := merge.New(entry.Ref{Type: "household", ID: "H-NB-07"})
	c := merge.Change{Dot: dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(1)}
	for name, v := range map[string]any{"phone": "13800000000", "no_question_asks_this": "x"} {
		raw, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		c.Writes = append(c.Writes, merge.Write{Register: name, Op: entry.Set, Raw: raw})
	}
	s.Apply(c)
	got := map[string]any{}
	device.Known(f, f.Fields, s.View(nil), got)
	if want := map[string]any{"set": map[string]any{"phone": "13800000000"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// What was answered already stays.
	got = map[string]any{"set": map[string]any{"phone": "139"}}
	device.Known(f, f.Fields, s.View(nil), got)
	if got["set"].(map[string]any)["phone"] != "139" {
		t.Errorf("an answer was replaced: %v", got)
	}
}
