//go:build !linux

package store_test

import (
	"os"
	"testing"
)

func datasync(tb testing.TB, f *os.File) {
	if err := f.Sync(); err != nil {
		tb.Fatal(err)
	}
}
