package main

import (
	"testing"

	"otor/agent/link"
)

func TestSizesAreReadWithUnits(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "200kB": 200_000, "5MB": 5_000_000, "5 MB": 5_000_000, "1GB": 1_000_000_000, "12345": 12345} {
		var s size
		if err := s.Set(text); err != nil || uint64(s) != want {
			t.Errorf("%q is %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "kB", "-5", "5.5MB", "five", "99999999999999999999", "100", "1kB", "5mb"} {
		var s size
		if err := s.Set(text); err == nil {
			t.Errorf("%q was taken for %d", text, s)
		}
	}
	if err := (link.Limits{Contact: link.LeastLimit}).Check(); err != nil {
		t.Error(err)
	}
}
