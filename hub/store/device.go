package store

import (
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
)

// Device is one enrolled or invited device.
type Device struct {
	ID         dot.Device
	Scopes     []string
	AddedAt    int64
	EnrolledAt int64 // 0: invited, never enrolled
	RevokedAt  int64 // 0: not revoked
	// Incarnation is the latest one minted for it, 0 before enrolment.
	Incarnation dot.Incarnation
	// CodeExpiresAt is when its open code ends; 0 when none is open.
	CodeExpiresAt int64
	Contact       Contact // the last hello; zero when it never spoke
}

// Invitation opens a one-time code for a device. Only the code's hash is kept.
type Invitation struct {
	Device    dot.Device
	Scopes    []string
	CodeHash  [32]byte
	AddedAt   int64
	ExpiresAt int64
}

// Enrolment is what a device brings to redeem its code.
type Enrolment struct {
	CodeHash [32]byte
	SignKey  identity.PublicKey
	NatsKey  string
	At       int64
}

// Key is what one life of a device signs and connects with.
type Key struct {
	Device      dot.Device
	Incarnation dot.Incarnation
	SignKey     identity.PublicKey
	NatsKey     string
	EnrolledAt  int64
	RevokedAt   int64 // 0: valid
}

// Life is one of a device's lives.
type Life struct {
	Device      dot.Device
	Incarnation dot.Incarnation
	ID          []byte // 16 random bytes; empty: known by its entries alone
	Reason      entry.Reason
	Previous    dot.Incarnation
	Enrolled    dot.Incarnation // of the enrolment whose key it signs with
	ClaimedAt   int64
	SpokeAt     int64           // its last hello; 0: none
	TwinAt      int64           // when it was found to be live beside an older life; 0: it was not
	TwinOf      dot.Incarnation // that one
	ConfirmedAt int64           // an operator lets it have everything all the same; 0: not
}

// MaxAhead is how far above the lowest free number a life may be claimed, so
// that no device uses its numbers up.
const MaxAhead = 1024

// UplinkOnly reports whether it may send, and gets nothing.
func (l Life) UplinkOnly() bool { return l.TwinAt != 0 && l.ConfirmedAt == 0 }

// Contact is what a device said of itself at its last hello.
type Contact struct {
	At       int64
	Skew     int64 // milliseconds, device clock minus hub clock
	Version  string
	Battery  int // percent, -1 when unknown
	DiskFree int64
	Blobs    int
	// Pack and PackVersion are the form pack by which it captures; empty: it did not say.
	Pack        string
	PackVersion uint32
}

// Finding is something that the hub noticed about a device.
type Finding struct {
	Device    dot.Device
	Code      string // clock_skew, fork, chain_mismatch
	Words     string
	Value     int64 // of the code's own unit; milliseconds for clock_skew
	OpenedAt  int64
	UpdatedAt int64
	ClosedAt  int64 // 0: still so
}
