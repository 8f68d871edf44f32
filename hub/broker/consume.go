package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"otor/internal/wire"
)

// The streams' consumers and limits.
const (
	consumerName   = "workers"
	defaultAckWait = 30 * time.Second
	keepAlives     = 3 // times within AckWait that a worker says that it still has a message
	maxAckPending  = 4 * fetchAhead
	fetchAhead     = 64              // messages that one worker holds of a stream
	fetchWait      = 5 * time.Minute // of one pull request; in process it costs nothing
	retryFetch     = time.Second
	// maxPerDevice bounds what one device may have waiting in a stream, so that
	// a flood from one leaves room for the others.
	maxPerDevice = 1024
)

// Delivery is one message of a stream.
type Delivery struct {
	Subject   string
	Data      []byte
	Delivered int // which attempt this is, from 1
}

// Disposition is what becomes of a delivery.
type Disposition struct {
	verb  verb
	delay time.Duration
}

type verb uint8

const (
	nak verb = iota // the zero Disposition: again, at once
	ack
	term
)

// Ack says that the message is committed; the stream forgets it.
func Ack() Disposition { return Disposition{verb: ack} }

// Nak asks for the message again, after delay.
func Nak(delay time.Duration) Disposition { return Disposition{verb: nak, delay: delay} }

// Term says that the message will never succeed and is set aside elsewhere;
// the stream forgets it.
func Term() Disposition { return Disposition{verb: term} }

// Slice bounds how much a handler gets at once: up to Messages messages, and
// up to Bytes bytes unless a single message is larger.
type Slice struct {
	Messages int // 32 when 0
	Bytes    int // 1 MiB when 0
}

// Handler deals with deliveries in their order and returns a disposition for
// each. It may take as long as it must (the database is away): meanwhile nothing
// more is handed out, and no attempt is counted. When ctx ends it returns soon;
// what it then answers still counts.
type Handler func(ctx context.Context, ds []Delivery) []Disposition

// Consume hands a stream's messages to handler, from one goroutine, until ctx
// ends; it then returns nil. While the alert stream has messages at hand the
// record stream's handler is not called.
func (b *Broker) Consume(ctx context.Context, stream string, size Slice, handler Handler) error {
	if size.Messages <= 0 {
		size.Messages = 32
	}
	if size.Bytes <= 0 {
		size.Bytes = 1 << 20
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	cons, err := b.js.Consumer(ctx, stream, consumerName)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("consume %s: %w", stream, err)
	}
	h := newHolding(stream == wire.AlertStream, &b.gate)
	done := make(chan struct{}, 2)
	go func() { b.fetch(ctx, cons, h); done <- struct{}{} }()
	go func() { h.keepAlive(ctx, b.cfg.AckWait/keepAlives); done <- struct{}{} }()
	for {
		msgs := h.take(ctx, size)
		if msgs == nil {
			break
		}
		b.handle(ctx, h, msgs, handler)
	}
	<-done
	<-done
	h.giveBack()
	return nil
}

// fetch keeps the holding filled. A failed pull is tried again: the connection
// to the server within this process comes back, or the hub is closing.
func (b *Broker) fetch(ctx context.Context, cons jetstream.Consumer, h *holding) {
	for {
		room := h.awaitRoom(ctx)
		if room == 0 {
			return
		}
		err := b.pull(ctx, cons, room, h)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			b.cfg.Log.Warn("fetch from a stream", "error", err, "again_in", retryFetch)
			select {
			case <-time.After(retryFetch):
			case <-ctx.Done():
				return
			}
		}
	}
}

