package store_test

import (
	"testing"

	"otor/agent/store"
	"otor/internal/entry"
	"otor/internal/receipt"
)

// What entries name is remembered with them, and what the hub has of it with the
// hub's database: another database may lack it.
func TestBlobs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	ctx := t.Context()
	face, voice := entry.Blob{Hash: entry.Hash{1}, Size: 10, Mime: "image/jpeg"}, entry.Blob{Hash: entry.Hash{2}, Size: 20, Mime: "audio/ogg"}
	if len(s.Blobs()) != 0 {
		t.Fatal("a new store names ", s.Blobs())
	}
	var names []store.Saved
	for i, blobs := range [][]entry.Blob{{face}, nil, {face, voice}} {
		d := visit(t, i+1)
		d.Public.Blobs = blobs
		saved, err := s.Append(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, saved)
	}
	first, second := receipt.Epoch{1}, receipt.Epoch{2}
	check := func(at receipt.Epoch) {
		t.Helper()
		want := []store.BlobRef{{Blob: face, Dot: names[0].Dot, At: at}, {Blob: voice, Dot: names[2].Dot}}
		got := s.Blobs()
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("blobs %+v, want %+v", got, want)
		}
		if b, ok := s.Blob(face.Hash); !ok || b != want[0] {
			t.Errorf("one blob: %+v %t", b, ok)
		}
	}
	check(receipt.Epoch{})
	if err := s.SetBlobsAt(ctx, receipt.Epoch{}, 0, face.Hash); err == nil {
		t.Error("a file at no hub")
	}
	for _, e := range []receipt.Epoch{first, first, second} {
		if err := s.SetBlobsAt(ctx, e, 0, face.Hash, entry.Hash{9}); err != nil {
			t.Fatal(err)
		}
		check(e)
	}
	if err := s.ForgetBlobsAt(ctx, face.Hash, voice.Hash, entry.Hash{9}); err != nil {
		t.Fatal(err)
	}
	check(receipt.Epoch{})
	if err := s.SetBlobsAt(ctx, second, 0, face.Hash); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	check(second)
	if f := s.Findings(); len(f) > 0 {
		t.Error(f)
	}
}

// What says who names a file may be lost while the entry is whole: the entry is asked.
func TestNameBlobs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	face, voice := entry.Blob{Hash: entry.Hash{1}, Size: 10, Mime: "image/jpeg"}, entry.Blob{Hash: entry.Hash{2}, Size: 20, Mime: "audio/ogg"}
	var names []store.Saved
	for i, blobs := range [][]entry.Blob{{face}, {face, voice}} {
		d := visit(t, i+1)
		d.Public.Blobs = blobs
		saved, err := s.Append(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, saved)
	}
	for _, b := range []entry.Blob{face, voice} {
		if err := store.DropBlob(s, b.Hash); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.NameBlobs(t.Context(), face.Hash, entry.Hash{9}); err != nil {
		t.Fatal(err)
	}
	want := store.BlobRef{Blob: face, Dot: names[0].Dot}
	for range 2 { // also in a store that is opened anew
		if got := s.Blobs(); len(got) != 1 || got[0] != want {
			t.Errorf("blobs %+v, want %+v alone", got, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, options())
	}
}

// A file that went is remembered as such, and only one that the hub has goes.
func TestDropBlobs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	ctx := t.Context()
	here, gone, later := entry.Hash{1}, entry.Hash{2}, entry.Hash{3}
	d := visit(t, 1)
	d.Public.Blobs = []entry.Blob{{Hash: here, Size: 1}, {Hash: gone, Size: 2}, {Hash: later, Size: 3}}
	_, err := s.Append(ctx, d)
	hub, restored := receipt.Epoch{1}, receipt.Epoch{2}
	for _, err := range []error{
		err, s.SetBlobsAt(ctx, hub, 0, gone), s.SetBlobsAt(ctx, restored, 0, later),
		s.DropBlobs(ctx, hub, here, gone, later, entry.Hash{9}), s.ForgetBlobsAt(ctx, gone),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DropBlobs(ctx, receipt.Epoch{}, here); err == nil {
		t.Error("a file that no hub has went")
	}
	for range 2 {
		for h, want := range map[entry.Hash]bool{here: false, gone: true, later: false} {
			if b, _ := s.Blob(h); b.Gone != want || h == gone && b.At != hub {
				t.Errorf("%+v, gone %t", b, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, options())
	}
	if err := s.SetBlobsAt(ctx, restored, 0, gone); err != nil {
		t.Fatal(err)
	}
	if b, _ := s.Blob(gone); !b.Gone || b.At != restored {
		t.Errorf("at the restored hub: %+v", b)
	}
}
