package device_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
)

// shelf is a device's folder that is opened anew whenever a test says so.
type shelf struct {
	*testing.T
	dir string
	*device.Device
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{T: t, dir: enrolled(t)}
	s.open()
	t.Cleanup(func() { s.close() })
	return s
}

func (s *shelf) open() {
	s.Helper()
	d, err := device.Open(settings(s.T, s.dir))
	if err != nil {
		s.Fatal(err)
	}
	s.Device = d
}

func (s *shelf) close() {
	s.Helper()
	if err := s.Close(); err != nil {
		s.Fatal(err)
	}
}

// again is a phone that ended the program.
func (s *shelf) again() { s.Helper(); s.close(); s.open() }

func (s *shelf) photo(text string) string {
	s.Helper()
	name, err := s.KeepFile(s.Context(), "audio/ogg", []byte(text))
	if err != nil {
		s.Fatal(err)
	}
	return name
}

func (s *shelf) prune(day float64) {
	s.Helper()
	if err := device.PruneUnnamed(s.Device, s.Context(), asOf.Add(time.Duration(day*float64(24*time.Hour)))); err != nil {
		s.Fatal(err)
	}
}

func (s *shelf) here(want bool, names ...string) {
	s.Helper()
	for _, name := range names {
		if _, err := s.File(s.Context(), name); (err == nil) != want {
			s.Errorf("%s is here: %t, %v", name, err == nil, err)
		}
	}
}

func (s *shelf) save(photo string) {
	s.Helper()
	_, err := s.Capture(s.Context(), capture.Request{
		Form: "water_check", EntityType: "waypoint", Entity: "W01", Actor: "U01", Fields: map[string]any{"flow": "good", "trough_ok": true, "photo": photo},
	})
	if err != nil {
		s.Fatal(err)
	}
	if n := len(s.Store().Blobs()); n == 0 {
		s.Fatal("the record names no photo")
	}
}

func (s *shelf) draft(id, photo string) {
	s.Helper()
	text, err := json.Marshal(map[string]string{"form": "water_check", "xml": "<photo>" + photo + "</photo>"})
	if err != nil {
		s.Fatal(err)
	}
	if err := s.SaveDraft(s.Context(), id, text); err != nil {
		s.Fatal(err)
	}
}

// Photos that were taken again, and those of forms that were dropped, go after a week of
// the hub's clock, whatever the device's own says; what a record or an unfinished form
// names stays, however long.
func TestPhotosThatNothingNamesGo(t *testing.T) {
	s := newShelf(t)
	again, dropped, named, filled, late := s.photo("taken again"), s.photo("dropped"), s.photo("of a record"), s.photo("of a form"), s.photo("named late")
	s.save(named)
	s.draft("a", dropped)
	s.draft("b", filled)
	s.prune(0)
	s.again()
	for name := range map[string]int{again: 0, dropped: 0} { // the file's own time says nothing
		if err := os.Chtimes(filepath.Join(s.dir, "blobs", name[:64]), time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	s.prune(6.9)
	s.here(true, again, dropped, named, filled, late)
	s.draft("c", late)
	s.prune(7.1)
	s.here(false, again)
	s.here(true, dropped, named, filled, late)
	if err := s.DropDraft(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	s.again()
	s.prune(8) // from now on nothing names it
	s.prune(14.9)
	s.here(true, dropped)
	s.prune(15.1)
	s.here(false, dropped)
	s.prune(400)
	s.here(true, named, filled, late)
}

// A photo that is kept again, or that a capture has looked up, stays: its record may be
// on its way into the store.
func TestAPhotoInUseIsNotRemoved(t *testing.T) {
	s := newShelf(t)
	kept, sought, other := s.photo("kept again"), s.photo("sought"), s.photo("other")
	s.prune(0)
	s.again()
	s.photo("kept again")
	if _, ok := device.FindFile(s.Device, sought); !ok {
		t.Fatal("it is not found")
	}
	s.prune(8)
	s.here(true, kept, sought)
	s.here(false, other)
	s.again() // their week begins anew
	s.prune(9)
	s.prune(14)
	s.here(true, kept, sought)
	s.prune(17)
	s.here(false, kept, sought)
}

// A hub whose clock is put back makes a photo go a week later by that clock, and not when
// the old time comes round again.
func TestUnnamedPhotosOfAClockThatWasPutBack(t *testing.T) {
	s := newShelf(t)
	name := s.photo("a photo")
	s.again()
	s.prune(400)
	s.prune(0)
	s.prune(6)
	s.here(true, name)
	s.prune(7.1)
	s.here(false, name)
}

// Without the notes, or the hub's time, photos go late rather than early.
func TestUnnamedPhotosGoLateRatherThanEarly(t *testing.T) {
	s := newShelf(t)
	name := s.photo("a photo")
	s.again()
	s.prune(0)
	if err := os.WriteFile(filepath.Join(s.dir, "unnamed.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.again()
	s.prune(8)
	s.here(true, name)
	if err := device.PruneUnnamed(s.Device, s.Context(), time.Time{}); err != nil { // the hub's time is not known
		t.Fatal(err)
	}
	s.here(true, name)
	s.prune(16)
	s.here(false, name)
	if left, err := filepath.Glob(filepath.Join(s.dir, "blobs", "*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
