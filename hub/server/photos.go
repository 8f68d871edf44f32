package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"otor/hub/blob"
	"otor/hub/blob/bucket"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/webui"
)

// PhotoLine is a line of the list of photos and files that entries name.
type PhotoLine struct {
	Photo   string     `json:"photo"` // SHA-256, hexadecimal
	Size    uint64     `json:"size"`  // bytes
	Mime    string     `json:"mime"`
	Entry   dot.Dot    `json:"entry"` // the first that named it
	NamedAt time.Time  `json:"named_at"`
	GotAt   *time.Time `json:"got_at"` // nil: it is missing
}

// PhotoCheck is what a check of all photos found.
type PhotoCheck struct {
	store.BlobCounts
	Where   string   `json:"where"`
	Damaged []string `json:"damaged"` // what was kept is not what the hash says, or is gone: they are asked for again
}

// blobsFolder is where photos are in the hub's folder, photosIn the whole ones.
const blobsFolder = "blobs"

var photosIn = filepath.Join(blobsFolder, "whole")

// vaultFile remembers the bucket's address in the blobs folder.
const vaultFile = "bucket"

// openPhotos makes the room of the hub's photos. address names a bucket, and is
// remembered; empty: the one that was remembered, or the hub's own folder.
func openPhotos(dir, address string) (*blob.Room, error) {
	blobs := filepath.Join(dir, blobsFolder)
	known, err := os.ReadFile(filepath.Join(blobs, vaultFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("where the photos are: %w", err)
	}
	if address == "" {
		address = strings.TrimSpace(string(known))
	}
	if address == "" {
		return blob.NewRoom(blobs, nil), nil
	}
	v, err := bucket.Open(address)
	if err != nil {
		return nil, &webui.Refusal{Code: "bad_photos", What: err.Error(), Which: address, Do: "correct --photos"}
	}
	if address != string(known) {
		if err := durable.MkdirAll(blobs, 0o700); err != nil {
			return nil, fmt.Errorf("where the photos are: %w", err)
		}
		if err := durable.WriteFile(filepath.Join(blobs, vaultFile), []byte(address), 0o600); err != nil {
			return nil, fmt.Errorf("where the photos are: %w", err)
		}
	}
	return blob.NewRoom(blobs, v), nil
}

// photosOf is the folder that backups copy photos from; empty when they are kept
// elsewhere than on the hub's disk.
func photosOf(r *blob.Room) string {
	f, ok := r.Vault().(blob.Folder)
	if !ok {
		return ""
	}
	return f.Dir
}

// missPhotos notes which photos are not here although the database says so: those
// that came after the photos beside a backup were copied, or were lost with them.
func missPhotos(ctx context.Context, st store.Store, r *blob.Room) error {
	list, err := st.Blobs(ctx, store.BlobQuery{})
	if err != nil {
		return err
	}
	for _, b := range list {
		if b.GotAt == 0 {
			continue
		}
		_, err := r.Vault().Size(ctx, b.Hash)
		if errors.Is(err, blob.ErrNotFound) {
			err = st.SetBlobGot(ctx, b.Hash, 0)
		}
		if err != nil {
			return fmt.Errorf("look for photo %x: %w", b.Hash[:4], err)
		}
	}
	return nil
}

// Photos lists photos in the order in which entries named them; all: those that
// are here, too.
func (o *Office) Photos(ctx context.Context, all bool) ([]PhotoLine, error) {
	list, err := o.store.Blobs(ctx, store.BlobQuery{Missing: !all})
	if err == nil {
		sight := o.sight(ctx)
		list, err = sees(list, func(b store.Blob) (bool, error) { return sight.dot(ctx, b.Dot) })
	}
	out := make([]PhotoLine, 0, len(list))
	for _, b := range list {
		out = append(out, PhotoLine{
			Photo: hex.EncodeToString(b.Hash[:]), Size: b.Size, Mime: b.Mime, Entry: b.Dot, NamedAt: o.at(b.NamedAt), GotAt: o.maybe(b.GotAt),
		})
	}
	return out, err
}

// Photo opens a photo by its hash, or its preview. Refusals: bad_photo,
// no_photo. The caller closes it.
func (o *Office) Photo(ctx context.Context, name string, preview bool) (io.ReadCloser, string, error) {
	raw, err := hex.DecodeString(name)
	if err != nil || len(raw) != len(entry.Hash{}) {
		return nil, "", &webui.Refusal{Code: "bad_photo", What: fmt.Sprintf("%q is no photo's name", name), Do: "write its 64 digits as the list of photos has them"}
	}
	b, err := o.store.Blob(ctx, entry.Hash(raw))
	if err == nil {
		var seen bool
		if seen, err = o.sight(ctx).dot(ctx, b.Dot); err == nil && !seen {
			err = store.ErrNotFound
		}
	}
	if err == nil {
		var r io.ReadCloser
		if r, err = o.open(ctx, b, preview); err == nil {
			return r, b.Mime, nil
		}
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, blob.ErrNotFound) {
		err = &webui.Refusal{Code: "no_photo", What: "the hub does not have this photo", Which: name, Do: "it comes with a later contact of the device that took it"}
	}
	return nil, "", err
}

func (o *Office) open(ctx context.Context, b store.Blob, preview bool) (io.ReadCloser, error) {
	if preview {
		if small, err := o.blobs.Preview(b.Hash); err == nil {
			return io.NopCloser(bytes.NewReader(small)), nil
		}
	}
	return o.blobs.Open(ctx, b.Hash)
}

// CheckPhotos reads every photo that is said to be here. What is damaged or gone
// is asked for again from devices that still have it.
func (o *Office) CheckPhotos(ctx context.Context) (PhotoCheck, error) {
	out := PhotoCheck{Where: o.blobs.Vault().Where(), Damaged: []string{}}
	list, err := o.store.Blobs(ctx, store.BlobQuery{})
	if err != nil {
		return out, err
	}
	for _, b := range list {
		if b.GotAt == 0 {
			continue
		}
		err := o.blobs.Check(ctx, b.Hash)
		switch {
		case err == nil:
			continue
		case errors.Is(err, blob.ErrUnfit):
			err = o.blobs.Remove(ctx, b.Hash)
		case errors.Is(err, blob.ErrNotFound):
			err = nil
		}
		if err == nil {
			err = o.store.SetBlobGot(ctx, b.Hash, 0)
		}
		if err != nil {
			return out, fmt.Errorf("check photo %x: %w", b.Hash[:4], err)
		}
		out.Damaged = append(out.Damaged, hex.EncodeToString(b.Hash[:]))
	}
	out.BlobCounts, err = o.store.CountBlobs(ctx)
	return out, err
}

// photos serves them below the office's path.
func (o *Office) photos(mux *http.ServeMux) {
	mux.HandleFunc("GET "+officePath+"photos", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.Photos(r.Context(), r.FormValue("all") == "true")
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"photos/check", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.CheckPhotos(r.Context())
		answer(w, v, err)
	})
	mux.HandleFunc("GET "+officePath+"photos/{photo}", func(w http.ResponseWriter, r *http.Request) {
		f, mime, err := o.Photo(r.Context(), r.PathValue("photo"), r.FormValue("preview") == "true")
		if err != nil {
			answer(w, nil, err)
			return
		}
		defer f.Close()
		h := w.Header()
		if mime != "image/jpeg" && mime != "image/png" {
			mime = "application/octet-stream"
			h.Set("Content-Disposition", "attachment")
		}
		h.Set("Content-Type", mime)
		h.Set("Cache-Control", "private, no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = io.Copy(w, f) // whoever asked is gone if this fails
	})
}

// Photos does what [Office.Photos] does.
func (c *Client) Photos(ctx context.Context, all bool) ([]PhotoLine, error) {
	return ask[[]PhotoLine](ctx, c, http.MethodGet, "photos", url.Values{"all": {strconv.FormatBool(all)}}, nil)
}

// Photo does what [Office.Photo] does.
func (c *Client) Photo(ctx context.Context, name string, preview bool) (io.ReadCloser, string, error) {
	resp, err := c.do(ctx, http.MethodGet, "photos/"+url.PathEscape(name), url.Values{"preview": {strconv.FormatBool(preview)}}, nil)
	if err != nil {
		return nil, "", err
	}
	return resp.Body, resp.Header.Get("Content-Type"), nil
}

// CheckPhotos does what [Office.CheckPhotos] does.
func (c *Client) CheckPhotos(ctx context.Context) (PhotoCheck, error) {
	return ask[PhotoCheck](ctx, c, http.MethodPost, "photos/check", nil, nil)
}
