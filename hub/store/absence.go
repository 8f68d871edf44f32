package store

import (
	"context"

	"otor/internal/dot"
)

// Absence is a time in which a device is expected to be out of reach: an operator said so.
type Absence struct {
	Device      dot.Device
	From, Until int64
	Words       string // why, in the operator's words; may be empty
	PlannedBy   string
	PlannedAt   int64
}

// Absences are what operators planned. Of those that ended a device keeps the latest
// alone: whether it came back from that one is still asked.
type Absences interface {
	// Absences lists them by device and start.
	Absences(ctx context.Context) ([]Absence, error)
}

// AbsenceTx is the part of a transaction that plans.
type AbsenceTx interface {
	// Plan adds an absence, in place of the device's that starts at the same moment. Of
	// the device's absences that ended by PlannedAt all but the latest are dropped.
	// ErrNotFound for an unknown device.
	Plan(a Absence) error
	// Absences lists those of a device by when they start.
	Absences(d dot.Device) ([]Absence, error)
	// Unplan drops all absences of a device; that there are none is fine.
	Unplan(d dot.Device) error
}
