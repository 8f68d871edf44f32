package bench_test

import (
	"os"
	"testing"

	"otor/hub/demo/bench"
)

// BenchmarkFull prints every figure at its full size.
func BenchmarkFull(b *testing.B) {
	for b.Loop() {
		if err := bench.Run(b.Context(), bench.Options{Out: os.Stdout, Only: []string{"P3"}, Runs: 5, Profile: os.Getenv("OTOR_PROFILE")}); err != nil {
			b.Fatal(err)
		}
	}
}
