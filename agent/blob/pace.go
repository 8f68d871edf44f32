package blob

import (
	"time"

	"otor/internal/wire"
)

// pace says how large the next piece may be: about two seconds' worth of what the
// link moves, since an alert that is saved meanwhile stands behind the piece in the
// same socket. It learns from the pieces themselves. How long the link takes whatever
// is sent is no part of what a piece takes: it is the shortest time in which a short
// question was answered, and no piece was answered sooner.
type pace struct {
	piece int
	delay time.Duration // 0: not known
}

const (
	pieceTime  = 2 * time.Second
	firstPiece = 8 << 10 // bytes, before anything was measured
	// leastPiece is sent however slow the link is: with less, its delay would take
	// most of the time.
	leastPiece = 4 << 10
)

func newPace() pace { return pace{piece: firstPiece} }

// fewOffers are so few that their own bytes take no time to speak of.
const fewOffers = 8

// answered learns from a question that had no bytes of photos and few of its own.
func (p *pace) answered(after time.Duration) {
	if p.delay == 0 || after < p.delay {
		p.delay = after
	}
}

// took learns from size bytes that were answered after a time. It grows at most
// twofold, so that one lucky piece does not fill a slow link.
func (p *pace) took(size int, after time.Duration) {
	p.delay = min(p.delay, after)
	after -= p.delay
	if size < p.piece && after <= pieceTime {
		return // a small one says nothing about larger ones
	}
	fits := float64(size) * float64(pieceTime) / float64(max(after, time.Millisecond))
	p.piece = int(min(max(fits, leastPiece), float64(min(2*p.piece, wire.MaxPiece))))
}

// failed begins anew at the least: there was no answer.
func (p *pace) failed() { p.piece = leastPiece }
