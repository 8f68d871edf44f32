package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"otor/internal/entry"
	"otor/internal/wire"
)

// Queue is the files on their way: those that saved entries name.
type Queue interface {
	// Waiting lists the files that the hub does not have and whose entries it has
	// received, in the order in which they were taken.
	Waiting() []entry.Blob
	// Arrived notes durably that the hub has them whole.
	Arrived(ctx context.Context, hashes ...entry.Hash) error
}

// Port is what a Sender needs of the link.
type Port interface {
	Blob(ctx context.Context, ask wire.BlobAsk) (wire.BlobAnswer, error)
}

// SenderConfig is what a [Sender] is made of. Queue, Room, Port and Log are needed.
type SenderConfig struct {
	Queue Queue
	Room  *Room
	Port  Port
	// Quiet reports whether no entry waits to go up: files come last.
	Quiet func() bool
	// Left says how many bytes of the budget are left for files; not bounded: as
	// many as there are. Spent is told of bytes that went.
	Left  func() (bytes uint64, bounded bool)
	Spent func(bytes int)
	// Noticed is called when something about the queue changed; may be nil.
	Noticed func()
	Log     *slog.Logger
}

// Sender takes files to the hub: what is asked for, previews first, then piece by
// piece from where the hub is. It holds no entry back: before each piece it looks
// whether one waits, and a piece is no larger than what the link moves soon.
type Sender struct {
	cfg  SenderConfig
	wake chan struct{}
	pace pace // owner: the goroutine that drains
}

// NewSender returns a Sender.
func NewSender(cfg SenderConfig) *Sender {
	return &Sender{cfg: cfg, wake: make(chan struct{}, 1), pace: newPace()}
}

// Wake makes the session look again whether something may go.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Why a round ends before everything is at the hub.
var (
	errBusy  = errors.New("entries go first")
	errSpent = errors.New("the budget for files is used up")
)

const (
	askTimeout = 3 * time.Minute // the first piece at less than 1 kbit/s takes one
	again      = 10 * time.Minute
	// overhead is about what a piece costs beyond its bytes, both ways.
	overhead = 1 << 10
)

