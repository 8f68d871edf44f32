// Package runfile tells other programs of the same user how to reach a running
// agent or hub: DIR/run.json holds its process id and addresses, DIR/token the
// secret that its API asks for. Both are readable by their owner alone.
package runfile

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"otor/internal/durable"
)

// Info says where a running program listens, each as host:port.
type Info struct {
	PID  int    `json:"pid"`
	HTTP string `json:"http"`
	NATS string `json:"nats,omitempty"`
}

func path(dir string) string { return filepath.Join(dir, "run.json") }

// Write announces the program that runs in dir.
func Write(dir string, i Info) error {
	b, err := json.Marshal(i)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path(dir), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("announce the running program in %s: %w", dir, err)
	}
	return nil
}

// Remove takes the announcement back.
func Remove(dir string) { _ = os.Remove(path(dir)) } // a stale one is told by its silence

// Read returns the announcement; ok is false when there is none. A stale one
// may remain after a crash: whoever it names may not answer.
func Read(dir string) (i Info, ok bool, err error) {
	b, err := os.ReadFile(path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, false, nil
	}
	if err != nil {
		return Info{}, false, fmt.Errorf("read %s: %w", path(dir), err)
	}
	if err := json.Unmarshal(b, &i); err != nil {
		return Info{}, false, fmt.Errorf("read %s: %w; remove the file when no program runs there", path(dir), err)
	}
	return i, true, nil
}

// Token returns the API token of the folder, making it at the first call.
func Token(dir string) (string, error) {
	name := filepath.Join(dir, "token")
	b, err := os.ReadFile(name)
	if err == nil && len(strings.TrimSpace(string(b))) >= 26 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the API token %s: %w", name, err)
	}
	t := rand.Text()
	if err := durable.WriteFile(name, []byte(t+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the API token %s: %w", name, err)
	}
	return t, nil
}
