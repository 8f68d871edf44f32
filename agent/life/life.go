// Package life keeps which life of its device a folder lives.
//
// A device's entries are named by its lives: seqs count within one. So two
// copies of a folder must never go on in the same life, and one that was put
// back to an older state must not go on in the one that it had. Each life is
// bound to the installation: to the machine and to the folder itself, see
// [Binding]. When the binding is not what it was, the folder goes on in a new
// life, at once and offline; when the hub's history turns out to be another, in
// one more (law L3). The device's keys stay the same.
//
// The book of a folder's lives is the file lives.json, replaced whole BEFORE
// anything is captured in a new life. A folder without a book gets one that
// begins with the life of its enrolment. Where there was a book, which got lost, no
// life that it had is lived on: the ids are gone by which the hub knows them, and so
// they are not claimed. A life that was begun and in which nothing was captured is
// forgotten when the next one begins.
//
//   - [Open] reads the book, and begins a new life where it must.
//   - [Book.Begin] begins one for another reason.
//   - [Life] is one of them; [Book.Claims] makes them known to a hub.
package life

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/wire"
)

// FileName is the book's file in the device's folder.
const FileName = "lives.json"

// formatVersion is that of the file; a program refuses what it does not know.
const formatVersion = 1

// maxFile bounds the file in bytes.
const maxFile = 1 << 20

// ID tells two lives with the same number apart.
type ID [wire.LifeIDSize]byte

// MarshalText writes the id in hex.
func (id ID) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(id[:])), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(id) {
		return fmt.Errorf("life id: %d characters, want %d", len(b), 2*len(id))
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// Life is one life of the device that this folder lived or lives.
type Life struct {
	Incarnation dot.Incarnation `json:"incarnation"`
	ID          ID              `json:"id"` // zero: it went down with an earlier book
	Reason      entry.Reason    `json:"reason"`
	Previous    dot.Incarnation `json:"previous,omitempty"` // 0: none
	Since       time.Time       `json:"since"`              // by the device's clock
}

// Origin is what its first entries say of it.
func (l Life) Origin() entry.Origin { return entry.Origin{Reason: l.Reason, Previous: l.Previous} }

// file is the book's form on the disk.
type file struct {
	Version int        `json:"version"`
	Device  dot.Device `json:"device"`
	Bound   Binding    `json:"bound"`
	Lives   []Life     `json:"lives"` // the one that is lived now last
}

// Book is a folder's lives. It is safe for concurrent use.
type Book struct {
	dir string
	now func() time.Time

	mu sync.Mutex // guards what follows
	f  file
}

// Enrolment is the life that a device was enrolled in.
type Enrolment struct {
	Device                dot.Device
	Incarnation, Previous dot.Incarnation
}

func (e Enrolment) life(now time.Time) Life {
	l := Life{Incarnation: e.Incarnation, ID: newID(), Reason: entry.Installed, Since: now}
	if e.Previous != 0 {
		l.Reason, l.Previous = entry.Reenrolled, e.Previous
	}
	return l
}

func newID() (id ID) {
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return id
}

// Open reads the book in dir, or begins it, and begins a new life when the
// folder is not where its last one was lived. To be called by who holds the
// folder's lock and knows which lives left a trace of entries (lived). sense is
// [Sense] but in tests.
func Open(dir string, e Enrolment, lived []dot.Incarnation, now func() time.Time, sense func(dir string) (Binding, error)) (*Book, error) {
	b := &Book{dir: dir, now: now}
	bound, err := sense(dir)
	if err != nil {
		return nil, fmt.Errorf("find out where folder %s is: %w", dir, err)
	}
	switch b.f, err = load(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return b, b.first(e, lived, bound)
	case err != nil:
		return nil, err
	case b.f.Device != e.Device:
		return nil, fmt.Errorf("%s belongs to device %s and not to %s: use another --data folder", filepath.Join(dir, FileName), b.f.Device, e.Device)
	}
	reason, moved := b.f.Bound.differs(bound)
	if !moved {
		if b.f.Bound == b.f.Bound.learn(bound) {
			return b, nil
		}
		b.f.Bound = b.f.Bound.learn(bound)
		return b, b.save(b.f)
	}
	next := b.f
	next.Bound = bound
	_, err = b.begin(next, reason, lived, 0)
	return b, err
}

// first begins the book. What the enrolment's life or a higher one left shows that
// there was one, which got lost: none of its lives may be lived on, since nobody knows
// any more which it was. The store makes its file tails-N after the book.
func (b *Book) first(e Enrolment, lived []dot.Incarnation, bound Binding) error {
	f := file{Version: formatVersion, Device: e.Device, Bound: bound, Lives: []Life{e.life(b.now())}}
	highest, err := highestTails(b.dir)
	if err != nil {
		return err
	}
	if highest = max(highest, highestOf(lived)); highest >= e.Incarnation {
		f.Lives[0].ID = ID{}
		_, err = b.begin(f, entry.Damaged, lived, highest+1)
		return err
	}
	return b.save(f)
}

func highestOf(lived []dot.Incarnation) (highest dot.Incarnation) {
	for _, i := range lived {
		highest = max(highest, i)
	}
	return highest
}

// highestTails is the highest life that the store wrote a file tails-N for.
func highestTails(dir string) (highest dot.Incarnation, err error) {
	list, err := os.ReadDir(dir)
	for _, e := range list {
		if number, ok := strings.CutPrefix(e.Name(), "tails-"); ok {
			if n, err := strconv.ParseUint(number, 10, 32); err == nil {
				highest = max(highest, dot.Incarnation(n))
			}
		}
	}
	return highest, err
}

// Current is the life that is lived now.
func (b *Book) Current() Life {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.f.Lives[len(b.f.Lives)-1]
}

// Lives lists them all, the current one last.
func (b *Book) Lives() []Life {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.f.Lives)
}

