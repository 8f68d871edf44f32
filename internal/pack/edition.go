package pack

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/identity"
)

// Limits of what a hub publishes. A device keeps every version.
const (
	// MaxPublished bounds the files of a pack together, in bytes, without fixtures.
	MaxPublished = 8 << 20
	// MaxPiece bounds a piece in bytes, so that it goes as it is into a row of a
	// feed and into a record of a journal.
	MaxPiece = 40 << 10
	// MaxEdition bounds a signed edition in bytes.
	MaxEdition = 40 << 10
	maxPieces  = 1 << 12
)

// Piece names a piece of a pack by the SHA-256 of its bytes.
type Piece [sha256.Size]byte

// HashOf names a piece.
func HashOf(b []byte) Piece { return sha256.Sum256(b) }

func (p Piece) String() string { return hex.EncodeToString(p[:]) }

// Keys of the rows that carry packs in a feed.
const (
	EditionKeys = "pack/"  // and id, /, version
	PieceKeys   = "piece/" // and the piece in hex
)

// Parcel is one folder's files, or one file of the pack's own: what changes
// together, and is not sent again while it did not change.
type Parcel struct {
	_      struct{} `cbor:",toarray"`
	Name   string   // forms/visit, i18n, rules.toml, ...
	Pieces []Piece  // of its bytes, in order
}

// Edition is one version of a pack as it is published: what it is made of.
// Fixtures are no part of it: they come to devices as entities.
type Edition struct {
	ID      string   `cbor:"1,keyasint"`
	Version uint32   `cbor:"2,keyasint"`
	Parts   []Parcel `cbor:"3,keyasint"`
}

// Key is the edition's row in a feed.
func (e Edition) Key() string { return fmt.Sprintf("%s%s/%d", EditionKeys, e.ID, e.Version) }

// Pieces lists the pieces, each once, in order.
func (e Edition) Pieces() []Piece {
	var out []Piece
	seen := map[Piece]bool{}
	for _, p := range e.Parts {
		for _, x := range p.Pieces {
			if !seen[x] {
				seen[x] = true
				out = append(out, x)
			}
		}
	}
	return out
}

var (
	encEdition = must(cbor.CoreDetEncOptions().EncMode())
	decEdition = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, MaxArrayElements: 1 << 13, MaxMapPairs: 1 << 13,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // constant options that the library's own tests cover
	}
	return v
}

// ErrEdition marks bytes that are no edition of this hub, or pieces that are not its own.
var ErrEdition = errors.New("not a form pack of this hub")

// signedEdition is how an edition travels: [edition, signature].
type signedEdition struct {
	_         struct{} `cbor:",toarray"`
	Edition   []byte
	Signature []byte
}

// Sign signs an edition for devices.
func (e Edition) Sign(key identity.SigningKey) ([]byte, error) {
	b, err := encEdition.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("sign pack %s version %d: %w", e.ID, e.Version, err)
	}
	b, err = encEdition.Marshal(signedEdition{Edition: b, Signature: key.Sign(identity.ForPack, b)})
	if err == nil && len(b) > MaxEdition {
		err = fmt.Errorf("its list of parts takes %d bytes, at most %d do: it has too many forms", len(b), MaxEdition)
	}
	return b, err
}

// OpenEdition reads what [Edition.Sign] wrote, and checks that the hub did.
// Errors wrap [ErrEdition].
func OpenEdition(signed []byte, hub identity.PublicKey) (Edition, error) {
	var s signedEdition
	var e Edition
	if len(signed) > MaxEdition {
		return e, fmt.Errorf("%w: %d bytes", ErrEdition, len(signed))
	}
	if err := decEdition.Unmarshal(signed, &s); err != nil {
		return e, fmt.Errorf("%w: %w", ErrEdition, err)
	}
	if !hub.Verify(identity.ForPack, s.Edition, s.Signature) {
		return e, fmt.Errorf("%w: another key signed it, or it was changed", ErrEdition)
	}
	if err := decEdition.Unmarshal(s.Edition, &e); err != nil {
		return e, fmt.Errorf("%w: %w", ErrEdition, err)
	}
	if !idPattern.MatchString(e.ID) || e.Version == 0 || len(e.Pieces()) > maxPieces {
		return Edition{}, fmt.Errorf("%w: it names no pack that could be", ErrEdition)
	}
	return e, nil
}

