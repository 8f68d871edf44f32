package device

import (
	"testing"

	"otor/agent/uplink"
	"otor/internal/dot"
)

// "The hub has another history" is said only of something: a device with nothing
// left to send was told so when a hello came in at the wrong moment.
func TestOnlyDisputed(t *testing.T) {
	chain := func(l dot.Lane, last dot.Seq, disputed bool) uplink.Chain {
		return uplink.Chain{Chain: dot.Chain{Device: "D-101", Incarnation: 1, Lane: l}, Last: last, Disputed: disputed}
	}
	for name, c := range map[string]struct {
		chains []uplink.Chain
		want   bool
	}{
		"nothing at all":         {nil, false},
		"nothing left":           {[]uplink.Chain{chain(dot.Record, 0, false), chain(dot.Alert, 0, true)}, false},
		"a disputed chain alone": {[]uplink.Chain{chain(dot.Record, 3, true), chain(dot.Alert, 0, false)}, true},
		"and another beside it":  {[]uplink.Chain{chain(dot.Record, 3, true), chain(dot.Alert, 1, false)}, false},
	} {
		if got := onlyDisputed(c.chains); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
