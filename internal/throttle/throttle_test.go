package throttle_test

import (
	"fmt"
	"testing"
	"time"

	"otor/internal/throttle"
)

var noon = time.Date(2025, 9, 18, 12, 0, 0, 0, time.UTC)

func TestAnAddressWaitsAfterItsTries(t *testing.T) {
	th := throttle.New(throttle.Limits{Burst: 3, Every: time.Minute, GlobalBurst: 100, GlobalEvery: time.Second}, noon)
	const a, neighbour = "192.0.2.1:1000", "192.0.2.2:1000"
	for i := range 3 {
		if w := th.Wait(a, noon); w != 0 {
			t.Fatalf("try %d: wait %s", i, w)
		}
		th.Wrong(a, noon)
	}
	if w := th.Wait("192.0.2.1:2000", noon); w != time.Minute {
		t.Errorf("another port of the address waits %s, want a minute", w)
	}
	if w := th.Wait(neighbour, noon); w != 0 {
		t.Errorf("the neighbour waits %s", w)
	}
	if w := th.Wait(a, noon.Add(time.Minute)); w != 0 {
		t.Errorf("after a minute still %s", w)
	}
}

func TestAnIPv6NetworkIsOneAddress(t *testing.T) {
	th := throttle.New(throttle.Limits{Burst: 1, Every: time.Minute, GlobalBurst: 100, GlobalEvery: time.Second}, noon)
	th.Wrong("[2001:db8::1]:1", noon)
	if th.Wait("[2001:db8::ffff]:1", noon) == 0 {
		t.Error("a host of the same network goes on")
	}
	if th.Wait("[2001:db8:0:1::1]:1", noon) != 0 {
		t.Error("another network waits")
	}
}

func TestAllTogetherMeetALimit(t *testing.T) {
	th := throttle.New(throttle.Limits{Burst: 10, Every: time.Minute, GlobalBurst: 50, GlobalEvery: time.Second}, noon)
	for i := range 5000 {
		th.Wrong(fmt.Sprintf("10.%d.%d.1:1", i/250, i%250), noon)
	}
	if th.Wait("203.0.113.9:1", noon) == 0 {
		t.Error("a new address goes on although all tries are used up")
	}
	if w := th.Wait("203.0.113.9:1", noon.Add(2*time.Second)); w != 0 {
		t.Errorf("waits %s when things are quiet", w)
	}
}
