package wire

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
)

// MaxMessage bounds hello and its reply, in bytes.
const MaxMessage = 64 << 10

// LaneHead says how far a device's chain goes and what of it the device knows
// to be received and archived.
type LaneHead struct {
	_           struct{} `cbor:",toarray"`
	Incarnation dot.Incarnation
	Lane        dot.Lane
	Last        dot.Seq
	Head        entry.Hash
	Received    dot.Seq
	Archived    dot.Seq
}

// Hello opens a contact: what the device has and how it is.
type Hello struct {
	Lanes    []LaneHead `cbor:"1,keyasint"`
	Clock    int64      `cbor:"2,keyasint"`           // the device's wall clock, Unix milliseconds
	Version  string     `cbor:"3,keyasint"`           // of the agent
	Battery  *uint8     `cbor:"4,keyasint,omitempty"` // percent
	DiskFree uint64     `cbor:"5,keyasint,omitempty"` // bytes
	Blobs    uint32     `cbor:"6,keyasint,omitempty"` // photos waiting
	Epoch    []byte     `cbor:"7,keyasint,omitempty"` // the epoch the device last heard, 16 bytes
	Holds    *Holding   `cbor:"8,keyasint,omitempty"` // its credentials; nil: it takes no new ones
	// Shown is the signed certificate of Epoch. A device sends it when the hub
	// answered from an epoch that does not follow its own.
	Shown []byte `cbor:"11,keyasint,omitempty"`
	// Feeds says how far the device is with the scopes that it holds.
	Feeds []ScopeAt `cbor:"12,keyasint,omitempty"`
	// Pack is the version of the form pack by which the device captures.
	Pack *PackAt `cbor:"13,keyasint,omitempty"`

	Lives   []LifeClaim  `cbor:"16,keyasint,omitempty"` // of this folder, the one that it lives now last
	Ended   []Ended      `cbor:"17,keyasint,omitempty"` // chains of which the device's own history ends below what it declared
	Compare []Comparison `cbor:"18,keyasint,omitempty"`

	// Proofs are signed receipts of Epoch, at most [MaxProofs]. A device sends them when
	// the hub's answer lacks what they are for: the hub was put back to an older copy.
	Proofs [][]byte `cbor:"21,keyasint,omitempty"`
}

// MaxProofs bounds the receipts that a hello brings.
const MaxProofs = 4

// PackAt names a version of a form pack.
type PackAt struct {
	_       struct{} `cbor:",toarray"`
	ID      string
	Version uint32
}

// Welcome is the hub's answer to a hello.
type Welcome struct {
	Time     int64    `cbor:"1,keyasint"` // the hub's clock, Unix milliseconds
	Epoch    []byte   `cbor:"2,keyasint"` // signed epoch certificate
	Receipts [][]byte `cbor:"3,keyasint"` // signed, one a lane that the hub knows
	Scopes   []string `cbor:"4,keyasint,omitempty"`
	Refused  *Refusal `cbor:"5,keyasint,omitempty"` // set: the hub will not take this contact
	// Credentials replace the device's own once it has stored them; nil: those
	// it has last long enough.
	Credentials *Credentials `cbor:"6,keyasint,omitempty"`
	// Heads says how far the feeds go of the scopes that the device may pull.
	Heads []ScopeAt `cbor:"12,keyasint,omitempty"`

	Lives    []LifeAnswer `cbor:"16,keyasint,omitempty"` // those that are not simply known
	Compared []Compared   `cbor:"18,keyasint,omitempty"`
	Sealed   []Sealed     `cbor:"19,keyasint,omitempty"` // every chain of the device of which the hub waits for something no more

	// Again are files of the device that the hub had and has lost.
	Again []entry.Hash `cbor:"20,keyasint,omitempty"`
}

// Refusal tells a device why the hub will not do what it asked.
type Refusal struct {
	Code  string `cbor:"1,keyasint" json:"code"`
	What  string `cbor:"2,keyasint" json:"what"`
	Which string `cbor:"3,keyasint,omitempty" json:"which,omitempty"`
	Do    string `cbor:"4,keyasint,omitempty" json:"do,omitempty"`
}

func (r *Refusal) Error() string {
	s := r.What
	if r.Which != "" {
		s += " (" + r.Which + ")"
	}
	if r.Do != "" {
		s += ": " + r.Do
	}
	return s
}

// ReceiptNews is what the hub publishes after it committed: signed receipts;
// and when it has started, or an epoch began: a call.
type ReceiptNews struct {
	Receipts [][]byte `cbor:"1,keyasint"`
	Call     *Call    `cbor:"2,keyasint,omitempty"`
}

// Call asks a device that stays connected to say hello: the hub may have been put
// back to an older copy of its database meanwhile, or has found out that it was.
type Call struct {
	Round  uint64 `cbor:"1,keyasint"`           // names the round of calls; a device answers each once
	Within uint32 `cbor:"2,keyasint,omitempty"` // seconds; at a moment among them that the device draws
}

