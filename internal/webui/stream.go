package webui

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Stream serves "something changed" as server-sent events.
//
// A browser gets "event: refresh" when it should look again, and once at the
// start, because it may have missed changes while it was away; and "event:
// beat" when nothing happened for a while, so that it can tell a quiet server
// from a dead one. Changes that come faster than Gap are drawn together into
// one event. The number of open streams is bounded, and a client that does not
// take its events within a write deadline is let go: it will come back.
//
// A stream ends with its request's context; let the server's BaseContext end
// at shutdown ([NewServer] does).
type Stream struct {
	Listen func() (<-chan struct{}, func()) // as [Bell.Listen]
	Most   int                              // open streams, 32 if 0
	Beat   time.Duration                    // 15 s if 0
	Gap    time.Duration                    // 300 ms if 0
	Log    *slog.Logger

	open atomic.Int64
}

const streamWriteTime = 20 * time.Second

func (s *Stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	most, beat, gap := s.Most, s.Beat, s.Gap
	if most == 0 {
		most = 32
	}
	if beat == 0 {
		beat = 15 * time.Second
	}
	if gap == 0 {
		gap = 300 * time.Millisecond
	}
	defer s.open.Add(-1)
	if s.open.Add(1) > int64(most) {
		w.Header().Set("Retry-After", "30")
		WriteRefusal(w, http.StatusServiceUnavailable, &Refusal{
			Code: "too_many_streams", What: fmt.Sprintf("%d pages are open already", most),
			Do: "close some of them; this one stays usable without live updates",
		})
		return
	}
	changed, stop := s.Listen()
	defer stop()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	out := eventWriter{w: w, rc: http.NewResponseController(w)}
	if err := s.carry(r, &out, changed, beat, gap); err != nil && s.Log != nil {
		s.Log.Debug("event stream ended", "err", err)
	}
}

// carry writes events until the client or the server is gone.
func (s *Stream) carry(r *http.Request, out *eventWriter, changed <-chan struct{}, beat, gap time.Duration) error {
	if err := out.send("retry: 3000\n"); err != nil {
		return err
	}
	if err := out.send("event: refresh\ndata: 0\n\n"); err != nil {
		return err
	}
	idle := time.NewTimer(beat)
	defer idle.Stop()
	for n := 1; ; n++ {
		idle.Reset(beat)
		select {
		case <-r.Context().Done():
			return nil
		case <-idle.C:
			if err := out.send("event: beat\ndata: \n\n"); err != nil {
				return err
			}
		case <-changed:
			if err := out.send(fmt.Sprintf("event: refresh\ndata: %d\n\n", n)); err != nil {
				return err
			}
			select { // whatever rings meanwhile waits in the listener's channel
			case <-r.Context().Done():
				return nil
			case <-time.After(gap):
			}
		}
	}
}

type eventWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (e *eventWriter) send(s string) error {
	err := e.rc.SetWriteDeadline(time.Now().Add(streamWriteTime))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := e.w.Write([]byte(s)); err != nil {
		return err
	}
	return e.rc.Flush()
}
