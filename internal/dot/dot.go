// Package dot names entries.
//
// Every captured fact in Otor is an entry, and every entry has exactly one
// name that no other entry will ever have: its dot. A dot says which device
// captured it, in which life of that device (its incarnation), in which of the
// device's ordered streams (its lane), and as which one of that stream (its
// seq). Written out it reads "D-101/3/record/17". The dot is also the id of
// the record that the entry carries.
//
//   - [Device] is the name that the hub gave to a device at enrolment.
//   - [Incarnation] counts a device's lives, from 1.
//   - [Lane] is alert or record.
//   - [Seq] counts entries of one lane of one incarnation, from 1, without holes.
//   - [Chain] is the stream itself: device, incarnation and lane.
//   - [Dot] is one entry of it.
//
// The types are distinct so that swapped arguments do not compile.
package dot

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Device is a device's name: 1 to 32 characters of A-Z, 0-9 and '-'.
type Device string

// Hub is the device name under which the hub's own operators author entries.
const Hub Device = "HUB"

// ParseDevice checks the shape of a device name.
func ParseDevice(s string) (Device, error) {
	if len(s) == 0 || len(s) > 32 {
		return "", fmt.Errorf("device name %q: must have 1 to 32 characters", clip(s))
	}
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
			return "", fmt.Errorf("device name %q: only A-Z, 0-9 and '-' are allowed", clip(s))
		}
	}
	return Device(s), nil
}

// Incarnation counts the lives of a device, from 1. A new one starts on
// install, restore, clone or a detected rollback.
type Incarnation uint32

// Seq numbers the entries of a chain, from 1. 0 means "none yet".
type Seq uint64

// MaxSeq is the highest seq there can be: what a JSON number still holds exactly.
const MaxSeq Seq = 1<<53 - 1

// Lane is one of a device's ordered streams. Its values are wire values.
type Lane uint8

// The lanes. The alert lane always goes before the record lane.
const (
	Alert  Lane = 1
	Record Lane = 2
)

// Lanes lists the lanes in the order in which they are drained.
func Lanes() []Lane { return []Lane{Alert, Record} }

// Valid reports whether l is one of the known lanes.
func (l Lane) Valid() bool { return l == Alert || l == Record }

func (l Lane) String() string {
	switch l {
	case Alert:
		return "alert"
	case Record:
		return "record"
	default:
		return "lane" + strconv.Itoa(int(l))
	}
}

// ParseLane reads "alert" or "record".
func ParseLane(s string) (Lane, error) {
	switch s {
	case "alert":
		return Alert, nil
	case "record":
		return Record, nil
	default:
		return 0, fmt.Errorf("lane %q: must be alert or record", clip(s))
	}
}

// MarshalText writes the lane's name.
func (l Lane) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the lane's name.
func (l *Lane) UnmarshalText(b []byte) error {
	v, err := ParseLane(string(b))
	if err != nil {
		return err
	}
	*l = v
	return nil
}

// Chain is one ordered stream of entries: one lane of one incarnation of one device.
type Chain struct {
	Device      Device
	Incarnation Incarnation
	Lane        Lane
}

// At names the entry with the given seq in the chain.
func (c Chain) At(s Seq) Dot { return Dot{Chain: c, Seq: s} }

func (c Chain) String() string {
	return fmt.Sprintf("%s/%d/%s", c.Device, c.Incarnation, c.Lane)
}

// Compare orders chains by device, incarnation and lane.
func (c Chain) Compare(o Chain) int {
	return cmp.Or(
		strings.Compare(string(c.Device), string(o.Device)),
		cmp.Compare(c.Incarnation, o.Incarnation),
		cmp.Compare(c.Lane, o.Lane),
	)
}

// Check reports what is wrong with the chain's parts, if anything.
func (c Chain) Check() error {
	if _, err := ParseDevice(string(c.Device)); err != nil {
		return err
	}
	if c.Incarnation == 0 {
		return fmt.Errorf("chain %s: incarnations count from 1", c)
	}
	if !c.Lane.Valid() {
		return fmt.Errorf("chain %s: unknown lane", c)
	}
	return nil
}

// Dot names one entry. The zero value names none.
type Dot struct {
	Chain
	Seq Seq
}

// IsZero reports whether d names no entry.
func (d Dot) IsZero() bool { return d == Dot{} }

func (d Dot) String() string { return d.Chain.String() + "/" + strconv.FormatUint(uint64(d.Seq), 10) }

// Compare orders dots by chain, then seq.
func (d Dot) Compare(o Dot) int {
	return cmp.Or(d.Chain.Compare(o.Chain), cmp.Compare(d.Seq, o.Seq))
}

// Parse reads a dot as String writes it: "D-101/3/record/17".
func Parse(s string) (Dot, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 4 {
		return Dot{}, fmt.Errorf("dot %q: must look like D-101/3/record/17", clip(s))
	}
	dev, err := ParseDevice(parts[0])
	if err != nil {
		return Dot{}, fmt.Errorf("dot %q: %w", clip(s), err)
	}
	inc, err := parseCount(parts[1], 32)
	if err != nil {
		return Dot{}, fmt.Errorf("dot %q: incarnation: %w", clip(s), err)
	}
	l, err := ParseLane(parts[2])
	if err != nil {
		return Dot{}, fmt.Errorf("dot %q: %w", clip(s), err)
	}
	n, err := parseCount(parts[3], 64)
	if err != nil {
		return Dot{}, fmt.Errorf("dot %q: seq: %w", clip(s), err)
	}
	if Seq(n) > MaxSeq {
		return Dot{}, fmt.Errorf("dot %q: seq: the highest is %d", clip(s), MaxSeq)
	}
	return Chain{dev, Incarnation(inc), l}.At(Seq(n)), nil
}

// parseCount reads a decimal number of 1 or more, without sign or leading zero.
func parseCount(s string, bits int) (uint64, error) {
	if s == "" || s[0] == '0' || s[0] == '+' {
		return 0, fmt.Errorf("%q is not a count from 1", clip(s))
	}
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a count from 1", clip(s))
	}
	return n, nil
}

// MarshalText writes the dot as String does; the zero dot as "".
func (d Dot) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (d *Dot) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Dot{}
		return nil
	}
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// clip keeps hostile input out of error messages.
func clip(s string) string {
	const most = 48
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
