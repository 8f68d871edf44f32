package device_test

import (
	"testing"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/lane"
)

// TestRehomedRecord: a record that was re-homed is listed in its first form, and stands
// where the hub says of the name that it has now. Under its first name the hub has
// another folder's entry: that one's verdict is not this record's, and a correction
// does not name it.
func TestRehomedRecord(t *testing.T) {
	d, _ := openDevice(t, nil)
	s, own := d.Store(), feed.ScopeOf("D-101")
	save := func(corrects *dot.Dot) dot.Dot {
		t.Helper()
		got, err := d.Capture(t.Context(), capture.Request{
			Form: "visit", Actor: "N", Fields: map[string]any{"topics": []any{"weather"}, "minutes": int64(10)}, Corrects: corrects,
		})
		if err != nil {
			t.Fatal(err)
		}
		return got.Dot
	}
	first := save(nil)
	second := save(nil)
	if err := s.Begin(t.Context(), 2, entry.Origin{Reason: entry.Diverged, Previous: 1}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Rehome(t.Context(), first.Chain, 0); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	now := dot.Chain{Device: "D-101", Incarnation: 2, Lane: first.Lane}
	if err := s.GrantScopes(t.Context(), []string{own}); err != nil {
		t.Fatal(err)
	}
	page(t, s, own, 2, false,
		said(t, 1, first, feed.Outcome{Verdict: "quarantined", Code: "id_checksum", Words: "another folder's"}),
		said(t, 2, now.At(2), feed.Outcome{Verdict: "quarantined", Code: "returned", Words: "how many minutes?"}))
	d.MarkCustody(first.Chain, lane.Run(2, 2))
	d.MarkCustody(now, lane.Run(1, 1))

	rows := logOf(t, d, "")
	if len(rows) != 2 || rows[0].Dot != second || rows[1].Dot != first {
		t.Fatalf("listed: %+v", rows)
	}
	if v := rows[0].Verdict; v == nil || v.Words != "how many minutes?" || rows[0].State != web.Saved {
		t.Errorf("%s: %s, %+v", second, rows[0].State, v)
	}
	if v := rows[1].Verdict; v != nil || rows[1].State != web.Custody {
		t.Errorf("%s: %s, %+v", first, rows[1].State, v)
	}
	if back := logOf(t, d, web.OnlyReturned); len(back) != 1 || back[0].Dot != second {
		t.Errorf("returned: %+v", back)
	}
	it, err := s.Get(save(&second))
	if err != nil || it.Public.Corrects == nil || *it.Public.Corrects != now.At(2) {
		t.Errorf("corrects %v; %v", it.Public.Corrects, err)
	}
}

func said(t *testing.T, n uint64, at dot.Dot, o feed.Outcome) feed.Row {
	t.Helper()
	body, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return feed.Row{N: n, Kind: feed.Verdict, Key: at.String(), Body: body}
}

func logOf(t *testing.T, d *device.Device, only web.Which) []web.EntryRow {
	t.Helper()
	rows, err := d.Log(t.Context(), web.LogQuery{Limit: 10, Only: only})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
