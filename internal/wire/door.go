package wire

import (
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/identity"
)

// Credentials are what a device connects with: NATS user JWTs for the one user
// nkey that it made at enrolment. Neither is a secret without that key.
type Credentials struct {
	JWT string `cbor:"1,keyasint" json:"jwt"` // the ordinary one, at most 30 days
	// Door lasts years and lets the device ask for new credentials, no more. It
	// permits [DoorOn] and the device's inbox.
	Door string `cbor:"2,keyasint,omitempty" json:"door,omitempty"`
}

// Holding says in a hello what credentials the device has.
type Holding struct {
	Incarnation dot.Incarnation `cbor:"1,keyasint"`           // the life whose NATS key they name
	Expires     int64           `cbor:"2,keyasint,omitempty"` // when the ordinary ones end, Unix seconds of the hub's clock; 0: unknown
	Door        bool            `cbor:"3,keyasint,omitempty"` // it has a door
}

// ChallengeSize is the length of a challenge in bytes.
const ChallengeSize = 32

// DoorHello asks for credentials on [DoorOn], twice: without a proof it asks
// for a challenge, with one it answers it.
type DoorHello struct {
	Incarnation dot.Incarnation `cbor:"1,keyasint"`
	Challenge   []byte          `cbor:"2,keyasint,omitempty"` // as the hub gave it
	Proof       []byte          `cbor:"3,keyasint,omitempty"` // the signing key's signature of [DoorProof], for [identity.ForDoor]
}

// DoorAnswer is the hub's answer to a [DoorHello]: a challenge, credentials, or a refusal.
type DoorAnswer struct {
	Time        int64        `cbor:"1,keyasint"`           // the hub's clock, Unix milliseconds
	Challenge   []byte       `cbor:"2,keyasint,omitempty"` // to be signed soon, once
	Credentials *Credentials `cbor:"3,keyasint,omitempty"`
	Refused     *Refusal     `cbor:"4,keyasint,omitempty"`
}

// DoorProof is what a device signs at the door: the challenge, its name, a zero
// byte, and the public NATS key that the credentials will name.
func DoorProof(challenge []byte, d dot.Device, natsKey string) []byte {
	b := append([]byte{}, challenge...)
	b = append(b, d...)
	b = append(b, 0)
	return append(b, natsKey...)
}

// check refuses what no device says.
func (h DoorHello) check() error {
	switch {
	case h.Incarnation == 0:
		return errors.New("door: it names no incarnation")
	case len(h.Challenge) == 0 && len(h.Proof) == 0:
		return nil
	case len(h.Challenge) != ChallengeSize || len(h.Proof) != identity.SignatureSize:
		return fmt.Errorf("door: a challenge of %d bytes and a proof of %d", len(h.Challenge), len(h.Proof))
	}
	return nil
}

// check refuses what no hub says.
func (a DoorAnswer) check() error {
	if len(a.Challenge) != 0 && len(a.Challenge) != ChallengeSize {
		return fmt.Errorf("door: a challenge of %d bytes", len(a.Challenge))
	}
	return nil
}
