package chaos

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// mode is how a line is.
type mode uint8

const (
	up       mode = iota
	refusing      // nobody is reached, and what stands is cut
	black         // what stands carries nothing and does not end
	halfOpen      // the other end is gone and nobody says so
)

// line is a bad link: a dialer whose connections are slow, far and lossy, and
// that can be taken away in several ways. Times are those of the trial, which
// runs faster than life by a factor.
type line struct {
	rate  float64       // bytes a second, each way
	delay time.Duration // one way
	loss  float64       // of packets; each costs a retransmission's wait

	mu    sync.Mutex // guards what follows
	now   mode
	moved chan struct{} // closed when now changes
	conns map[*pipe]bool
	r     *rand.Rand
	dials int
	cut   int
}

// packet is about what one segment carries, in bytes.
const packet = 1400

// newLine is a 2G link of 64 kbit/s, 600 ms there and back and 5 % loss, in a
// world that runs so many times faster.
func newLine(seed uint64, faster float64) *line {
	return &line{
		rate: 8000 * faster, delay: time.Duration(float64(300*time.Millisecond) / faster), loss: 0.05,
		moved: make(chan struct{}), conns: make(map[*pipe]bool), r: rand.New(rand.NewPCG(seed, 77)),
	}
}

var errNoSignal = errors.New("no signal")

// pipe is one connection through the line.
type pipe struct {
	near, far net.Conn
	once      sync.Once
}

func (p *pipe) close() {
	p.once.Do(func() { _ = p.near.Close(); _ = p.far.Close() })
}

// DialContext implements link.Dialer.
func (l *line) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	l.dials++
	now, moved := l.now, l.moved
	l.mu.Unlock()
	if now != up {
		if now == refusing {
			return nil, errNoSignal
		}
		select { // a connect that nobody answers
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-moved:
			return nil, errNoSignal
		}
	}
	far, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	device, near := net.Pipe()
	p := &pipe{near: near, far: far}
	l.mu.Lock()
	l.conns[p] = true
	l.mu.Unlock()
	go l.carry(p, far, near)
	go l.carry(p, near, far)
	return device, nil
}

// late is bytes and when they arrive.
type late struct {
	data []byte
	due  time.Time
}

// carry moves bytes one way, as late as the line has it.
func (l *line) carry(p *pipe, to io.Writer, from io.Reader) {
	defer l.drop(p)
	queue := make(chan late, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for x := range queue {
			time.Sleep(time.Until(x.due))
			if !l.open(p) {
				return
			}
			if _, err := to.Write(x.data); err != nil {
				l.drop(p)
				return
			}
		}
	}()
	last := time.Now()
	for {
		buf := make([]byte, packet)
		n, err := from.Read(buf)
		if n > 0 {
			if now := time.Now(); last.Before(now) {
				last = now
			}
			last = last.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
			if l.lost() {
				last = last.Add(3 * l.delay) // sent again, and what follows waits for it
			}
			select {
			case queue <- late{buf[:n], last.Add(l.delay)}:
			case <-done:
				return
			}
		}
		if err != nil {
			break
		}
	}
	close(queue)
	<-done
}

func (l *line) lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Float64() < l.loss
}

// open waits while the line is black, and reports whether the connection still
// carries: what was in the air when the other end went is gone.
func (l *line) open(p *pipe) bool {
	for {
		l.mu.Lock()
		now, moved, there := l.now, l.moved, l.conns[p]
		l.mu.Unlock()
		if now == up || !there {
			return there
		}
		<-moved
		if now == halfOpen {
			l.drop(p)
			return false
		}
	}
}

func (l *line) drop(p *pipe) {
	l.mu.Lock()
	delete(l.conns, p)
	l.mu.Unlock()
	p.close()
}

// set changes how the line is.
func (l *line) set(m mode) {
	l.mu.Lock()
	was := l.now
	l.now = m
	close(l.moved)
	l.moved = make(chan struct{})
	var gone []*pipe
	if m == refusing || was == halfOpen {
		for p := range l.conns {
			gone = append(gone, p)
			delete(l.conns, p)
		}
	}
	l.cut += len(gone)
	l.mu.Unlock()
	for _, p := range gone {
		p.close()
	}
}
