package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"otor/hub/blob"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/wire"
)

func content(n int, seed byte) ([]byte, entry.Hash) {
	b := bytes.Repeat([]byte{seed, seed ^ 0x55, 7}, n/3+1)[:n]
	return b, entry.Hash(sha256.Sum256(b))
}

func read(t interface{ Fatal(...any) }, r *blob.Room, h entry.Hash) []byte {
	f, err := r.Open(bg, h)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// Pieces of any size in any order, again and again, with restarts between them:
// what is here is always a beginning of the file, and at the end all of it.
func TestPieces(t *testing.T) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(root, fmt.Sprint(n))
		r := blob.NewRoom(dir, nil)
		b, h := content(rapid.IntRange(1, 5000).Draw(t, "size"), 3)
		size, at := int64(len(b)), int64(0)
		for step := 0; at < size && step < 60; step++ {
			if rapid.Bool().Draw(t, "restart") {
				r = blob.NewRoom(dir, nil)
			}
			if here, whole, err := r.At(bg, h); err != nil || whole || here != at {
				t.Fatalf("at %d, whole %t, %v, want %d", here, whole, err, at)
			}
			from := at
			if rapid.IntRange(0, 3).Draw(t, "elsewhere") == 0 {
				from = rapid.Int64Range(0, size-1).Draw(t, "from")
			}
			to := min(size, from+rapid.Int64Range(1, 900).Draw(t, "bytes"))
			now, whole, err := r.Append(bg, h, size, from, b[from:to])
			if err != nil || whole != (now == size) {
				t.Fatal(now, whole, err)
			}
			if from == at {
				at = to
			}
			if now != at {
				t.Fatalf("%d bytes are here, want %d", now, at)
			}
		}
		if at == size && !bytes.Equal(read(t, r, h), b) {
			t.Fatal("the file is another one")
		}
	})
}

