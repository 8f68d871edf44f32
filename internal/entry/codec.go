package entry

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/hlc"
	"otor/internal/vv"
)

// The modes are built once; both are safe for concurrent use.
var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		IntDec:            cbor.IntDecConvertSignedOrFail,
		MaxNestedLevels:   16,
		MaxArrayElements:  1 << 14,
		MaxMapPairs:       1 << 12,
		DefaultMapType:    mapType,
		ExtraReturnErrors: cbor.ExtraDecErrorNone,
	}.DecMode())
	mapType = reflect.TypeFor[map[string]any]()
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// wireDot is a dot inside an entry: [device, incarnation, lane, seq].
type wireDot struct {
	_           struct{} `cbor:",toarray"`
	Device      string
	Incarnation dot.Incarnation
	Lane        uint8
	Seq         dot.Seq
}

func toWireDot(d dot.Dot) wireDot {
	return wireDot{Device: string(d.Device), Incarnation: d.Incarnation, Lane: uint8(d.Lane), Seq: d.Seq}
}

func (w wireDot) dot() (dot.Dot, error) {
	d := dot.Chain{Device: dot.Device(w.Device), Incarnation: w.Incarnation, Lane: dot.Lane(w.Lane)}.At(w.Seq)
	if err := d.Check(); err != nil {
		return dot.Dot{}, err
	}
	if d.Seq == 0 || d.Seq > dot.MaxSeq {
		return dot.Dot{}, fmt.Errorf("dot %s: seqs count from 1 to %d", d, dot.MaxSeq)
	}
	return d, nil
}

type wireWas struct {
	_    struct{} `cbor:",toarray"`
	Dot  wireDot
	Hash Hash
}

// wirePublic fixes the keys of the public part, version 1.
type wirePublic struct {
	Device      string          `cbor:"1,keyasint"`
	Incarnation dot.Incarnation `cbor:"2,keyasint"`
	Lane        uint8           `cbor:"3,keyasint"`
	Seq         dot.Seq         `cbor:"4,keyasint"`
	Wall        int64           `cbor:"5,keyasint"`
	Ahead       int64           `cbor:"6,keyasint,omitempty"` // HLC milliseconds minus wall
	Counter     uint32          `cbor:"7,keyasint,omitempty"`
	Zone        int             `cbor:"8,keyasint,omitempty"`
	Offset      *Offset         `cbor:"9,keyasint,omitempty"`
	Actor       string          `cbor:"10,keyasint,omitempty"`
	Form        *FormRef        `cbor:"11,keyasint,omitempty"`
	System      string          `cbor:"12,keyasint,omitempty"`
	Refs        []Ref           `cbor:"13,keyasint,omitempty"`
	Contexts    [][]wireDot     `cbor:"14,keyasint,omitempty"`
	Blobs       []Blob          `cbor:"15,keyasint,omitempty"`
	Position    *Position       `cbor:"16,keyasint,omitempty"`
	Origin      *Origin         `cbor:"17,keyasint,omitempty"`
	Was         *wireWas        `cbor:"18,keyasint,omitempty"`
	Corrects    *wireDot        `cbor:"19,keyasint,omitempty"`
}

// Encode writes the public part. It fails only on values that have no wire form.
func (p Public) Encode() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	w := p.wire()
	if b, ok := w.append(make([]byte, 0, publicRoom)); ok {
		return b, nil
	}
	b, err := encMode.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode public part of %s: %w", p.Dot, err)
	}
	return b, nil
}

// publicRoom is what most public parts fit into, in bytes.
const publicRoom = 256

func (p Public) wire() *wirePublic {
	w := &wirePublic{
		Device: string(p.Dot.Device), Incarnation: p.Dot.Incarnation, Lane: uint8(p.Dot.Lane), Seq: p.Dot.Seq,
		Wall: p.Wall, Ahead: p.HLC.Millis - p.Wall, Counter: p.HLC.Counter, Zone: p.Zone,
		Offset: p.Offset, Actor: p.Actor, System: p.System, Refs: p.Refs, Blobs: p.Blobs,
		Position: p.Position, Origin: p.Origin,
	}
	if p.Form != (FormRef{}) {
		form := p.Form
		w.Form = &form
	}
	for _, c := range p.Contexts {
		dots := c.Dots()
		enc := make([]wireDot, len(dots))
		for i, d := range dots {
			enc[i] = toWireDot(d)
		}
		w.Contexts = append(w.Contexts, enc)
	}
	if p.Was != nil {
		w.Was = &wireWas{Dot: toWireDot(p.Was.Dot), Hash: p.Was.Hash}
	}
	if p.Corrects != nil {
		d := toWireDot(*p.Corrects)
		w.Corrects = &d
	}
	return w
}

// maxZone is more minutes from UTC than any zone is. Without a bound a 32-bit
// device would refuse a zone that a 64-bit hub takes.
const maxZone = 24 * 60

