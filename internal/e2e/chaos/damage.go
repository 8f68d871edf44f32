package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/life"
	"otor/agent/refill"
	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

// damagedIn is how many files one trial damages, each in a copy of its own.
const damagedIn = 25

// harm does something to a file, and says what.
func (t *T) harm(name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	was := len(b)
	what := ""
	switch kind := t.R.IntN(6); {
	case kind == 0:
		what = "missing"
		err = os.Remove(name)
	case kind == 1:
		what, b = "0 bytes", nil
	case kind == 2 && was > 0:
		b = b[:t.R.IntN(was)]
		what = fmt.Sprintf("cut to %d of %d bytes", len(b), was)
	case kind == 3 && was > 0: // the last write of a page is torn
		used := len(strings.TrimRight(string(b), "\x00"))
		from := max(0, used-1-t.R.IntN(4096))
		what = fmt.Sprintf("zeros from byte %d of %d", from, was)
		clear(b[from:])
	case kind == 4 && was > 0: // a block of something else
		from := t.R.IntN(was)
		to := min(was, from+512)
		what = fmt.Sprintf("noise in bytes %d to %d of %d", from, to, was)
		for i := from; i < to; i++ {
			b[i] = byte(t.R.Uint32())
		}
	case was > 0:
		used := max(1, len(strings.TrimRight(string(b), "\x00")))
		i, bit := t.R.IntN(used), t.R.IntN(8)
		what = fmt.Sprintf("bit %d of byte %d of %d flipped", bit, i, was)
		b[i] ^= 1 << bit
	default:
		what = "missing"
		err = os.Remove(name)
	}
	if err == nil && what != "missing" {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return what
}

// pick chooses a file of a folder, each kind of file as often as any other.
func (t *T) pick(dir string) string {
	t.Helper()
	byKind := make(map[string][]string)
	var kinds []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains([]string{"ballast", "token", life.FileName, "mark"}, d.Name()) {
			return err // nothing that is read here is in them
		}
		kind := filepath.Ext(p)
		if kind == "" {
			kind = strings.TrimRight(d.Name(), "0123456789-")
		}
		if byKind[kind] == nil {
			kinds = append(kinds, kind)
		}
		byKind[kind] = append(byKind[kind], p)
		return nil
	})
	if err != nil || len(kinds) == 0 {
		t.Fatalf("nothing to damage in %s: %v", dir, err)
	}
	files := byKind[kinds[t.R.IntN(len(kinds))]]
	return files[t.R.IntN(len(files))]
}

// copyFolder copies a folder, without the ballast, which nothing reads.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "ballast" {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}

// victim is an agent's folder as a crash leaves it, with what was in it.
type victim struct {
	dir  string
	id   *enrol.Identity
	raws map[dot.Chain][]entry.Raw
	last map[dot.Chain]dot.Seq
}

