package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/lane"
	"otor/internal/receipt"
)

const day = 24 * time.Hour

var hubNoon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// pruneAll prunes until nothing is left to look at.
func pruneAll(tb testing.TB, s *store.Store, hub time.Time, keep time.Duration) (gone, kept int) {
	tb.Helper()
	for {
		p, err := s.Prune(tb.Context(), hub, keep)
		if err != nil {
			tb.Fatal(err)
		}
		gone, kept = gone+p.Entries, kept+p.Kept
		if !p.More {
			return gone, kept
		}
	}
}

// answer settles what a hub says that has through and promises archived.
func answer(tb testing.TB, s *store.Store, e receipt.Epoch, saved []store.Saved, through, archived int) {
	tb.Helper()
	head := entry.Genesis(chain)
	if through > 0 {
		head = saved[through-1].Head
	}
	out, err := s.Answer(tb.Context(), e, []receipt.Receipt{{
		Epoch: e, Chain: chain, Through: dot.Seq(through), Head: head, Archived: dot.Seq(archived),
	}})
	if err != nil || out[0].Refused != nil {
		tb.Fatal(out, err)
	}
}

func well(tb testing.TB, s *store.Store) {
	tb.Helper()
	if f, err := s.Verify(tb.Context(), store.All, nil); err != nil || len(f) != 0 || len(s.Findings()) != 0 {
		tb.Fatal(f, s.Findings(), err)
	}
}

