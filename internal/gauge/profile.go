package gauge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
)

// Profiles writes one CPU profile a figure. The zero value writes none.
type Profiles struct {
	// Path is the file when Single, and otherwise what each figure's file is
	// called after: cpu.prof gives cpu-P3.prof.
	Path   string
	Single bool
}

// Wanted reports whether profiles are to be written.
func (p Profiles) Wanted() bool { return p.Path != "" }

// Run profiles fn as the figure's. It runs fn, unprofiled, when no profile is wanted.
func (p Profiles) Run(id string, fn func() error) (err error) {
	if !p.Wanted() {
		return fn()
	}
	f, err := os.Create(p.File(id))
	if err != nil {
		return fmt.Errorf("profile of %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return fmt.Errorf("profile of %s: %w", id, err)
	}
	defer pprof.StopCPUProfile()
	return fn()
}

// File names the figure's file.
func (p Profiles) File(id string) string {
	if p.Single {
		return p.Path
	}
	ext := filepath.Ext(p.Path)
	return strings.TrimSuffix(p.Path, ext) + "-" + id + ext
}
