package demo_test

import (
	"errors"
	"testing"
	"time"

	"otor/agent/link"
	"otor/agent/web"
)

// A link that stands and has nothing to do says nothing between signs of life.
func TestAnIdleLinkIsSilent(t *testing.T) {
	p := newPair(t)
	p.put(t, 3)
	p.allThere(t, 3)
	var before link.Meter
	eventually(t, "what was under way has come", func() bool {
		was := before
		time.Sleep(200 * time.Millisecond)
		before = p.Link().Meter()
		return before == was && before.Out > 0
	})
	time.Sleep(time.Second)
	if after := p.Link().Meter(); after != before {
		t.Errorf("an idle link moved %d bytes in and %d out", after.In-before.In, after.Out-before.Out)
	}
}

// A budget that is used up holds records back, in words, and lets alerts go.
func TestABudgetIsKeptAndSaid(t *testing.T) {
	p := newPair(t)
	p.put(t, 2)
	p.allThere(t, 2)
	if l := p.status(t).Link; l.Doing != web.Connected || l.Today < 3000 {
		t.Errorf("link %+v", l)
	}
	check(t, p.SetLimits(link.Limits{Day: link.LeastLimit}))
	p.put(t, 300)
	eventually(t, "the day's budget is used up", func() bool { return p.status(t).Link.Doing == web.DaySpent })
	l := p.status(t).Link
	// What was under way, receipts and a hello may come on top.
	if most := uint64(link.LeastLimit + 5000); l.Today > most || l.Of == 0 || p.status(t).Waiting == 0 {
		t.Errorf("link %+v, %d waiting", l, p.status(t).Waiting)
	}
	if _, err := p.Begin(t.Context(), web.PutRequest{Form: "sos", User: "U01", Fields: []byte(`{"what":"storm","people":1}`)})(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the alert is at the hub", func() bool {
		for _, c := range p.status(t).Lanes {
			if c.Lane.String() == "alert" && c.Last > 0 && c.Received == c.Last {
				return true
			}
		}
		return false
	})
	if p.status(t).Waiting == 0 {
		t.Error("records went without a budget")
	}
	_, err := p.Sync(t.Context())
	if r, ok := errors.AsType[*web.Refusal](err); !ok || r.Code != "budget_spent" {
		t.Errorf("sync: %v", err)
	}
	check(t, p.Link().Budget().Keep())
	if kept := p.Store().Traffic(); kept.In+kept.Out < l.Today {
		t.Errorf("%+v was kept of %d", kept, l.Today)
	}
	if err := p.SetLimits(link.Limits{Day: 5}); err == nil {
		t.Error("a budget of 5 bytes was taken")
	}
	check(t, p.SetLimits(link.Limits{}))
	p.allThere(t, 303)
}
