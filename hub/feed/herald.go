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
// device that misses them hears how far the feeds go with its next hello.
type Herald struct {
	heads   func(ctx context.Context, scopes []string) ([]store.FeedHead, error)
	publish func(subject string, data []byte) error
	log     *slog.Logger
	bell    chan struct{}

	mu    sync.Mutex
	moved map[string]bool // since the last news; owner: mu
}

// settle is how long commits are gathered before their scopes are told: one
// piece of news for many frames, and still quick for one that waits for it.
const settle = 3 * time.Millisecond

// NewHerald returns a Herald that publishes with publish.
func NewHerald(heads func(ctx context.Context, scopes []string) ([]store.FeedHead, error), publish func(subject string, data []byte) error, log *slog.Logger) *Herald {
	return &Herald{heads: heads, publish: publish, log: log, bell: make(chan struct{}, 1), moved: make(map[string]bool)}
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
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.bell:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settle):
		}
		h.tell(ctx)
	}
}

func (h *Herald) tell(ctx context.Context) {
	h.mu.Lock()
	scopes := slices.Sorted(maps.Keys(h.moved))
	clear(h.moved)
	h.mu.Unlock()
	heads, err := h.heads(ctx, scopes)
	if err != nil {
		h.log.Warn("news not told: the next hellos bring them", "scopes", len(scopes), "err", err)
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