// check refuses what must not be minted.
func (p Public) check() error {
	if err := p.Dot.Check(); err != nil {
		return err
	}
	switch {
	case p.Dot.Seq == 0 || p.Dot.Seq > dot.MaxSeq:
		return fmt.Errorf("entry %s: seqs count from 1 to %d", p.Dot, dot.MaxSeq)
	case p.HLC.Millis < p.Wall || p.HLC.Millis-p.Wall < 0: // the second: so far apart that the difference wraps around
		return fmt.Errorf("entry %s: logical clock %s is behind the wall clock %d", p.Dot, p.HLC, p.Wall)
	case p.Zone < -maxZone || p.Zone > maxZone:
		return fmt.Errorf("entry %s: zone of %d minutes: none is more than %d from UTC", p.Dot, p.Zone, maxZone)
	case (p.Form == FormRef{}) == (p.System == ""):
		return fmt.Errorf("entry %s: must carry either a form or a system kind", p.Dot)
	case (p.Origin != nil) != (p.Dot.Seq == 1):
		return fmt.Errorf("entry %s: an origin stands on seq 1 and only there", p.Dot)
	}
	return nil
}

// ErrMalformed marks bytes that are not an entry. The words after it say why.
var ErrMalformed = errors.New("not an entry")

// DecodePublic reads a public part. Unknown keys are left alone: they stay in
// the bytes. Errors wrap [ErrMalformed].
func DecodePublic(b []byte) (Public, error) {
	var w wirePublic
	if p := newPlain(b); p.public(&w) {
		return w.decode()
	}
	return decodePublic(b)
}

// decodePublic reads any public part.
func decodePublic(b []byte) (Public, error) {
	var w wirePublic
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Public{}, fmt.Errorf("%w: public part: %w", ErrMalformed, err)
	}
	return w.decode()
}

// decode checks what the bytes alone do not tell.
func (w wirePublic) decode() (Public, error) {
	d, err := wireDot{Device: w.Device, Incarnation: w.Incarnation, Lane: w.Lane, Seq: w.Seq}.dot()
	if err != nil {
		return Public{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	p := Public{
		Dot: d, HLC: hlc.Time{Millis: w.Wall + w.Ahead, Counter: w.Counter}, Wall: w.Wall, Zone: w.Zone,
		Offset: w.Offset, Actor: w.Actor, System: w.System, Refs: w.Refs, Blobs: w.Blobs,
		Position: w.Position, Origin: w.Origin,
	}
	if w.Form != nil {
		p.Form = *w.Form
	}
	for _, dots := range w.Contexts {
		v := make(vv.Vector, len(dots))
		for _, wd := range dots {
			cd, err := wd.dot()
			if err != nil {
				return Public{}, fmt.Errorf("%w: context: %w", ErrMalformed, err)
			}
			v[cd.Chain] = max(v[cd.Chain], cd.Seq)
		}
		p.Contexts = append(p.Contexts, v)
	}
	if w.Was != nil {
		old, err := w.Was.Dot.dot()
		if err != nil {
			return Public{}, fmt.Errorf("%w: was: %w", ErrMalformed, err)
		}
		p.Was = &Was{Dot: old, Hash: w.Was.Hash}
	}
	if w.Corrects != nil {
		old, err := w.Corrects.dot()
		if err != nil {
			return Public{}, fmt.Errorf("%w: corrects: %w", ErrMalformed, err)
		}
		p.Corrects = &old
	}
	if err := p.check(); err != nil {
		return Public{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return p, nil
}

// wireSalt is a byte string of exactly SaltSize bytes.
type wireSalt [SaltSize]byte

// UnmarshalCBOR refuses any other length: a short salt would pass as a weak one.
func (s *wireSalt) UnmarshalCBOR(b []byte) error {
	if len(b) != 1+len(s) || int(b[0]) != 0x40+len(s) {
		return fmt.Errorf("salt: want a byte string of %d bytes", len(s))
	}
	copy(s[:], b[1:])
	return nil
}

// wirePrivate fixes the keys of the private part, version 1.
type wirePrivate struct {
	Salt   wireSalt       `cbor:"1,keyasint"`
	Fields map[string]any `cbor:"2,keyasint,omitempty"`
	Writes []Write        `cbor:"3,keyasint,omitempty"`
	Priors []wirePrior    `cbor:"4,keyasint,omitempty"`
}

type wirePrior struct {
	_     struct{} `cbor:",toarray"`
	Write uint32
	Dot   wireDot
	Value any
}

// Encode writes the private part. It fails only on values that have no wire form.
func (p Private) Encode() ([]byte, error) {
	w := wirePrivate{Salt: wireSalt(p.Salt), Fields: p.Fields, Writes: p.Writes}
	for _, o := range p.Priors {
		w.Priors = append(w.Priors, wirePrior{Write: o.Write, Dot: toWireDot(o.Dot), Value: o.Value})
	}
	b, err := encMode.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode private part: %w", err)
	}
	return b, nil
}

// DecodePrivate reads a private part. Errors wrap [ErrMalformed].
func DecodePrivate(b []byte) (Private, error) {
	var w wirePrivate
	if p := newPlain(b); p.private(&w) {
		return Private{Salt: w.Salt, Fields: w.Fields}, nil
	}
	return decodePrivate(b)
}

// decodePrivate reads any private part.
func decodePrivate(b []byte) (Private, error) {
	var w wirePrivate
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Private{}, fmt.Errorf("%w: private part: %w", ErrMalformed, err)
	}
	out := Private{Salt: w.Salt, Fields: w.Fields, Writes: w.Writes}
	for _, o := range w.Priors {
		d, err := o.Dot.dot()
		if err != nil {
			return Private{}, fmt.Errorf("%w: prior: %w", ErrMalformed, err)
		}
		out.Priors = append(out.Priors, Prior{Write: o.Write, Dot: d, Value: o.Value})
	}
	return out, nil
}
