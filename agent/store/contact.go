package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Contact is what the device remembers of its contacts with the hub.
type Contact struct {
	LastContact time.Time // the hub answered; zero: never
	LastAttempt time.Time
	// HubOffsetMillis is hub clock minus device clock, as measured at OffsetMeasuredAt.
	HubOffsetMillis  int64
	OffsetMeasuredAt time.Time // by the device's clock; zero: never
	Epoch            []byte    // the hub database's certificate, as it came
	LastError        string    // of the last attempt, "" when it went well
}

type contactRow struct {
	LastContact int64  `cbor:"1,keyasint,omitempty"` // Unix ms, 0: never; so the others
	LastAttempt int64  `cbor:"2,keyasint,omitempty"`
	Offset      int64  `cbor:"3,keyasint,omitempty"`
	MeasuredAt  int64  `cbor:"4,keyasint,omitempty"`
	Epoch       []byte `cbor:"5,keyasint,omitempty"`
	LastError   string `cbor:"6,keyasint,omitempty"`
}

func (c Contact) row() contactRow {
	return contactRow{
		millis(c.LastContact), millis(c.LastAttempt), c.HubOffsetMillis, millis(c.OffsetMeasuredAt), c.Epoch, c.LastError,
	}
}

func (r contactRow) contact() Contact {
	return Contact{when(r.LastContact), when(r.LastAttempt), r.Offset, when(r.MeasuredAt), r.Epoch, r.LastError}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func when(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// maxContact bounds the bytes of a contact's epoch and error.
const maxContact = 4 << 10

// Contact returns what [Store.SetContact] kept last; the zero Contact at first.
func (s *Store) Contact() Contact {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.contact
}

// SetContact replaces it durably. Times are kept to the millisecond.
func (s *Store) SetContact(ctx context.Context, c Contact) error {
	if len(c.Epoch) > maxContact {
		return fmt.Errorf("set contact: the epoch has %d bytes, the limit is %d", len(c.Epoch), maxContact)
	}
	c.LastError = strings.ToValidUTF8(c.LastError[:min(len(c.LastError), maxContact)], "")
	c = c.row().contact()
	if err := s.send(ctx, &request{contact: &c}); err != nil {
		return fmt.Errorf("set contact: %w", err)
	}
	return nil
}