// Session sends files over one connection until ctx ends.
func (s *Sender) Session(ctx context.Context) {
	s.pace = newPace() // another connection may go over another network
	for {
		left, err := s.Drain(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := again
		switch {
		case err != nil:
			s.cfg.Log.Warn("photos do not go on", "err", err)
			pause = time.Minute
		case !left:
			pause = 24 * time.Hour // until something wakes it
		}
		timer := time.NewTimer(pause)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// Drain sends what the hub wants. left says that something stays for another
// time: entries or the budget come first, or the hub cannot take it now.
func (s *Sender) Drain(ctx context.Context) (left bool, err error) {
	for {
		waiting := s.cfg.Queue.Waiting()
		if len(waiting) == 0 {
			return false, nil
		}
		if err := s.may(overhead); err != nil {
			return true, nil //nolint:nilerr // not now
		}
		moved := false
		for len(waiting) > 0 {
			n := min(len(waiting), wire.MaxOffers)
			done, err := s.round(ctx, waiting[:n])
			moved = moved || done
			if errors.Is(err, errBusy) || errors.Is(err, errSpent) {
				return true, nil
			}
			if err != nil {
				return true, err
			}
			waiting = waiting[n:]
		}
		if !moved {
			return true, nil
		}
	}
}

// may reports why n bytes must not go now, nil when they may.
func (s *Sender) may(n int) error {
	if s.cfg.Quiet != nil && !s.cfg.Quiet() {
		return errBusy
	}
	if s.cfg.Left != nil {
		if left, bounded := s.cfg.Left(); bounded && left < uint64(n) { //nolint:gosec // a size
			return errSpent
		}
	}
	return nil
}

// round offers files and sends those that are wanted. moved: at least one became whole.
func (s *Sender) round(ctx context.Context, files []entry.Blob) (moved bool, err error) {
	offers := make([]entry.Hash, len(files))
	byHash := make(map[entry.Hash]entry.Blob, len(files))
	for i, f := range files {
		offers[i], byHash[f.Hash] = f.Hash, f
	}
	answer, err := s.ask(ctx, wire.BlobAsk{Offers: offers})
	if err != nil {
		return false, err
	}
	var whole []entry.Hash
	var wanted []wire.BlobAt
	for _, at := range answer {
		if _, mine := byHash[at.Hash]; !mine {
			continue
		}
		switch at.State {
		case wire.BlobWhole:
			whole = append(whole, at.Hash)
		case wire.BlobWanted:
			wanted = append(wanted, at)
		case wire.BlobUnknown, wire.BlobLater, wire.BlobUnfit:
		}
	}
	if err := s.arrived(ctx, whole...); err != nil {
		return false, err
	}
	moved = len(whole) > 0
	for _, at := range wanted {
		if at.Preview || at.At > 0 {
			continue
		}
		if err := s.preview(ctx, byHash[at.Hash]); err != nil {
			return moved, err
		}
	}
	for _, at := range wanted {
		done, err := s.file(ctx, byHash[at.Hash], at.At)
		moved = moved || done
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

func (s *Sender) arrived(ctx context.Context, hashes ...entry.Hash) error {
	if len(hashes) == 0 {
		return nil
	}
	if err := s.cfg.Queue.Arrived(ctx, hashes...); err != nil {
		return err
	}
	if s.cfg.Noticed != nil {
		s.cfg.Noticed()
	}
	return nil
}

// read reads a kept file. One that is not here, or damaged, is passed over: its
// entry is safe, and the next look at it says so.
func (s *Sender) read(f entry.Blob) []byte {
	b, err := s.cfg.Room.Read(hex.EncodeToString(f.Hash[:]))
	switch {
	case errors.Is(err, ErrNotFound): // it went when a backup had it, and this hub has not
		s.cfg.Log.Debug("photo is not here to be sent", "photo", hex.EncodeToString(f.Hash[:4]))
		return nil
	case err != nil:
		s.cfg.Log.Warn("photo cannot be sent", "photo", hex.EncodeToString(f.Hash[:4]), "err", err)
		return nil
	}
	return b
}

// preview sends a small picture ahead, so that the office sees something soon.
func (s *Sender) preview(ctx context.Context, f entry.Blob) error {
	if f.Size <= 2*maxPreview {
		return nil
	}
	small := Preview(f.Mime, s.read(f))
	if len(small) == 0 {
		return nil
	}
	if err := s.may(len(small) + overhead); err != nil {
		return err
	}
	_, err := s.ask(ctx, wire.BlobAsk{Preview: &wire.BlobPiece{Hash: f.Hash, Bytes: small}})
	return err
}

// file sends one file from at on, until the hub has it or takes no more of it.
func (s *Sender) file(ctx context.Context, f entry.Blob, at uint64) (whole bool, err error) {
	content := s.read(f)
	if uint64(len(content)) != f.Size {
		return false, nil
	}
	for at < f.Size {
		piece := content[at:min(at+uint64(s.pace.piece), f.Size)] //nolint:gosec // a size
		if err := s.may(len(piece) + overhead); err != nil {
			return false, err
		}
		answer, err := s.ask(ctx, wire.BlobAsk{Piece: &wire.BlobPiece{Hash: f.Hash, Offset: at, Bytes: piece}})
		if err != nil {
			return false, err
		}
		if len(answer) != 1 || answer[0].Hash != f.Hash {
			return false, fmt.Errorf("the hub answers about another photo than %x", f.Hash[:4])
		}
		switch now := answer[0]; {
		case now.State == wire.BlobWhole:
			return true, s.arrived(ctx, f.Hash)
		case now.State != wire.BlobWanted || now.At <= at:
			return false, nil // another time
		default:
			at = now.At
		}
	}
	return false, nil
}

// ask asks the hub, counts the bytes, and learns how fast they went.
func (s *Sender) ask(ctx context.Context, ask wire.BlobAsk) ([]wire.BlobAt, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	began := time.Now()
	answer, err := s.cfg.Port.Blob(ctx, ask)
	for _, p := range []*wire.BlobPiece{ask.Piece, ask.Preview} {
		if p == nil {
			continue
		}
		if s.cfg.Spent != nil {
			s.cfg.Spent(len(p.Bytes))
		}
		if err == nil {
			s.pace.took(len(p.Bytes), time.Since(began))
		}
	}
	if err != nil {
		s.pace.failed()
		return nil, err
	}
	if ask.Piece == nil && ask.Preview == nil && len(ask.Offers) <= fewOffers {
		s.pace.answered(time.Since(began))
	}
	if answer.Refused != nil {
		return nil, answer.Refused
	}
	return answer.At, nil
}
