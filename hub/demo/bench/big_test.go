package bench_test

import (
	"os"
	"testing"

	"otor/hub/demo/bench"
)

// BenchmarkBig prints every figure at its full size.
func BenchmarkBig(b *testing.B) {
	for b.Loop() {
		if err := bench.Run(b.Context(), bench.Options{Out: os.Stdout, Only: []string{"P3"}, Runs: 3, Entries: 300_000, Profile: os.Getenv("OTOR_PROFILE")}); err != nil {
			b.Fatal(err)
		}
	}
}
