package yardstick_test

import (
	"os"
	"slices"
	"testing"

	"otor/agent/store/yardstick"
)

func TestYardsticksLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	f, err := yardstick.OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Append([]byte("record")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	took, err := yardstick.Badger(t.Context(), dir, 4, slices.Repeat([][]byte{[]byte("record")}, 20))
	if err != nil || took <= 0 {
		t.Fatalf("%s, %v", took, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
