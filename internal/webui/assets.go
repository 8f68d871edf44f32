package webui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed static
var sharedFiles embed.FS

// Assets are files served under an address that holds the hash of their
// content, so that browsers may keep them for ever and never show an old one.
type Assets struct {
	byURL  map[string]asset
	byName map[string]string // name to address
}

type asset struct {
	name  string
	bytes []byte
}

// NewAssets returns no assets yet, apart from this package's icon and script.
func NewAssets() *Assets {
	a := &Assets{byURL: make(map[string]asset), byName: make(map[string]string)}
	a.Add("icon.svg", Part(sharedFiles, "static/icon.svg"))
	a.Add("live.js", Part(sharedFiles, "static/live.js"))
	return a
}

// Add serves the parts, joined, under name. It returns a.
func (a *Assets) Add(name string, parts ...[]byte) *Assets {
	b := bytes.Join(parts, []byte("\n"))
	sum := sha256.Sum256(b)
	ext := path.Ext(name)
	url := "/static/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	a.byURL[url], a.byName[name] = asset{name, b}, url
	return a
}

// URL is the address of the named asset. An unknown name gives an address that
// answers 404; tests look for that.
func (a *Assets) URL(name string) string {
	if u, ok := a.byName[name]; ok {
		return u
	}
	return "/static/missing/" + name
}

// URLs lists every address, sorted.
func (a *Assets) URLs() []string { return slices.Sorted(maps.Keys(a.byURL)) }

func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.byURL[r.URL.Path]
	if !ok {
		if f, ok = refusedStyle.byURL[r.URL.Path]; !ok {
			http.NotFound(w, r)
			return
		}
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.bytes))
}

// Part reads an embedded file. It panics when the file is not there: what is
// embedded is part of the program, not input.
func Part(from fs.FS, name string) []byte {
	b, err := fs.ReadFile(from, name)
	if err != nil {
		panic("webui: embedded file " + name + ": " + err.Error())
	}
	return b
}

// Base is the style sheet that every page begins with.
func Base() []byte { return Part(sharedFiles, "static/base.css") }

// Live is the script that keeps pages true to their server.
func Live() []byte { return Part(sharedFiles, "static/live.js") }

var refusedStyle = (&Assets{byURL: make(map[string]asset), byName: make(map[string]string)}).
	Add("refused.css", Base())
