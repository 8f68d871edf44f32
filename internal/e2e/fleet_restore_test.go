package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"otor/agent/uplink"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
)

// tell puts a change into the team's feed.
func (p *place) tell(t *testing.T, key, body string) {
	t.Helper()
	err := p.Store().Ingest(t.Context(), func(tx store.Tx) error {
		return tx.Publish(time.Now().UnixMilli(), store.FeedChange{Scope: "team:t1", Kind: feed.Message, Key: key, Body: []byte(body)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// told lists what the hub's feed of the team holds.
func (p *place) told(t *testing.T) (out []string) {
	t.Helper()
	page, err := p.Store().Feed(t.Context(), "team:t1", 0, 1<<20)
	if err != nil || page.More {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, r := range page.Rows {
		out = append(out, r.Key+"="+string(r.Body))
	}
	slices.Sort(out)
	return out
}

// heard lists what a device's replica of it holds.
func (p *place) heard(t *testing.T, dir string) (out []string) {
	t.Helper()
	d := p.open(t, dir, nil)
	for r, err := range d.Store().Rows(t.Context(), "team:t1", feed.Message, "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Key+"="+string(r.Body))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// headOf is the head of a device's record lane at the hub.
func (p *place) headOf(t *testing.T, d dot.Device) (head entry.Hash) {
	t.Helper()
	ls, err := p.Store().LanesOf(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls {
		if l.Chain.Incarnation == 1 && l.Chain.Lane == dot.Record {
			head = l.Head
		}
	}
	return head
}

// putBackTo stops the hub and restores a backup in its place. journal says
// whether the journal beside it is still there.
func (p *place) putBackTo(t *testing.T, from string, journal bool) server.Recovered {
	t.Helper()
	p.stop()
	aside := t.TempDir()
	if err := os.Rename(p.cfg.Dir, filepath.Join(aside, "hub")); err != nil {
		t.Fatal(err)
	}
	if !journal {
		if err := os.Rename(p.cfg.Dir+"-journal", filepath.Join(aside, "journal")); err != nil {
			t.Fatal(err)
		}
	}
	r, err := server.Restore(t.Context(), from, p.cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)
	return r
}

// TestPutBackWithItsJournal puts back all that the hub has, as a machine's snapshot does. It
// cannot know whom it has revoked since, until a device contacts that had receipts for what
// is gone: its hub's own word is proof enough, and everything that it sends is taken.
func TestPutBackWithItsJournal(t *testing.T) {
	p := newPlace(t, 0)
	d, gone := dot.Device("D-201"), dot.Device("D-202")
	dirs := map[dot.Device]string{d: p.enrol(t, d, false), gone: p.enrol(t, gone, false)}
	for _, x := range []dot.Device{d, gone} {
		p.putIn(t, dirs[x], 2)
		p.mustContact(t, dirs[x], nil)
	}
	p.stop()
	folders := []string{p.cfg.Dir, p.cfg.Dir + "-journal"}
	kept := t.TempDir()
	for _, f := range folders {
		if err := os.CopyFS(filepath.Join(kept, filepath.Base(f)), os.DirFS(f)); err != nil {
			t.Fatal(err)
		}
	}
	p.start(t)
	p.putIn(t, dirs[d], 3)
	p.mustContact(t, dirs[d], nil)
	if err := p.Office().Revoke(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	p.stop()
	for _, f := range folders {
		if err := os.RemoveAll(f); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(f, os.DirFS(filepath.Join(kept, filepath.Base(f)))); err != nil {
			t.Fatal(err)
		}
	}
	p.start(t)
	if why, err := p.UplinkOnly(t.Context(), gone); err != nil || why != "" {
		t.Fatalf("before anybody contacts: %q, %v", why, err)
	}
	p.mustContact(t, dirs[d], nil)
	if why, err := p.UplinkOnly(t.Context(), gone); err != nil || why == "" {
		t.Errorf("%s, which was revoked, is told everything: %v", gone, err)
	}
	p.holds(t, d, 5)
}

// TestRestoreUnderAFleet restores a backup of yesterday under 20 devices, of
// which 3 had applied pages that the restored hub does not know. Every entry is
// back exactly once, no number is given out twice, all replicas converge, and
// nobody touches a key. With the journal, whoever was enrolled since is known and
// whoever was revoked since stays out; the control has none, and must be noticed.
func TestRestoreUnderAFleet(t *testing.T) {
	for _, journal := range []bool{true, false} {
		t.Run(map[bool]string{true: "with the journal", false: "control without it"}[journal], func(t *testing.T) {
			restoreUnderAFleet(t, journal)
		})
	}
}

func restoreUnderAFleet(t *testing.T, journal bool) {
	devices := 20
	if testing.Short() {
		devices = 5
	}
	p := newPlace(t, 0)
	dirs := map[dot.Device]string{}
	var names []dot.Device
	for i := range devices {
		d := dot.Device(fmt.Sprintf("D-2%02d", i+1))
		names = append(names, d)
		dirs[d] = p.enrol(t, d, false)
		p.putIn(t, dirs[d], 2)
		p.mustContact(t, dirs[d], nil)
	}
	p.tell(t, "notice-1", "before")
	made, err := p.Office().Backup(t.Context(), filepath.Join(t.TempDir(), "backups"), 2)
	if err != nil {
		t.Fatal(err)
	}
	// The day that is lost.
	late, gone := dot.Device("D-300"), names[len(names)-1]
	dirs[late] = p.enrol(t, late, false)
	p.tell(t, "notice-1", "changed in the lost day")
	p.tell(t, "notice-2", "of the lost day")
	for _, d := range append(slices.Clone(names[:3]), late) {
		p.putIn(t, dirs[d], 3)
		p.mustContact(t, dirs[d], nil)
	}
	for _, d := range names[:3] {
		if got := p.heard(t, dirs[d]); len(got) != 2 {
			t.Fatalf("%s applied %q of the lost day", d, got)
		}
	}
	if err := p.Office().Revoke(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	r := p.putBackTo(t, made.Path, journal)
	p.tell(t, "notice-3", "after")
	contact := func(d dot.Device) (uplink.Result, error) { return p.contact(t, dirs[d], nil) }
	_, goneErr := contact(gone)
	if !journal {
		// The hub knows nothing of the lost day: it lets the revoked device send, and says so.
		if len(r.InDoubt) != devices || goneErr != nil {
			t.Errorf("without the journal %d devices are in doubt, the revoked one: %v", len(r.InDoubt), goneErr)
		}
		if _, err := contact(late); err == nil {
			t.Error("without the journal the device that was enrolled since is known")
		}
		if why, err := p.UplinkOnly(t.Context(), names[0]); err != nil || why == "" {
			t.Errorf("%s is told things: %v", names[0], err)
		}
		return
	}
	if len(r.InDoubt) != 0 || r.Replayed["revoked"] != 1 || r.Replayed["enrolled"] != 1 {
		t.Errorf("restored: %+v", r)
	}
	if goneErr == nil {
		t.Errorf("%s was revoked in the lost day, and is let in", gone)
	}
	alive := append(slices.Clone(names[:len(names)-1]), late)
	want := map[dot.Device]int{}
	for _, d := range alive {
		want[d] = 3
		if d == late {
			want[d] = 4
		} else if slices.Contains(names[:3], d) {
			want[d] = 6
		}
		p.putIn(t, dirs[d], 1)
		if _, err := contact(d); err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
	for _, d := range alive { // once more: the first contact may have been the proof
		p.mustContact(t, dirs[d], nil)
		p.holds(t, d, want[d])
		dev := p.open(t, dirs[d], nil)
		st, ok := dev.Store().Chain(dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record})
		if !ok || st.Head != p.headOf(t, d) || int(st.Last) != want[d] {
			t.Errorf("%s: its head at %d is another than the hub's", d, st.Last)
		}
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
		if got := p.heard(t, dirs[d]); !slices.Equal(got, p.told(t)) {
			t.Errorf("%s holds %q, the hub %q", d, got, p.told(t))
		}
	}
}
