package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"otor/hub/server"
	hubstore "otor/hub/store"
	"otor/internal/dot"
)

// act is something that an operator was told is done.
type act struct {
	kind    string
	subject string
	event   int // what the disk had seen when it was told
}

// Operators let devices in, plan for them and let them out, one act after the other,
// while harm is done to their hub. Each act is about something new, so none may come
// about twice; one that got no answer may have come about or not.
type Operators struct {
	dir    string
	prefix string
	events func() int
	end    context.CancelFunc
	group  sync.WaitGroup

	mu   sync.Mutex // guards what follows
	told []act
}

// Operate acts on the hub of a folder until ctx ends, or it is stopped. Its devices'
// names begin with prefix. events may be nil.
func Operate(ctx context.Context, dir, prefix string, events func() int) *Operators {
	ctx, end := context.WithCancel(ctx)
	o := &Operators{dir: dir, prefix: prefix, events: events, end: end}
	o.group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			c, ok, err := server.Dial(ctx, dir)
			if err == nil && ok {
				n = o.act(ctx, c, n)
			}
			rest(ctx)
		}
	})
	return o
}

// operators acts on a hub until the trial ends, or it is stopped.
func (t *T) operators(dir string, events func() int) *Operators {
	t.Helper()
	o := Operate(t.Context(), dir, "X", events)
	t.Cleanup(o.Stop)
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
func (o *Operators) act(ctx context.Context, c *server.Client, n int) int {
	for ; ; n++ {
		d := dot.Device(fmt.Sprintf("%s-%d", o.prefix, n))
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

func (o *Operators) tell(kind string, d dot.Device) {
	event := 0
	if o.events != nil {
		event = o.events() // read after the answer: never too early
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, act{kind, string(d), event})
}

// Told lists what they were told so far.
func (o *Operators) Told() []act {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clip(o.told)
}

// Stop ends the acting. It may be called again.
func (o *Operators) Stop() {
	o.end()
	o.group.Wait()
}

// fact is a fact of a hub's ledger, as far as acts are about it.
type fact struct{ kind, subject string }

// Problems holds what the operators were told against their hub, which runs: each act
// is in its ledger once, in the same order, and in effect; and ledger and journal tell
// the same story.
func (o *Operators) Problems(ctx context.Context) (problems []string, err error) {
	told := o.Told()
	c, ok, err := server.Dial(ctx, o.dir)
	if err == nil && !ok {
		err = fmt.Errorf("the hub of %s does not answer", o.dir)
	}
	if err != nil {
		return nil, err
	}
	check, err := c.CheckLedger(ctx)
	if err != nil {
		return nil, fmt.Errorf("ledger and journal: %w", err)
	}
	if check.Unapplied > 0 {
		problems = append(problems, fmt.Sprintf("%d acts are decided and not in effect, behind a start", check.Unapplied))
	}
	var facts []fact
	for f, err := range c.Facts(ctx, hubstore.FactQuery{}, false) {
		if err != nil {
			return nil, err
		}
		facts = append(facts, fact{f.Kind, f.Subject})
	}
	problems = append(problems, among(facts, told)...)
	devices, err := c.Devices(ctx)
	if err != nil {
		return nil, err
	}
	state := make(map[string]string)
	for _, d := range devices {
		state[string(d.Device)] = d.State
	}
	for _, a := range told {
		if s := state[a.subject]; s == "" || a.kind == "revoked" && s != "revoked" {
			problems = append(problems, fmt.Sprintf("an operator was told that %s is %s, and it is %q", a.subject, a.kind, s))
		}
	}
	return problems, nil
}

// among wants acts among facts, each once and in the same order.
func among(facts []fact, told []act) (problems []string) {
	at, times := make(map[fact]int), make(map[fact]int)
	for i, f := range facts {
		at[f], times[f] = i, times[f]+1
	}
	before := -1
	for _, a := range told {
		f := fact{a.kind, a.subject}
		if times[f] != 1 {
			problems = append(problems, fmt.Sprintf("an operator was told that %s is %s, and the ledger has that %d times", a.subject, a.kind, times[f]))
			continue
		}
		if at[f] < before {
			problems = append(problems, fmt.Sprintf("%s was %s after what the ledger has behind it", a.subject, a.kind))
		}
		before = at[f]
	}
	return problems
}

// actsHold wants what the operators of a running hub were told.
func (t *T) actsHold(o *Operators) {
	t.Helper()
	problems, err := o.Problems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	t.Checked += len(o.Told())
}

// actsAmong wants acts that were told among facts.
func (t *T) actsAmong(facts []fact, told []act) {
	t.Helper()
	for _, p := range among(facts, told) {
		t.Error(p)
	}
	t.Checked += len(told)
}
