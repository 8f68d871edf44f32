package storetest

import (
	"errors"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

var blobChecks = []check{
	{name: "files that entries name", run: checkBlobs},
	{name: "what was named goes with its transaction", run: checkBlobsTogether},
}

func checkBlobs(t T, w *world) {
	a, b, c := entry.Blob{Hash: entry.Hash{1}, Size: 10, Mime: "image/jpeg"}, entry.Blob{Hash: entry.Hash{2}, Size: 20}, entry.Blob{Hash: entry.Hash{3}, Size: 30, Mime: "audio/ogg"}
	first := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(7)
	other := dot.Chain{Device: "D-102", Incarnation: 2, Lane: dot.Alert}.At(1)
	ctx := t.Context()
	_, err := w.Blob(ctx, a.Hash)
	failsWith(t, "a file that nobody names", err, store.ErrNotFound)
	failsWith(t, "a file that nobody names came", w.SetBlobGot(ctx, a.Hash, noon), store.ErrNotFound)
	ok(t, "name", w.Ingest(ctx, func(tx store.Tx) error {
		return errors.Join(tx.NameBlobs(first, noon, []entry.Blob{a, b}), tx.NameBlobs(other, noon+1, []entry.Blob{b, c}), tx.NameBlobs(other, noon+2, nil))
	}))
	got, err := w.Blob(ctx, b.Hash)
	ok(t, "read", err)
	if got.Number <= 0 {
		t.Errorf("its number is %d", got.Number)
	}
	got.Number = 0
	same(t, "the first entry that named it stays", got, store.Blob{Hash: b.Hash, Size: 20, Dot: first, NamedAt: noon})
	ok(t, "it came", w.SetBlobGot(ctx, b.Hash, noon+5))
	missing, err := w.Blobs(ctx, store.BlobQuery{Missing: true})
	ok(t, "list", err)
	if len(missing) != 2 || missing[0].Hash != a.Hash || missing[1].Hash != c.Hash || missing[1].Dot != other || missing[1].Mime != c.Mime {
		t.Errorf("missing: %+v", missing)
	}
	for name, q := range map[string]struct {
		q store.BlobQuery
		n int
	}{
		"all": {store.BlobQuery{}, 3}, "of a device": {store.BlobQuery{Device: "D-102"}, 1}, "two": {store.BlobQuery{Limit: 2}, 2},
		"missing of a device": {store.BlobQuery{Device: "D-101", Missing: true}, 1}, "of nobody": {store.BlobQuery{Device: "D-103"}, 0},
	} {
		list, err := w.Blobs(ctx, q.q)
		ok(t, "list "+name, err)
		same(t, name, len(list), q.n)
	}
	newest, err := w.Blobs(ctx, store.BlobQuery{Newest: true, Limit: 2})
	ok(t, "list the newest", err)
	if len(newest) != 2 || newest[0].Hash != c.Hash || newest[1].Hash != b.Hash || newest[0].Number <= newest[1].Number {
		t.Fatalf("the newest: %+v", newest)
	}
	for name, q := range map[string]struct {
		q    store.BlobQuery
		want []entry.Blob
	}{
		"behind the second": {store.BlobQuery{Newest: true, Before: newest[1].Number}, []entry.Blob{a}}, "of an entry": {store.BlobQuery{Entry: first}, []entry.Blob{a, b}},
		"of another entry": {store.BlobQuery{Entry: first.Chain.At(8)}, nil}, "named later": {store.BlobQuery{From: noon + 1}, []entry.Blob{c}},
		"named before": {store.BlobQuery{Until: noon + 1, Newest: true}, []entry.Blob{b, a}}, "named between": {store.BlobQuery{From: noon + 2, Until: noon + 9}, nil},
	} {
		list, err := w.Blobs(ctx, q.q)
		ok(t, "list "+name, err)
		var want, got []entry.Hash
		for _, x := range q.want {
			want = append(want, x.Hash)
		}
		for _, x := range list {
			got = append(got, x.Hash)
		}
		same(t, name, got, want)
	}
	n, err := w.CountBlobs(ctx)
	ok(t, "count", err)
	same(t, "counts", n, store.BlobCounts{Named: 3, Missing: 2, NamedBytes: 60, MissingBytes: 40})
	for _, x := range []struct {
		held         []entry.Hash
		before, want int64
	}{{[]entry.Hash{b.Hash}, noon + 5, 0}, {[]entry.Hash{a.Hash}, noon + 6, 0}, {nil, noon + 6, 0}, {[]entry.Hash{a.Hash, b.Hash}, noon + 6, 1}, {[]entry.Hash{b.Hash}, noon + 9, 0}} {
		n, err := w.ArchiveBlobs(ctx, x.held, x.before, noon+20)
		ok(t, "archive", err)
		same(t, "newly archived", n, x.want)
	}
	got, err = w.Blob(ctx, b.Hash)
	ok(t, "read an archived one", err)
	same(t, "it is archived", got.ArchivedAt, int64(noon+20))
	got, err = w.Blob(ctx, a.Hash)
	ok(t, "read one that never came", err)
	same(t, "it is not archived", got.ArchivedAt, int64(0))
	ok(t, "it was lost", w.SetBlobGot(ctx, b.Hash, 0))
	got, err = w.Blob(ctx, b.Hash)
	ok(t, "read again", err)
	same(t, "it is missing again", got.GotAt, int64(0))
	same(t, "and archived no more", got.ArchivedAt, int64(0))
	ok(t, "one that was never here", w.SetBlobGot(ctx, a.Hash, 0))
	lost, err := w.Blobs(ctx, store.BlobQuery{Lost: true, Device: "D-101"})
	ok(t, "list lost ones", err)
	if len(lost) != 1 || lost[0].Hash != b.Hash {
		t.Errorf("lost: %+v", lost)
	}
	ok(t, "it came again", w.SetBlobGot(ctx, b.Hash, noon+9))
	lost, err = w.Blobs(ctx, store.BlobQuery{Lost: true})
	ok(t, "list lost ones again", err)
	same(t, "none is lost", len(lost), 0)
}

func checkBlobsTogether(t T, w *world) {
	gone := errors.New("something else")
	err := w.Ingest(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.NameBlobs(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(1), noon, []entry.Blob{{Hash: entry.Hash{9}}}), gone)
	})
	failsWith(t, "the transaction", err, gone)
	_, err = w.Blob(t.Context(), entry.Hash{9})
	failsWith(t, "what it named", err, store.ErrNotFound)
}

func failsWith(t T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}
