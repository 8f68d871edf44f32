package blob

import (
	"time"

	"otor/internal/wire"
)

// pace says how large the next piece may be: about two seconds' worth of what the
// link moves, since an alert that is saved meanwhile stands behind the piece in the
// same socket. It learns from the pieces themselves, so that the link's delay counts
// once for each and not as if little were moved.
type pace struct{ piece int }

const (
	pieceTime  = 2 * time.Second
	firstPiece = 8 << 10 // bytes, before anything was measured
	// leastPiece is sent however slow the link is: with less, its delay would take
	// most of the time.
	leastPiece = 4 << 10
)

func newPace() pace { return pace{firstPiece} }

// took learns from size bytes that were answered after a time. It grows at most
// twofold, so that one lucky piece does not fill a slow link.
func (p *pace) took(size int, after time.Duration) {
	if size < p.piece && after <= pieceTime {
		return // a small one says nothing about larger ones
	}
	fits := float64(size) * float64(pieceTime) / float64(max(after, time.Millisecond))
	p.piece = int(min(max(fits, leastPiece), float64(min(2*p.piece, wire.MaxPiece))))
}

// failed begins anew at the least: there was no answer.
func (p *pace) failed() { p.piece = leastPiece }