// Begin begins a new life. lived are those that left a trace of entries: the book
// forgets the others, but for its first. The new one's number is the lowest above
// those that stay, and at least atLeast. It is on the disk when Begin returns.
func (b *Book) Begin(reason entry.Reason, lived []dot.Incarnation, atLeast dot.Incarnation) (Life, error) {
	b.mu.Lock()
	f := b.f
	b.mu.Unlock()
	return b.begin(f, reason, lived, atLeast)
}

func (b *Book) begin(f file, reason entry.Reason, lived []dot.Incarnation, atLeast dot.Incarnation) (Life, error) {
	var kept []Life
	highest := highestOf(lived)
	for n, l := range f.Lives {
		if n == 0 || slices.Contains(lived, l.Incarnation) {
			kept = append(kept, l)
			highest = max(highest, l.Incarnation)
		}
	}
	if highest == ^dot.Incarnation(0) {
		return Life{}, fmt.Errorf("begin a life after %d: no number is left", highest)
	}
	// Who was forgotten may have been known to a hub under that number, and its copies
	// may live: the new id tells them apart.
	l := Life{
		Incarnation: max(highest+1, atLeast), ID: newID(), Reason: reason, Since: b.now(),
		Previous: kept[len(kept)-1].Incarnation,
	}
	f.Lives = append(kept, l)
	return l, b.save(f)
}

// Disown gives up the id of a life, which the hub knows by another one: it is not
// claimed any more. It must not be the current one.
func (b *Book) Disown(i dot.Incarnation) error {
	b.mu.Lock()
	f := b.f
	b.mu.Unlock()
	f.Lives = slices.Clone(f.Lives)
	at := slices.IndexFunc(f.Lives, func(l Life) bool { return l.Incarnation == i })
	if at < 0 || f.Lives[at].ID == (ID{}) {
		return nil
	}
	if at == len(f.Lives)-1 {
		return fmt.Errorf("life %d is lived now: it must have an id", i)
	}
	f.Lives[at].ID = ID{}
	return b.save(f)
}

func (b *Book) save(f file) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(b.dir, FileName), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("note the device's life: %w", err)
	}
	b.mu.Lock()
	b.f = f
	b.mu.Unlock()
	return nil
}

func load(dir string) (f file, err error) {
	path := filepath.Join(dir, FileName)
	r, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer r.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("%s is damaged (%w): move it away; the device then goes on in a new life", path, err)
	}
	if f.Version > formatVersion {
		return f, fmt.Errorf("%s was made by a newer agent (version %d): update this one", path, f.Version)
	}
	ok := len(f.Lives) > 0
	for i, l := range f.Lives {
		ok = ok && l.Incarnation > 0 && (i == 0 || l.Incarnation > f.Lives[i-1].Incarnation)
	}
	if !ok {
		return f, fmt.Errorf("%s is damaged (its lives are out of order): move it away; the device then goes on in a new life", path)
	}
	return f, nil
}

// Claims makes the lives known to a hub: the newest ones, as many as a hello
// takes, the current one last. One without an id is not claimed.
func (b *Book) Claims(key identity.SigningKey) []wire.LifeClaim {
	lives := slices.DeleteFunc(b.Lives(), func(l Life) bool { return l.ID == ID{} })
	lives = lives[max(0, len(lives)-wire.MaxLives):]
	out := make([]wire.LifeClaim, len(lives))
	for i, l := range lives {
		c := wire.LifeClaim{Incarnation: l.Incarnation, ID: l.ID[:], Reason: l.Reason, Previous: l.Previous}
		c.Proof = key.Sign(identity.ForLife, c.Message(b.f.Device))
		out[i] = c
	}
	return out
}
