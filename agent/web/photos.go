package web

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/webui"
)

// Photos keeps the files that answers name. It is safe for concurrent use.
type Photos interface {
	// KeepFile keeps a file durably and returns the name that an answer gives it.
	KeepFile(ctx context.Context, mime string, content []byte) (name string, err error)
	// File returns a kept file; one that is not there is a *Refusal.
	File(ctx context.Context, name string) ([]byte, error)
	// Preview returns a picture drawn small, or as it is when it is small or no picture.
	Preview(ctx context.Context, name string) ([]byte, error)
	// Photos lists the files that saved records name, in their order.
	Photos(ctx context.Context) ([]Photo, error)
}

// Photo is a photo or file that a saved record names.
type Photo struct {
	Name  string  `json:"name"`
	Size  uint64  `json:"size"` // bytes
	Mime  string  `json:"mime,omitempty"`
	Dot   dot.Dot `json:"dot"`    // the first record that names it
	AtHub bool    `json:"at_hub"` // whole
	Here  bool    `json:"here"`   // on this device
}

// State says in a word where it is.
func (p Photo) State() string {
	switch {
	case p.AtHub:
		return "at the hub"
	case !p.Here:
		return "missing here"
	}
	return "waiting"
}

// filesPath is where kept files are served; with ?small a picture comes drawn small.
const filesPath = "/api/v1/files/"

// Bounds of a file that the page keeps, in bytes. The page shrinks photos to
// 200 kB; recordings and other files are kept as they are.
const (
	maxPhoto = 256 << 10
	maxFile  = 4 << 20
)

// listFiles lists the files that saved records name.
func (s *site) listFiles(w http.ResponseWriter, r *http.Request) {
	list, err := s.Photos.Photos(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, list)
}

// postFile keeps a photo or a recording and answers {"name"}.
func (s *site) postFile(w http.ResponseWriter, r *http.Request) {
	mime, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	most := int64(maxFile)
	if strings.HasPrefix(mime, "image/") {
		most = maxPhoto
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	switch {
	case err != nil:
		webui.WriteRefusal(w, http.StatusRequestEntityTooLarge, &Refusal{Code: "too_large", What: "the file is too large to be kept", Do: "take the photo again, or make a shorter recording"})
		return
	case len(b) == 0 || strings.HasPrefix(mime, "image/") && mime != http.DetectContentType(b):
		webui.WriteRefusal(w, http.StatusBadRequest, &Refusal{Code: "bad_file", What: "the file is empty or is not what it says", Which: mime, Do: "take the photo again"})
		return
	}
	name, err := s.Photos.KeepFile(r.Context(), mime, b)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, map[string]string{"name": name})
}

// getFile shows a kept photo; other files are handed out, not shown.
func (s *site) getFile(w http.ResponseWriter, r *http.Request) {
	read := s.Photos.File
	if r.URL.Query().Has("small") {
		read = s.Photos.Preview
	}
	b, err := read(r.Context(), r.PathValue("name"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	mime := http.DetectContentType(b)
	if mime != "image/jpeg" && mime != "image/png" {
		mime = "application/octet-stream"
		h.Set("Content-Disposition", "attachment")
	}
	h.Set("Content-Type", mime)
	h.Set("Cache-Control", "private, no-store")
	_, _ = w.Write(b) // the page is gone if this fails
}

// picture is a photo on a page: small, and whole behind it.
type picture struct{ URL, Small, Alt string }

// album are the pictures of a device's records.
type album struct {
	by    map[dot.Dot][]Photo
	words *webui.Words
}

// album reads which records have pictures; they are shown as far as they can be read.
func (s *site) album(r *http.Request, words *webui.Words) album {
	a := album{words: words}
	if s.Photos == nil {
		return a
	}
	all, err := s.Photos.Photos(r.Context())
	if err != nil {
		s.Log.Warn("the list of photos cannot be read; pages show none", "err", err)
		return a
	}
	a.by = make(map[dot.Dot][]Photo)
	for _, p := range all {
		if p.Here && strings.HasPrefix(p.Mime, "image/") {
			a.by[p.Dot] = append(a.by[p.Dot], p)
		}
	}
	return a
}

// of are the pictures of one record: what says what it is, at when.
func (a album) of(d dot.Dot, what, at string) (out []picture) {
	for i, p := range a.by[d] {
		url := filesPath + p.Name
		out = append(out, picture{URL: url, Small: url + "?small", Alt: a.words.T("photo.alt", "n", i+1, "of", len(a.by[d]), "what", what, "at", at)})
	}
	return out
}

// kept says how much room photos take on the device; "" when there are none.
func (s *site) kept(r *http.Request, words *webui.Words) string {
	if s.Photos == nil {
		return ""
	}
	all, err := s.Photos.Photos(r.Context())
	if err != nil {
		return ""
	}
	var bytes uint64
	n, only := 0, 0
	for _, p := range all {
		if !p.Here {
			continue
		}
		n++
		bytes += p.Size
		if !p.AtHub {
			only++
		}
	}
	if n == 0 {
		return ""
	}
	return words.T("photo.kept", "n", n, "size", size(bytes), "only", only)
}

// removed says how long photos stay here, and how many are not here any more.
func removed(words *webui.Words, k PhotosKept) string {
	if k.For == 0 || k.Here+k.Removed == 0 {
		return ""
	}
	return words.T("photo.removed", "n", k.Removed, "span", words.Span(time.Duration(k.For)*time.Second))
}
