package server

import (
	"context"
	"time"

	"otor/hub/contact"
	"otor/internal/dot"
	"otor/internal/failpoint"
	"otor/internal/wire"
)

// hello answers a device's hello.
func (s *Server) hello(ctx context.Context, d dot.Device, data []byte) []byte {
	began := time.Now()
	w, err := s.desk.Hello(ctx, d, data)
	if err != nil {
		s.watch.Unanswered()
		s.cfg.Log.Error("hello not answered", "device", string(d), "err", err)
		return nil
	}
	s.watch.Contact(time.Since(began))
	failpoint.At(failpoint.Greeted)
	b, err := wire.Marshal(w)
	if err != nil {
		s.cfg.Log.Error("hello not answered", "device", string(d), "err", err)
		return nil
	}
	s.bell.Ring()
	return b
}

// refill gives a device what damage took there.
func (s *Server) refill(ctx context.Context, d dot.Device, data []byte) []byte {
	p, err := contact.Refill(ctx, s.store, d, data)
	if err == nil {
		var b []byte
		if b, err = wire.Marshal(p); err == nil {
			return b
		}
	}
	s.cfg.Log.Error("device not refilled", "device", string(d), "err", err)
	return nil
}

// pull answers a device that asks for what is new.
func (s *Server) pull(ctx context.Context, d dot.Device, data []byte) []byte {
	began := time.Now()
	p, err := s.feeds.Pull(ctx, d, data)
	if err == nil {
		var b []byte
		if b, err = wire.Marshal(p); err == nil {
			s.watch.Pull(time.Since(began))
			return b
		}
	}
	s.watch.Unanswered()
	s.cfg.Log.Error("pull not answered", "device", string(d), "err", err)
	return nil
}

// blob answers a device that offers or sends a photo.
func (s *Server) blob(ctx context.Context, d dot.Device, data []byte) []byte {
	a, err := s.albums.Answer(ctx, d, data)
	if err == nil {
		var b []byte
		if b, err = wire.Marshal(a); err == nil {
			return b
		}
	}
	s.cfg.Log.Error("photo not answered", "device", string(d), "err", err)
	return nil
}

// door answers a device that came by its door.
func (s *Server) door(ctx context.Context, d dot.Device, data []byte) []byte {
	a, err := s.desk.Door(ctx, d, data)
	if err == nil {
		var b []byte
		if b, err = wire.Marshal(a); err == nil {
			return b
		}
	}
	s.cfg.Log.Error("nobody let in by the door", "device", string(d), "err", err)
	return nil
}