// newVictim has a device save in three lives; what the first two saved is at
// the hub.
func (t *T) newVictim() *victim {
	t.Helper()
	hub := t.Site.Hub()
	a := hub.Enrol(t, t.Site.Name())
	v := &victim{dir: t.TempDir(), raws: make(map[dot.Chain][]entry.Raw), last: make(map[dot.Chain]dot.Seq)}
	src := t.Site.source(t.Seed)
	for life := range 3 {
		d, err := t.Site.Open(a.Dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			r := src.Next()
			if _, err := d.Capture(t.Context(), capture.Request{Form: r.Form.ID, EntityType: r.Form.Entity, Entity: r.Entity, Actor: r.Actor, Fields: r.Fields}); err != nil {
				t.Fatal(err)
			}
		}
		if life == 2 {
			t.remember(v, d)
			if err := copyFolder(v.dir, a.Dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if life == 1 {
			a.Sync(t)
		}
	}
	id, err := enrol.Load(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	v.id = id
	return v
}

func (t *T) remember(v *victim, d *device.Device) {
	t.Helper()
	for _, st := range d.Store().Chains() {
		for next := dot.Seq(1); next <= st.Last; {
			r, err := d.Store().Read(st.Chain, next, 1000, 4<<20)
			if err != nil || len(r.Entries) == 0 {
				t.Fatalf("read what was saved: %v", err)
			}
			v.raws[st.Chain] = append(v.raws[st.Chain], r.Entries...)
			next = r.Last() + 1
		}
		v.last[st.Chain] = st.Last
	}
}

// damageAgent damages one file of a device's folder at a time. Whatever is lost
// must be named, exactly; nothing may come back changed; no seq may be given out
// twice; and what the hub has must come back. What says where and which life the
// folder is, the program is to open: see damagedBook.
func damageAgent(t *T) {
	for range booksIn {
		t.damagedBook()
	}
	v := t.newVictim()
	for range damagedIn {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := copyFolder(dir, v.dir); err != nil {
			t.Fatal(err)
		}
		name := t.pick(dir)
		what := t.harm(name)
		t.Faults++
		before := t.Failed()
		t.examine(v, dir)
		if t.Failed() && !before {
			rel, _ := filepath.Rel(dir, name)
			t.Errorf("that was %s: %s", rel, what)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

func (v *victim) open(dir string, repair bool) (*store.Store, error) {
	id, err := enrol.Load(dir)
	if err != nil {
		return nil, err
	}
	return store.Open(dir, store.Options{
		Key: id.StoreKey(), Device: id.Device, Incarnation: v.id.Incarnation, Origin: entry.Origin{Reason: entry.Installed}, Repair: repair,
	})
}

// examine opens a damaged folder and holds it against what was in it.
func (t *T) examine(v *victim, dir string) {
	t.Helper()
	s, err := v.open(dir, false)
	if err != nil && strings.Contains(err.Error(), "--repair") {
		s, err = v.open(dir, true)
	}
	if err != nil {
		if !spoken(err) {
			t.Errorf("refused without saying why: %v", err)
		}
		return // reported, nothing was touched
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Error(err)
	}
	named := make(map[dot.Chain]lane.Set)
	for _, f := range s.Findings() {
		if t.Control == deaf {
			continue
		}
		for _, r := range f.Seqs {
			named[f.Chain] = named[f.Chain].Add(r)
		}
	}
	t.account(v, s, named)
	t.goOn(v, s)
	if t.Failed() {
		return
	}
	r, err := refill.Fill(t.Context(), holes{s}, ledger{v.raws, v.id.Device})
	if err != nil || len(r.Left) > 0 {
		t.Errorf("refill: %+v, %v", r, err)
	}
	for _, st := range s.Chains() {
		for _, lost := range st.Lost {
			for seq := lost.First; seq <= lost.Last; seq++ {
				if st.Received.Contains(seq) {
					t.Errorf("%s is at the hub and did not come back", st.Chain.At(seq))
					return
				}
			}
		}
	}
}

// spoken reports whether an error of opening is one that tells a person.
func spoken(err error) bool {
	for _, known := range []error{store.ErrDamaged, store.ErrWrongKey, enrol.ErrDamaged, enrol.ErrNotEnrolled} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// account wants every entry whole or named.
func (t *T) account(v *victim, s *store.Store, named map[dot.Chain]lane.Set) {
	t.Helper()
	for c, raws := range v.raws {
		for i, raw := range raws {
			x := c.At(dot.Seq(i + 1)) //nolint:gosec // a small index
			t.Checked++
			it, err := s.Get(x)
			switch {
			case err == nil && !it.Raw.Equal(raw):
				t.Errorf("%s came back with other bytes", x)
				return
			case err == nil && named[c].Contains(x.Seq):
				t.Errorf("%s is there and is called lost", x)
				return
			case err != nil && !named[c].Contains(x.Seq) && !t.unproven(s, c):
				t.Errorf("%s is lost and nobody says so: %v", x, err)
				return
			}
		}
	}
}

// unproven reports whether the store says of a chain that nothing proves where
// it ended: then it says that entries may be missing at the end.
func (t *T) unproven(s *store.Store, c dot.Chain) bool {
	if t.Control == deaf {
		return false
	}
	for _, f := range s.Findings() {
		if f.Code == store.CodeEndUnknown && f.Chain == c {
			return true
		}
	}
	return false
}

// goOn wants the next entry of each chain after the last one that there was.
func (t *T) goOn(v *victim, s *store.Store) {
	t.Helper()
	for c, last := range v.last {
		st, ok := s.Chain(c)
		if ok && st.Last < last && !t.unproven(s, c) {
			t.Errorf("%s ended at %d and would go on after %d", c, last, st.Last)
		}
	}
}

// holes lets refill mend a store; ledger is a hub that has everything.
type holes struct{ *store.Store }

func (h holes) Holes() (out []refill.Hole) {
	for _, x := range h.Store.Holes() {
		out = append(out, refill.Hole(x))
	}
	return out
}

type ledger struct {
	raws   map[dot.Chain][]entry.Raw
	device dot.Device
}

func (l ledger) Refill(_ context.Context, r wire.Refill) (wire.RefillPage, error) {
	p := wire.RefillPage{First: r.First}
	raws := l.raws[dot.Chain{Device: l.device, Incarnation: r.Incarnation, Lane: r.Lane}]
	for seq := r.First; seq <= r.Last && int(seq) <= len(raws) && len(p.Entries) < 50; seq++ { //nolint:gosec // small
		p.Entries = append(p.Entries, raws[seq-1].Encode())
	}
	return p, nil
}
