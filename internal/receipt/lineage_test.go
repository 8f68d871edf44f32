package receipt_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/receipt"
)

func TestMeets(t *testing.T) {
	c := func(id byte, lineage uint32) receipt.EpochCertificate {
		return receipt.EpochCertificate{Epoch: receipt.Epoch{id}, Lineage: lineage}
	}
	for _, x := range []struct {
		name           string
		known, offered receipt.EpochCertificate
		want           receipt.Relation
	}{
		{"the first of all", receipt.EpochCertificate{}, c(1, 9), receipt.Newer},
		{"the same", c(1, 2), c(1, 2), receipt.Same},
		{"a child", c(1, 2), c(2, 3), receipt.Newer},
		{"far ahead", c(1, 2), c(2, 30), receipt.Newer},
		{"from before", c(1, 2), c(2, 1), receipt.Behind},
		{"a sister", c(1, 2), c(2, 2), receipt.Behind},
	} {
		if got := x.known.Meets(x.offered); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
}

// TestAChildIsNewerForEverybody: who begins a child above what it knows and what
// it was shown is followed by holders of either.
func TestAChildIsNewerForEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cert := func(id byte, name string) receipt.EpochCertificate {
			return receipt.EpochCertificate{Epoch: receipt.Epoch{id}, Lineage: rapid.Uint32().Draw(t, name)}
		}
		own, shown := cert(1, "own"), cert(2, "shown")
		child, ok := own.Child(receipt.Epoch{3}, 5, shown)
		if full := max(own.Lineage, shown.Lineage) == math.MaxUint32; ok == full {
			t.Fatalf("ok is %v above %d and %d", ok, own.Lineage, shown.Lineage)
		}
		if ok && (own.Meets(child) != receipt.Newer || shown.Meets(child) != receipt.Newer || child.Meets(own) == receipt.Newer || child.Parent != own.Epoch) {
			t.Fatalf("%+v is not above %+v and %+v", child, own, shown)
		}
	})
}
