package contact_test

import (
	"context"
	"errors"
	"testing"

	"otor/hub/contact"
	"otor/hub/store"
	"otor/internal/wire"
)

func TestCallReachesWhoMayAnswer(t *testing.T) {
	devices := []store.Device{{ID: "D-101", EnrolledAt: 1}, {ID: "D-102"}, {ID: "D-103", EnrolledAt: 1, RevokedAt: 2}, {ID: "D-104", EnrolledAt: 1}}
	for range 200 {
		devices = append(devices, store.Device{ID: "D-105"})
	}
	list := func(context.Context) ([]store.Device, error) { return devices, nil }
	deaf := errors.New("nobody there")
	heard := make(map[string]wire.ReceiptNews)
	err := contact.Call(t.Context(), list, 7, func(subject string, b []byte) error {
		n, err := wire.Unmarshal[wire.ReceiptNews](b)
		if err != nil {
			return err
		}
		heard[subject] = n
		if subject == wire.ReceiptFor("D-101") {
			return deaf
		}
		return nil
	})
	if !errors.Is(err, deaf) || len(heard) != 2 {
		t.Fatalf("%v; heard by %v", err, heard)
	}
	n, ok := heard[wire.ReceiptFor("D-104")]
	if !ok || n.Call == nil || *n.Call != (wire.Call{Run: 7, Within: 4}) || len(n.Receipts) != 0 {
		t.Errorf("%+v", n)
	}
	list = func(context.Context) ([]store.Device, error) { return nil, deaf }
	if err := contact.Call(t.Context(), list, 7, nil); !errors.Is(err, deaf) {
		t.Errorf("%v", err)
	}
}
