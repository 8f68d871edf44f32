package export

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"otor/internal/entry"
)

// place is where an entry was captured, as JSON has it.
type place struct {
	Lon      float64  `json:"lon"` // degrees, WGS84
	Lat      float64  `json:"lat"`
	Accuracy float64  `json:"accuracy_m,omitempty"`
	Source   string   `json:"source"`
	Age      uint32   `json:"age_s,omitempty"` // between the fix and the capture
	Altitude *float64 `json:"altitude_m,omitempty"`
}

var sources = map[entry.PositionSource]string{entry.GNSS: "satellites", entry.Picked: "picked", entry.Waypoint: "waypoint", entry.LastKnown: "last_known"}

func placeOf(p *entry.Position) *place {
	if p == nil {
		return nil
	}
	const perMetre = 10
	out := &place{Lon: degrees(p.Lon), Lat: degrees(p.Lat), Accuracy: float64(p.Accuracy) / perMetre, Source: sources[p.Source], Age: p.Age}
	if p.Altitude != nil {
		metres := float64(*p.Altitude) / perMetre
		out.Altitude = &metres
	}
	return out
}

// list writes a list of values between an opening and an end, a value a line.
func list(w io.Writer, open string, each func(put func(v any) error) error, end string) error {
	b := bufio.NewWriter(w)
	if _, err := b.WriteString(open); err != nil {
		return err
	}
	first := true
	err := each(func(v any) error {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		sep := ",\n"
		if first {
			sep, first = "\n", false
		}
		if _, err := b.WriteString(sep); err != nil {
			return err
		}
		_, err = b.Write(text)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := b.WriteString(end); err != nil {
		return err
	}
	return b.Flush()
}

// writeJSON writes {"export": head, "entries": [...]}.
func writeJSON(w io.Writer, h Head, src Source) error {
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	type full struct {
		Row
		Position *place `json:"position"`
	}
	return list(w, fmt.Sprintf("{\"export\":%s,\n\"entries\":[", head), func(put func(any) error) error {
		for r, err := range src.Rows("") {
			if err != nil {
				return err
			}
			if err := put(full{r, placeOf(r.Position)}); err != nil {
				return err
			}
		}
		return nil
	}, "\n]}\n")
}

// writeGeoJSON writes a FeatureCollection (RFC 7946) of the entries whose place is known,
// as points; what was asked for is a member of it.
func writeGeoJSON(w io.Writer, h Head, src Source) error {
	type point struct {
		Type        string    `json:"type"`
		Coordinates []float64 `json:"coordinates"`
	}
	type feature struct {
		Type       string         `json:"type"`
		ID         string         `json:"id"`
		Geometry   point          `json:"geometry"`
		Properties map[string]any `json:"properties"`
	}
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return list(w, fmt.Sprintf("{\"type\":\"FeatureCollection\",\"export\":%s,\n\"features\":[", head), func(put func(any) error) error {
		for r, err := range src.Rows("") {
			if err != nil {
				return err
			}
			p := placeOf(r.Position)
			if p == nil {
				continue
			}
			at := []float64{p.Lon, p.Lat}
			if p.Altitude != nil {
				at = append(at, *p.Altitude)
			}
			answers := make(map[string]any, len(r.Answers))
			for _, a := range r.Answers {
				answers[a.Name] = a.Value
			}
			if err := put(feature{"Feature", r.Entry, point{"Point", at}, map[string]any{
				"form": r.Form, "entity": r.Entity, "user": r.Actor, "time": r.At, "verdict": r.Verdict, "accuracy_m": p.Accuracy, "source": p.Source, "age_s": p.Age, "answers": answers,
			}}); err != nil {
				return err
			}
		}
		return nil
	}, "\n]}\n")
}
