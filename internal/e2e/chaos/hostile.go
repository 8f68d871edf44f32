package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"otor/agent/link"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/wire"
)

const (
	blowsIn = 400 // messages of a hostile device in one trial
	doorIn  = 5   // times that it knocks at its door
	most    = 512 // MB that a hub may take under them
)

// hostile lets a device that is enrolled send everything that it should not, ten
// times as fast as the others, which save and drain meanwhile: what it sends is
// counted, set aside or refused; the others notice nothing; the hub's memory is
// bounded.
func hostile(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	t.forgetful(h)
	calm := t.others(h, 1, nil)
	evil := h.Enrol(t, "D-666")
	evil.MustPut(t, t.Site.Records(t, t.Seed, 40), "--demo-numbers")
	c := t.client(evil.Dir)
	printed := make(map[dot.Dot]bool)
	for _, st := range c.device.Store().Chains() {
		for seq := dot.Seq(1); seq <= st.Last; seq++ {
			printed[st.Chain.At(seq)] = true
		}
	}
	k := t.newKit(c)
	var strange int
	qs := t.questions(k)
	knocks := 0
	busy := t.others(h, 2, func() {
		var beside sync.WaitGroup
		beside.Go(func() { knocks = t.door(evil.Dir, k.key, doorIn) })
		strange = t.blows(k, qs)
		beside.Wait()
	})
	if least := 6*doorIn + 1; knocks < least {
		t.Errorf("%d questions at the door, at least %d are wanted", knocks, least)
	}
	t.Faults += knocks
	rss := residentMB(h.PID())
	c.close()
	evil.Sync(t) // what it captured itself is as good as anybody's

	e2e.Eventually(t, "what cannot be read to be set aside", func() bool { return h.Status(t).Unattributed >= uint64(strange) || t.Control != "" }) //nolint:gosec // a count
	s := h.Status(t)
	if s.Unattributed < uint64(strange) { //nolint:gosec // a count
		t.Errorf("%d frames of nobody are listed, %d were sent", s.Unattributed, strange)
	}
	if rss > most {
		t.Errorf("the hub takes %d MB", rss)
	}
	for _, p := range LedgerProblems(t, h, []*e2e.Agent{evil}, printed) {
		t.Error(p)
	}
	t.Checked += len(printed)
	t.Met(copies, int(s.TransportDuplicates)) //nolint:gosec // a count
	t.Logf("the others drained in %s alone and in %s beside %d blows; %d frames of nobody set aside, %d copies counted, hub %d MB",
		calm.Round(time.Millisecond), busy.Round(time.Millisecond), t.Faults, s.Unattributed, s.TransportDuplicates, rss)
}

// others has three devices save and drain, and says how long that took until the
// hub had confirmed everything. meanwhile may be nil.
func (t *T) others(h *e2e.Hub, round int, meanwhile func()) time.Duration {
	t.Helper()
	const n = 100
	var members []*member
	for i := range 3 {
		name := fmt.Sprintf("D-%d0%d", round, i+1)
		members = append(members, t.join(h.Enrol(t, name), t.Seed+uint64(round*10+i), n, 5*time.Millisecond, nil)) //nolint:gosec // small
	}
	began := time.Now()
	var group sync.WaitGroup
	if meanwhile != nil {
		group.Go(meanwhile)
	}
	printed := make(map[dot.Dot]bool)
	var fleet []*e2e.Agent
	for _, m := range members {
		m.drained(t)
	}
	took := time.Since(began)
	group.Wait()
	for _, m := range members {
		m.dots(printed)
		m.leave(t)
		fleet = append(fleet, m.agent)
	}
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Error(p)
	}
	return took
}

// kit is what a hostile device makes its messages of.
type kit struct {
	c      *client
	id     dot.Device
	frames [][]byte // its own, genuine
	key    identity.SigningKey
	raws   []entry.Raw
	chain  dot.Chain
}

func (t *T) newKit(c *client) *kit {
	t.Helper()
	k := &kit{c: c, id: c.device.ID()}
	seed := sha256.Sum256([]byte("nobody knows this key"))
	var err error
	if k.key, err = identity.SigningKeyFromSeed(seed[:]); err != nil {
		t.Fatal(err)
	}
	for _, st := range c.device.Store().Chains() {
		if st.Last < 2 || st.Chain.Lane != dot.Record {
			continue
		}
		k.chain = st.Chain
		for seq := dot.Seq(1); seq+4 <= st.Last; seq += 5 {
			f, err := c.device.Frame(st.Chain, run(seq, seq+4))
			if err != nil {
				t.Fatal(err)
			}
			k.frames = append(k.frames, f)
		}
		r, err := c.device.Store().Read(st.Chain, 1, 50, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		k.raws = r.Entries
	}
	if len(k.frames) == 0 {
		t.Fatal("the hostile device has no frames of its own")
	}
	return k
}

// blows sends all kinds of things, 16 at a time, and returns how many distinct
// frames the hub must list as nobody's.
func (t *T) blows(k *kit, qs []question) (strange int) {
	type blow struct {
		subject string
		data    []byte
		asks    *question
	}
	blows := make(chan blow)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for b := range blows {
				if b.asks != nil {
					t.ask(k, *b.asks)
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				err := k.c.device.Link().Send(ctx, b.subject, b.data)
				cancel()
				if err != nil && t.Context().Err() == nil && !tolerated(err) {
					t.Errorf("%s: %v", b.subject, err)
				}
			}
		})
	}
	up := wire.Up(dot.Record, k.id)
	asked := 0
	for i := range blowsIn {
		frame := k.frames[t.R.IntN(len(k.frames))]
		var b blow
		switch t.R.IntN(12) {
		case 0:
			b, strange = blow{up, t.noise(1 + t.R.IntN(4000)), nil}, strange+1
		case 1:
			b = blow{up, append(t.noise(8), frame[:t.R.IntN(len(frame))]...), nil}
			strange++
		case 2:
			b = blow{up, flipped(frame, i), nil} // may still be a copy: the body's packing is not signed
		case 3: // over the limit of a frame, below that of a message
			b, strange = blow{up, t.noise(batch.MaxFrame + 1 + t.R.IntN(1000)), nil}, strange+1
		case 4, 5:
			b = blow{up, frame, nil} // again and again
		case 6: // in another's name, by an unknown key
			f, _, err := batch.Seal(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, dot.Seq(i+1), entry.Hash{byte(i), byte(i >> 8)}, k.raws[:1], k.key, batch.Small) //nolint:gosec // small
			if err != nil {
				t.Error(err)
			}
			b, strange = blow{wire.Relay(k.id), f, nil}, strange+1
		case 7: // the largest question that there is
			r, err := wire.Marshal(wire.Refill{Incarnation: 1 << 30, Lane: dot.Alert, First: 1, Last: dot.MaxSeq, Bytes: 1<<32 - 1})
			if err != nil {
				t.Error(err)
			}
			b = blow{asks: &question{"the largest refill", wire.RefillOn(k.id), r, nil}}
		default: // each kind of question in turn
			b = blow{asks: &qs[asked%len(qs)]}
			asked++
		}
		blows <- b
		t.Faults++
	}
	close(blows)
	workers.Wait()
	return strange
}

func tolerated(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, link.ErrNotTaken)
}

func (t *T) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(t.R.Uint32())
	}
	return b
}

func flipped(b []byte, i int) []byte {
	out := bytes.Clone(b)
	out[i%len(out)] ^= 1 << (i % 8)
	return out
}

// residentMB is the memory of a process, 0 where the system does not tell.
func residentMB(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb >> 10
		}
	}
	return 0
}