func TestUnfit(t *testing.T) {
	r := blob.NewRoom(t.TempDir(), nil)
	b, h := content(100, 1)
	if _, _, err := r.Append(bg, h, 100, 0, b[:60]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Append(bg, h, 100, 60, make([]byte, 40)); !errors.Is(err, blob.ErrUnfit) {
		t.Errorf("other bytes were taken: %v", err)
	}
	if at, whole, err := r.At(bg, h); at != 0 || whole || err != nil {
		t.Errorf("after that: %d, %t, %v; it begins anew", at, whole, err)
	}
	if _, _, err := r.Append(bg, h, 100, 0, make([]byte, 101)); !errors.Is(err, blob.ErrUnfit) {
		t.Errorf("more than the entry says: %v", err)
	}
	if _, whole, err := r.Append(bg, h, 100, 0, b); !whole || err != nil {
		t.Errorf("the right bytes: %t, %v", whole, err)
	}
	if err := r.Check(bg, h); err != nil {
		t.Error(err)
	}
	// What lies in the vault is not trusted either.
	v := r.Vault().(blob.Folder)
	found, err := filepath.Glob(filepath.Join(v.Dir, "*", "*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := os.WriteFile(found[0], b[:99], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Check(bg, h); !errors.Is(err, blob.ErrUnfit) {
		t.Errorf("a damaged file: %v", err)
	}
}

// sulky is a vault that takes nothing while it sulks.
type sulky struct {
	blob.Folder
	sulks bool
}

func (s *sulky) Put(ctx context.Context, h entry.Hash, path string) error {
	if s.sulks {
		return errors.New("the bucket is away")
	}
	return s.Folder.Put(ctx, h, path)
}

// What came whole while the vault was away goes in later, and no byte is asked for again.
func TestFinishLater(t *testing.T) {
	v := &sulky{blob.Folder{Dir: t.TempDir()}, true}
	r := blob.NewRoom(t.TempDir(), v)
	b, h := content(100, 4)
	if _, whole, err := r.Append(bg, h, 100, 0, b[:50]); err != nil || whole {
		t.Fatal(whole, err)
	}
	if whole, err := r.Finish(bg, h, 100); err != nil || whole {
		t.Errorf("half a file was finished: %t, %v", whole, err)
	}
	if _, _, err := r.Append(bg, h, 100, 50, b[50:]); err == nil {
		t.Fatal("the vault took it")
	}
	if _, err := r.Finish(bg, h, 100); err == nil {
		t.Error("the vault still sulks")
	}
	v.sulks = false
	if whole, err := r.Finish(bg, h, 100); err != nil || !whole || !bytes.Equal(read(t, r, h), b) {
		t.Errorf("later: %t, %v", whole, err)
	}
}

var at = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func TestDesk(t *testing.T) {
	st, err := sqlite.Open(bg, filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	for _, d := range []dot.Device{"D-101", "D-102"} {
		if err := st.Invite(bg, store.Invitation{Device: d, CodeHash: sha256.Sum256([]byte(d)), AddedAt: 1, ExpiresAt: 2}, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Revoke(bg, "D-102", 5); err != nil {
		t.Fatal(err)
	}
	b, h := content(wire.MaxPiece+100, 9)
	unknown := entry.Hash{1}
	err = st.Ingest(bg, func(tx store.Tx) error {
		d := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(1)
		return tx.NameBlobs(d, 1, []entry.Blob{{Hash: h, Size: uint64(len(b)), Mime: "image/jpeg"}, {Hash: entry.Hash{2}, Size: wire.MaxBlob + 1}})
	})
	if err != nil {
		t.Fatal(err)
	}
	arrived := 0
	desk := &blob.Desk{
		Ledger: st, Room: blob.NewRoom(t.TempDir(), nil), Now: func() time.Time { return at }, Log: slog.New(slog.DiscardHandler), Arrived: func() { arrived++ },
	}
	say := func(from dot.Device, ask wire.BlobAsk) wire.BlobAnswer {
		t.Helper()
		raw, err := wire.Marshal(ask)
		if err != nil {
			t.Fatal(err)
		}
		a, err := desk.Answer(bg, from, raw)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	one := func(a wire.BlobAnswer, state wire.BlobState, have uint64) {
		t.Helper()
		if len(a.At) != 1 || a.At[0].State != state || a.At[0].At != have {
			t.Fatalf("%+v, want state %d at %d", a, state, have)
		}
	}
	for _, d := range []dot.Device{"D-102", "D-103"} {
		if a := say(d, wire.BlobAsk{Offers: []entry.Hash{h}}); a.Refused == nil {
			t.Errorf("%s: %+v", d, a)
		}
	}
	if a, err := desk.Answer(bg, "D-101", []byte("noise")); err != nil || a.Refused == nil {
		t.Errorf("noise: %+v %v", a, err)
	}
	one(say("D-101", wire.BlobAsk{Offers: []entry.Hash{unknown}}), wire.BlobUnknown, 0)
	one(say("D-101", wire.BlobAsk{Piece: &wire.BlobPiece{Hash: unknown, Bytes: b[:10]}}), wire.BlobUnknown, 0)
	one(say("D-101", wire.BlobAsk{Offers: []entry.Hash{{2}}}), wire.BlobUnfit, 0)
	one(say("D-101", wire.BlobAsk{Piece: &wire.BlobPiece{Hash: entry.Hash{2}, Bytes: b[:10]}}), wire.BlobUnfit, 0)
	one(say("D-101", wire.BlobAsk{Offers: []entry.Hash{h}}), wire.BlobWanted, 0)
	one(say("D-101", wire.BlobAsk{Preview: &wire.BlobPiece{Hash: h, Bytes: []byte("no picture")}}), wire.BlobWanted, 0)
	if desk.Room.HasPreview(h) {
		t.Error("what is no picture was kept as a preview")
	}
	one(say("D-101", wire.BlobAsk{Preview: &wire.BlobPiece{Hash: h, Bytes: []byte("\xff\xd8\xff\xe0 small")}}), wire.BlobWanted, 0)
	if a := say("D-101", wire.BlobAsk{Offers: []entry.Hash{h}}); !a.At[0].Preview {
		t.Error("the preview is asked for again")
	}
	one(say("D-101", wire.BlobAsk{Piece: &wire.BlobPiece{Hash: h, Bytes: b[:wire.MaxPiece]}}), wire.BlobWanted, wire.MaxPiece)
	one(say("D-101", wire.BlobAsk{Piece: &wire.BlobPiece{Hash: h, Bytes: b[:wire.MaxPiece]}}), wire.BlobWanted, wire.MaxPiece)
	one(say("D-101", wire.BlobAsk{Piece: &wire.BlobPiece{Hash: h, Offset: wire.MaxPiece, Bytes: make([]byte, 100)}}), wire.BlobUnfit, 0)
	one(say("D-101", wire.BlobAsk{Piece: &wire.BlobPiece{Hash: h, Bytes: b[:wire.MaxPiece]}}), wire.BlobWanted, wire.MaxPiece)
	one(say("D-101", wire.BlobAsk{Piece: &wire.BlobPiece{Hash: h, Offset: wire.MaxPiece, Bytes: b[wire.MaxPiece:]}}), wire.BlobWhole, uint64(len(b)))
	one(say("D-101", wire.BlobAsk{Offers: []entry.Hash{h}}), wire.BlobWhole, uint64(len(b)))
	got, err := st.Blob(bg, h)
	if err != nil || got.GotAt != at.UnixMilli() || arrived != 1 {
		t.Errorf("%+v, %v, told %d times", got, err, arrived)
	}
	if !bytes.Equal(read(t, desk.Room, h), b) {
		t.Error("another file")
	}
}
