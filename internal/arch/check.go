package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Finding is one breach of a rule.
type Finding struct {
	Where  string // file, or file and line, below the module
	What   string
	Rule   string
	Reason string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s\n\trule: %s, because %s", f.Where, f.What, f.Rule, f.Reason)
}

// Names of the rules that are not about one import.
const (
	RuleHome  = "libraries stay in their room"
	RuleName  = "a name says what a thing is"
	RuleClock = "records and rules read no clock"
	RuleGo    = "records and rules start no goroutine"
	RulePrint = "records and rules print nothing"
)

// Check holds a module against every rule.
func Check(m Module) []Finding {
	var out []Finding
	for _, p := range m.Packages {
		for _, name := range append(strings.Split(p.Path, "/"), p.Name) {
			if banned(name) {
				out = append(out, Finding{p.Path, "package " + name, RuleName, "such a name fits anything, so anything is put there"})
				break
			}
		}
		for _, f := range p.Files {
			where := path.Join(p.Path, f.Name)
			for _, to := range f.imports(m.Path) {
				out = append(out, checkEdge(where, Edge{From: p.Path, To: to, Test: f.Test})...)
			}
			if in(p.Path, Pure...) && !f.Test {
				out = append(out, checkPure(p.Path, f)...)
			}
		}
	}
	return out
}

func checkEdge(where string, e Edge) []Finding {
	var out []Finding
	what := "imports " + strings.TrimPrefix(e.To, own)
	for _, r := range Rules {
		if r.Forbids(e) {
			out = append(out, Finding{where, what, r.Name, r.Reason})
		}
	}
	for _, h := range Homes {
		if h.forbids(e) {
			reason := fmt.Sprintf("%s lives in %s: %s", h.Library, strings.Join(h.Rooms, ", "), h.Reason)
			out = append(out, Finding{where, what, RuleHome, reason})
		}
	}
	return out
}

// clockCalls read or wait for the system's clock.
var clockCalls = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// printCalls write to the process's own output.
var printCalls = []string{"Print", "Printf", "Println"}

// checkPure looks into a file for what needs no forbidden import.
func checkPure(pkg string, f File) []Finding {
	var out []Finding
	found := func(pos token.Pos, what, rule, reason string) {
		p := f.Set.Position(pos)
		out = append(out, Finding{fmt.Sprintf("%s/%s:%d", pkg, f.Name, p.Line), what, rule, reason})
	}
	clock, prints := importName(f, "time"), importName(f, "fmt")
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found(n.Pos(), "go statement", RuleGo, "what runs beside cannot be replayed step by step")
		case *ast.ImportSpec:
			if n.Name != nil && n.Name.Name == "." {
				found(n.Pos(), "imports "+n.Path.Value+" without its name", RuleClock, "a call without its package's name cannot be checked")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			switch {
			case !ok:
			case clock != "" && x.Name == clock && slices.Contains(clockCalls, n.Sel.Name):
				found(n.Pos(), "time."+n.Sel.Name, RuleClock, "time comes in as an argument, so that a simulator can drive it")
			case prints != "" && x.Name == prints && slices.Contains(printCalls, n.Sel.Name):
				found(n.Pos(), "fmt."+n.Sel.Name, RulePrint, "what there is to say comes back as a value")
			}
		}
		return true
	})
	return out
}

// importName is the name under which the file uses an imported package; "" when it does not.
func importName(f File, importPath string) string {
	for _, spec := range f.AST.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err != nil || p != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}
