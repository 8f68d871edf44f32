package narrow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Net is the line and its two ends, seen from the far one.
type Net struct {
	near     string // the namespace
	sides    [2]int // sockets
	stop     context.CancelFunc
	loops    sync.WaitGroup
	up, down *way
}

// Join starts the bridge between the namespaces that [Run] made, until Close.
// It is called by the command that Run started.
func Join(l Line) (_ *Net, err error) {
	base := os.Getenv(joinedBy)
	if base == "" {
		return nil, errors.New("this process was not started by narrow.Run")
	}
	r := rooms(base)
	var side [2]int
	err = within(r[1], func() (err error) {
		if side[0], err = openSide("side0"); err != nil {
			return err
		}
		if side[1], err = openSide("side1"); err != nil {
			return errors.Join(err, unix.Close(side[0]))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bridge the line: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Net{near: r[0], sides: side, stop: stop, up: newWay(l, 1), down: newWay(l, 2)}
	for _, e := range []struct {
		w        *way
		from, to int
	}{{n.up, side[0], side[1]}, {n.down, side[1], side[0]}} {
		n.loops.Go(func() { e.w.take(ctx, e.from, e.to) })
		n.loops.Go(func() { e.w.deliver(ctx, e.to) })
	}
	return n, nil
}

// Close ends the bridge.
func (n *Net) Close() {
	n.stop()
	n.loops.Wait()
	for _, fd := range n.sides {
		_ = unix.Close(fd) // nothing is buffered in it
	}
}

// Counts says what went over the line so far: up from near to far, and down.
func (n *Net) Counts() (up, down Counts) { return n.up.counted(), n.down.counted() }

// DialContext connects from the near namespace.
func (n *Net) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = within(n.near, func() error {
		c, err = (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// way is one direction of the line.
type way struct {
	Line
	chance *rand.Rand
	queue  chan packet

	mu     sync.Mutex
	counts Counts
	free   time.Time // when the line has taken all that waits
}

type packet struct {
	due   time.Time
	bytes []byte
}

// maxPackets bounds what is on its way, in packets.
const maxPackets = 4096

func newWay(l Line, n uint64) *way {
	return &way{Line: l, chance: rand.New(rand.NewPCG(l.Seed, n)), queue: make(chan packet, maxPackets)}
}

func (w *way) counted() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}

// etherHeader is the length of an Ethernet header, whose last two bytes say what follows.
const etherHeader = 14

// take reads packets from one side. What is not IPv4 asks for addresses, which
// no real line carries: it goes through at once and counts nothing.
func (w *way) take(ctx context.Context, from, to int) {
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, sender, err := unix.Recvfrom(from, buf, 0)
		ll, ok := sender.(*unix.SockaddrLinklayer)
		if err != nil || !ok || ll.Pkttype == unix.PACKET_OUTGOING || n < etherHeader {
			continue // nothing came for a moment, or it is our own
		}
		b := append([]byte(nil), buf[:n]...)
		if binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_IP {
			_, _ = unix.Write(to, b)
			continue
		}
		if due, ok := w.pass(n - etherHeader); ok {
			select {
			case w.queue <- packet{due, b}:
			case <-ctx.Done():
			}
		}
	}
}

// pass gives a packet its time on the line; ok is false when it does not arrive.
func (w *way) pass(size int) (due time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.free.Before(now) {
		w.free = now
	}
	waiting := int(w.free.Sub(now).Seconds() * float64(w.Rate) / 8)
	if waiting+size > w.Queue {
		w.counts.Overrun++
		w.counts.OverrunByte += uint64(size) //nolint:gosec // a packet's size
		return due, false
	}
	w.free = w.free.Add(time.Duration(float64(size*8) / float64(w.Rate) * float64(time.Second)))
	w.counts.Packets++
	w.counts.Bytes += uint64(size) //nolint:gosec // a packet's size
	if w.chance.Float64() < w.Loss {
		w.counts.Lost++
		w.counts.LostBytes += uint64(size) //nolint:gosec // a packet's size
		return due, false
	}
	return w.free.Add(w.Delay), true
}

// deliver writes packets to the other side when they are due, in their order.
func (w *way) deliver(ctx context.Context, to int) {
	for {
		select {
		case p := <-w.queue:
			select {
			case <-time.After(time.Until(p.due)):
				_, _ = unix.Write(to, p.bytes) // a line does not say what became of it
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// openSide opens a raw socket that sees and sends whole frames of a device.
func openSide(dev string) (fd int, err error) {
	proto := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)) // in network order
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	ifi, err := net.InterfaceByName(dev)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: ifi.Index}); err != nil {
		return 0, err
	}
	all := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC} //nolint:gosec // a small number
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &all); err != nil {
		return 0, err
	}
	// Reading stops now and then, to see whether it is over.
	return fd, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200_000})
}

// setOffload is SIOCETHTOOL with a struct ethtool_value of 0.
func setOffload(fd int, dev string, what uint32) error {
	value := struct{ cmd, data uint32 }{what, 0}
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [2 * unix.SizeofPtr]byte // the rest of a struct ifreq
	}{data: unsafe.Pointer(&value)} //nolint:gosec // ioctl(2) takes it so
	copy(req.name[:], dev)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))) //nolint:gosec // as above
	if errno != 0 {
		return errno
	}
	return nil
}
