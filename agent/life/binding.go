package life

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"otor/internal/durable"
	"otor/internal/entry"
)

// Binding is what a life is bound to. An empty part is not known, and says
// nothing (docs/adr/0009-what-a-life-is-bound-to.md).
type Binding struct {
	// Machine is a hash of the system's own id of the machine.
	Machine string `json:"machine,omitempty"`
	// Mark is when and as which file the folder's mark came into being. A copy of
	// the mark is another file, and came into being later, whatever its content,
	// name and times say.
	Mark string `json:"mark,omitempty"`
	// Path is where the folder is. A folder may be renamed: it serves the words alone.
	Path string `json:"path,omitempty"`
}

// markName is the file whose coming into being stands for the folder's. It is
// written once.
const markName = "mark"

// Sense finds out where a folder is. It makes the folder's mark when there is none.
func Sense(dir string) (Binding, error) {
	path := filepath.Join(dir, markName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := durable.WriteFile(path, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return Binding{}, err
		}
	}
	mark, err := birthOf(path)
	if err != nil {
		return Binding{}, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Binding{}, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	return Binding{Machine: hashed(machineID()), Mark: mark, Path: abs}, nil
}

// hashed hides a machine's id: it would follow the machine around. Ids that
// systems use for "none yet" count as none.
func hashed(id string) string {
	id = strings.ToLower(strings.TrimSpace(id))
	if len(id) < 16 || id == "uninitialized" || strings.Trim(id, "0-") == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("otor/1/machine\x00" + id))
	return hex.EncodeToString(sum[:16])
}

// differs reports whether a folder that was bound so is elsewhere now, and why.
func (b Binding) differs(now Binding) (entry.Reason, bool) {
	known := func(a, b string) bool { return a != "" && b != "" }
	switch {
	case known(b.Machine, now.Machine) && b.Machine != now.Machine:
		return entry.Moved, true
	case known(b.Mark, now.Mark) && b.Mark != now.Mark && b.Path == now.Path:
		return entry.Restored, true // put back in its place
	case known(b.Mark, now.Mark) && b.Mark != now.Mark:
		return entry.Moved, true
	}
	return 0, false
}

// learn is b with what is known now and was not.
func (b Binding) learn(now Binding) Binding {
	if b.Machine == "" {
		b.Machine = now.Machine
	}
	if b.Mark == "" {
		b.Mark = now.Mark
	}
	b.Path = now.Path
	return b
}
