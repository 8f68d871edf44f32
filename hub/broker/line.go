package broker

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"otor/internal/dot"
)

// Bounds of answering requests on one subject.
const (
	maxHandlers     = 16      // at work at once
	maxWaiting      = 1024    // requests that are not begun
	maxWaitingBytes = 8 << 20 // of those
	// A device that works as it should has one request open, and a second where it
	// gave up waiting for the first.
	maxOfOne        = 2 // at work at once for one device
	maxWaitingOfOne = 4 // of one device, not begun
	// workTime bounds the work of a request: the device has long stopped waiting.
	workTime = 2 * time.Minute
)

// line is the waiting room of one subject's requests. A device has few places in it and
// fewer at work, so that one that asks without end keeps no other waiting; what is
// beyond is dropped. It is safe for concurrent use.
type line struct {
	work  func(r request)
	begin func() bool // counts a handler in; false: none begins any more
	ended func()      // counts it out

	mu      sync.Mutex // guards what follows
	waiting []request  // in order of arrival
	bytes   int        // of those
	busy    int
	of      map[dot.Device]*places
}

type request struct {
	device dot.Device
	msg    *nats.Msg
}

// places are those that a device takes.
type places struct{ busy, waiting int }

// arrive takes a request in; false: there is no room for it.
func (l *line) arrive(ctx context.Context, r request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) >= maxWaiting || l.bytes+len(r.msg.Data) > maxWaitingBytes {
		return false
	}
	p := l.of[r.device]
	if p == nil {
		p = new(places)
		l.of[r.device] = p
	}
	if p.waiting >= maxWaitingOfOne {
		return false
	}
	p.waiting++
	l.waiting, l.bytes = append(l.waiting, r), l.bytes+len(r.msg.Data)
	l.next(ctx)
	return true
}

// next begins what can begin; mu is held.
func (l *line) next(ctx context.Context) {
	for i := 0; i < len(l.waiting) && l.busy < maxHandlers; {
		r := l.waiting[i]
		p := l.of[r.device]
		if p.busy >= maxOfOne {
			i++
			continue
		}
		if ctx.Err() != nil || !l.begin() {
			l.waiting, l.bytes = nil, 0 // hubs elsewhere may answer when devices ask again
			return
		}
		l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
		l.bytes -= len(r.msg.Data)
		p.waiting--
		p.busy++
		l.busy++
		go l.answer(ctx, r, p)
	}
}

func (l *line) answer(ctx context.Context, r request, p *places) {
	defer l.ended()
	l.work(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	if p.busy--; p.busy == 0 && p.waiting == 0 {
		delete(l.of, r.device)
	}
	l.next(ctx)
}
