// Package support packs what somebody who helps from afar needs to see into one
// file, and nothing about the people whom records are about.
//
// A bundle is a zip file: versions, settings without secrets, states and counts
// as JSON, and the end of the log. Everything in it was chosen because it holds
// no answers of forms. Texts are scrubbed besides, in case an error quotes one:
// long numbers, whatever is not written in ASCII, and the home folders of paths are
// taken out ([Scrub]).
package support

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Part is one JSON file of a bundle. Err stands where it could not be had: a
// bundle of a broken program is worth most.
type Part struct {
	Name  string
	Value any
	Err   error
}

// maxLog bounds what is taken of a log, in bytes: its end.
const maxLog = 1 << 20

// maxPart bounds a part in bytes.
const maxPart = 16 << 20

// Write writes a bundle into a new file that its owner alone reads. log may be
// empty, or a file that is not there.
func Write(file, log string, at time.Time, parts []Part) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(fmt.Errorf("write the bundle %s: %w", file, err), os.Remove(file))
		}
	}()
	z := zip.NewWriter(f)
	var missing bytes.Buffer
	for _, p := range parts {
		b, err := p.encode()
		if err != nil {
			fmt.Fprintf(&missing, "%s: %s\n", p.Name, Scrub(err.Error()))
			continue
		}
		if err := add(z, p.Name+".json", at, b); err != nil {
			return err
		}
	}
	if log != "" {
		b, err := tail(log)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Fprintf(&missing, "log: there is no file %s; the log is where whatever starts the program keeps it\n", Scrub(log))
		case err != nil: // such as one that only the service's user reads
			fmt.Fprintf(&missing, "log: %s\n", Scrub(err.Error()))
		default:
			if err := add(z, "log.txt", at, []byte(Scrub(string(b)))); err != nil {
				return err
			}
		}
	}
	if missing.Len() > 0 {
		if err := add(z, "missing.txt", at, missing.Bytes()); err != nil {
			return err
		}
	}
	return errors.Join(z.Close(), f.Sync())
}

func add(z *zip.Writer, name string, at time.Time, b []byte) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func (p Part) encode() ([]byte, error) {
	if p.Err != nil {
		return nil, p.Err
	}
	b, err := json.Marshal(p.Value)
	if err != nil {
		return nil, err
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	b, err = json.MarshalIndent(scrubbed(v), "", "  ")
	if err == nil && len(b) > maxPart {
		err = fmt.Errorf("it has %d bytes, at most %d are taken", len(b), maxPart)
	}
	return b, err
}

func scrubbed(v any) any {
	switch v := v.(type) {
	case string:
		return Scrub(v)
	case []any:
		for i := range v {
			v[i] = scrubbed(v[i])
		}
	case map[string]any:
		for k, x := range v {
			v[k] = scrubbed(x)
		}
	}
	return v
}

var (
	number  = regexp.MustCompile(`\b[0-9]{7,}[Xx]?\b`)
	foreign = regexp.MustCompile(`[^\x00-\x7f]+`)
	// homes are those of other users of the machine, as Linux, macOS and Windows lay them out;
	// a log writes a backslash twice.
	homes = regexp.MustCompile(`/(?:home|Users)/[^/\s"':;,]+|[A-Za-z]:\\{1,2}Users\\{1,2}[^\\"':;,]+`)
)

// Scrub takes long numbers and all that is not ASCII out of a text, and writes ~ for home
// folders, whose names are their people's.
func Scrub(s string) string {
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) && filepath.Dir(home) != home {
		s = strings.ReplaceAll(s, home, "~")
		s = strings.ReplaceAll(s, strings.ReplaceAll(home, `\`, `\\`), "~") // as a log writes it
	}
	s = homes.ReplaceAllString(s, "~")
	return foreign.ReplaceAllString(number.ReplaceAllString(s, "(number)"), "(text)")
}

// tail reads the end of a file, from the beginning of a line on.
func tail(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	from := max(size-maxLog, 0)
	b := make([]byte, size-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, rest, ok := bytes.Cut(b, []byte("\n")); ok && from > 0 {
		b = rest
	}
	return b, nil
}