// Publish takes a pack's files apart for publishing. The folder must be one that
// [Load] accepts.
func Publish(dir fs.FS) (Edition, map[Piece][]byte, error) {
	p, err := Load(dir)
	if err != nil {
		return Edition{}, nil, err
	}
	names, err := published(dir)
	if err != nil {
		return Edition{}, nil, err
	}
	parts, total := map[string]map[string][]byte{}, 0
	for _, name := range names {
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			return Edition{}, nil, fmt.Errorf("publish %s: %w", name, err)
		}
		if total += len(b); total > MaxPublished {
			return Edition{}, nil, &Fault{File: name, Words: fmt.Sprintf("the pack has more than %d MiB without its fixtures: no device takes that", MaxPublished>>20)}
		}
		part := name
		if d := path.Dir(name); d != "." {
			part = d
		}
		if parts[part] == nil {
			parts[part] = map[string][]byte{}
		}
		parts[part][name] = b
	}
	e, pieces := Edition{ID: p.ID, Version: p.Version}, map[Piece][]byte{}
	for _, name := range sortedKeys(parts) {
		b, err := encEdition.Marshal(parts[name])
		if err != nil {
			return Edition{}, nil, fmt.Errorf("publish %s: %w", name, err)
		}
		part := Parcel{Name: name}
		for c := range slices.Chunk(b, MaxPiece) {
			x := Piece(sha256.Sum256(c))
			pieces[x] = c
			part.Pieces = append(part.Pieces, x)
		}
		e.Parts = append(e.Parts, part)
	}
	return e, pieces, nil
}

// published lists the files of a pack that travel.
func published(dir fs.FS) (names []string, err error) {
	for _, name := range []string{manifestFile, entitiesFile, rulesFile, pagesFile} {
		if _, err := fs.Stat(dir, name); err == nil {
			names = append(names, name)
		}
	}
	words, err := fs.Glob(dir, wordsDir+"/*.toml")
	if err != nil {
		return nil, err
	}
	sheets, err := fs.Glob(dir, formsDir+"/*/*.csv")
	return append(append(names, words...), sheets...), err
}

// Open puts an edition's files together again, from its pieces. Errors wrap
// [ErrEdition]; what a piece gives must be what its name says.
func (e Edition) Open(piece func(Piece) ([]byte, error)) (fs.FS, error) {
	files, total := map[string][]byte{}, 0
	for _, part := range e.Parts {
		var b []byte
		for _, x := range part.Pieces {
			c, err := piece(x)
			if err != nil {
				return nil, fmt.Errorf("part %s of pack %s version %d: %w", clip(part.Name), e.ID, e.Version, err)
			}
			if sha256.Sum256(c) != x {
				return nil, fmt.Errorf("%w: part %s of %s version %d was changed", ErrEdition, clip(part.Name), e.ID, e.Version)
			}
			if total += len(c); total > MaxPublished+MaxPublished/8 {
				return nil, fmt.Errorf("%w: more than %d MiB", ErrEdition, MaxPublished>>20)
			}
			b = append(b, c...)
		}
		var m map[string][]byte
		if err := decEdition.Unmarshal(b, &m); err != nil {
			return nil, fmt.Errorf("%w: part %s: %w", ErrEdition, clip(part.Name), err)
		}
		for name, c := range m {
			if !fs.ValidPath(name) || strings.Contains(name, `\`) || files[name] != nil {
				return nil, fmt.Errorf("%w: a file is called %q", ErrEdition, clip(name))
			}
			files[name] = c
		}
	}
	return inMemory(files)
}

// Load opens an edition's files and reads the pack.
func (e Edition) Load(piece func(Piece) ([]byte, error)) (*Pack, error) {
	dir, err := e.Open(piece)
	if err != nil {
		return nil, err
	}
	p, err := Load(dir)
	if err != nil {
		return nil, fmt.Errorf("pack %s version %d: %w", e.ID, e.Version, err)
	}
	if p.ID != e.ID || p.Version != e.Version {
		return nil, fmt.Errorf("%w: it is called %s version %d and is %s version %d", ErrEdition, e.ID, e.Version, p.ID, p.Version)
	}
	return p, nil
}

// inMemory is a folder of files in memory.
func inMemory(files map[string][]byte) (fs.FS, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range sortedKeys(files) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
}
