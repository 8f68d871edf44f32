// Package wire says what devices and hub say to each other, and where.
//
// Entries travel as batch frames on [Up] subjects; a carrier passes on other
// devices' frames, unchanged, on its [Relay] subject. [Hello] and [Pull] are
// request and reply; [ReceiptFor] and [News] are what the hub says unasked. A
// device whose [Credentials] ran out asks for new ones by [DoorHello].
// The shapes are CBOR with integer keys ([Marshal], [Unmarshal]); enrolment
// ([EnrolRequest], [EnrolReply]) is JSON over HTTPS, since it comes before any
// NATS credential. Nothing personal is ever part of a subject.
package wire

import (
	"strings"

	"otor/internal/dot"
)

// Prefix starts every subject of protocol version 1.
const Prefix = "otor.1."

// Stream names and the subjects they capture. Alert has a stream of its own so
// that a full record stream cannot hold an alert back.
const (
	AlertStream = "OTOR_ALERT"
	UpStream    = "OTOR_UP"
)

// AlertSubjects are captured by [AlertStream].
func AlertSubjects() []string { return []string{Prefix + "up.alert.*"} }

// UpSubjects are captured by [UpStream].
func UpSubjects() []string { return []string{Prefix + "up.record.*", Prefix + "relay.*"} }

// Up is where a device publishes its batches of one lane.
func Up(l dot.Lane, d dot.Device) string { return Prefix + "up." + l.String() + "." + string(d) }

// Relay is where a carrier publishes other devices' batches, unchanged.
func Relay(carrier dot.Device) string { return Prefix + "relay." + string(carrier) }

// HelloOn is where a device says hello.
func HelloOn(d dot.Device) string { return Prefix + "hello." + string(d) }

// HelloAny is where the hub listens for hellos.
const HelloAny = Prefix + "hello.*"

// DoorOn is where a device that was away for too long asks for credentials, and
// the one subject on which its door lets it publish.
func DoorOn(d dot.Device) string { return Prefix + "door." + string(d) }

// DoorAny is where the hub listens for those who come by the door.
const DoorAny = Prefix + "door.*"

// PullOn is where a device asks for pages.
func PullOn(d dot.Device) string { return Prefix + "pull." + string(d) }

// PullAny is where the hub listens for pulls.
const PullAny = Prefix + "pull.*"

// ReceiptFor is where the hub publishes receipts for a device.
func ReceiptFor(d dot.Device) string { return Prefix + "receipt." + string(d) }

// News is where the hub says that a scope has moved.
func News(scope string) string { return Prefix + "news." + scope }

// InboxPrefix starts every reply subject of a device. The hub answers to no
// other, or a device could make it publish anywhere.
func InboxPrefix(d dot.Device) string { return "_INBOX." + string(d) }

// ReplyAllowed reports whether the hub may answer device d at reply.
func ReplyAllowed(d dot.Device, reply string) bool {
	rest, ok := strings.CutPrefix(reply, InboxPrefix(d)+".")
	return ok && rest != "" && !strings.ContainsAny(rest, "*> ")
}

// Sender takes the device's name, the last token, from a subject.
func Sender(subject string) (dot.Device, error) {
	return dot.ParseDevice(subject[strings.LastIndexByte(subject, '.')+1:])
}

// IsRelay reports whether a subject carries other devices' batches.
func IsRelay(subject string) bool { return strings.HasPrefix(subject, Prefix+"relay.") }
