package xlsform

import "strings"

// node is a question, a group, a repeat, or the form itself.
type node struct {
	rec      record
	row      int
	what     string // "survey", "group", "repeat" or "question"
	kind     string // of a question, a key of kinds
	name     string
	list     string // the choices: a list, a file, or ${a question of a repeat}
	other    bool
	params   params
	parent   *node
	children []*node

	label, hint, guidance wording
	calculation, relevant string
	saveTo, saveList      string // the entity property that it is kept in, and of which list
	generated             bool   // not a row of the sheet
	entity                *entity
}

func (n *node) kindOf() kind { return kinds[n.kind] }

// path is where the node's answers stand: "/data/group/question".
func (n *node) path() string {
	if n.parent == nil {
		return "/" + n.name
	}
	return n.parent.path() + "/" + n.name
}

// scope is path with the form itself called "survey", for messages.
func (n *node) scope() string {
	if n.parent == nil {
		return "/survey"
	}
	return n.parent.scope() + "/" + n.name
}

// above lists the node's containers, the form itself first, without the node.
func (n *node) above() []*node {
	if n.parent == nil {
		return nil
	}
	return append(n.parent.above(), n.parent)
}

// repeatOf is the innermost repeat around the node, or the form itself.
func (n *node) repeatOf() *node {
	for p := n.parent; p != nil; p = p.parent {
		if p.what == "repeat" || p.parent == nil {
			return p
		}
	}
	return n
}

// inside reports whether n is c or below it.
func (n *node) inside(c *node) bool {
	for ; n != nil; n = n.parent {
		if n == c {
			return true
		}
	}
	return false
}

// walk visits the nodes below n in the order of the sheet.
func (n *node) walk(visit func(*node)) {
	for _, c := range n.children {
		visit(c)
		c.walk(visit)
	}
}

// external reports whether the node only declares an attached file.
func (n *node) external() bool { return n.kind == "csv-external" || n.kind == "xml-external" }

// visible reports whether the node has a control of its own.
func (n *node) visible() bool {
	if n.what != "question" || n.kindOf().control == "" {
		return false
	}
	return n.hasWords() || n.calculation == "" && n.triggers() == ""
}

func (n *node) hasWords() bool {
	return len(n.label) > 0 || len(n.hint) > 0 || len(n.media()) > 0
}

func (n *node) triggers() string { return n.rec.get("trigger") }

// mediaKinds are what may accompany a label, each with the folder of its files.
var mediaKinds = []struct{ name, folder string }{{"image", "images"}, {"big-image", "images"}, {"audio", "audio"}, {"video", "video"}}

// medium is a picture, recording or film beside a label.
type medium struct {
	form  string // "image"
	words wording
}

func mediaOf(r record) []medium {
	var out []medium
	for _, m := range mediaKinds {
		if w := r.words(m.name); len(w) > 0 {
			for i := range w {
				if !strings.HasPrefix(w[i].words, "jr://") {
					w[i].words = "jr://" + m.folder + "/" + w[i].words
				}
			}
			out = append(out, medium{m.name, w})
		}
	}
	return out
}

func (n *node) media() []medium { return mediaOf(n.rec) }
