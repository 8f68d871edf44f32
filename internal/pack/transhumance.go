package pack

import (
	"embed"
	"fmt"
	"io/fs"
	"sync"
)

//go:embed transhumance
var builtIn embed.FS

// Transhumance returns the first pack: a day of a service team that rides
// along with the herders' move to distant pasture. It is part of the program;
// every call returns the same pack.
var Transhumance = sync.OnceValues(func() (*Pack, error) {
	dir, err := TranshumanceFS()
	if err != nil {
		return nil, err
	}
	p, err := Load(dir)
	if err != nil {
		return nil, fmt.Errorf("load the built-in pack transhumance: %w", err)
	}
	return p, nil
})

// TranshumanceFS returns the first pack's folder, for publishing it or for
// starting a pack of one's own from it.
func TranshumanceFS() (fs.FS, error) {
	dir, err := fs.Sub(builtIn, "transhumance")
	if err != nil {
		return nil, fmt.Errorf("open the built-in pack transhumance: %w", err)
	}
	return dir, nil
}
