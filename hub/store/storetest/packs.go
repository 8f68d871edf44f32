package storetest

import (
	"crypto/sha256"
	"errors"

	"otor/hub/store"
)

var packChecks = []check{
	{name: "published packs stand side by side", run: checkPacks},
	{name: "a pack and its pieces go with their transaction", run: checkPacksTogether},
}

func checkPacks(t T, w *world) {
	ctx := t.Context()
	body := []byte("type,name")
	h := store.PieceHash(sha256.Sum256(body))
	_, err := w.Piece(ctx, h)
	failsWith(t, "a piece that is not there", err, store.ErrNotFound)
	two := store.Pack{ID: "transhumance", Version: 2, Signed: []byte("two"), At: noon, By: "operator"}
	three := store.Pack{ID: "transhumance", Version: 3, Signed: []byte("three"), At: noon + 1, By: "hub"}
	ok(t, "publish", w.Ingest(ctx, func(tx store.Tx) error {
		if _, err := tx.Piece(h); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a piece that is not there, in a transaction: %v", err)
		}
		return errors.Join(tx.PutPiece(h, body), tx.PutPiece(h, body), tx.AddPack(three), tx.AddPack(two), tx.AddPack(two))
	}))
	all, err := w.Packs(ctx)
	ok(t, "list", err)
	same(t, "packs", all, []store.Pack{two, three})
	got, err := w.Piece(ctx, h)
	ok(t, "piece", err)
	same(t, "its bytes", string(got), string(body))
	other := two
	other.Signed = []byte("two, otherwise")
	failsWith(t, "the version again with other content", w.Ingest(ctx, func(tx store.Tx) error { return tx.AddPack(other) }), store.ErrExists)
	w.again(t)
	ok(t, "read again", w.Ingest(ctx, func(tx store.Tx) error {
		all, err := tx.Packs()
		same(t, "packs after opening again", all, []store.Pack{two, three})
		got, perr := tx.Piece(h)
		same(t, "the piece after opening again", string(got), string(body))
		return errors.Join(err, perr)
	}))
}

func checkPacksTogether(t T, w *world) {
	gone := errors.New("something else")
	h := store.PieceHash{9}
	err := w.Ingest(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.PutPiece(h, []byte{1}), tx.AddPack(store.Pack{ID: "x", Version: 1, Signed: []byte{1}}), gone)
	})
	failsWith(t, "the transaction", err, gone)
	_, err = w.Piece(t.Context(), h)
	failsWith(t, "its piece", err, store.ErrNotFound)
	all, err := w.Packs(t.Context())
	ok(t, "list", err)
	same(t, "packs", len(all), 0)
}
