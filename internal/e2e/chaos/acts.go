package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"otor/hub/server"
	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// act is something that an operator was told is done.
type act struct {
	kind    string
	subject string
	event   int // what the disk had seen when it was told
}

// operators let devices in, plan for them and let them out, one act after the other,
// while harm is done to their hub. Each act is about something new, so none may come
// about twice; one that got no answer may have come about or not.
type operators struct {
	dir    string
	events func() int
	end    context.CancelFunc
	group  sync.WaitGroup

	mu   sync.Mutex // guards what follows
	told []act
}

// operators acts on the hub of a folder until the trial ends, or it is stopped. events
// may be nil.
func (t *T) operators(dir string, events func() int) *operators {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	o := &operators{dir: dir, events: events, end: end}
	o.group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			c, ok, err := server.Dial(ctx, dir)
			if err == nil && ok {
				n = o.act(ctx, c, n)
			}
			rest(ctx)
		}
	})
	t.Cleanup(o.stop)
	return o
}

// rest leaves the hub to its devices for a moment.
func rest(ctx context.Context) {
	select {
	case <-time.After(15 * time.Millisecond):
	case <-ctx.Done():
	}
}

// act goes on until an act gets no answer; it returns the number of that device.
func (o *operators) act(ctx context.Context, c *server.Client, n int) int {
	for ; ; n++ {
		d := dot.Device(fmt.Sprintf("X-%d", n))
		acts := []struct {
			kind string
			do   func() error
		}{
			{"invited", func() error { _, err := c.Invite(ctx, d, []string{"team:x"}, time.Hour, false); return err }},
			{"planned", func() error {
				_, err := c.Plan(ctx, d, server.PlanOrder{Until: time.Now().Add(24 * time.Hour)})
				return err
			}},
			{"revoked", func() error { return c.Revoke(ctx, d) }},
		}
		for _, a := range acts[:1+n%len(acts)] {
			if a.do() != nil {
				return n
			}
			o.tell(a.kind, d)
			rest(ctx)
		}
	}
}

func (o *operators) tell(kind string, d dot.Device) {
	event := 0
	if o.events != nil {
		event = o.events() // read after the answer: never too early
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, act{kind, string(d), event})
}

// done lists what they were told so far.
func (o *operators) done() []act {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[:len(o.told):len(o.told)]
}

// stop ends the acting. It may be called again.
func (o *operators) stop() {
	o.end()
	o.group.Wait()
}

// fact is a fact of a hub's ledger, as far as acts are about it.
type fact struct{ kind, subject string }

// actsHold wants each act that an operator was told is done in the ledger of a running
// hub once, in the same order, and in effect; and ledger and journal to tell the same
// story.
func (t *T) actsHold(h *e2e.Hub, o *operators) {
	t.Helper()
	told := o.done()
	c, ok, err := server.Dial(t.Context(), h.Dir)
	if err != nil || !ok {
		t.Fatalf("the hub does not answer: %v", err)
	}
	check, err := c.CheckLedger(t.Context())
	if err != nil {
		t.Fatalf("ledger and journal: %v", err)
	}
	if check.Unapplied > 0 {
		t.Errorf("%d acts are decided and not in effect, behind a start", check.Unapplied)
	}
	var facts []fact
	for f, err := range c.Facts(t.Context(), hubstore.FactQuery{}, false) {
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, fact{f.Kind, f.Subject})
	}
	t.actsAmong(facts, told)
	state := make(map[string]string)
	devices, err := c.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		state[string(d.Device)] = d.State
	}
	for _, a := range told {
		if s := state[a.subject]; s == "" || a.kind == "revoked" && s != "revoked" {
			t.Errorf("%s was told to be %s and is %q", a.subject, a.kind, s)
			return
		}
	}
}

// actsAmong wants acts among facts, each once and in the same order.
func (t *T) actsAmong(facts []fact, told []act) {
	t.Helper()
	at, times := make(map[fact]int), make(map[fact]int)
	for i, f := range facts {
		at[f], times[f] = i, times[f]+1
	}
	before := -1
	for _, a := range told {
		f := fact{a.kind, a.subject}
		switch i := at[f]; {
		case times[f] != 1:
			t.Errorf("an operator was told that %s is %s, and the ledger has that %d times", a.subject, a.kind, times[f])
			return
		case i < before:
			t.Errorf("%s was %s before what the ledger has before it", a.subject, a.kind)
			return
		default:
			before = i
		}
	}
	t.Checked += len(told)
}
