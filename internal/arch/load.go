package arch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Package is one folder of Go files.
type Package struct {
	Path  string // below the module, "agent/store"; "" is the module's own folder
	Name  string
	Files []File
}

// File is one Go file, whatever platform it is for.
type File struct {
	Name string
	Test bool
	AST  *ast.File
	Set  *token.FileSet
}

// imports lists what the file imports; packages of the module as [own] and
// their Path, all others by their import path.
func (f File) imports(module string) []string {
	var out []string
	for _, spec := range f.AST.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser took only good ones
		}
		if rest, ok := strings.CutPrefix(p, module+"/"); ok {
			p = own + rest
		}
		out = append(out, p)
	}
	return out
}

// own marks packages of the module itself in an [Edge].
const own = "./"

// Module is a module's packages.
type Module struct {
	Path     string
	Packages []Package
}

// listed is what `go list -json` says of a package.
type listed struct {
	Dir, ImportPath, Name                                        string
	Module                                                       *struct{ Path string }
	GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
}

// Load reads the packages of the module in dir with the go command. Packages
// that do not build are read as well: a rule holds while work is under way.
func Load(ctx context.Context, dir string) (Module, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e",
		"-json=Dir,ImportPath,Name,Module,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Module{}, fmt.Errorf("go list in %s: %w: %s", dir, err, stderr.Bytes())
	}
	var m Module
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return m, nil
		} else if err != nil {
			return Module{}, fmt.Errorf("go list in %s: %w", dir, err)
		}
		if l.Module == nil {
			return Module{}, fmt.Errorf("go list in %s: %s is in no module", dir, l.ImportPath)
		}
		m.Path = l.Module.Path
		p, err := read(l)
		if err != nil {
			return Module{}, err
		}
		m.Packages = append(m.Packages, p)
	}
}

func read(l listed) (Package, error) {
	p := Package{Path: strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, l.Module.Path), "/"), Name: l.Name}
	names := slices.Concat(l.GoFiles, l.CgoFiles, l.IgnoredGoFiles, l.TestGoFiles, l.XTestGoFiles)
	slices.Sort(names)
	for _, name := range names {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return Package{}, fmt.Errorf("read %s/%s: %w", l.ImportPath, name, err)
		}
		p.Files = append(p.Files, File{Name: name, Test: strings.HasSuffix(name, "_test.go"), AST: f, Set: set})
	}
	return p, nil
}
