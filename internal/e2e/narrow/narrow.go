// Package narrow makes a bad line on a good machine: two network namespaces
// with a third one between them that lets packets through late, slowly, and not
// all of them, as a phone's second-generation link does.
//
// The kernel's own tools for that (tc netem) are missing on many machines, so a
// bridge of this package reads each packet from one side and writes it to the
// other. It needs root on Linux and touches nothing but namespaces of its own.
//
//		near ── veth ── middle (the bridge) ── veth ── far
//
//	  - [Run] makes the namespaces, runs a command in the far one, and removes them.
//	  - [Join] is what that command begins with: it starts the bridge.
//	  - [Net.DialContext] connects from the near namespace to [FarAddr] in the far one.
//	  - [Net.Counts] says what went over the line.
package narrow

import (
	"errors"
	"time"
)

// Line says how bad a line is. Each direction is as bad, by itself.
type Line struct {
	Rate  int           // bits a second
	Delay time.Duration // one way, besides what a packet takes at that rate
	Loss  float64       // share of the packets that are lost, after they took their time on the line
	Queue int           // bytes that may wait for the line; what comes on top is dropped
	Seed  uint64        // of the losses
}

// Counts are of one direction. Bytes are those of IP packets.
type Counts struct {
	Packets, Bytes       uint64 // that took the line's time
	Lost, LostBytes      uint64 // of these
	Overrun, OverrunByte uint64 // that found the queue full, and are in no other count
}

// Sub returns what came to c since earlier.
func (c Counts) Sub(earlier Counts) Counts {
	return Counts{
		c.Packets - earlier.Packets, c.Bytes - earlier.Bytes, c.Lost - earlier.Lost, c.LostBytes - earlier.LostBytes,
		c.Overrun - earlier.Overrun, c.OverrunByte - earlier.OverrunByte,
	}
}

// The addresses of the two ends.
const (
	NearAddr = "10.231.77.1"
	FarAddr  = "10.231.77.2"
)

// ErrCannot marks a machine on which this cannot be done; it says why.
var ErrCannot = errors.New("no network namespaces can be made here")