// MaxWithin bounds a call's seconds.
const MaxWithin = 3600

var encMode, decMode = func() (cbor.EncMode, cbor.DecMode) {
	em, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	dm, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, MaxNestedLevels: 8, MaxArrayElements: 4096, MaxMapPairs: 256,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return em, dm
}()

// ErrMalformed marks bytes that are not the message that was expected.
var ErrMalformed = errors.New("message not understood")

// Message lists the shapes that travel as CBOR.
type Message interface {
	Hello | Welcome | ReceiptNews | DoorHello | DoorAnswer | Refill | RefillPage | Pull | FeedPage | FeedNews | BlobAsk | BlobAnswer
}

// Marshal encodes a message.
func Marshal[M Message](m M) ([]byte, error) { return encMode.Marshal(m) }

// Unmarshal decodes a message; keys it does not know are ignored. Errors wrap [ErrMalformed].
func Unmarshal[M Message](b []byte) (M, error) {
	var m M
	most := MaxMessage
	if l, ok := any(m).(interface{ limit() int }); ok {
		most = l.limit()
	}
	if len(b) > most {
		return m, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, len(b), most)
	}
	if err := decMode.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if c, ok := any(m).(interface{ check() error }); ok {
		if err := c.check(); err != nil {
			return m, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return m, nil
}

// check refuses what no hub says.
func (n ReceiptNews) check() error {
	if n.Call != nil && (n.Call.Round == 0 || n.Call.Within > MaxWithin) {
		return fmt.Errorf("call of round %d within %d s, at most %d", n.Call.Round, n.Call.Within, MaxWithin)
	}
	return nil
}

// check refuses lanes and seqs that no chain can have, so that no receiver has
// to fear them in its arithmetic or its database.
func (w Welcome) check() error { return checkSealed(w.Sealed) }

func (h Hello) check() error {
	for _, l := range h.Lanes {
		switch {
		case l.Incarnation == 0 || !l.Lane.Valid():
			return fmt.Errorf("hello: %d/%s is not a lane of any device", l.Incarnation, l.Lane)
		case l.Last > dot.MaxSeq || l.Received > dot.MaxSeq || l.Archived > dot.MaxSeq:
			return fmt.Errorf("hello: %d/%s: seqs end at %d", l.Incarnation, l.Lane, dot.MaxSeq)
		}
	}
	if h.Holds != nil && h.Holds.Incarnation == 0 {
		return errors.New("hello: credentials of no incarnation")
	}
	if len(h.Proofs) > MaxProofs {
		return fmt.Errorf("hello: more than %d receipts", MaxProofs)
	}
	return checkLives(h)
}

// WherePath is where an enrolled device asks, by GET over TLS, for the addresses
// of a hub that has moved.
const WherePath = "/where/v1"

// Where is the hub's answer.
type Where struct {
	HubKey   identity.PublicKey `json:"hub_key"`
	NatsURLs []string           `json:"nats"` // tls://host:port
}

// EnrolPath is where a device trades a code for credentials, by POST.
const EnrolPath = "/enrol/v1"

// EnrolRequest is what a device sends to be enrolled. Proof is its signature
// ([identity.ForEnrol]) of [EnrolRequest.ProofMessage], which shows that it
// holds the signing key and ties the two keys to this code.
type EnrolRequest struct {
	Secret  []byte             `json:"secret"`
	SignKey identity.PublicKey `json:"sign_key"`
	NatsKey string             `json:"nats_key"` // user nkey, "U..."
	Proof   []byte             `json:"proof"`
	Version string             `json:"version"`
}

// ProofMessage is what the proof signs: secret, signing key, NATS key.
func (r EnrolRequest) ProofMessage() []byte {
	b := append([]byte{}, r.Secret...)
	b = append(b, r.SignKey[:]...)
	return append(b, r.NatsKey...)
}

// EnrolReply is what an enrolled device gets: its name and life, its
// credentials, and how to find and recognise the hub.
type EnrolReply struct {
	Device      dot.Device         `json:"device"`
	Incarnation dot.Incarnation    `json:"incarnation"`
	Previous    dot.Incarnation    `json:"previous,omitempty"`
	JWT         string             `json:"jwt"`            // NATS user JWT, at most 30 days
	Door        string             `json:"door,omitempty"` // see [Credentials.Door]
	NatsURLs    []string           `json:"nats"`           // tls://host:port
	CA          string             `json:"ca"`             // PEM of the hub's CA certificate
	HubKey      identity.PublicKey `json:"hub_key"`        // signs receipts and epochs
	Epoch       []byte             `json:"epoch"`          // signed epoch certificate
	Scopes      []string           `json:"scopes"`         // granted
	HubTime     int64              `json:"hub_time"`       // Unix milliseconds
}
