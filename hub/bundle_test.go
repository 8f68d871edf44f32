package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"otor/hub/console"
)

// A bundle says when devices are out of reach, and neither why nor who planned it.
func TestPlansInBundlesAreUnnamed(t *testing.T) {
	from := time.Date(2025, 9, 18, 8, 0, 0, 0, time.UTC)
	f := console.Fleet{Devices: []console.DeviceRow{{Device: "D-101", Plan: []console.Absence{
		{From: from, Until: from.Add(time.Hour), Words: "to Batbayar", By: "dorji", PlannedAt: from},
	}}}}
	unnamed(f)
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(b); strings.Contains(s, "Batbayar") || strings.Contains(s, "dorji") || !strings.Contains(s, "2025-09-18T09:00:00Z") {
		t.Error(s)
	}
}
