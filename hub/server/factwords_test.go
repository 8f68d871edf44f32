package server

import (
	"slices"
	"testing"

	"otor/hub/console"
)

// Every kind of fact that the hub writes has a word on the ledger's page.
func TestEveryKindOfFactHasAWord(t *testing.T) {
	var written []string
	for _, k := range (&Server{}).kinds() {
		written = append(written, k.Name)
	}
	words := slices.Sorted(slices.Values(console.FactKinds))
	if slices.Sort(written); !slices.Equal(written, words) {
		t.Errorf("written are %q, words are for %q", written, words)
	}
}
