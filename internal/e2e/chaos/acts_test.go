package chaos

import (
	"strings"
	"testing"
)

// TestAnActThatIsNotThereIsNoticed: acts are looked for once each, and in order.
func TestAnActThatIsNotThereIsNoticed(t *testing.T) {
	in := func(names ...string) (out []fact) {
		for _, n := range names {
			out = append(out, fact{"invited", n})
		}
		return out
	}
	told := []act{{"invited", "X-0", 0}, {"invited", "X-2", 0}}
	for what, c := range map[string]struct {
		facts []fact
		want  string // empty: it holds
	}{
		"all, and one that got no answer": {in("X-0", "X-1", "X-2"), ""},
		"one is missing":                  {in("X-0", "X-1"), "X-2 is invited, and the ledger has that 0 times"},
		"one is there again":              {in("X-0", "X-0", "X-2"), "X-0 is invited, and the ledger has that 2 times"},
		"in another order":                {in("X-2", "X-1", "X-0"), "X-2 was invited after what the ledger has behind it"},
	} {
		got := among(c.facts, told)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}
