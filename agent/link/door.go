package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/internal/wire"
)

// Knock asks for new credentials, see [Config]. ask carries one message to the
// hub's door and its answer back.
type Knock func(ctx context.Context, ask func(context.Context, []byte) ([]byte, error)) (wire.Credentials, error)

// knockTimeout bounds the dialogue at the door; answerTimeout one answer.
const (
	knockTimeout  = 2 * time.Minute
	answerTimeout = 30 * time.Second
)

// Renew changes the credentials: the next connection is made with them. The
// current one stays. They must be stored already.
func (l *Link) Renew(c wire.Credentials) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Door == "" {
		c.Door = l.held.Door
	}
	l.held = c
}

func (l *Link) credentials() wire.Credentials {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

func (l *Link) hasDoor() bool { return l.cfg.Knock != nil && l.credentials().Door != "" }

// expired notes that the hub refused the ordinary credentials.
func (l *Link) expired() {
	l.mu.Lock()
	l.state.Expired = true
	l.mu.Unlock()
	l.watch.signal()
	l.cfg.Log.Info("the hub refuses the ordinary credentials, trying the door")
}

// knock connects by the door, asks for new credentials and takes them. This
// connection is never shown to anybody: nothing else can be said over it.
func (l *Link) knock(ctx context.Context) error {
	s, err := l.open(ctx, l.credentials().Door)
	if err != nil {
		return err
	}
	defer s.close()
	kctx, cancel := context.WithTimeout(s.ctx, knockTimeout)
	defer cancel()
	c, err := l.cfg.Knock(kctx, func(ctx context.Context, b []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		return l.ask(ctx, s, wire.DoorOn(l.cfg.Device), b)
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrRefused), s.ctx.Err() == nil:
		return err
	default: // the connection ended in the middle, and knows best why
		return fmt.Errorf("at the door: %w", context.Cause(s.ctx))
	}
	if c.JWT == "" {
		return errors.New("at the door: no credentials came")
	}
	l.Renew(c)
	l.cfg.Log.Info("new credentials came by the door")
	return nil
}