func TestPrune(t *testing.T) {
	const keep = 10 * day
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 700)
	one := receipt.Epoch{1}
	answer(t, s, one, saved, 690, 600)
	for _, c := range []struct {
		name string
		days int
		gone int
	}{
		{"just heard of", 0, 0},
		{"not yet", 9, 0},
		{"not because the hub's clock went back", -300, 0},
		// What was heard "in the future" counts from the day on which the clock was right again.
		{"from then on", -291, 0},
		{"ten days after", -290, 600},
		{"once", -290, 0},
	} {
		if gone, _ := pruneAll(t, s, hubNoon.Add(time.Duration(c.days)*day), keep); gone != c.gone {
			t.Fatalf("%s: %d went, want %d", c.name, gone, c.gone)
		}
		well(t, s)
	}
	check := func() {
		t.Helper()
		st := state(t, s, chain)
		if got := st.Pruned.String(); got != "{1-600}" {
			t.Fatalf("pruned %s", got)
		}
		if got := lane.Format(st.Waiting()) + lane.Format(st.Sendable()); got != fmt.Sprintf("{691-%d}{691-%d}", st.Last, st.Last) {
			t.Fatalf("waiting %s", got)
		}
		if _, err := s.Get(chain.At(600)); !errors.Is(err, store.ErrPruned) {
			t.Fatalf("a pruned entry: %v", err)
		}
		if it, err := s.Get(chain.At(601)); err != nil || it.Hash != saved[600].Hash {
			t.Fatalf("the first that stays: %v", err)
		}
		run, err := s.Read(chain, 1, 5, 1<<20)
		if err != nil || run.First != 601 || run.Before != saved[599].Head {
			t.Fatalf("read from 1: from %d, %v", run.First, err)
		}
		n := 0
		for _, err := range s.List(t.Context(), store.ListQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != int(st.Last)-600 {
			t.Fatalf("%d are listed", n)
		}
		well(t, s)
	}
	check()
	// The head at the boundary is still compared with the hub's.
	other := receipt.Receipt{Epoch: one, Chain: chain, Through: 600, Head: saved[3].Head}
	if out := settle(t, s, other); out.Refused == nil || out.Refused.Code != store.CodeHeadMismatch {
		t.Fatalf("another head where the cut ends: %+v", out.Refused)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	check()
	if next := put(t, s, dot.Record, 1)[0]; next.Dot.Seq != 701 {
		t.Fatalf("the next dot is %s", next.Dot)
	}
	check()
}

// TestPruneKeeps: what somebody may still need stays, whatever its age; what lies
// around it goes, and the chain holds across all of it.
func TestPruneKeeps(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	var saved []store.Saved
	add := func(change func(*store.Draft)) {
		t.Helper()
		d := visit(t, len(saved))
		if change != nil {
			change(&d)
		}
		got, err := s.Append(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, got)
	}
	for range 3 {
		add(nil)
	}
	add(func(d *store.Draft) {
		d.Public.Blobs = []entry.Blob{{Hash: entry.Hash{1}, Size: 10, Mime: "image/jpeg"}}
	}) // 4
	add(nil)
	add(nil) // 6: returned by the hub
	add(nil)
	add(nil) // 8: the last one
	scope := feed.ScopeOf("D-101")
	grant(t, s, scope)
	set := func(verdict string, n uint64) {
		b, err := feed.Outcome{Verdict: verdict, At: 5}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		page(t, s, scope, n, false, feed.Row{N: n, Kind: feed.Verdict, Key: chain.At(6).String(), Body: b})
	}
	set("quarantined", 1)
	answer(t, s, receipt.Epoch{1}, saved, 8, 8)
	if err := s.SetBlobsAt(t.Context(), receipt.Epoch{9}, 0, entry.Hash{1}); err != nil {
		t.Fatal(err) // another hub's database had the photo
	}
	pruneAll(t, s, hubNoon, day)
	if gone, kept := pruneAll(t, s, hubNoon.Add(day), day); gone != 5 || kept != 2 {
		t.Fatalf("%d went, %d were kept", gone, kept)
	}
	is(t, "pruned", state(t, s, chain).Pruned.String(), "{1-3, 5, 7}")
	well(t, s)
	set("applied", 2)
	pruneAll(t, s, hubNoon.Add(2*day), day)
	is(t, "once it is put right", state(t, s, chain).Pruned.String(), "{1-3, 5-7}")
	if err := s.SetBlobsAt(t.Context(), receipt.Epoch{1}, 0, entry.Hash{1}); err != nil {
		t.Fatal(err)
	}
	pruneAll(t, s, hubNoon.Add(3*day), day)
	is(t, "once the hub has the photo", state(t, s, chain).Pruned.String(), "{1-7}")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	is(t, "after opening", state(t, s, chain).Pruned.String(), "{1-7}")
	well(t, s)
}

// TestPruneOff: a device that keeps everything prunes nothing.
func TestPruneOff(t *testing.T) {
	s := open(t, t.TempDir(), options())
	saved := put(t, s, dot.Record, 10)
	answer(t, s, receipt.Epoch{1}, saved, 10, 10)
	for _, at := range []time.Time{hubNoon, hubNoon.Add(9000 * day)} {
		if gone, _ := pruneAll(t, s, at, 0); gone != 0 {
			t.Fatalf("%d went", gone)
		}
	}
	if gone, _ := pruneAll(t, s, time.Time{}, day); gone != 0 {
		t.Fatal("pruned without knowing the hub's time")
	}
}

// TestArchiveBroken: a hub that is put back to an older backup than it promised lacks
// what was pruned. That is said with its range; the rest goes to the hub again; and
// it is over once a newer backup is restored.
func TestArchiveBroken(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 50)
	answer(t, s, receipt.Epoch{1}, saved, 50, 30)
	pruneAll(t, s, hubNoon, day)
	pruneAll(t, s, hubNoon.Add(day), day)
	answer(t, s, receipt.Epoch{2}, saved, 20, 10)
	check := func() {
		t.Helper()
		f := s.Findings()
		if len(f) != 1 || f[0].Code != store.CodeArchiveBroken || lane.Format(f[0].Seqs) != "{21-30}" || f[0].Do == "" {
			t.Fatalf("findings: %v", f)
		}
		is(t, "waiting", lane.Format(state(t, s, chain).Sendable()), "{31-50}")
	}
	check()
	pruneAll(t, s, hubNoon.Add(90*day), day)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	check()
	if n := len(s.Holes()); n != 0 {
		t.Fatalf("%d holes: the hub does not have these entries", n)
	}
	answer(t, s, receipt.Epoch{3}, saved, 30, 30)
	well(t, s)
}

