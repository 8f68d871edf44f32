package server_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"otor/internal/webui"
)

// Operators who change a device's scopes at once each get theirs: nobody's list
// was made of what stood before another's, so no scope that was taken comes back.
func TestScopesChangedAtOnce(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "hub"), "")
	defer func() { check(t, s.Close()) }()
	const each = 12
	before := []string{"team:T1"}
	for i := range each {
		before = append(before, fmt.Sprintf("out:%02d", i))
	}
	_, err := s.Office().Invite(t.Context(), "D-1", before, 0, false)
	check(t, err)
	want := []string{"team:T1"}
	var all sync.WaitGroup
	for i := range each {
		in, out := fmt.Sprintf("in:%02d", i), fmt.Sprintf("out:%02d", i)
		want = append(want, in)
		for _, change := range [][2][]string{{{in}, nil}, {nil, {out}}} {
			all.Go(func() {
				if _, err := s.Office().Regrant(t.Context(), "D-1", change[0], change[1]); err != nil {
					t.Errorf("add %v, remove %v: %v", change[0], change[1], err)
				}
			})
		}
	}
	all.Wait()
	d, err := s.Store().Device(t.Context(), "D-1")
	check(t, err)
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(d.Scopes)); !slices.Equal(got, want) {
		t.Errorf("the device has %v, want %v", got, want)
	}
	_, err = s.Office().Regrant(t.Context(), "D-2", []string{"a"}, nil)
	if r, ok := errors.AsType[*webui.Refusal](err); !ok || r.Code != "unknown_device" {
		t.Errorf("a device that is not there: %v", err)
	}
}
