package pack

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Limits of a pack that comes as a zip: what it says of itself is not believed.
const (
	// MaxZip bounds the file in bytes.
	MaxZip        = 8 << 20
	maxZipFiles   = 4 * maxForms
	maxZipContent = 64 << 20 // bytes of all files together, fixtures among them
)

// OpenZip opens a pack's folder in a zip. It may lie in one folder of the zip. What
// is too large or too much, leads out of the zip, or stands twice is a [*Fault].
func OpenZip(b []byte) (fs.FS, error) {
	no := func(file, format string, args ...any) (fs.FS, error) {
		return nil, &Fault{File: file, Words: fmt.Sprintf(format, args...)}
	}
	if len(b) > MaxZip {
		return no("the zip", "has more than %d MiB: no pack does", MaxZip>>20)
	}
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return no("the zip", "cannot be read: %v; write the folder into a zip again", err)
	}
	if len(r.File) > maxZipFiles {
		return no("the zip", "has more than %d files: no pack does", maxZipFiles)
	}
	files, total := map[string][]byte{}, 0
	for _, f := range r.File {
		name := strings.TrimSuffix(f.Name, "/")
		switch {
		case !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\:") || !f.Mode().IsRegular() && !f.Mode().IsDir():
			return no(clip(f.Name), "is no plain file inside of the folder: leave it out")
		case f.Mode().IsDir():
			continue
		case files[name] != nil:
			return no(clip(name), "stands twice in the zip: keep one")
		case hidden(name):
			continue
		}
		c, err := unzip(f)
		if err != nil {
			return no(clip(name), "%v", err)
		}
		if total += len(c); total > maxZipContent {
			return no("the zip", "its files have more than %d MiB together: no pack does", maxZipContent>>20)
		}
		files[name] = c
	}
	return rooted(files)
}

// hidden reports what systems leave in folders and zips.
func hidden(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(s string) bool { return strings.HasPrefix(s, ".") || s == "__MACOSX" })
}

func unzip(f *zip.File) ([]byte, error) {
	if f.UncompressedSize64 > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB: no file of a pack is", maxFile>>20)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	c, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if closing := r.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(c) > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB: no file of a pack is", maxFile>>20)
	}
	if c == nil {
		c = []byte{}
	}
	return c, nil
}

// rooted takes the one folder away that all files may lie in.
func rooted(files map[string][]byte) (fs.FS, error) {
	if files[manifestFile] == nil {
		for name := range files {
			top, _, nested := strings.Cut(name, "/")
			if nested && files[path.Join(top, manifestFile)] != nil {
				inner := map[string][]byte{}
				for n, c := range files {
					if rest, ok := strings.CutPrefix(n, top+"/"); ok {
						inner[rest] = c
					} else {
						return nil, &Fault{File: clip(n), Words: fmt.Sprintf("lies beside the folder %s that is the pack: leave it out", clip(top))}
					}
				}
				return inMemory(inner)
			}
		}
	}
	return inMemory(files)
}

// Zip writes a pack's folder into a zip, for sending it to a hub: what [Load] reads of it.
func Zip(dir fs.FS) ([]byte, error) {
	names, err := published(dir)
	if err != nil {
		return nil, err
	}
	fixtures, err := fs.Glob(dir, fixturesDir+"/*")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range append(names, fixtures...) {
		c, err := readRaw(dir, name)
		if err != nil {
			return nil, err
		}
		f, err := w.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(c); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if b.Len() > MaxZip {
		return nil, &Fault{File: manifestFile, Words: fmt.Sprintf("the pack takes more than %d MiB as a zip: no hub takes that", MaxZip>>20)}
	}
	return b.Bytes(), nil
}

func readRaw(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(c) > maxFile {
		err = &Fault{File: name, Words: fmt.Sprintf("is larger than %d MiB: no file of a pack is", maxFile>>20)}
	}
	return c, err
}
