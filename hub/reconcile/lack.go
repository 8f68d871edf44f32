package reconcile

import "fmt"

// Lack is why an account of a chain is not complete.
type Lack struct {
	Chain string
	What  string // missing, held or different
	N     uint64 // entries that are missing or held
}

func (l Lack) String() string {
	switch l.What {
	case "missing":
		return fmt.Sprintf("%s: %d entries are missing", l.Chain, l.N)
	case "held":
		return fmt.Sprintf("%s: %d entries are held above a gap", l.Chain, l.N)
	}
	return l.Chain + ": the device has other content than the hub"
}

// In says it in a language: zh, mn or en.
func (l Lack) In(lang string) string {
	return catalogues().Words(lang).T("statement.lack."+l.What, "chain", l.Chain, "n", l.N)
}

// Complete reports whether the hub has all that the subject's devices declared,
// with equal heads, and nothing is held; else what is wrong.
func (s Statement) Complete() (complete bool, wrong []Lack) {
	for _, c := range s.Chains {
		switch {
		case c.Waiting > 0:
			wrong = append(wrong, Lack{c.Chain, "missing", c.Waiting})
		case c.Held > 0:
			wrong = append(wrong, Lack{c.Chain, "held", uint64(c.Held)})
		case c.Heads == "different":
			wrong = append(wrong, Lack{Chain: c.Chain, What: "different"})
		}
	}
	return len(wrong) == 0, wrong
}

// Wrong says in a language why a statement is not complete, or is none to use; nothing
// of one that is complete.
func (s Statement) Wrong(lang string) []string {
	_, lacks := s.Complete()
	var out []string
	for _, l := range lacks {
		out = append(out, l.In(lang))
	}
	if !s.Adds() {
		out = append(out, catalogues().Words(lang).T("statement.not_adds"))
	}
	return out
}