// TestPrunedStoreMends: damage beside a cut is refilled, with the heads that the cut
// kept; and of what is pruned nothing is asked for.
func TestPrunedStoreMends(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 100)
	raws := wholeChain(t, s, chain)
	answer(t, s, receipt.Epoch{1}, saved, 100, 60)
	pruneAll(t, s, hubNoon, day)
	pruneAll(t, s, hubNoon.Add(day), day)
	for seq := dot.Seq(61); seq <= 70; seq++ {
		if err := store.DropEntry(s, chain.At(seq)); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := s.Verify(t.Context(), store.All, nil); err != nil || len(f) != 1 || lane.Format(f[0].Seqs) != "{61-70}" {
		t.Fatal(f, err)
	}
	holes := s.Holes()
	if len(holes) != 1 || holes[0].Run != lane.Run(61, 70) || holes[0].Before != saved[59].Head {
		t.Fatalf("holes: %+v", holes)
	}
	if err := s.Refill(t.Context(), chain, 61, holes[0].Before, raws[60:70]); err != nil {
		t.Fatal(err)
	}
	well(t, s)
}

// TestPruneBesideACheck: what is pruned after a check of everything began is not lost
// for it, and what damage took is.
func TestPruneBesideACheck(t *testing.T) {
	s := open(t, t.TempDir(), options())
	saved := put(t, s, dot.Record, 100)
	answer(t, s, receipt.Epoch{1}, saved, 100, 60)
	pruneAll(t, s, hubNoon, day)
	before := state(t, s, chain)
	if gone, _ := pruneAll(t, s, hubNoon.Add(day), day); gone != 60 {
		t.Fatalf("%d went", gone)
	}
	for _, seq := range []dot.Seq{64, 100} {
		if err := store.DropEntry(s, chain.At(seq)); err != nil {
			t.Fatal(err)
		}
	}
	for run, want := range map[lane.Range]string{
		lane.Run(1, 100): "{64, 100}", lane.Run(1, 40): "{}", lane.Run(30, 70): "{64}", lane.Run(90, 100): "{100}",
	} {
		lost, err := store.WalkLater(s, before, run)
		if err != nil || lost.String() != want {
			t.Errorf("of %s it takes %s for lost, want %s; %v", run, lost, want, err)
		}
	}
}

