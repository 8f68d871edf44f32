package device_test

import (
	"encoding/json"
	"testing"

	"otor/agent/web"
)

// A record that a page named is saved once, however often it is sent: a keeper who taps
// twice takes the bandages out once.
func TestARecordOfOneNameIsSavedOnce(t *testing.T) {
	d, _ := openDevice(t, nil)
	put := web.PutRequest{Form: "stock_move", Entity: "S1", User: "U01", Fields: json.RawMessage(`{"dir":"out","item":"IT-BAND","qty":20}`), Once: "a1"}
	save := func(once string) web.PutResult {
		t.Helper()
		p := put
		p.Once = once
		res, err := d.Begin(t.Context(), p)()
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	one, two := d.Begin(t.Context(), put), d.Begin(t.Context(), put) // on their way together
	first, err := one()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := two(); err != nil || second.Dot != first.Dot {
		t.Errorf("sent twice: %v and %v, %v", first.Dot, second.Dot, err)
	}
	if again := save("a1"); again.Dot != first.Dot || !again.SavedAt.Equal(first.SavedAt) {
		t.Errorf("sent again: %+v, first %+v", again, first)
	}
	if other := save("a2"); other.Dot == first.Dot {
		t.Error("another name gave the same record")
	}
	if a, b := save(""), save(""); a.Dot == b.Dot {
		t.Error("records without a name became one")
	}
}
