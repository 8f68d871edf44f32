package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

// line is an entry as a plain program would send it: the same facts, names
// instead of numbered keys, times as text, and a random id, since its server
// could tell copies apart by nothing else. The logical time is left out: others
// do without.
type line struct {
	ID          string         `json:"id"`
	Device      string         `json:"device"`
	Incarnation uint32         `json:"incarnation"`
	Lane        string         `json:"lane"`
	Seq         uint64         `json:"seq"`
	Time        string         `json:"time"`
	Offset      *offset        `json:"offset,omitempty"`
	Actor       string         `json:"actor"`
	Form        string         `json:"form"`
	Version     uint32         `json:"version"`
	Entities    []entity       `json:"entities,omitempty"`
	Contexts    [][]seen       `json:"contexts,omitempty"`
	Position    *position      `json:"position,omitempty"`
	Salt        []byte         `json:"salt"` // base64
	Fields      map[string]any `json:"fields"`
}

type offset struct {
	Millis int64  `json:"ms"`
	Age    uint32 `json:"age_s"`
}

type entity struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type seen struct {
	Device      string `json:"device"`
	Incarnation uint32 `json:"incarnation"`
	Lane        string `json:"lane"`
	Seq         uint64 `json:"seq"`
}

type position struct {
	Lon      float64 `json:"lon"`
	Lat      float64 `json:"lat"`
	Accuracy float64 `json:"accuracy_m,omitempty"`
	Source   string  `json:"source"`
	Age      uint32  `json:"age_s,omitempty"`
}

// ndjson writes all that the hub received, in order of arrival.
func ndjson(ctx context.Context, st store.Store) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for e, err := range st.Entries(ctx, store.EntryQuery{WithRaw: true}) {
		if err != nil {
			return nil, err
		}
		l, err := lineOf(e.Raw)
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", e.Dot, err)
		}
		if err := enc.Encode(l); err != nil {
			return nil, fmt.Errorf("entry %s: %w", e.Dot, err)
		}
	}
	return out.Bytes(), nil
}

func lineOf(raw entry.Raw) (line, error) {
	pub, err := entry.DecodePublic(raw.Public)
	if err != nil {
		return line{}, err
	}
	priv, err := entry.DecodePrivate(raw.Private)
	if err != nil {
		return line{}, err
	}
	at := time.FixedZone("", pub.Zone*60)
	l := line{
		ID: randomID(), Device: string(pub.Dot.Device), Incarnation: uint32(pub.Dot.Incarnation), Lane: pub.Dot.Lane.String(),
		Seq: uint64(pub.Dot.Seq), Time: time.UnixMilli(pub.Wall).In(at).Format("2006-01-02T15:04:05.000Z07:00"),
		Actor: pub.Actor, Form: pub.Form.ID, Version: pub.Form.Version, Salt: priv.Salt[:], Fields: priv.Fields,
	}
	if o := pub.Offset; o != nil {
		l.Offset = &offset{o.Millis, o.Age}
	}
	for _, r := range pub.Refs {
		l.Entities = append(l.Entities, entity(struct{ Type, ID string }{r.Type, r.ID}))
	}
	for _, v := range pub.Contexts {
		var ctx []seen
		for _, d := range v.Dots() {
			ctx = append(ctx, seenOf(d))
		}
		l.Contexts = append(l.Contexts, ctx)
	}
	if p := pub.Position; p != nil {
		l.Position = &position{
			Lon: float64(p.Lon) / 1e6, Lat: float64(p.Lat) / 1e6, Accuracy: float64(p.Accuracy) / 10, Source: "gnss", Age: p.Age,
		}
	}
	return l, nil
}

func seenOf(d dot.Dot) seen {
	return seen{string(d.Device), uint32(d.Incarnation), d.Lane.String(), uint64(d.Seq)}
}

// randomID is a UUID of version 4 (RFC 9562).
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: the runtime stops the process first
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