// TestPruneReHomed: an old form goes once its new form went. What the hub says under
// the old name is of another folder's entry; what it says under the new one counts.
func TestPruneReHomed(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	saved := put(t, s, dot.Record, 20)
	answer(t, s, receipt.Epoch{1}, saved, 5, 5)
	if err := s.Begin(t.Context(), 2, diverged()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rehome(t.Context(), chain, 5); err != nil {
		t.Fatal(err)
	}
	scope := feed.ScopeOf("D-101")
	grant(t, s, scope)
	aside, err := feed.Outcome{Verdict: "quarantined", Code: "missing"}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	page(t, s, scope, 2, false, feed.Row{N: 1, Kind: feed.Verdict, Key: chain.At(6).String(), Body: aside},
		feed.Row{N: 2, Kind: feed.Verdict, Key: second.At(3).String(), Body: aside})
	pruneAll(t, s, hubNoon, day)
	pruneAll(t, s, hubNoon.Add(2*day), day)
	is(t, "before the new forms went", state(t, s, chain).Pruned.String(), "{1-5}")
	put(t, s, dot.Record, 1)
	st := state(t, s, second)
	if _, err := s.Answer(t.Context(), receipt.Epoch{1}, []receipt.Receipt{{Epoch: receipt.Epoch{1}, Chain: second, Through: st.Last, Head: st.Head, Archived: 10}}); err != nil {
		t.Fatal(err)
	}
	pruneAll(t, s, hubNoon.Add(3*day), day)
	pruneAll(t, s, hubNoon.Add(5*day), day)
	pruneAll(t, s, hubNoon.Add(7*day), day)
	is(t, "new forms", state(t, s, second).Pruned.String(), "{1-2, 4-10}")
	is(t, "old forms", state(t, s, chain).Pruned.String(), "{1-7, 9-15}")
	well(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, inSecond())
	well(t, s)
}

// pruneWorld is a device, and a hub that keeps a prefix of its chain and two backups.
type pruneWorld struct {
	tb      testing.TB
	pick    func(n int) int // 0 to n-1
	claim   bool            // control: the hub calls archived what it received
	dir     string
	s       *store.Store
	saved   []store.Saved
	has     int
	backups []int // how much each holds, the older first
	epoch   byte
	now     time.Time
}

// promised is what both backups hold: so says L8.
func (w *pruneWorld) promised() int {
	if len(w.backups) < 2 {
		return 0
	}
	return min(w.backups[0], w.backups[1])
}

func (w *pruneWorld) contact() {
	archived := w.promised()
	if w.claim {
		archived = w.has
	}
	answer(w.tb, w.s, receipt.Epoch{w.epoch}, w.saved, w.has, archived)
	if len(w.saved) > w.has {
		w.has += w.pick(len(w.saved) - w.has + 1)
		answer(w.tb, w.s, receipt.Epoch{w.epoch}, w.saved, w.has, archived)
	}
}

func (w *pruneWorld) step() {
	switch w.pick(10) {
	case 0, 1:
		w.saved = append(w.saved, put(w.tb, w.s, dot.Record, 1+w.pick(40))...)
	case 2:
		w.contact()
	case 3:
		if w.backups = append(w.backups, w.has); len(w.backups) > 2 {
			w.backups = w.backups[1:]
		}
		w.contact()
	case 4: // the hub burns; one of its backups is put back
		if len(w.backups) < 2 {
			return
		}
		w.has, w.epoch = w.backups[w.pick(2)], w.epoch+1
		w.contact()
	case 5, 6, 7:
		w.contact()
		w.now = w.now.Add(time.Duration(w.pick(9)) * day)
		for range 1 + w.pick(3) {
			if _, err := w.s.Prune(w.tb.Context(), w.now, 3*day); err != nil {
				w.tb.Fatal(err)
			}
		}
	case 8:
		if _, err := w.s.Reclaim(w.tb.Context()); err != nil {
			w.tb.Fatal(err)
		}
	case 9: // the device's power goes
		image := copyDir(w.tb, w.dir)
		if err := w.s.Close(); err != nil {
			w.tb.Fatal(err)
		}
		w.dir = image
		w.reopen()
	}
}

func (w *pruneWorld) reopen() {
	s, err := store.Open(w.dir, options())
	if err != nil {
		w.tb.Fatal(err)
	}
	w.s = s
}

// lost names an entry that is neither on the device nor in what the hub can be put back to.
func (w *pruneWorld) lost() error {
	if f := w.s.Findings(); len(f) > 0 {
		return fmt.Errorf("findings: %v", f)
	}
	if f, err := w.s.Verify(w.tb.Context(), store.All, nil); err != nil || len(f) > 0 {
		return fmt.Errorf("damage: %v %w", f, err)
	}
	for i, sv := range w.saved {
		it, err := w.s.Get(sv.Dot)
		switch {
		case err == nil && it.Hash == sv.Hash, errors.Is(err, store.ErrPruned) && i < w.promised():
		default:
			return fmt.Errorf("%s is lost: the hub can be put back to %d: %w", sv.Dot, w.promised(), err)
		}
	}
	return nil
}

func (w *pruneWorld) run(steps int) error {
	w.dir, w.epoch, w.now = w.tb.TempDir(), 1, hubNoon
	w.reopen()
	defer func() {
		if err := w.s.Close(); err != nil {
			w.tb.Error(err)
		}
	}()
	for range steps {
		w.step()
		if err := w.lost(); err != nil {
			return err
		}
	}
	w.contact()
	if got, want := state(w.tb, w.s, chain).Sendable(), lane.Set(nil).Missing(dot.Seq(len(w.saved))); w.has > 0 && len(want) > 0 {
		if want[0].First = dot.Seq(w.has + 1); want[0].Valid() != (len(got) == 1) || len(got) == 1 && got[0] != want[0] {
			return fmt.Errorf("the hub has %d, due are %s", w.has, lane.Format(got))
		}
	}
	return nil
}

// TestPruneProperty: whenever a device prunes, loses its power, or the hub is put back
// to the backup that it promised, no entry is lost.
func TestPruneProperty(t *testing.T) {
	pruned := uint64(0)
	run := func(pick func(n int) int, steps int) error {
		w := &pruneWorld{tb: t, pick: pick}
		if err := w.run(steps); err != nil {
			return err
		}
		w.reopen()
		pruned += state(t, w.s, chain).Pruned.Len()
		return w.s.Close()
	}
	for seed := range uint64(5) {
		if err := run(rand.New(rand.NewPCG(seed, 2)).IntN, 60); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if pruned < 50 {
		t.Errorf("only %d entries were pruned", pruned)
	}
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "n") }
		if err := run(pick, rapid.IntRange(10, 60).Draw(rt, "steps")); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestPruneControl: a device that prunes what was only received is found out.
func TestPruneControl(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := &pruneWorld{tb: t, pick: r.IntN, claim: true}
		if err := w.run(60); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Error("pruning on receipt was not found out")
}

// TestPruneGivesSpaceBack: the files shrink, and nothing else changes.
func TestPruneGivesSpaceBack(t *testing.T) {
	const n = 20_000
	dir := t.TempDir()
	s, err := store.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	waits := make([]func() (store.Saved, error), n)
	for i := range n {
		waits[i] = s.Submit(t.Context(), visit(t, i))
	}
	saved := make([]store.Saved, n)
	for i, wait := range waits {
		if saved[i], err = wait(); err != nil {
			t.Fatal(err)
		}
	}
	tables := func(when string) int64 {
		t.Helper()
		z, err := s.Sizes()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d kB in tables", when, z.Tables>>10)
		return z.Tables
	}
	reopen := func() {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = store.Open(dir, options()); err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	before := tables("full")
	answer(t, s, receipt.Epoch{1}, saved, n, n-n/20)
	pruneAll(t, s, hubNoon, day)
	start := time.Now()
	gone, _ := pruneAll(t, s, hubNoon.Add(day), day)
	t.Logf("%d entries went in %s", gone, time.Since(start))
	tables("pruned")
	if owed := s.Owed(); owed < int64(n)*200 {
		t.Errorf("only %d bytes are owed", owed)
	}
	start = time.Now()
	stop, reads := make(chan struct{}), make(chan int)
	go func() { // somebody reads meanwhile
		for i := 0; ; i++ {
			select {
			case <-stop:
				reads <- i
				return
			default:
			}
			if _, err := s.Get(saved[n-1-i%100].Dot); err != nil {
				t.Error(err)
			}
		}
	}()
	if done, err := s.Reclaim(t.Context()); err != nil || !done {
		t.Fatal(done, err)
	}
	close(stop)
	t.Logf("reclaiming took %s, %d reads meanwhile", time.Since(start), <-reads)
	if after := tables("reclaimed"); gone != n-n/20 || after > before/5 || s.Owed() != 0 {
		t.Errorf("%d entries went, the tables have %d kB of %d, owed %d", gone, after>>10, before>>10, s.Owed())
	}
	well(t, s)
	put(t, s, dot.Record, 1)
	reopen()
	tables("opened again")
	well(t, s)
	if next := put(t, s, dot.Record, 1)[0]; next.Dot.Seq != n+2 {
		t.Errorf("the next dot is %s", next.Dot)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAQuarrelIsNoBrokenArchive: where the receipts of a new epoch contradict a chain,
// nothing is known of what was removed from it until both sides have compared. Then
// it is: a hub that lacks it is told of.
func TestAQuarrelIsNoBrokenArchive(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 5)
	one, two := receipt.Epoch{1}, receipt.Epoch{2}
	answer(t, s, one, saved, 5, 2)
	pruneAll(t, s, hubNoon, time.Hour)
	if gone, _ := pruneAll(t, s, hubNoon.Add(2*time.Hour), time.Hour); gone != 2 {
		t.Fatalf("%d entries were removed", gone)
	}
	out, err := s.Answer(t.Context(), two, []receipt.Receipt{{Epoch: two, Chain: chain, Through: 9, Head: entry.Hash{9}}})
	if err != nil || out[0].Refused == nil {
		t.Fatal(out, err)
	}
	for range 2 { // as it is, and as it is opened again
		if st := state(t, s, chain); len(st.Broken()) > 0 || waitingOf(st) != 3 {
			t.Errorf("missing at the hub: %s, waiting %d", st.Broken(), waitingOf(st))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, options())
	}
	answer(t, s, two, saved, 1, 0)
	if got := state(t, s, chain).Broken().String(); got != "{2}" {
		t.Errorf("missing at the hub: %s", got)
	}
}