func (b *Broker) pull(ctx context.Context, cons jetstream.Consumer, room int, h *holding) error {
	wait := fetchWait
	if b.elsewhere != nil {
		wait = clusterFetch
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	opts := []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
	if b.elsewhere != nil { // a server that is gone is noticed by its silence
		opts = append(opts, jetstream.FetchHeartbeat(clusterBeat))
	}
	batch, err := cons.Fetch(room, opts...)
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		h.put(m)
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (b *Broker) handle(ctx context.Context, h *holding, msgs []jetstream.Msg, handler Handler) {
	ds := make([]Delivery, len(msgs))
	for i, m := range msgs {
		ds[i] = Delivery{Subject: m.Subject(), Data: m.Data(), Delivered: 1}
		if meta, err := m.Metadata(); err == nil {
			ds[i].Delivered = int(min(meta.NumDelivered, 1<<30))
		}
	}
	answers := handler(ctx, ds)
	for i, m := range msgs {
		d := Nak(retryFetch) // an answer that is missing is not a yes
		if i < len(answers) {
			d = answers[i]
		}
		var err error
		switch d.verb {
		case ack:
			err = m.Ack()
		case term:
			err = m.Term()
		case nak:
			err = m.NakWithDelay(d.delay)
		}
		if err != nil {
			// It comes again after AckWait, and is then a known copy.
			b.cfg.Log.Warn("settle a message", "subject", m.Subject(), "error", err)
		}
	}
	h.settled(len(msgs))
}

// copies is how many servers a stream is to be on: not fewer than it is, since another hub
// may have named more servers.
func (b *Broker) copies(ctx context.Context, stream string, wanted int) (int, error) {
	if b.elsewhere == nil {
		return wanted, nil
	}
	was, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return wanted, nil
	}
	if err != nil {
		return 0, err
	}
	return max(wanted, was.CachedInfo().Config.Replicas), nil
}

// openStreams makes the streams and their consumers, or fits them to the
// configuration. Both reserve their bytes: a full record stream leaves the
// alert stream's part alone.
func (b *Broker) openStreams(ctx context.Context) error {
	alert, replicas := b.cfg.MaxStore/8, 1
	if b.elsewhere != nil {
		replicas = b.elsewhere.replicas()
	}
	for _, s := range []struct {
		name     string
		subjects []string
		bytes    int64
	}{
		{wire.AlertStream, wire.AlertSubjects(), alert},
		{wire.UpStream, wire.UpSubjects(), b.cfg.MaxStore - alert},
	} {
		copies, err := b.copies(ctx, s.name, replicas)
		if err != nil {
			return fmt.Errorf("open stream %s: %w", s.name, err)
		}
		stream, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: s.name, Subjects: s.subjects,
			Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
			Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: maxPerDevice,
			MaxBytes: s.bytes, MaxMsgSize: MaxPayload, Replicas: copies, DenyDelete: true, DenyPurge: true,
		})
		if err == nil {
			err = openConsumer(ctx, stream, b.cfg.AckWait, b.elsewhere == nil)
		}
		if b.elsewhere == nil && damaged(err) {
			err = fmt.Errorf("%w: %w", ErrBuffer, err)
		}
		if err != nil {
			return fmt.Errorf("open stream %s: %w", s.name, err)
		}
	}
	return nil
}

// ErrBuffer marks a folder of streams that its own server does not take up again.
var ErrBuffer = errors.New("the buffer of what devices sent is damaged")

// damaged reports whether the server says no for another reason than that there is
// no room: with a server that is this program's own, what it wrote is not what it was.
func damaged(err error) bool {
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	full := []server.ErrorIdentifier{server.JSInsufficientResourcesErr, server.JSMemoryResourcesExceededErr, server.JSStorageResourcesExceededErr}
	return ok && !slices.Contains(full, server.ErrorIdentifier(refusal.ErrorCode))
}

// orphanWait is a little more than the time after which the server looks at a
// changed acknowledgement time.
const orphanWait = 300 * time.Millisecond

// openConsumer makes or finds the workers' consumer. With the server in this
// process (alone) no worker can be alive now, so what an earlier one held is an orphan:
// a moment of almost no acknowledgement time returns it at once, with its count
// of attempts, instead of after AckWait.
func openConsumer(ctx context.Context, stream jetstream.Stream, ackWait time.Duration, alone bool) error {
	cfg := jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: ackWait, MaxAckPending: maxAckPending, MaxDeliver: -1,
	}
	cons, err := stream.CreateOrUpdateConsumer(ctx, cfg)
	if err != nil || !alone || cons.CachedInfo().NumAckPending == 0 {
		return err
	}
	short := cfg
	short.AckWait = time.Millisecond
	if _, err := stream.CreateOrUpdateConsumer(ctx, short); err != nil {
		return err
	}
	select {
	case <-time.After(orphanWait):
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = stream.CreateOrUpdateConsumer(ctx, cfg)
	return err
}
