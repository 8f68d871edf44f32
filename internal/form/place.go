package form

import (
	"fmt"
	"math"
	"strings"
)

// place checks a geopoint: longitude and latitude in degrees, WGS84 only.
func (c *checker) place(f *Field, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		c.refuse(BadType, expected(f, "a place with lon and lat", v))
		return
	}
	known := 0
	for _, name := range placeParts {
		x, ok := m[name]
		if ok {
			known++
		}
		if x != nil {
			c.placePart(name, x)
		}
	}
	if m["lon"] == nil || m["lat"] == nil {
		c.refuse(BadType, "a place needs lon and lat")
	}
	if known < len(m) {
		c.refuse(UnknownField, "a place has no other parts than "+strings.Join(placeParts[:], ", "))
	}
}

// placeParts are what a place may hold.
var placeParts = [...]string{"lon", "lat", "acc_m", "alt_m", "datum", "source"}

func (c *checker) placePart(name string, v any) {
	switch name {
	case "lon":
		c.coordinate(name, v, 180)
	case "lat":
		c.coordinate(name, v, 90)
	case "acc_m", "alt_m":
		if n, ok := finite(v); !ok || math.Abs(n) > 100_000 {
			c.refuse(OutOfRange, name+" must be a number of metres")
		}
	case "datum":
		if v != "WGS84" {
			c.refuse(BadType, "places are kept in WGS84 only")
		}
	case "source":
		s, ok := v.(string)
		if !ok {
			c.refuse(BadType, "source must be text")
			return
		}
		c.fits(s)
	}
}

func (c *checker) coordinate(name string, v any, most float64) {
	n, ok := finite(v)
	switch {
	case !ok:
		c.refuse(BadType, name+" must be a number of degrees")
	case math.Abs(n) > most:
		c.refuse(OutOfRange, fmt.Sprintf("%s must lie between -%g and %g degrees", name, most, most))
	}
}

// finite reads an int64 or a finite float64.
func finite(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	}
	return 0, false
}
