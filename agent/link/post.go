package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"otor/internal/dot"
	"otor/internal/wire"
)

// mailbox takes the answers to what was posted: one subscription for a whole
// session, one token for each message.
type mailbox struct {
	prefix string

	mu   sync.Mutex
	next uint64
	wait map[string]chan *nats.Msg // each has room for its one answer
}

func newMailbox(d dot.Device) *mailbox {
	return &mailbox{prefix: wire.InboxPrefix(d) + ".p.", wait: make(map[string]chan *nats.Msg)}
}

// take hands an answer to whoever waits for it; late ones are dropped.
func (b *mailbox) take(m *nats.Msg) {
	token := strings.TrimPrefix(m.Subject, b.prefix)
	b.mu.Lock()
	c, ok := b.wait[token]
	delete(b.wait, token)
	b.mu.Unlock()
	if ok {
		c <- m
	}
}

func (b *mailbox) open() (token string, answer <-chan *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	token = strconv.FormatUint(b.next, 36)
	c := make(chan *nats.Msg, 1)
	b.wait[token] = c
	return token, c
}

func (b *mailbox) close(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.wait, token)
}

// Posted is a message on its way.
type Posted struct {
	link    *Link
	session *session
	subject string
	token   string
	answer  <-chan *nats.Msg
}

// Post publishes a frame and returns at once; [Posted.Wait] gives the stream's
// word on it. Frames posted one after the other go out in that order. An error
// means that the frame did not leave.
func (l *Link) Post(subject string, frame []byte) (*Posted, error) {
	s := l.current()
	if s == nil {
		return nil, fmt.Errorf("send on %s: %w", subject, ErrOffline)
	}
	if int64(len(frame)) > s.nc.MaxPayload() {
		return nil, fmt.Errorf("send on %s: %w: %d bytes, the limit is %d", subject, ErrTooLarge, len(frame), s.nc.MaxPayload())
	}
	token, answer := s.mail.open()
	if err := s.nc.PublishRequest(subject, s.mail.prefix+token, frame); err != nil {
		s.mail.close(token)
		return nil, fmt.Errorf("send on %s: %w: %w", subject, ErrLost, err)
	}
	return &Posted{link: l, session: s, subject: subject, token: token, answer: answer}, nil
}

// Wait waits for the stream's word. nil: the hub has the frame in custody.
// [ErrNotTaken]: it has not. Any other error: unknown, send it again some time.
// When ctx's deadline passes first, the line is checked too. It is called once.
func (p *Posted) Wait(ctx context.Context) error {
	defer p.session.mail.close(p.token)
	select {
	case m := <-p.answer:
		return p.judge(m)
	case <-p.session.ctx.Done():
		return fmt.Errorf("send on %s: %w", p.subject, context.Cause(p.session.ctx))
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			p.session.probe(p.link.cfg.ProbeTimeout)
		}
		return fmt.Errorf("send on %s: %w", p.subject, ctx.Err())
	}
}

// judge reads a stream's answer.
func (p *Posted) judge(m *nats.Msg) error {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return fmt.Errorf("send on %s: %w: nobody there takes it now", p.subject, ErrNotTaken)
	}
	var ack struct {
		Stream string `json:"stream"`
		Error  *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return fmt.Errorf("send on %s: the answer is no acknowledgement: %w", p.subject, err)
	}
	if ack.Error != nil {
		return fmt.Errorf("send on %s: %w: %s (%d)", p.subject, ErrNotTaken, ack.Error.Description, ack.Error.Code)
	}
	if ack.Stream == "" {
		return fmt.Errorf("send on %s: the answer names no stream", p.subject)
	}
	return nil
}

// Send posts a frame and waits for the stream's word, see [Link.Post] and
// [Posted.Wait]. [ErrTooLarge], [ErrOffline]: it did not leave.
func (l *Link) Send(ctx context.Context, subject string, frame []byte) error {
	p, err := l.Post(subject, frame)
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}
