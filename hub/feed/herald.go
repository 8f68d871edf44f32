package feed

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"otor/hub/store"
	"otor/internal/wire"
)

// Herald tells whoever listens which scopes moved. News are words in passing: a
// device that misses them hears them once more ([TellAgain]), or how far the feeds go
// with its next hello.
type Herald struct {
	heads   func(ctx context.Context, scopes []string) ([]store.FeedHead, error)
	publish func(subject string, data []byte) error
	log     *slog.Logger
	bell    chan struct{}

	again map[string]echo // what is to be told once more; owner: Run

	mu    sync.Mutex
	moved map[string]bool // since the last news; owner: mu
}

// echo is when a scope's news are told once more, and how often they were.
type echo struct {
	at   time.Time
	done int
}

// TellAgain is how long after a scope's last news, and after each time that they were told
// again, they are told once more. A device may stay connected and have missed them: a
// cluster of NATS servers drops what is on its way between two that lose each other.
// Who knows them already asks nothing.
func TellAgain() []time.Duration {
	return []time.Duration{30 * time.Second, 5 * time.Minute, 30 * time.Minute}
}

// look is how often it is looked whether something is to be told once more.
const look = 10 * time.Second

// settle is how long commits are gathered before their scopes are told: one
// piece of news for many frames, and still quick for one that waits for it.
const settle = 3 * time.Millisecond

// NewHerald returns a Herald that publishes with publish.
func NewHerald(heads func(ctx context.Context, scopes []string) ([]store.FeedHead, error), publish func(subject string, data []byte) error, log *slog.Logger) *Herald {
	return &Herald{heads: heads, publish: publish, log: log, bell: make(chan struct{}, 1), again: make(map[string]echo), moved: make(map[string]bool)}
}

// Moved notes that scopes moved. It does not block.
func (h *Herald) Moved(scopes []string) {
	h.mu.Lock()
	for _, s := range scopes {
		h.moved[s] = true
	}
	h.mu.Unlock()
	select {
	case h.bell <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends; it then returns nil.
func (h *Herald) Run(ctx context.Context) error {
	looks := time.NewTicker(look)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-looks.C:
			h.tell(ctx, h.due(now))
			continue
		case <-h.bell:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settle):
		}
		h.mu.Lock()
		scopes := slices.Sorted(maps.Keys(h.moved))
		clear(h.moved)
		h.mu.Unlock()
		first := time.Now().Add(TellAgain()[0])
		for _, s := range scopes {
			h.again[s] = echo{at: first}
		}
		h.tell(ctx, scopes)
	}
}

// due takes the scopes whose news are told once more now.
func (h *Herald) due(now time.Time) (scopes []string) {
	waits := TellAgain()
	for s, e := range h.again {
		if now.Before(e.at) {
			continue
		}
		scopes = append(scopes, s)
		if e.done++; e.done == len(waits) {
			delete(h.again, s)
		} else {
			h.again[s] = echo{now.Add(waits[e.done]), e.done}
		}
	}
	slices.Sort(scopes)
	return scopes
}

func (h *Herald) tell(ctx context.Context, scopes []string) {
	if len(scopes) == 0 {
		return
	}
	heads, err := h.heads(ctx, scopes)
	if err != nil {
		h.log.Warn("news not told: they are told again, and the next hellos bring them", "scopes", len(scopes), "err", err)
		return
	}
	for _, at := range heads {
		b, err := wire.Marshal(wire.FeedNews{N: at.N, Mark: at.Mark})
		if err == nil {
			err = h.publish(wire.News(at.Scope), b)
		}
		if err != nil {
			h.log.Warn("news not told", "scope", at.Scope, "err", err)
		}
	}
}
