package broker

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"otor/internal/dot"
	"otor/internal/wire"
)

// queueGroup is in which hubs share requests.
const queueGroup = "hub"

// Serve answers devices' requests on a subject such as [wire.HelloAny] until
// Close, several at a time. The device is the one whose own subject it is. A
// request whose reply subject is not below that device's inbox prefix never
// reaches handler, nor does one longer than [wire.RequestLimit]; a nil answer
// sends nothing. One device has at most two requests at work and a few that wait;
// what is beyond that, or beyond the room for all, is dropped: devices ask again.
// handler's context ends when nobody waits for the answer any more.
func (b *Broker) Serve(subject string, handler func(ctx context.Context, d dot.Device, data []byte) []byte) error {
	return b.ServeUntil(b.ctx, subject, handler)
}

// ServeUntil does what Serve does, until ctx ends: hubs elsewhere that serve the
// same then get all requests.
func (b *Broker) ServeUntil(ctx context.Context, subject string, handler func(ctx context.Context, d dot.Device, data []byte) []byte) error {
	limit := wire.RequestLimit(subject)
	l := &line{begin: b.begin, ended: b.wg.Done, of: make(map[dot.Device]*places), work: func(r request) { b.answer(handler, r) }}
	sub, err := b.field.QueueSubscribe(subject, queueGroup, func(m *nats.Msg) {
		d, err := wire.Sender(m.Subject)
		if err != nil || !wire.ReplyAllowed(d, m.Reply) || len(m.Data) > limit {
			b.cfg.Log.Warn("request not answered", "subject", clip(m.Subject), "reply", clip(m.Reply), "bytes", len(m.Data))
			return
		}
		if !l.arrive(ctx, request{d, m}) {
			b.cfg.Log.Debug("request dropped: too many wait", "subject", m.Subject)
		}
	})
	if err != nil {
		return fmt.Errorf("serve %s: %w", subject, err)
	}
	if err := sub.SetPendingLimits(maxWaiting, maxWaitingBytes); err != nil {
		return fmt.Errorf("serve %s: %w", subject, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() }) // it has ended already with the connection
	// A request that arrives before the server knows of us would get "no responders".
	if err := b.field.Flush(); err != nil {
		return fmt.Errorf("serve %s: %w", subject, err)
	}
	return nil
}

// answer has handler answer a request.
func (b *Broker) answer(handler func(ctx context.Context, d dot.Device, data []byte) []byte, r request) {
	ctx, cancel := context.WithTimeout(b.ctx, workTime)
	defer cancel()
	answer := handler(ctx, r.device, r.msg.Data)
	if answer == nil {
		return
	}
	if err := b.field.Publish(r.msg.Reply, answer); err != nil {
		b.cfg.Log.Warn("answer not sent", "subject", r.msg.Subject, "bytes", len(answer), "error", err)
	}
}

// begin counts a request handler in, unless the broker is closing.
func (b *Broker) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return false
	}
	b.wg.Add(1)
	return true
}

// Publish says something to whoever listens now: receipts and news. Nobody
// listening is no error.
func (b *Broker) Publish(subject string, data []byte) error {
	if !strings.HasPrefix(subject, wire.Prefix) {
		return fmt.Errorf("publish on %q: not a subject of this protocol", clip(subject))
	}
	if err := b.field.Publish(subject, data); err != nil {
		return fmt.Errorf("publish on %s: %w", subject, err)
	}
	return nil
}

// clip keeps hostile subjects short in the log.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
